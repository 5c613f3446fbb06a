package config

// attached is one session on a port.
type attached struct {
	t *tunnelDraft
	i int
}

func (a attached) session() *Session { return &a.t.Sessions[a.i] }

// attachments checks that every attachment circuit is on a port that exists and is no other
// session's. What comes first in the files has the circuit; those after it have the error.
func (l *loader) attachments() {
	ports := make([]circuits, len(l.ports))
	pppoes := pppoeCircuits{}
	for _, t := range l.tunnels {
		for i := range t.Sessions {
			s := &t.Sessions[i]
			if s.Attach == "" || s.Switched() {
				continue
			}
			p := problems{l, "session", &t.sessions[i]}
			port, ok := l.portByName[s.Attach]
			if !ok {
				p.errorf("attach", "%q is not a port; add [%s]%s", s.Attach, joinPath([]string{"port", s.Attach}), suggest(s.Attach, l.portNames()))
				continue
			}
			if s.VLAN.Kind == VLANAbsent || !s.Enabled || !t.Enabled {
				continue
			}
			if ports[port] == nil {
				ports[port] = circuits{}
			}
			a := attached{t, i}
			if s.PPP() {
				first, taken, fresh := pppoes.take(port, a)
				if taken {
					f := first.session()
					p.errorf("pppoe_session_id", "%d of %s on port %q is session %q already (%s)", s.PPPoESession, macText(s.PPPoEPeer), s.Attach, first.t.Name+"/"+f.Name, f.Pos)
				}
				if !fresh {
					continue
				}
			}
			if first, taken := ports[port].take(s.VLAN, a); taken {
				f := first.session()
				p.errorf("vlan", "%q overlaps %q of session %q (%s) on port %q; a frame can belong to one session only",
					s.VLAN, f.VLAN, first.t.Name+"/"+f.Name, f.Pos, s.Attach)
			}
		}
	}
}

func (l *loader) portNames() []string {
	names := make([]string, len(l.ports))
	for i := range l.ports {
		names[i] = l.ports[i].Name
	}
	return names
}

// circuits is what of a port is taken, by whom: an outer tag as tag<<12, a pair of tags as
// outer<<12 | inner, untagged frames as 0, and the marks below. PPPoE sessions of one tag and of two have
// nothing in common: a frame of theirs has as many tags as they, and no more.
type circuits map[uint32]attached

const (
	someInner uint32 = 1 << 24 // | outer: at least one pair with this outer tag
	wholePort uint32 = 1 << 25
	something uint32 = 1 << 26
	ofPPPoE   uint32 = 1 << 27 // | any of these: by PPPoE sessions
)

// take gives a circuit to a session, or returns the session that has it or a part of it.
func (c circuits) take(v VLAN, a attached) (attached, bool) {
	need, mark := []uint32{wholePort}, []uint32{something}
	switch v.Kind {
	case VLANAll:
		need, mark = append(need, something), append(mark, wholePort)
	case VLANUntagged:
		need, mark = append(need, 0), append(mark, 0)
	case VLANSingle, VLANRange:
		for tag := uint32(v.Lo); tag <= uint32(v.Hi); tag++ {
			need, mark = append(need, tag<<12, someInner|tag), append(mark, tag<<12)
		}
	case VLANQinQ:
		outer := uint32(v.Lo) << 12
		need, mark = append(need, outer, outer|uint32(v.C)), append(mark, outer|uint32(v.C), someInner|uint32(v.Lo))
	}
	own, others := uint32(0), []uint32{0, ofPPPoE}
	if a.session().PPP() {
		own, others = ofPPPoE, []uint32{0}
	}
	for _, k := range need {
		for _, of := range others {
			if first, taken := c[k|of]; taken {
				return first, true
			}
		}
	}
	for _, k := range mark {
		if _, marked := c[k|own]; !marked {
			c[k|own] = a
		}
	}
	return attached{}, false
}
