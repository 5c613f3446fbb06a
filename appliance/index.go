package appliance

import (
	"cmp"
	"net/netip"

	"xwire/config"
	"xwire/l2tp"
	"xwire/rings/steer"
)

// index finds the session that has what another wants, so that one can be added to 100,000 without
// looking at them all. It is made when the first request changes something: a box that never has one
// does not pay for it.
type index struct {
	outers map[outer]uint32
	ids    map[idKey]*session
	names  map[string]*session // by local interface
	vlans  map[vlanKey]*session
	pppoes map[vlanKey]map[pppoeKey]*session // PPPoE sessions, many of which have one VLAN
	inner  map[vlanKey]int                   // sessions with a pair below an outer tag
	ports  map[string]int                    // sessions on a port
	joined map[string]*session
}

type outer struct {
	encap       l2tp.Encap
	local, peer netip.AddrPort
}

// idKey is what a packet is found by; L2TPv2 has session ids for each tunnel.
type idKey struct{ outer, tunnel, session uint32 }

type vlanKey struct {
	port uint16
	tags
}

// pppoeKey is what tells PPPoE sessions of a VLAN apart.
type pppoeKey struct {
	id   uint16
	peer l2tp.MAC
}

// untaggedOnly and wholePort stand for what has no tags.
var (
	untaggedOnly = tags{0, 0}
	wholePort    = tags{0, steer.AnyVLAN}
)

// indexed is the index, made if there is none. The caller holds mu.
func (a *Appliance) indexed() *index {
	if a.index != nil {
		return a.index
	}
	x := &index{
		outers: map[outer]uint32{}, ids: make(map[idKey]*session, a.count), names: map[string]*session{}, vlans: map[vlanKey]*session{},
		pppoes: map[vlanKey]map[pppoeKey]*session{}, inner: map[vlanKey]int{}, ports: map[string]int{}, joined: map[string]*session{},
	}
	for _, t := range a.tunnels {
		for _, s := range t.sessions {
			c := s.config()
			x.add(a, s, &c)
		}
	}
	a.index = x
	return x
}

// reindexed is up to how many sessions the index follows one by one.
const reindexed = 1000

// reindex keeps the index in step with a change set, or lets it go. The caller holds mu.
func (a *Appliance) reindex(set *changeSet) {
	if len(set.Tunnels) > 0 {
		a.ends = nil
	}
	if a.index == nil {
		return
	}
	was := make(map[*tunnel]*config.Tunnel)
	count := len(set.sessions)
	for i := range set.Tunnels {
		if d := &set.Tunnels[i]; d.Old != nil && d.New != nil {
			t := a.byName[d.New.Name]
			was[t] = d.Old
			count += len(t.sessions)
		}
	}
	if count > reindexed {
		a.index = nil
		return
	}
	seen := make(map[*session]bool, len(set.sessions))
	for i := range set.sessions {
		c := &set.sessions[i]
		if seen[c.s] = true; c.ran {
			a.index.drop(a, c.s, cmp.Or(was[c.s.tunnel], &c.s.tunnel.Tunnel), c.from)
		}
	}
	var along []*session // with their tunnel
	for t, old := range was {
		for _, s := range t.sessions {
			if !seen[s] && s.runs() {
				c := s.config()
				a.index.drop(a, s, old, &c)
				along = append(along, s)
			}
		}
	}
	for i := range set.sessions {
		if c := &set.sessions[i]; c.to != nil {
			a.index.add(a, c.s, c.to)
		}
	}
	for _, s := range along {
		c := s.config()
		a.index.add(a, s, &c)
	}
}

func (x *index) idKey(t *config.Tunnel, c *config.Session) idKey {
	o := outer{t.Encap, t.Local, t.Peer}
	n, ok := x.outers[o]
	if !ok {
		n = uint32(len(x.outers))
		x.outers[o] = n
	}
	k := idKey{outer: n, session: c.SID}
	if t.Version == 2 {
		k.tunnel = t.TID
	}
	return k
}

// add and drop keep the index in step; c is the session's configuration then.
func (x *index) add(a *Appliance, s *session, c *config.Session) {
	if !s.runs() {
		return
	}
	x.ids[x.idKey(&s.tunnel.Tunnel, c)] = s
	switch {
	case c.Local():
		x.names[c.InterfaceName] = s
	case c.Switched():
		x.joined[c.Attach] = s
	default:
		x.ports[c.Attach]++
		x.eachVLAN(a, c, func(k vlanKey) bool {
			switch {
			case !c.PPP():
				x.vlans[k] = s
			case x.pppoes[k] == nil:
				x.pppoes[k] = map[pppoeKey]*session{circuitKey(c): s}
			default:
				x.pppoes[k][circuitKey(c)] = s
			}
			return true
		})
		if c.VLAN.Kind == config.VLANQinQ {
			x.inner[x.outerKey(a, c)]++
		}
	}
}

func (x *index) drop(a *Appliance, s *session, t *config.Tunnel, c *config.Session) {
	if k := x.idKey(t, c); x.ids[k] == s {
		delete(x.ids, k)
	}
	switch {
	case c.Local():
		if x.names[c.InterfaceName] == s {
			delete(x.names, c.InterfaceName)
		}
	case c.Switched():
		if x.joined[c.Attach] == s {
			delete(x.joined, c.Attach)
		}
	default:
		x.ports[c.Attach]--
		x.eachVLAN(a, c, func(k vlanKey) bool {
			if x.vlans[k] == s {
				delete(x.vlans, k)
			}
			if x.pppoes[k][circuitKey(c)] == s {
				delete(x.pppoes[k], circuitKey(c))
			}
			if len(x.pppoes[k]) == 0 {
				delete(x.pppoes, k)
			}
			return true
		})
		if c.VLAN.Kind == config.VLANQinQ {
			x.inner[x.outerKey(a, c)]--
		}
	}
}

func circuitKey(c *config.Session) pppoeKey { return pppoeKey{c.PPPoESession, c.PPPoEPeer} }

// inPPPoE returns the PPPoE session that has what c wants of a VLAN, or, as c is Ethernet, one of all there.
func (x *index) inPPPoE(k vlanKey, c *config.Session) *session {
	if c.PPP() {
		return x.pppoes[k][circuitKey(c)]
	}
	for _, s := range x.pppoes[k] {
		return s
	}
	return nil
}

func (x *index) port(a *Appliance, name string) uint16 {
	if p := a.portNamed(name); p != nil {
		return p.index
	}
	if p := a.former[name]; p != nil {
		return p.index
	}
	return 0xffff
}

func (x *index) outerKey(a *Appliance, c *config.Session) vlanKey {
	return vlanKey{x.port(a, c.Attach), tags{c.VLAN.Lo, steer.AnyVLAN}}
}

// eachVLAN calls f for what the session has of its port, until f returns false.
func (x *index) eachVLAN(a *Appliance, c *config.Session, f func(vlanKey) bool) {
	port := x.port(a, c.Attach)
	switch v := c.VLAN; v.Kind {
	case config.VLANAbsent:
	case config.VLANAll:
		f(vlanKey{port, wholePort})
	case config.VLANUntagged:
		f(vlanKey{port, untaggedOnly})
	case config.VLANQinQ:
		f(vlanKey{port, tags{v.Lo, v.C}})
	default:
		for vid := v.Lo; vid <= v.Hi; vid++ {
			if !f(vlanKey{port, tags{vid, steer.AnyVLAN}}) {
				return
			}
		}
	}
}

// rivals are sessions that might not stand beside one as c has it. own is that session itself, nil if it
// is new.
func (x *index) rivals(a *Appliance, t *config.Tunnel, c *config.Session, own *session) (list []*session) {
	add := func(s *session) bool {
		if s != nil && s != own {
			list = append(list, s)
			return false
		}
		return true
	}
	add(x.ids[x.idKey(t, c)])
	path := t.Name + "/" + c.Name
	add(x.joined[path])
	switch {
	case c.Local():
		add(x.names[c.InterfaceName])
		return list
	case c.Switched():
		add(a.sessionAt(c.Attach))
		add(x.joined[c.Attach])
		return list
	}
	port := x.port(a, c.Attach)
	add(x.vlans[vlanKey{port, wholePort}])
	search := c.VLAN.Kind == config.VLANAll && x.ports[c.Attach] > 0
	x.eachVLAN(a, c, func(k vlanKey) bool {
		search = search || c.VLAN.Kind != config.VLANQinQ && x.inner[k] > 0
		return add(x.vlans[k]) && add(x.inPPPoE(k, c))
	})
	if c.VLAN.Kind == config.VLANQinQ {
		add(x.vlans[x.outerKey(a, c)])
		if !c.PPP() {
			add(x.inPPPoE(x.outerKey(a, c), c))
		}
	}
	if search { // all clash: any will do
		for s := range a.eachSession {
			if o := s.config(); s.runs() && o.Attach == c.Attach && !(o.PPP() && c.PPP()) && (c.VLAN.Kind == config.VLANAll || o.VLAN.Kind == config.VLANQinQ && c.VLAN.Lo <= o.VLAN.Lo && o.VLAN.Lo <= c.VLAN.Hi) && !add(s) {
				break
			}
		}
	}
	return list
}
