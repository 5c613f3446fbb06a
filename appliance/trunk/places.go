package trunk

// places gives out the VLANs of the trunk that nobody has: single tags first, then the service
// VLANs one after the other.
type places struct {
	ids  int
	used map[vlan]bool
	next vlan
}

func (t *Trunk) places(s scan) *places {
	p := &places{ids: t.config.IDs, used: map[vlan]bool{}, next: vlan{c: 1}}
	for _, r := range t.state.Interfaces {
		p.used[r.vlan()] = true
	}
	for v := range s.byVLAN {
		p.used[v] = true
	}
	for name := range s.byName { // ours, and whatever else took such a name
		if v, ok := parseEnd(name); ok {
			p.used[v] = true
		}
	}
	return p
}

// take returns false when every place is taken.
func (p *places) take() (vlan, bool) {
	for int(p.next.s) <= p.ids {
		v := p.next
		if p.next.c++; int(p.next.c) > p.ids {
			p.next = vlan{s: p.next.s + 1, c: 1}
		}
		if !p.used[v] {
			p.used[v] = true
			return v, true
		}
	}
	return vlan{}, false
}
