package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// CacheEnv names the variable that moves the cache away from the user's cache
// directory.
const CacheEnv = "XWIRE_VM_CACHE"

// kernelSuites are tried in turn: the first that has a kernel gives it.
var kernelSuites = [...]string{"trixie-backports", "sid"}

// kit is a prepared cache.
type kit struct {
	dir    string
	qemu   string // root of the unpacked emulator packages
	kernel string // vmlinuz
	initrd string
}

// Prepare downloads and unpacks what a guest needs, about 150 MB, unless it is
// there already. It may be interrupted and called again, by several processes
// at once.
func Prepare(ctx context.Context) error {
	_, err := prepare(ctx)
	return err
}

// openKit opens the cache for one process alone, until unlock.
func openKit(ctx context.Context) (k *kit, unlock func(), err error) {
	if runtime.GOARCH != "amd64" {
		return nil, nil, errors.New("prepare a virtual machine: only amd64 hosts can share their root with the guest")
	}
	dir := os.Getenv(CacheEnv)
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, nil, fmt.Errorf("prepare a virtual machine: %w", err)
		}
		dir = filepath.Join(cache, "xwire-vm")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, fmt.Errorf("prepare a virtual machine: %w", err)
	}
	unlock, err = lockFile(ctx, filepath.Join(dir, "prepare.lock"))
	if err != nil {
		return nil, nil, fmt.Errorf("prepare a virtual machine: %w", err)
	}
	return &kit{dir: dir}, unlock, nil
}

func prepare(ctx context.Context) (*kit, error) {
	k, unlock, err := openKit(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	for _, step := range []func(context.Context) error{k.prepareQEMU, k.prepareKernel, k.prepareInitrd} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("prepare a virtual machine in %s: %w", k.dir, err)
		}
	}
	return k, nil
}

// once fills dir/name by f, which gets a directory to fill; a directory under
// its last name is whole.
func (k *kit) once(name string, f func(tmp string) error) (string, error) {
	final := filepath.Join(k.dir, name)
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	tmp := final + ".new"
	if err := os.RemoveAll(tmp); err != nil {
		return "", err
	}
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return "", err
	}
	if err := f(tmp); err != nil {
		return "", err
	}
	return final, os.Rename(tmp, final)
}

// packages is a directory for downloads that outlives an interruption.
func (k *kit) packages(name string) (string, error) {
	dir := filepath.Join(k.dir, name)
	return dir, os.MkdirAll(filepath.Join(dir, "partial"), 0o755)
}

// prepareQEMU takes the emulator from the host's own release or, newer, its
// backports: igb came with QEMU 8.0.
func (k *kit) prepareQEMU(ctx context.Context) error {
	release, err := codename()
	if err != nil {
		return err
	}
	k.qemu, err = k.once("qemu-"+release, func(tmp string) error {
		a, err := hostArchive(release)
		if err != nil {
			return err
		}
		backports := release + "-backports"
		root, err := newApt(ctx, filepath.Join(k.dir, "apt-"+backports), a, release, backports)
		if err != nil {
			return err
		}
		debs, err := k.packages("debs-qemu-" + release)
		if err != nil {
			return err
		}
		want := []string{"qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios", "busybox-static"}
		if err := root.download(ctx, backports, debs, want...); err != nil {
			return err
		}
		if err := root.dependencies(ctx, backports, debs, want...); err != nil {
			return err
		}
		if err := unpack(ctx, debs, tmp); err != nil {
			return err
		}
		return os.RemoveAll(debs)
	})
	return err
}

func (k *kit) prepareKernel(ctx context.Context) error {
	root, err := k.once("kernel", func(tmp string) error {
		release, err := codename()
		if err != nil {
			return err
		}
		a, err := hostArchive(release)
		if err != nil {
			return err
		}
		var errs []error
		for _, suite := range kernelSuites {
			err := k.fetchKernel(ctx, a, suite, tmp)
			if err == nil {
				return nil
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	if err != nil {
		return err
	}
	k.kernel, err = findKernel(root)
	return err
}

func (k *kit) fetchKernel(ctx context.Context, a archive, suite, into string) error {
	root, err := newApt(ctx, filepath.Join(k.dir, "apt-"+suite), a, suite)
	if err != nil {
		return err
	}
	// Since 7.x the image is a metapackage over these two, and now and then
	// an archive has one of them only.
	modules, err := root.names(ctx, `^linux-modules-[0-9.]+[^-]*-amd64$`)
	if err != nil {
		return err
	}
	binaries, err := root.names(ctx, `^linux-binary-[0-9.]+[^-]*-amd64$`)
	if err != nil {
		return err
	}
	version := ""
	for _, m := range modules {
		v := strings.TrimPrefix(m, "linux-modules-")
		if slices.Contains(binaries, "linux-binary-"+v) {
			version = v
		}
	}
	if version == "" {
		return fmt.Errorf("find a kernel in %s: none there", suite)
	}
	debs, err := k.packages("debs-kernel-" + suite)
	if err != nil {
		return err
	}
	if err := root.download(ctx, suite, debs, "linux-binary-"+version, "linux-modules-"+version); err != nil {
		return err
	}
	if err := unpack(ctx, debs, into); err != nil {
		return err
	}
	if _, err := findKernel(into); err != nil {
		return err
	}
	return os.RemoveAll(debs)
}

func findKernel(root string) (string, error) {
	for _, pattern := range []string{"usr/lib/modules/*/vmlinuz*", "lib/modules/*/vmlinuz*", "boot/vmlinuz-*"} {
		if found, _ := filepath.Glob(filepath.Join(root, pattern)); len(found) > 0 {
			return found[0], nil
		}
	}
	return "", fmt.Errorf("find a kernel under %s: none there", root)
}
