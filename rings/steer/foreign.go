package steer

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
)

// ForeignError tells of an XDP program on an interface that this Program did not put there.
type ForeignError struct {
	Interface string
	ID        uint32 // 0: several programs
	Name      string // as the program calls itself, up to 15 bytes
	Mode      string // native, generic or offloaded
	LinkID    uint32 // of the BPF link that holds it, 0 if it was attached by netlink
	Hidden    error  // why Name and LinkID could not be looked at, nil if they could
}

// Error names the program and the command that removes it.
func (e *ForeignError) Error() string {
	if e.Hidden != nil {
		return fmt.Sprintf("%s has XDP program %d (%s mode), which is not replaced; whose it is cannot be told (%v; that needs CAP_SYS_ADMIN): "+
			"as root, 'bpftool link' lists links, 'bpftool link detach id N' detaches one, and 'ip link set dev %s %s off' removes a program without a link",
			e.Interface, e.ID, e.Mode, e.Hidden, e.Interface, e.option())
	}
	owner, remedy := "no BPF link", fmt.Sprintf("remove it with 'ip link set dev %s %s off'", e.Interface, e.option())
	if e.LinkID != 0 {
		owner = fmt.Sprintf("BPF link %d of another process", e.LinkID)
		remedy = fmt.Sprintf("stop that process, or detach it with 'bpftool link detach id %d'", e.LinkID)
	}
	return fmt.Sprintf("%s has XDP program %d %q (%s mode, %s), which is not replaced: %s",
		e.Interface, e.ID, e.Name, e.Mode, owner, remedy)
}

func (e *ForeignError) option() string {
	switch e.Mode {
	case "generic":
		return "xdpgeneric"
	case "native":
		return "xdpdrv"
	case "offloaded":
		return "xdpoffload"
	}
	return "xdp"
}

// findForeign gives a *ForeignError if the interface has a program in whatever mode.
func findForeign(cfg AttachConfig) error {
	l, err := netlink.LinkByIndex(cfg.Ifindex)
	if err != nil {
		return fmt.Errorf("look for XDP programs on %s: %w", cfg.Name, err)
	}
	xdp := l.Attrs().Xdp
	if xdp == nil || !xdp.Attached {
		return nil
	}
	e := &ForeignError{Interface: cfg.Name, ID: xdp.ProgId, Mode: modeName(xdp.AttachMode)}
	if e.ID != 0 {
		var name, holder error
		e.Name, name = programName(e.ID)
		e.LinkID, holder = linkOf(cfg.Ifindex, e.ID)
		e.Hidden = cmp.Or(name, holder)
	}
	return e
}

func modeName(attached uint32) string {
	switch attached {
	case nl.XDP_ATTACHED_DRV:
		return "native"
	case nl.XDP_ATTACHED_SKB:
		return "generic"
	case nl.XDP_ATTACHED_HW:
		return "offloaded"
	}
	return "more than one"
}

// programName is empty when the program went away meanwhile: the refusal stands. The error is one of
// looking.
func programName(id uint32) (string, error) {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return "", err
	}
	return info.Name, nil
}

// linkOf is 0 if no BPF link has the program on the interface.
func linkOf(ifindex int, program uint32) (uint32, error) {
	it := new(link.Iterator)
	defer it.Close()
	for it.Next() {
		info, err := it.Link.Info()
		if err != nil || info.Type != link.XDPType || uint32(info.Program) != program {
			continue
		}
		if xdp := info.XDP(); xdp != nil && int(xdp.Ifindex) == ifindex {
			return uint32(info.ID), nil
		}
	}
	return 0, it.Err()
}
