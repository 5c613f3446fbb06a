package host

import (
	"fmt"
)

// Role is what a port is for; a port may be both.
type Role uint8

// The roles of a port.
const (
	Core   Role = 1 << iota // tunnels arrive by it
	Access                  // attachment circuits lie on it
)

// Request is a port as the configuration wants it.
type Request struct {
	Interface string
	Role      Role
	Queues    []uint32 // empty: all
}

// Values of a setting.
const (
	on  = "on"
	off = "off"
)

// Change is one setting to be changed.
type Change struct {
	Interface string // the port's own, or that at the other end of a veth
	Setting   string // as 'ethtool -k' lists it
	From, To  string // on or off
	Why       string // what becomes of frames without it
	LinkFlap  bool   // drivers are known to take the link down for it
}

// Command is what an operator would type for the change.
func (c Change) Command() string {
	return fmt.Sprintf("ethtool -K %s %s %s", c.Interface, c.Setting, c.To)
}

// Plan is what must be different on the host while a port is ours.
type Plan struct {
	Interface string
	Changes   []Change
	Kept      []Change // made by an earlier start and still in force
	Warnings  []string // what cannot be changed from here, with the command
	Flaps     []string // when the link is expected to go down
}

// Plan finds what a port needs. It reads only, and needs no privilege. An interface that cannot
// serve the request (queues that the NIC's spreading overshoots) is an error that says what to do.
func (h *Host) Plan(r Request) (Plan, error) {
	i, err := h.Info(r.Interface)
	if err != nil {
		return Plan{}, err
	}
	if !i.Ethernet {
		return Plan{}, fmt.Errorf("use %s: it carries no Ethernet frames, or is the loopback", i.Name)
	}
	p := Plan{Interface: i.Name}
	if err := h.checkQueues(i, r, &p); err != nil {
		return Plan{}, err
	}
	if i.Kind == "veth" {
		err = h.planVeth(i, &p)
	} else {
		err = h.planNIC(i, &p)
	}
	return p, err
}

// planNIC deals with what a NIC does to frames on their way in.
func (h *Host) planNIC(i InterfaceInfo, p *Plan) error {
	known, err := h.ethtool.features(i.Name)
	if err != nil {
		return fmt.Errorf("read the features of %s: %w", i.Name, err)
	}
	for _, f := range nicFeatures {
		h.switchOff(i.Name, f.name, known.byName[f.name], f, p)
	}
	if i.VNetHdr {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%s is a tap with vnet_hdr: what its user leaves unfinished arrives so; "+
			"a virtual machine wants vnet_hdr=off, or csum=off,gso=off,host_tso4=off,host_tso6=off,host_ufo=off on its virtio-net-pci", i.Name))
	}
	if flapsForXDP[i.Driver] {
		p.Flaps = append(p.Flaps, fmt.Sprintf("%s (%s): the link goes down for some seconds when the XDP program comes, and when it goes",
			i.Name, i.Driver))
	}
	return nil
}

// switchOff adds what it takes to have one feature off.
func (h *Host) switchOff(ifname, name string, is feature, why offload, p *Plan) {
	c := Change{Interface: ifname, Setting: name, From: on, To: off, Why: why.why, LinkFlap: why.flap}
	switch {
	case is.wanted && is.changeable:
		p.Changes = append(p.Changes, c)
	case is.active:
		p.Warnings = append(p.Warnings, fmt.Sprintf("%s has %s on and its driver does not let it be switched off: %s",
			ifname, name, why.why))
	case h.noted(c, p.Interface):
		p.Kept = append(p.Kept, c)
	}
}

// noted tells whether the journal has the change, for this port or another.
func (h *Host) noted(c Change, port string) bool {
	l, err := h.links.LinkByName(c.Interface)
	if err != nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.journal.find(c.Interface, c.Setting, l.Attrs().Index) >= 0
}

func onOff(v bool) string {
	if v {
		return on
	}
	return off
}
