package vm

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

//go:embed init.sh
var initScript []byte

// prepareInitrd writes an initramfs of busybox, modules and init. Its name holds
// a hash of what went into it, so that a change makes a new one.
func (k *kit) prepareInitrd(ctx context.Context) error {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s", k.kernel, guestModules, initScript))
	k.initrd = filepath.Join(k.dir, fmt.Sprintf("initrd-%x", sum[:6]))
	if _, err := os.Stat(k.initrd); err == nil {
		return nil
	}
	// Debian moved /bin into /usr/bin.
	busybox := filepath.Join(k.qemu, "usr/bin/busybox")
	if _, err := os.Stat(busybox); err != nil {
		busybox = filepath.Join(k.qemu, "bin/busybox")
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return fmt.Errorf("build initramfs: %w", err)
	}
	modules, err := k.moduleDir()
	if err != nil {
		return fmt.Errorf("build initramfs: %w", err)
	}
	order, err := loadOrder(ctx, modules, busybox, strings.Fields(guestModules))
	if err != nil {
		return fmt.Errorf("build initramfs: %w", err)
	}
	f, err := os.Create(k.initrd + ".new")
	if err != nil {
		return fmt.Errorf("build initramfs: %w", err)
	}
	defer f.Close()
	c := newCpioWriter(f)
	for _, d := range []string{"bin", "proc", "sys", "dev", "mods", "newroot"} {
		c.add(d, cpioDir, nil)
	}
	c.add("bin/busybox", cpioExec, program)
	c.add("init", cpioExec, initScript)
	var names strings.Builder
	for _, m := range order {
		c.add("mods/"+m.name+".ko", cpioFile, m.data)
		names.WriteString(m.name + "\n")
	}
	c.add("mods/order", cpioFile, []byte(names.String()))
	if err := c.close(); err != nil {
		return fmt.Errorf("build initramfs: %w", err)
	}
	return os.Rename(f.Name(), k.initrd)
}

func (k *kit) moduleDir() (string, error) {
	for _, pattern := range []string{"usr/lib/modules/*/kernel", "lib/modules/*/kernel"} {
		if found, _ := filepath.Glob(filepath.Join(k.dir, "kernel", pattern)); len(found) > 0 {
			return found[0], nil
		}
	}
	return "", fmt.Errorf("find modules under %s: none there", k.dir)
}
