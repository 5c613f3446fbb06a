package host

import (
	"errors"
	"fmt"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Host changes the interfaces of one network namespace and remembers what it changed. Its methods
// may be called from any goroutine; Promiscuous acts in the namespace of the calling thread.
type Host struct {
	links   *netlink.Handle
	ethtool ethtool

	mu      sync.Mutex
	journal journal
}

// Open reads the journal in dir, which need not exist yet, and changes nothing. Only one process
// at a time may apply plans with one dir.
func Open(dir string) (*Host, error) {
	j, err := openJournal(dir)
	if err != nil {
		return nil, err
	}
	links, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	e, err := openEthtool()
	if err != nil {
		links.Close()
		return nil, err
	}
	return &Host{links: links, ethtool: e, journal: j}, nil
}

// Close lets go of the sockets. It puts nothing back.
func (h *Host) Close() error {
	h.links.Close()
	return h.ethtool.close()
}

// Apply makes the changes of a plan. Each is in the journal before it is made. Changes that an
// earlier start made for the port and this plan does not want are put back. After an error the
// journal holds what was done until then: Restore undoes it.
func (h *Host) Apply(p Plan) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	wanted := append(p.Kept[:len(p.Kept):len(p.Kept)], p.Changes...)
	if err := h.release(p.Interface, func(e entry) bool { return e.of(wanted) }); err != nil {
		return err
	}
	if len(wanted) == 0 {
		return nil
	}
	for _, c := range wanted {
		l, err := h.links.LinkByName(c.Interface)
		if err != nil {
			return fmt.Errorf("look up interface %s: %w", c.Interface, err)
		}
		h.journal.note(c, p.Interface, l.Attrs().Index)
	}
	if err := h.journal.save(); err != nil {
		return err
	}
	return h.set(p.Changes)
}

// set turns changes into one call for each interface, and looks whether they were heard.
func (h *Host) set(changes []Change) error {
	for name, on := range byInterface(changes) {
		known, err := h.ethtool.features(name)
		if err != nil {
			return fmt.Errorf("read the features of %s: %w", name, err)
		}
		if err := h.ethtool.setFeatures(name, known, on); err != nil {
			return fmt.Errorf("set features of %s: %w", name, err)
		}
		now, err := h.ethtool.features(name)
		if err != nil {
			return fmt.Errorf("read the features of %s: %w", name, err)
		}
		for setting, v := range on {
			if now.byName[setting].active && !v {
				return fmt.Errorf("switch %s of %s off: the driver keeps it on", setting, name)
			}
		}
	}
	return nil
}

func byInterface(changes []Change) map[string]map[string]bool {
	all := make(map[string]map[string]bool)
	for _, c := range changes {
		if all[c.Interface] == nil {
			all[c.Interface] = make(map[string]bool)
		}
		all[c.Interface][c.Setting] = c.To == on
	}
	return all
}

// Restore puts back what was changed for a port, but for what other ports still need. What
// somebody else has changed in the meantime stays as it is, and an interface that is gone needs
// nothing.
func (h *Host) Restore(port string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.release(port, func(entry) bool { return false })
}

// RestoreAll puts back everything in the journal.
func (h *Host) RestoreAll() error { return h.Recover(func(string) bool { return false }) }

// Recover is for the start: it puts back what an earlier process left changed for ports that
// keep does not name. For the others the settings stay, and Apply takes them over.
func (h *Host) Recover(keep func(port string) bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for _, port := range h.journal.ports() {
		if !keep(port) {
			errs = append(errs, h.release(port, func(entry) bool { return false }))
		}
	}
	return errors.Join(errs...)
}

// release takes the port off the entries that keep does not hold, and puts back those without a
// port. An entry leaves the journal when its setting stands as it was.
func (h *Host) release(port string, keep func(entry) bool) error {
	var errs []error
	changed := false
	for _, e := range h.journal.entries() {
		if !e.user(port) || keep(e) {
			continue
		}
		changed = true
		if len(e.Ports) == 1 {
			if err := h.putBack(e); err != nil {
				errs = append(errs, fmt.Errorf("put back %s of %s: %w", e.Setting, e.Interface, err))
				continue
			}
		}
		h.journal.leave(e, port)
	}
	if changed {
		errs = append(errs, h.journal.save())
	}
	return errors.Join(errs...)
}

// putBack follows an interface that was renamed, and leaves alone another one of its name.
func (h *Host) putBack(e entry) error {
	l, err := h.links.LinkByIndex(e.Ifindex)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil {
		return err
	}
	if e.Setting == linkSetting {
		return h.linkUp(l)
	}
	name := l.Attrs().Name
	known, err := h.ethtool.features(name)
	if err != nil {
		return err
	}
	f, ok := known.byName[e.Setting]
	if !ok || onOff(f.wanted) != e.To {
		return nil
	}
	return h.ethtool.setFeatures(name, known, map[string]bool{e.Setting: e.From == on})
}
