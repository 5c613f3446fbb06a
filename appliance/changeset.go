package appliance

import (
	"xwire/appliance/trunk"
	"xwire/config"
)

// changeSet is a difference with what it means for each session: those of a tunnel that is enabled or
// disabled, or of a port that sends other tags, change with it.
type changeSet struct {
	*config.Difference
	sessions []sessionChange
	tunnels  map[string]*config.Tunnel // as they will be, of those that change
}

// sessionChange is one session before and after: s is nil until it is added, to when it is removed.
type sessionChange struct {
	s        *session
	from, to *config.Session
	tunnel   *config.Tunnel // as it will be
	had      string         // its local interface before, "" for none
	ran      bool           // it was to carry frames before
}

// runs tells whether the session is to carry frames afterwards.
func (c *sessionChange) runs() bool { return c.to != nil && c.to.Enabled && c.tunnel.Enabled }

// wants is its local interface afterwards, "" for none.
func (c *sessionChange) wants() string {
	if c.runs() && c.to.Local() {
		return c.to.InterfaceName
	}
	return ""
}

// changes looks up what a difference is about. Only the one who applies changes adds and removes
// tunnels and sessions, so that what is found stays.
func (a *Appliance) changes(d *config.Difference) *changeSet {
	a.mu.Lock()
	defer a.mu.Unlock()
	set := &changeSet{Difference: d, tunnels: make(map[string]*config.Tunnel, len(d.Tunnels))}
	set.sessions = make([]sessionChange, 0, len(d.Sessions))
	for i := range d.Tunnels {
		if t := d.Tunnels[i].New; t != nil {
			set.tunnels[t.Name] = t
		}
	}
	seen := make(map[*session]bool)
	add := func(t *tunnel, s *session, c sessionChange) {
		if s != nil {
			seen[s] = true
			c.s = s
			if s.runs() {
				c.had, c.ran = s.ifname(), true
			}
		}
		c.tunnel = set.tunnel(c.tunnel, t)
		set.sessions = append(set.sessions, c)
	}
	for i := range d.Sessions {
		sd := &d.Sessions[i]
		t := a.byName[sd.Tunnel.Name]
		var s *session
		if t != nil && sd.Old != nil {
			s = t.session(sd.Old.Name)
		}
		add(t, s, sessionChange{from: sd.Old, to: sd.New, tunnel: sd.Tunnel})
	}
	along := func(t *tunnel, s *session) {
		if !seen[s] {
			c := s.config()
			add(t, s, sessionChange{from: &c, to: &c})
		}
	}
	for i := range d.Tunnels {
		if td := &d.Tunnels[i]; td.Old != nil && td.New != nil && td.Old.Enabled != td.New.Enabled {
			t := a.byName[td.New.Name]
			for _, s := range t.sessions {
				along(t, s)
			}
		}
	}
	for i := range d.Ports {
		if pd := &d.Ports[i]; pd.Old != nil && pd.New != nil && pd.Old.QinQTPID != pd.New.QinQTPID {
			for s := range a.eachSession {
				if c := s.config(); c.Attach == pd.New.Name {
					along(s.tunnel, s)
				}
			}
		}
	}
	return set
}

// tunnel is a tunnel as it will be: as the difference has it, or as it is.
func (set *changeSet) tunnel(named *config.Tunnel, t *tunnel) *config.Tunnel {
	name := ""
	if named != nil {
		name = named.Name
	} else {
		name = t.Name
	}
	if c := set.tunnels[name]; c != nil {
		return c
	}
	if t != nil {
		return &t.Tunnel
	}
	return named
}

// withTunnels are the local interfaces of sessions that go because their tunnel does.
func (set *changeSet) withTunnels() map[string]bool {
	gone := make(map[string]bool)
	for i := range set.Tunnels {
		if t := &set.Tunnels[i]; t.New == nil {
			gone[t.Old.Name] = true
		}
	}
	names := make(map[string]bool)
	for i := range set.sessions {
		if c := &set.sessions[i]; c.to == nil && c.had != "" && gone[c.tunnel.Name] {
			names[c.had] = true
		}
	}
	return names
}

// interfaces are the local interfaces that are to be made or changed, and those that are not wanted any
// more.
func (a *Appliance) interfaces(set *changeSet) (want []trunk.Interface, unwanted map[string]bool) {
	unwanted = make(map[string]bool)
	for i := range set.sessions {
		c := &set.sessions[i]
		if c.had != "" {
			unwanted[c.had] = true
		}
		if name := c.wants(); name != "" && (name != c.had || c.s.cvlan == 0 || c.from == nil || c.from.MTU != c.to.MTU) {
			want = append(want, a.localInterface(c.tunnel, c.to))
		}
	}
	for i := range set.sessions {
		delete(unwanted, set.sessions[i].wants())
	}
	return want, unwanted
}
