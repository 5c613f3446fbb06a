package steer

import (
	"fmt"

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
}

// Error names the program and the command that removes it.
func (e *ForeignError) Error() string {
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
		e.Name = programName(e.ID)
		e.LinkID = linkOf(cfg.Ifindex, e.ID)
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

// programName is empty when the program went away or may not be looked at: the refusal stands.
func programName(id uint32) string {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return ""
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return ""
	}
	return info.Name
}

func linkOf(ifindex int, program uint32) uint32 {
	it := new(link.Iterator)
	defer it.Close()
	for it.Next() {
		info, err := it.Link.Info()
		if err != nil || info.Type != link.XDPType || uint32(info.Program) != program {
			continue
		}
		if xdp := info.XDP(); xdp != nil && int(xdp.Ifindex) == ifindex {
			return uint32(info.ID)
		}
	}
	return 0
}
