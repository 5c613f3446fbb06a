package trunk

import (
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
)

// scan is what lies on this namespace's side of the kernel at one moment.
type scan struct {
	byName  map[string]netlink.Link
	byVLAN  map[vlan]netlink.Link // interfaces of the trunk
	service map[uint16]int        // service VLAN -> ifindex of its device
	ends    map[vlan]netlink.Link // other ends of spliced interfaces, of those moved away too
}

func newScan() scan {
	return scan{byName: map[string]netlink.Link{}, byVLAN: map[vlan]netlink.Link{}, service: map[uint16]int{}, ends: map[vlan]netlink.Link{}}
}

func (t *Trunk) scan() (scan, error) {
	links, err := t.handle.LinkList()
	if err != nil {
		return scan{}, fmt.Errorf("list interfaces: %w", err)
	}
	s := newScan()
	over := map[int]uint16{t.stack: 0} // ifindex of a parent -> its service VLAN
	for _, l := range links {
		s.byName[l.Attrs().Name] = l
		for _, alt := range l.Attrs().AltNames {
			s.byName[alt] = l
		}
		if v, ok := on(l, t.stack); ok && v.VlanProtocol == netlink.VLAN_PROTOCOL_8021AD {
			s.service[uint16(v.VlanId)] = l.Attrs().Index
			over[l.Attrs().Index] = uint16(v.VlanId)
		}
	}
	byIndex := make(map[int]netlink.Link, len(links))
	for _, l := range links {
		byIndex[l.Attrs().Index] = l
	}
	for _, l := range links {
		var peer netlink.Link
		if l.Attrs().NetNsID < 0 {
			peer = byIndex[l.Attrs().ParentIndex]
		}
		if place, ok := t.placeOf(l, peer); ok {
			s.ends[place] = l
			if peer != nil {
				s.byVLAN[place] = peer
			}
		}
		v, ok := l.(*netlink.Vlan)
		if !ok || v.VlanProtocol != netlink.VLAN_PROTOCOL_8021Q || v.NetNsID >= 0 {
			continue
		}
		if service, ok := over[v.ParentIndex]; ok {
			s.byVLAN[vlan{s: service, c: uint16(v.VlanId)}] = l
		}
	}
	return s, nil
}

// on tells whether l is a VLAN device right over parent. A parent index of another namespace is
// another device.
func on(l netlink.Link, parent int) (*netlink.Vlan, bool) {
	v, ok := l.(*netlink.Vlan)
	return v, ok && v.ParentIndex == parent && v.NetNsID < 0
}

func alias(session string) string { return aliasPrefix + session }

// sessionOf is the session in a device's alias; false for a device without one of ours.
func sessionOf(l netlink.Link) (string, bool) {
	a := l.Attrs().Alias
	if a == trunkAlias || a == serviceAlias || !strings.HasPrefix(a, aliasPrefix) {
		return "", false
	}
	return strings.TrimPrefix(a, aliasPrefix), true
}

// adopt takes devices into the state that are the trunk's and are not in it: the file was lost
// or is older than they are.
func (t *Trunk) adopt(s scan) {
	for v, l := range s.byVLAN {
		session, ours := sessionOf(l)
		if t.state.byPlace[v] != "" || !ours {
			continue
		}
		name := l.Attrs().Name
		if _, taken := t.state.records[name]; taken {
			continue
		}
		t.state.set(name, record{Session: session, SVLAN: v.s, CVLAN: v.c, MAC: l.Attrs().HardwareAddr.String(), Ifindex: l.Attrs().Index})
	}
}
