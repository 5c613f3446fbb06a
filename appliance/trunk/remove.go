package trunk

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"xwire/appliance/trunk/splice"
)

// Remove deletes interfaces and forgets them, their MAC addresses too. A name that is not ours is
// left alone, without an error.
func (t *Trunk) Remove(names ...string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.removeAll(names)
}

func (t *Trunk) removeAll(names []string) error {
	var ours []string
	for _, name := range names {
		if _, ok := t.state.records[name]; ok {
			ours = append(ours, name)
		}
	}
	s, err := t.scanFor(ours)
	if err != nil {
		return err
	}
	return t.remove(ours, s)
}

// Prune deletes the interfaces that keep does not want, and forgets them.
func (t *Trunk) Prune(keep func(name string) bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.scan()
	if err != nil {
		return err
	}
	t.adopt(s)
	t.scanned = true
	var names []string
	for name := range t.state.records {
		if !keep(name) {
			names = append(names, name)
		}
	}
	return t.remove(names, s)
}

// remove needs a scan of all these interfaces.
func (t *Trunk) remove(names []string, s scan) error {
	var links []netlink.Link
	var gone []string
	for _, name := range names {
		r, ok := t.state.records[name]
		if !ok {
			continue
		}
		gone = append(gone, name)
		if t.splice != nil {
			t.splice.Leave(splice.Place{SVLAN: r.SVLAN, CVLAN: r.CVLAN})
		}
		if l := s.byVLAN[r.vlan()]; l != nil {
			links = append(links, l)
		} else if l := s.ends[r.vlan()]; l != nil { // takes the interface along, wherever that is
			links = append(links, l)
		} else if r.Ifindex != 0 {
			if err := t.deleteElsewhere(r, s); err != nil {
				t.config.Log.Warn("interface not removed from the network namespace it was moved to", "interface", name, "err", err)
			}
		}
	}
	if len(gone) == 0 {
		return nil
	}
	if err := t.delete(links, s); err != nil {
		return err
	}
	for _, name := range gone {
		t.state.remove(name)
	}
	return t.state.save()
}

// few is up to how many devices are deleted one by one. Each such deletion waits for a grace
// period of the kernel, tens of milliseconds.
const few = 4

// delete removes devices. Many are put into a device group of their own first, and the group is
// deleted as one.
func (t *Trunk) delete(links []netlink.Link, s scan) error {
	if len(links) <= few {
		for _, l := range links {
			if err := t.handle.LinkDel(l); err != nil && !errors.Is(err, unix.ENODEV) {
				return fmt.Errorf("remove interface %s: %w", l.Attrs().Name, err)
			}
		}
		return nil
	}
	group := s.freeGroup()
	for _, l := range links {
		if err := t.handle.LinkSetGroup(l, int(group)); err != nil && !errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("remove interface %s: %w", l.Attrs().Name, err)
		}
	}
	if err := t.deleteGroup(group); err != nil {
		return fmt.Errorf("remove %d interfaces: %w", len(links), err)
	}
	return nil
}

// freeGroup is a device group that no device is in.
func (s scan) freeGroup() uint32 {
	used := map[uint32]bool{}
	for _, l := range s.byName {
		used[l.Attrs().Group] = true
	}
	group := uint32(0x78770001) // "xw"
	for used[group] {
		group++
	}
	return group
}
