package config

import (
	"net/netip"

	"xwire/l2tp"
)

// clashes reports what two objects cannot have both. Objects that are not enabled have no part in
// it: a successor may be prepared beside the one it will replace.
func (l *loader) clashes() {
	interfaces := map[string]*portDraft{}
	for i := range l.ports {
		p := &l.ports[i]
		if first := interfaces[p.Interface]; first != nil {
			l.errorf(p.place, "interface", "%s is port %q already (%s); one port has all of an interface", p.Interface, first.Name, first.Pos)
		} else if p.Interface != "" {
			interfaces[p.Interface] = p
		}
	}
	l.clashingIDs()
	l.clashingUnknowns()
	l.clashingKeyed()
	l.attachments()
	l.switched()
	l.pppoe()
}

// outer is what tells two tunnels' frames apart before the session id is looked at.
type outer struct {
	encap       l2tp.Encap
	v2          uint32 // tunnel id, with L2TPv2
	local, peer netip.AddrPort
}

func (l *loader) clashingIDs() {
	tids := map[uint32]*tunnelDraft{}
	outers := map[outer]uint32{}
	type holder struct {
		t *tunnelDraft
		i int
	}
	sids := map[uint64]holder{}
	for _, t := range l.tunnels {
		if !t.Enabled {
			continue
		}
		if first := tids[t.TID]; first != nil && t.TID != 0 {
			problems{l, "tunnel", &t.draft}.errorf("tid", "%d is the tid of tunnel %q already (%s); tunnel ids are unique", t.TID, first.Name, first.Pos)
		} else {
			tids[t.TID] = t
		}
		if !t.Local.IsValid() || !t.Peer.IsValid() {
			continue
		}
		key := outer{encap: t.Encap, local: t.Local, peer: t.Peer}
		if t.Version == 2 {
			key.v2 = t.TID
		}
		if t.AnyPeerPort {
			key.peer = netip.AddrPortFrom(t.Peer.Addr(), 0)
		}
		n, ok := outers[key]
		if !ok {
			n = uint32(len(outers))
			outers[key] = n
		}
		for i := range t.Sessions {
			s := &t.Sessions[i]
			if !s.Enabled || s.SID == 0 {
				continue
			}
			id := uint64(n)<<32 | uint64(s.SID)
			if first, again := sids[id]; again {
				problems{l, "session", &t.sessions[i]}.errorf("sid", "%d is the sid of session %q already (%s); it must differ between the same addresses",
					s.SID, first.t.Name+"/"+first.t.Sessions[first.i].Name, first.t.Sessions[first.i].Pos)
				continue
			}
			sids[id] = holder{t, i}
		}
	}
}
