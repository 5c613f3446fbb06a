package trunk

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Interface is a local interface that a session wants.
type Interface struct {
	Name    string // of the device
	Session string // "tunnel/session", for the alias
	MTU     int    // bytes, without the Ethernet header; 0: 1500
	KeepMTU bool   // leave the MTU of an interface that exists: its operator may have changed it
}

// Binding is where an interface's frames are found on the trunk.
type Binding struct {
	Name    string
	SVLAN   uint16 // service VLAN (802.1ad); 0: one tag only
	CVLAN   uint16 // 802.1Q
	MAC     string // as text, when it was last seen
	Ifindex int    // in its namespace when it was last seen in ours
}

// Ensure makes the interfaces that are missing and brings those that are there up to date. It
// returns the bindings of all that stand, in the order of want, and the errors of the others
// joined: one name that is taken does not stop the rest. Interfaces that are not in want stay;
// see Prune.
func (t *Trunk) Ensure(want []Interface) ([]Binding, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := make([]string, len(want))
	wanted := make(map[string]bool, len(want))
	for i := range want {
		names[i] = want[i].Name
		wanted[want[i].Name] = true
	}
	t.removeNow(func(name string) bool { return wanted[name] })
	s, err := t.scanFor(names)
	if err != nil {
		return nil, err
	}
	var errs []error
	var todo []Interface
	places := t.places(s)
	for _, w := range want {
		if w.MTU <= 0 {
			w.MTU = 1500
		}
		if err := t.check(w, s); err != nil {
			errs = append(errs, err)
			continue
		}
		r, known := t.state.records[w.Name]
		if !known {
			v, ok := places.take()
			if !ok {
				errs = append(errs, fmt.Errorf("make interface %s: all VLANs of the trunk are in use", w.Name))
				continue
			}
			r = record{SVLAN: v.s, CVLAN: v.c, MAC: randomMAC()}
		}
		r.Session = w.Session
		t.state.set(w.Name, r)
		todo = append(todo, w)
	}
	if err := t.state.save(); err != nil {
		return nil, err
	}
	var out []Binding
	for _, w := range todo {
		b, err := t.ensure(w, s, places)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, b)
	}
	if err := t.state.save(); err != nil {
		errs = append(errs, err)
	}
	return out, errors.Join(errs...)
}

// check refuses what can not be made, with the reason.
func (t *Trunk) check(w Interface, s scan) error {
	switch {
	case w.Name == "" || len(w.Name) > maxName || w.Name == "." || w.Name == ".." || strings.ContainsAny(w.Name, "/: \t\n"):
		return fmt.Errorf("make interface %q: no name for a network device (1 to %d bytes, no slash, colon or space)", w.Name, maxName)
	case w.Name == t.config.Stack, w.Name == t.config.Inner, strings.HasPrefix(w.Name, t.config.Stack+"."), strings.HasPrefix(w.Name, endPrefix):
		return fmt.Errorf("make interface %s: the name is reserved for the trunk", w.Name)
	case w.MTU > t.config.MTU:
		return fmt.Errorf("make interface %s: MTU %d is above the trunk's %d", w.Name, w.MTU, t.config.MTU)
	}
	if l, ok := s.byName[w.Name]; ok {
		if r, known := t.state.records[w.Name]; !known || s.byVLAN[r.vlan()] == nil || s.byVLAN[r.vlan()].Attrs().Index != l.Attrs().Index {
			return fmt.Errorf("make interface %s: the name is taken by a device that is not ours (%s)", w.Name, describe(l))
		}
	}
	return nil
}

func describe(l netlink.Link) string {
	d := fmt.Sprintf("interface %d, %s", l.Attrs().Index, l.Type())
	if a := l.Attrs().Alias; a != "" {
		d += fmt.Sprintf(", alias %q", a)
	}
	return d
}

// ensure makes or updates one interface that has its record.
func (t *Trunk) ensure(w Interface, s scan, places *places) (Binding, error) {
	r := t.state.records[w.Name]
	l := s.byVLAN[r.vlan()]
	if l == nil {
		again := r.Ifindex != 0
		if had, ok := t.looks[w.Name]; ok && w.KeepMTU && had.mtu > 0 {
			w.MTU = min(had.mtu, t.config.MTU)
		}
		made, err := t.create(w, &r, s, places)
		if err != nil {
			return Binding{}, err
		}
		if made == nil { // its VLAN is taken and it is not here: it was moved
			t.state.set(w.Name, r)
			return t.bind(w.Name, r, s)
		}
		l = made
		if again {
			t.config.Log.Warn("local interface was deleted: it is made again", "interface", w.Name, "session", w.Session)
		}
		t.dress(w.Name, l)
	} else {
		if l.Attrs().Name != w.Name {
			t.config.Log.Info("local interface was renamed; its session stays bound to it", "interface", w.Name, "renamed", l.Attrs().Name)
		}
		if !w.KeepMTU && l.Attrs().MTU != w.MTU {
			if err := t.handle.LinkSetMTU(l, w.MTU); err != nil {
				return Binding{}, fmt.Errorf("set MTU %d on %s: %w", w.MTU, w.Name, err)
			}
		}
		if l.Attrs().OperState == netlink.OperDormant && t.splice == nil {
			if err := t.setDormant(l, false); err != nil {
				return Binding{}, fmt.Errorf("set the carrier of %s: %w", w.Name, err)
			}
		}
		r.MAC = l.Attrs().HardwareAddr.String() // the operator may have given it another
		if t.splice != nil {
			if err := t.offloadsOff(l.Attrs().Name); err != nil {
				return Binding{}, err
			}
		}
	}
	if l.Attrs().Alias != alias(w.Session) {
		if err := t.handle.LinkSetAlias(l, alias(w.Session)); err != nil {
			return Binding{}, fmt.Errorf("mark %s: %w", w.Name, err)
		}
	}
	r.Ifindex = l.Attrs().Index
	t.state.set(w.Name, r)
	return t.bind(w.Name, r, s)
}

// bind tells where an interface is, and, if it is spliced, opens the way there.
func (t *Trunk) bind(name string, r record, s scan) (Binding, error) {
	if t.splice != nil {
		if err := t.join(r.vlan(), s); err != nil {
			return Binding{}, fmt.Errorf("splice interface %s: %w", name, err)
		}
	}
	return Binding{Name: name, SVLAN: r.SVLAN, CVLAN: r.CVLAN, MAC: r.MAC, Ifindex: r.Ifindex}, nil
}

// create makes the device of a record. It returns nil when the record's VLAN belongs to a device
// that is not in this namespace although the record says that we made one: the operator moved it.
func (t *Trunk) create(w Interface, r *record, s scan, places *places) (netlink.Link, error) {
	mac, err := net.ParseMAC(r.MAC)
	if err != nil || len(mac) != 6 || mac[0]&1 != 0 {
		r.MAC = randomMAC()
		mac, _ = net.ParseMAC(r.MAC)
	}
	if t.splice != nil {
		return t.createSpliced(w, mac, r, s, places)
	}
	for {
		parent, err := t.parent(r.SVLAN, s)
		if err != nil {
			return nil, fmt.Errorf("make interface %s: %w", w.Name, err)
		}
		loose := true // up and down are the operator's, not the trunk's
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.ParentIndex, attrs.HardwareAddr, attrs.MTU = w.Name, parent, mac, w.MTU
		link := &netlink.Vlan{LinkAttrs: attrs, VlanId: int(r.CVLAN), VlanProtocol: netlink.VLAN_PROTOCOL_8021Q, LooseBinding: &loose}
		err = t.handle.LinkAdd(link)
		switch {
		case err == nil:
			link.Attrs().Alias = ""
			return link, nil
		case errors.Is(err, unix.EOPNOTSUPP):
			return nil, fmt.Errorf("make interface %s: this kernel has no VLAN devices (module 8021q): %w", w.Name, err)
		case !errors.Is(err, unix.EEXIST):
			return nil, fmt.Errorf("make interface %s: %w", w.Name, err)
		case r.Ifindex != 0:
			return nil, nil
		}
		// Never made, and yet there: something in another namespace of which we have no record.
		v, ok := places.take()
		if !ok {
			return nil, fmt.Errorf("make interface %s: all VLANs of the trunk are in use", w.Name)
		}
		r.SVLAN, r.CVLAN = v.s, v.c
	}
}

// parent is the ifindex that a VLAN device goes over; a service VLAN's device is made at need.
func (t *Trunk) parent(service uint16, s scan) (int, error) {
	if service == 0 {
		return t.stack, nil
	}
	if i, ok := s.service[service]; ok {
		return i, nil
	}
	loose := true
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex, attrs.MTU = fmt.Sprintf("%s.%d", t.config.Stack, service), t.stack, t.config.MTU+tagRoom
	link := &netlink.Vlan{LinkAttrs: attrs, VlanId: int(service), VlanProtocol: netlink.VLAN_PROTOCOL_8021AD, LooseBinding: &loose}
	if err := t.handle.LinkAdd(link); err != nil {
		return 0, fmt.Errorf("make service VLAN %s: %w", attrs.Name, err)
	}
	if err := t.handle.LinkSetAlias(link, serviceAlias); err != nil {
		return 0, fmt.Errorf("mark %s: %w", attrs.Name, err)
	}
	t.quiet(link)
	if err := t.handle.LinkSetUp(link); err != nil {
		return 0, fmt.Errorf("set %s up: %w", attrs.Name, err)
	}
	s.service[service] = link.Attrs().Index
	return link.Attrs().Index, nil
}
