package nexthop

import (
	"cmp"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"xwire/l2tp"
)

// Stack is the tags of a VLAN device over a port, outermost first; of a device with but one the
// second is zero. Every TCI is the VLAN identifier alone.
type Stack [2]l2tp.Tag

// VLANs lists the tags of the frames that the kernel takes from a port for the VLAN devices over it,
// in order and each once: of those that are up, in this network namespace, on the port itself, on
// another such device, on a bond, bridge or team that the port is in, or on a macvlan of these. A
// device for VLAN 0 has the frames without a tag. It may be called before the tables were read: then
// there are none yet.
func (w *Watcher) VLANs(ifindex int) []Stack {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.links.vlans(func(port int) bool { return port == ifindex })[ifindex]
}

// vlans finds the VLAN devices over the ports that want likes.
func (t *links) vlans(want func(port int) bool) map[int][]Stack {
	members := map[int][]int{}
	for i, l := range t.byIndex {
		if l.master != 0 {
			members[l.master] = append(members[l.master], i)
		}
	}
	found := map[int][]Stack{}
	// down walks from a device to the ports under it.
	var down func(at, depth int, tags []l2tp.Tag)
	down = func(at, depth int, tags []l2tp.Tag) {
		l, ok := t.byIndex[at]
		if !ok || depth > stackDepth {
			return
		}
		if t.ports[at] || want(at) {
			if want(at) && len(tags) > 0 {
				var s Stack
				copy(s[:], tags)
				found[at] = append(found[at], s)
			}
			return
		}
		up := l.flags&unix.IFF_UP != 0
		switch l.kind {
		case "vlan":
			if l.vlanID != 0 {
				tags = append([]l2tp.Tag{{TPID: l.vlanProto, TCI: l.vlanID}}, tags...)
			}
			if up && !l.foreign && len(tags) <= len(Stack{}) {
				down(l.parent, depth+1, tags)
			}
		case "macvlan", "macvtap", "ipvlan":
			if up && !l.foreign {
				down(l.parent, depth+1, tags)
			}
		case "bond", "bridge", "team":
			for _, m := range members[at] {
				down(m, depth+1, tags)
			}
		}
	}
	for i, l := range t.byIndex {
		if l.kind == "vlan" {
			down(i, 0, nil)
		}
	}
	for port, list := range found {
		slices.SortFunc(list, func(a, b Stack) int {
			for i := range a {
				if c := cmp.Or(cmp.Compare(a[i].TPID, b[i].TPID), cmp.Compare(a[i].TCI, b[i].TCI)); c != 0 {
					return c
				}
			}
			return 0
		})
		found[port] = slices.Compact(list)
	}
	return found
}

// vlansMoved tells whether VLANs of a port are others than when it was asked last, or a port has come
// since. The caller holds the lock.
func (w *Watcher) vlansMoved() bool {
	if !w.relinked {
		return false
	}
	w.relinked = false
	now := w.links.vlans(func(port int) bool { return w.links.ports[port] })
	ports := maps.Clone(w.links.ports)
	moved := !maps.Equal(ports, w.toldPorts) || !maps.EqualFunc(now, w.toldVLANs, slices.Equal)
	w.toldPorts, w.toldVLANs = ports, now
	return moved
}
