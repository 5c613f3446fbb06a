package nexthop

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// apply takes notifications in and marks the keys that they may touch. It reports whether there
// is something to do. The caller holds the lock.
func (w *Watcher) apply(b []byte) bool {
	for {
		m, rest, ok := next(b)
		if !ok {
			break
		}
		b = rest
		switch m.typ {
		case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			if p, typ, ok := routeChange(m.body); ok {
				for _, e := range w.peers.in(w.keys, p) {
					w.soon(e)
				}
				if typ == unix.RTN_LOCAL {
					w.localChanged(p)
				}
			}
		case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
			w.neighbourChanged(m)
		case unix.RTM_NEWLINK, unix.RTM_DELLINK:
			w.linkChanged(m)
		case unix.RTM_NEWADDR, unix.RTM_DELADDR:
			w.addressChanged(m)
		case unix.RTM_NEWRULE, unix.RTM_DELRULE, unix.RTM_NEWNEXTHOP, unix.RTM_DELNEXTHOP:
			w.sweeping = true
		}
	}
	return w.sweeping || w.relinked || len(w.urgent)+len(w.lazy)+len(w.compute)+len(w.released) > 0
}

// localChanged: an address of this box is a host route of the local table, and may also be one
// that somebody put there (ip route add local ...).
func (w *Watcher) localChanged(p netip.Prefix) {
	if p.IsSingleIP() && w.locals[p.Addr()] == 0 {
		return
	}
	for _, e := range w.keys {
		if e.local.IsValid() && p.Contains(e.local.WithZone("")) {
			w.soon(e)
		}
	}
}

func (w *Watcher) addressChanged(m message) {
	if len(m.body) < unix.SizeofIfAddrmsg {
		return
	}
	var addr netip.Addr
	attrs(m.body[unix.SizeofIfAddrmsg:], func(typ uint16, v []byte) {
		if a := attrAddr(v); typ == unix.IFA_LOCAL || typ == unix.IFA_ADDRESS && !addr.IsValid() {
			addr = a
		}
	})
	if m.typ == unix.RTM_DELADDR {
		w.sweeping = true // routes with that source address go with it, and IPv4 does not tell
	}
	if addr.IsValid() {
		w.localChanged(netip.PrefixFrom(addr, addr.BitLen()))
	}
}

func (w *Watcher) neighbourChanged(m message) {
	k, n, ok := parseNeighbour(m.body)
	if !ok {
		return
	}
	old, had := w.neighbours[k]
	if m.typ == unix.RTM_DELNEIGH {
		delete(w.neighbours, k)
		n = neighbour{}
	} else {
		w.neighbours[k] = n
	}
	want := w.wants[k]
	if want == nil {
		return
	}
	// A managed entry changes its state every few seconds, which concerns nobody.
	if had && m.typ == unix.RTM_NEWNEIGH && old.valid() == n.valid() && old.mac == n.mac && old.managed() == n.managed() && n.state&unix.NUD_FAILED == 0 {
		return
	}
	w.restless[k] = struct{}{}
	for e := range want.keys {
		w.compute[e] = struct{}{}
	}
}

func (w *Watcher) linkChanged(m message) {
	l, ok := parseLink(m.body)
	if !ok {
		return
	}
	old, had := w.links.byIndex[l.index]
	if m.typ == unix.RTM_DELLINK {
		delete(w.links.byIndex, l.index)
	} else {
		w.links.byIndex[l.index] = l
		mask := uint32(unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_NOARP | unix.IFF_POINTOPOINT)
		l.flags &= mask
		old.flags &= mask
		if had && old == l {
			return
		}
	}
	w.relinked = true
	// Routes over a link that goes are dropped without a notification each (IPv4), and those that
	// count again when it comes back are not told at all (ECMP members).
	moved := !had || m.typ == unix.RTM_DELLINK || old.up() != l.up()
	known := func(i int) bool { return i != 0 && w.devs[i] > 0 }
	touched := known(l.index) || known(l.master) || known(old.master) || l.kind == "vrf"
	for _, e := range w.keys {
		if !touched {
			break
		}
		switch {
		case slices.Contains(e.devs, l.index), l.master != 0 && slices.Contains(e.devs, l.master),
			old.master != 0 && slices.Contains(e.devs, old.master), e.key.VRF != "" && e.key.VRF == l.name:
			if moved {
				w.soon(e)
			} else {
				w.compute[e] = struct{}{}
			}
		}
	}
	if moved && (l.up() || old.up()) {
		w.sweeping = true
	}
}
