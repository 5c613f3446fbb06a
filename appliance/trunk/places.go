package trunk

// places gives out the VLANs of the trunk that nobody has: single tags first, then the service
// VLANs one after the other.
type places struct {
	ids   int
	state *state
	used  map[vlan]bool // beside those of the state
	next  vlan
}

func (t *Trunk) places(s scan) *places {
	for t.state.byPlace[t.state.free] != "" {
		t.state.free = following(t.state.free, t.config.IDs)
	}
	p := &places{ids: t.config.IDs, state: t.state, used: map[vlan]bool{}, next: t.state.free}
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

func following(v vlan, ids int) vlan {
	if v.c++; int(v.c) > ids {
		return vlan{s: v.s + 1, c: 1}
	}
	return v
}

// take returns false when every place is taken.
func (p *places) take() (vlan, bool) {
	for int(p.next.s) <= p.ids {
		v := p.next
		p.next = following(v, p.ids)
		if !p.used[v] && p.state.byPlace[v] == "" {
			p.used[v] = true
			return v, true
		}
	}
	return vlan{}, false
}
