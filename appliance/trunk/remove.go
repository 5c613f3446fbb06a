package trunk

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Remove deletes one interface and forgets it, its MAC address too. A name that is not ours is
// left alone, without an error.
func (t *Trunk) Remove(name string) error {
	return t.prune(func(n string) bool { return n != name })
}

// Prune deletes the interfaces that keep does not want.
func (t *Trunk) Prune(keep func(name string) bool) error { return t.prune(keep) }

func (t *Trunk) prune(keep func(name string) bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.scan()
	if err != nil {
		return err
	}
	t.adopt(s)
	var errs []error
	changed := false
	for name, r := range t.state.Interfaces {
		if keep(name) {
			continue
		}
		if l := s.byVLAN[r.vlan()]; l != nil {
			if err := t.handle.LinkDel(l); err != nil && !errors.Is(err, unix.ENODEV) {
				errs = append(errs, fmt.Errorf("remove interface %s: %w", name, err))
				continue
			}
		}
		delete(t.state.Interfaces, name)
		changed = true
	}
	if changed {
		errs = append(errs, t.state.save(t.path()))
	}
	return errors.Join(errs...)
}
