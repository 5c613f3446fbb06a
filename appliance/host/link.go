package host

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// linkSetting is the journal's word for an interface's administrative state.
const (
	linkSetting = "link"
	up          = "up"
	down        = "down"
)

// linkUser is for whose sake an interface is down: not its port, which may be closed and opened
// again meanwhile.
func linkUser(ifname string) string { return "link of " + ifname }

// SetLink sets an interface down, and up again. Down is in the journal first, so that RestoreAll,
// or Recover after a kill, sets it up; one that is down already stays as it is and is not noted.
func (h *Host) SetLink(ifname string, isUp bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if isUp {
		return h.release(linkUser(ifname), func(entry) bool { return false })
	}
	l, err := h.links.LinkByName(ifname)
	if err != nil {
		return fmt.Errorf("look up interface %s: %w", ifname, err)
	}
	if l.Attrs().RawFlags&unix.IFF_UP == 0 {
		return nil
	}
	h.journal.note(Change{Interface: ifname, Setting: linkSetting, From: up, To: down}, linkUser(ifname), l.Attrs().Index)
	if err := h.journal.save(); err != nil {
		return err
	}
	if err := h.links.LinkSetDown(l); err != nil {
		return fmt.Errorf("set %s down: %w", ifname, err)
	}
	return nil
}

// linkUp undoes what SetLink did.
func (h *Host) linkUp(l netlink.Link) error {
	if err := h.links.LinkSetUp(l); err != nil && !errors.As(err, new(netlink.LinkNotFoundError)) {
		return err
	}
	return nil
}
