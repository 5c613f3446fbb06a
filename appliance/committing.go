package appliance

import (
	"errors"
	"math/rand/v2"

	"xwire/config"
	"xwire/pw"
)

// unstandSession takes a session out of the table, what steers frames to it first.
func (a *Appliance) unstandSession(s *session) {
	if !s.standing {
		return
	}
	if s.tunnel.Unknown == config.UnknownKernel {
		a.warnChange("steer session no more", s.path(), a.steering.RemoveSession(steerSession(&s.tunnel.Tunnel, s.sid)))
	}
	a.warnChange("remove session", s.path(), a.table.RemoveSession(s.id))
	s.standing, s.id = false, 0
}

// unstandTunnel takes a tunnel without sessions out of the table.
func (a *Appliance) unstandTunnel(t *tunnel) {
	if t == nil || t.target == nil {
		return
	}
	a.peers.Remove(t.Name)
	a.warnChange("steer tunnel no more", t.Name, a.steering.RemoveLocal(steerLocal(&t.Tunnel)))
	a.warnChange("remove tunnel", t.Name, a.table.RemoveTunnel(t.id))
	t.id, t.target = 0, nil
}

// changeTunnels changes in place what stands and stays, and notes what was said of the others. Where two
// change places, one has to wait for the other.
func (a *Appliance) changeTunnels(list []config.Delta[config.Tunnel]) {
	waiting := make([]*config.Delta[config.Tunnel], 0, len(list))
	for i := range list {
		if d := &list[i]; d.Old != nil && d.New != nil {
			waiting = append(waiting, d)
		}
	}
	for len(waiting) > 0 {
		var again []*config.Delta[config.Tunnel]
		var err error
		for _, d := range waiting {
			if e := a.changeTunnel(a.byName[d.New.Name], d.New); e != nil {
				again, err = append(again, d), e
			}
		}
		if len(again) == len(waiting) {
			// All wait for each other: the sessions of one stand anew, with new counters.
			t := a.byName[again[0].New.Name]
			a.log.Warn("tunnel stands anew: others change places with it", "tunnel", t.Name, "error", err)
			for _, s := range t.sessions {
				a.unstandSession(s)
			}
			if a.changeTunnel(t, again[0].New) != nil {
				a.unstandTunnel(t)
				t.Tunnel = *again[0].New
				t.Sessions = nil
			}
			for _, s := range t.sessions {
				c := s.config()
				a.standSession(s, &c)
			}
			again = again[1:]
		}
		waiting = again
	}
}

// changeTunnel gives a tunnel another configuration. On an error nothing has changed. Where its address
// becomes one that is shared with the kernel's L2TP, its sessions are known before it is shared, and
// known no more once it is not.
func (a *Appliance) changeTunnel(t *tunnel, c *config.Tunnel) error {
	was := t.Tunnel
	if t.target == nil || !c.Enabled {
		t.Tunnel = *c
		t.Sessions = nil
		return nil // it does not stand: addTunnels sees to it
	}
	from, to := steerLocal(&was), steerLocal(c)
	steered := steerSession(&was, 1) != steerSession(c, 1)
	if steered {
		a.steerSessions(t, c)
	}
	if from != to {
		if err := a.steering.AddLocal(to); err != nil {
			a.unsteerSessions(t, c, steered)
			return err
		}
	}
	if err := a.table.SetTunnel(t.id, tunnelSpec(c)); err != nil {
		if from != to {
			err = errors.Join(err, a.steering.RemoveLocal(to))
		}
		a.unsteerSessions(t, c, steered)
		return err
	}
	t.Tunnel = *c
	t.Sessions = nil
	if from != to {
		a.warnChange("steer tunnel no more", t.Name, a.steering.RemoveLocal(from))
	}
	a.unsteerSessions(t, &was, steered)
	if key := hopKey(c); key != hopKey(&was) {
		t.target = a.targets[key]
		a.table.SetTunnelNextHop(t.id, t.target.id)
	}
	a.watchPeer(&t.Tunnel)
	return nil
}

// steerSessions makes a tunnel's sessions known to the steering program as those of c, if that shares its
// address with the kernel's L2TP.
func (a *Appliance) steerSessions(t *tunnel, c *config.Tunnel) {
	if c.Unknown != config.UnknownKernel {
		return
	}
	for _, s := range t.sessions {
		if s.standing {
			a.warnChange("steer session", s.path(), a.steering.AddSession(steerSession(c, s.sid)))
		}
	}
}

// unsteerSessions takes back steerSessions, where that was done.
func (a *Appliance) unsteerSessions(t *tunnel, c *config.Tunnel, done bool) {
	if !done || c.Unknown != config.UnknownKernel {
		return
	}
	for _, s := range t.sessions {
		if s.standing {
			a.warnChange("steer session no more", s.path(), a.steering.RemoveSession(steerSession(c, s.sid)))
		}
	}
}

// changeSessions changes in place those that stand and stay.
func (a *Appliance) changeSessions(set *changeSet, bindings map[string]bound, failed error) {
	var waiting []*sessionChange
	for i := range set.sessions {
		c := &set.sessions[i]
		if c.s == nil || c.to == nil {
			continue
		}
		s := c.s
		old := s.packed
		if c.from != c.to {
			s.packed, s.enabled, s.api = pack(c.to), c.to.Enabled, c.to.Requested
		}
		lacks := false // its new local interface
		if name := c.wants(); name != "" {
			if b, ok := bindings[name]; ok {
				s.mtu, s.svlan, s.cvlan = uint16(b.MTU), b.SVLAN, b.CVLAN
				s.wait("")
			} else if name != c.had || s.cvlan == 0 {
				s.wait(notMade(name, failed))
				lacks = true
			}
		} else if s.mtu, s.svlan, s.cvlan = 0, 0, 0; !s.standing {
			s.wait("")
		}
		if !s.standing {
			continue // addSessions sees to it
		}
		if lacks {
			now := s.packed
			s.packed = old
			a.unstandSession(s)
			s.packed = now
			continue
		}
		if c.from.Attach != c.to.Attach && c.from.Switched() {
			a.warnChange("part session", s.path(), a.table.Part(s.id))
			s.wait("")
		}
		if c.from.SID != c.to.SID && s.tunnel.Unknown == config.UnknownKernel {
			a.warnChange("steer session no more", s.path(), a.steering.RemoveSession(steerSession(&s.tunnel.Tunnel, c.from.SID)))
			a.warnChange("steer session", s.path(), a.steering.AddSession(steerSession(&s.tunnel.Tunnel, c.to.SID)))
		}
		waiting = append(waiting, c)
	}
	a.setSessions(waiting)
}

// setSessions tells the table. Where two change places, one has to wait for the other; where all wait,
// one gives up its place for a moment.
func (a *Appliance) setSessions(waiting []*sessionChange) {
	set := func(c *sessionChange, aside bool) error {
		ac, err := a.attachment(c.s, c.to)
		if err != nil {
			return err
		}
		spec := sessionSpec(c.s.tunnel.id, c.to, ac, a.clients[c.to.InterfaceName])
		if aside {
			spec.AC = pw.Attachment{Port: pw.NoPort}
			if spec.SID = rand.Uint32() | 1<<31; c.s.tunnel.Version == 2 {
				spec.SID = spec.SID&0xffff | 1<<15
			}
		}
		return a.table.SetSession(c.s.id, spec)
	}
	for aside := 0; len(waiting) > 0; {
		again := waiting[:0:0]
		for _, c := range waiting {
			err := set(c, false)
			switch clash := (*pw.ClashError)(nil); {
			case err == nil:
			case errors.As(err, &clash):
				again = append(again, c)
			default:
				a.failSession(c.s, err)
			}
		}
		if len(again) == len(waiting) {
			if aside == len(again) {
				for _, c := range again {
					a.failSession(c.s, set(c, false))
				}
				return
			}
			if err := set(again[aside], true); err != nil {
				a.log.Warn("put session aside", "session", again[aside].s.path(), "error", err)
			}
			aside++
		} else {
			aside = 0
		}
		waiting = again
	}
}

// failSession takes a session out that could not be changed; the reason is its own.
func (a *Appliance) failSession(s *session, err error) {
	a.log.Error("session waits", "tunnel", s.tunnel.Name, "session", s.name(), "error", err)
	a.unstandSession(s)
	s.wait(err.Error())
}

// addTunnels adds what is new, and has those stand that are enabled now.
func (a *Appliance) addTunnels(list []config.Delta[config.Tunnel]) {
	for i := range list {
		c := list[i].New
		if c == nil {
			continue
		}
		t := a.byName[c.Name]
		if t == nil {
			t = &tunnel{Tunnel: *c}
			t.Sessions = nil
			a.tunnels = append(a.tunnels, t)
			a.byName[c.Name] = t
		}
		if t.target == nil {
			a.warnChange("add tunnel", c.Name, a.standTunnel(t))
		}
	}
}

// addSessions adds what is new, and has those stand that are enabled now.
func (a *Appliance) addSessions(set *changeSet, bindings map[string]bound, failed error) {
	for i := range set.sessions {
		c := &set.sessions[i]
		if c.to == nil || c.s != nil && c.s.standing {
			continue
		}
		if c.s == nil {
			t := a.byName[c.tunnel.Name]
			c.s = &session{packed: pack(c.to), tunnel: t, enabled: c.to.Enabled, api: c.to.Requested}
			t.sessions = append(t.sessions, c.s)
			if t.names != nil {
				t.names[c.to.Name] = c.s
			}
			a.count++
			if c.wants() != "" {
				c.s.bind(bindings, failed)
			}
		}
		if c.runs() {
			a.standSession(c.s, c.to)
		}
	}
}

// joinChanged joins sessions that are attached to each other where one of them has changed.
func (a *Appliance) joinChanged(set *changeSet) {
	for i := range set.sessions {
		c := &set.sessions[i]
		if c.to != nil && c.to.Switched() {
			a.joinSession(c.s, c.to.Attach)
			switch o := a.sessionAt(c.to.Attach); {
			case o == nil || !o.standing:
			case c.s.standing:
				o.wait("")
			default:
				o.wait(missing(c.s.path()))
			}
		}
	}
}
