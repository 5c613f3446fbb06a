package vm

import (
	"context"
	"fmt"
	"path/filepath"
)

// Unpacked returns a directory over which packages of the host's own Debian release are spread, for
// programs that a test runs from there without installing them. What they depend on the host must
// have. The directory is made once, and is at the same path in a guest.
func Unpacked(ctx context.Context, packages ...string) (string, error) {
	k, unlock, err := openKit(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	release, err := codename()
	if err != nil {
		return "", fmt.Errorf("unpack %v: %w", packages, err)
	}
	name := release
	for _, p := range packages {
		name += "-" + p
	}
	root, err := k.once(name, func(tmp string) error {
		a, err := hostArchive(release)
		if err != nil {
			return err
		}
		from, err := newApt(ctx, filepath.Join(k.dir, "apt-"+release), a, release)
		if err != nil {
			return err
		}
		debs, err := k.packages("debs-" + name)
		if err != nil {
			return err
		}
		if err := from.download(ctx, release, debs, packages...); err != nil {
			return err
		}
		return unpack(ctx, debs, tmp)
	})
	if err != nil {
		return "", fmt.Errorf("unpack %v: %w", packages, err)
	}
	return root, nil
}
