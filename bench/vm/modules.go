package vm

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// guestModules are loaded at boot, with what they depend on. What the kernel has
// built in is passed over.
const guestModules = `virtio_pci virtio_console 9pnet_virtio 9p
	af_packet ipv6 veth tun dummy bridge 8021q vrf bonding macvlan sch_ingress cls_bpf cls_flower act_mirred sch_netem
	l2tp_core l2tp_netlink l2tp_eth l2tp_ip l2tp_ip6 l2tp_ppp pppoe pktgen
	virtio_net igb`

// module is a kernel module ready for insmod.
type module struct {
	name string
	data []byte
}

// loadOrder reads the wanted modules and their dependencies from a directory of
// .ko or .ko.xz files, dependencies first.
func loadOrder(ctx context.Context, dir, busybox string, want []string) ([]module, error) {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if name, _, ok := strings.Cut(filepath.Base(path), ".ko"); ok && err == nil && !d.IsDir() {
			files[moduleName(name)] = path
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list modules: %w", err)
	}
	var order []module
	seen := map[string]bool{}
	var add func(name string) error
	add = func(name string) error {
		path, ok := files[name]
		if seen[name] || !ok {
			return nil
		}
		seen[name] = true
		data, err := readModule(ctx, path, busybox)
		if err != nil {
			return fmt.Errorf("read module %s: %w", name, err)
		}
		needs, err := dependencies(data)
		if err != nil {
			return fmt.Errorf("read module %s: %w", name, err)
		}
		for _, n := range needs {
			if err := add(n); err != nil {
				return err
			}
		}
		order = append(order, module{name, data})
		return nil
	}
	for _, w := range want {
		if err := add(w); err != nil {
			return nil, err
		}
	}
	return order, nil
}

func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }

func readModule(ctx context.Context, path, busybox string) ([]byte, error) {
	if filepath.Ext(path) == ".xz" {
		return exec.CommandContext(ctx, busybox, "xzcat", path).Output()
	}
	return os.ReadFile(path)
}

// dependencies reads `depends=a,b` of the module's own description.
func dependencies(data []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, nil
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for field := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(field, "depends="); ok && list != "" {
			return strings.Split(moduleName(list), ","), nil
		}
	}
	return nil, nil
}
