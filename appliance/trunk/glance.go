package trunk

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
)

// glance is a scan of what a few interfaces need, so that one more costs the same whether there are
// ten or ten thousand. It reports false where only a whole scan can tell: before the first one, for
// many interfaces, and where something is not as the state has it.
func (t *Trunk) glance(names []string) (scan, bool) {
	if !t.scanned || len(names) > few {
		return scan{}, false
	}
	s := newScan()
	strangers := 0
	for _, name := range names {
		l, err := t.handle.LinkByName(name)
		switch {
		case err == nil:
			s.byName[name] = l
		case !errors.As(err, new(netlink.LinkNotFoundError)):
			return scan{}, false
		}
		r, known := t.state.records[name]
		if !known {
			strangers++
		} else if !t.glanceAt(r, s) {
			return scan{}, false
		}
	}
	places := t.places(s)
	for range strangers {
		v, ok := places.take()
		if !ok || !t.vacant(v, s) {
			return scan{}, false
		}
	}
	return s, true
}

// glanceAt adds the device of a record to a scan.
func (t *Trunk) glanceAt(r record, s scan) bool {
	if t.splice == nil {
		parent := t.stack
		if r.SVLAN != 0 {
			parent = t.glanceAtService(r.SVLAN, s)
		}
		if r.Ifindex == 0 || parent == 0 {
			return false
		}
		l, err := t.handle.LinkByIndex(r.Ifindex)
		if err != nil {
			return false
		}
		v, ok := on(l, parent)
		if !ok || v.VlanId != int(r.CVLAN) || v.VlanProtocol != netlink.VLAN_PROTOCOL_8021Q {
			return false
		}
		s.byName[l.Attrs().Name], s.byVLAN[r.vlan()] = l, l
		return true
	}
	end, err := t.handle.LinkByName(endName(r.vlan()))
	if err != nil {
		return false
	}
	var peer netlink.Link
	if end.Attrs().NetNsID < 0 {
		if peer, err = t.handle.LinkByIndex(end.Attrs().ParentIndex); err != nil {
			return false
		}
	}
	if v, ok := t.placeOf(end, peer); !ok || v != r.vlan() {
		return false
	}
	s.byName[end.Attrs().Name], s.ends[r.vlan()] = end, end
	if peer != nil {
		s.byName[peer.Attrs().Name], s.byVLAN[r.vlan()] = peer, peer
	}
	return true
}

// glanceAtService adds the device of a service VLAN, and gives its index; 0: it is not there.
func (t *Trunk) glanceAtService(service uint16, s scan) int {
	if index, ok := s.service[service]; ok {
		return index
	}
	l, err := t.handle.LinkByName(fmt.Sprintf("%s.%d", t.config.Stack, service))
	if err != nil {
		return 0
	}
	v, ok := on(l, t.stack)
	if !ok || v.VlanId != int(service) || v.VlanProtocol != netlink.VLAN_PROTOCOL_8021AD {
		return 0
	}
	s.byName[v.Name], s.service[service] = l, v.Index
	return v.Index
}

// vacant reports that nothing lies at a place that no record has, as far as its name tells; of VLAN devices
// the kernel will tell.
func (t *Trunk) vacant(v vlan, s scan) bool {
	if t.splice == nil {
		return v.s == 0 || t.glanceAtService(v.s, s) != 0
	}
	_, err := t.handle.LinkByName(endName(v))
	return errors.As(err, new(netlink.LinkNotFoundError))
}

// scanFor scans what they need, or all.
func (t *Trunk) scanFor(names []string) (scan, error) {
	if s, ok := t.glance(names); ok {
		return s, nil
	}
	s, err := t.scan()
	if err != nil {
		return scan{}, err
	}
	t.adopt(s)
	t.scanned = true
	return s, nil
}
