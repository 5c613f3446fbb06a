package trunk

import (
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"xwire/appliance/trunk/splice"
)

// The other end of a spliced interface's veth pair is named after its place: xwl-7, or xwl-3.7 in
// service VLAN 3. Its alias tells which trunk it belongs to.
const endPrefix = "xwl-"

func endName(v vlan) string {
	if v.s == 0 {
		return fmt.Sprintf("%s%d", endPrefix, v.c)
	}
	return fmt.Sprintf("%s%d.%d", endPrefix, v.s, v.c)
}

func (t *Trunk) endAlias() string { return aliasPrefix + "end " + t.config.Stack }

// parseEnd is the reverse of endName.
func parseEnd(name string) (v vlan, ok bool) {
	rest, ok := strings.CutPrefix(name, endPrefix)
	if !ok {
		return vlan{}, false
	}
	if _, err := fmt.Sscanf(rest, "%d.%d", &v.s, &v.c); err != nil {
		v.s = 0
		if _, err := fmt.Sscanf(rest, "%d", &v.c); err != nil {
			return vlan{}, false
		}
	}
	return v, endName(v) == name && v.c > 0 && v.c <= maxVLAN && v.s <= maxVLAN
}

// placeOf is the place of another end; false for any other device. An end without an alias is one
// whose maker was killed: it is ours if its interface has the record that was written before.
func (t *Trunk) placeOf(l, peer netlink.Link) (v vlan, ok bool) {
	v, ok = parseEnd(l.Attrs().Name)
	if !ok || l.Type() != "veth" {
		return vlan{}, false
	}
	if l.Attrs().Alias == "" && peer != nil {
		r, known := t.state.records[peer.Attrs().Name]
		return v, known && r.vlan() == v
	}
	return v, l.Attrs().Alias == t.endAlias()
}

// createSpliced makes the pair of a record. It returns nil when the other end is there and the
// interface is not: the operator moved it.
func (t *Trunk) createSpliced(w Interface, mac net.HardwareAddr, r *record, s scan, places *places) (netlink.Link, error) {
	if s.ends[r.vlan()] != nil {
		return nil, nil
	}
	for s.byName[endName(r.vlan())] != nil { // of another trunk, or of another program
		v, ok := places.take()
		if !ok {
			return nil, fmt.Errorf("make interface %s: all VLANs of the trunk are in use", w.Name)
		}
		r.SVLAN, r.CVLAN = v.s, v.c
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = endName(r.vlan()), t.config.MTU+tagRoom
	attrs.NumTxQueues, attrs.NumRxQueues = 1, 1 // the kernel's own choice is one for each CPU
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: w.Name, PeerHardwareAddr: mac, PeerMTU: uint32(w.MTU), PeerNumTxQueues: 1, PeerNumRxQueues: 1}
	if err := t.handle.LinkAdd(pair); err != nil {
		return nil, fmt.Errorf("make interface %s: %w", w.Name, err)
	}
	s.ends[r.vlan()] = pair
	link, err := t.handle.LinkByName(w.Name)
	if err == nil {
		err = t.offloadsOffNew(w.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("make interface %s: %w", w.Name, err)
	}
	return link, nil
}

// join lets the frames of an interface pass. The other end is ours to bring up and to keep quiet.
func (t *Trunk) join(v vlan, s scan) error {
	end := s.ends[v]
	name := end.Attrs().Name
	if end.Attrs().Alias != t.endAlias() {
		t.quiet(end)
		if err := t.handle.LinkSetAlias(end, t.endAlias()); err != nil {
			return fmt.Errorf("mark %s: %w", name, err)
		}
	}
	if end.Attrs().RawFlags&unix.IFF_UP == 0 {
		if err := t.handle.LinkSetUp(end); err != nil {
			return fmt.Errorf("set %s up: %w", name, err)
		}
	}
	return t.splice.Join(splice.Place{SVLAN: v.s, CVLAN: v.c}, end.Attrs().Index)
}
