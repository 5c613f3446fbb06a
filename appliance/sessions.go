package appliance

import (
	"errors"
	"fmt"
	"strings"

	"xwire/appliance/api"
	"xwire/appliance/nexthop"
	"xwire/config"
	"xwire/pw"
	"xwire/rings/steer"
)

// tunnel is a tunnel that runs, or is there and not enabled.
type tunnel struct {
	config.Tunnel // without Sessions
	id            pw.TunnelID
	target        *target
	sessions      []*session          // in the order of the configuration
	names         map[string]*session // of sessions; nil until the first is asked for
	cut           bool                // its peer is down, and its circuits go with it: nothing is sent
	told          string              // type of the last event about its state
}

// session is a session of a tunnel. There may be 100,000 of them: every word counts.
type session struct {
	packed
	tunnel       *tunnel
	waits        *string // why it does not carry frames; nil: nothing of its own keeps it
	id           pw.SessionID
	mtu          uint16 // of its local interface, as it was last made
	svlan, cvlan uint16 // its place on the trunk; 0 and 0 before it has one
	enabled      bool   // by its own configuration
	standing     bool   // in the table
	up           bool   // as was last told
	api          bool   // created by a request, not by the file
	gone         bool   // removed: whoever still holds it leaves it alone
}

// runs tells whether a session is to carry frames.
func (s *session) runs() bool { return s.enabled && s.tunnel.Enabled }

// path is the session's name among those of all tunnels.
func (s *session) path() string { return s.tunnel.Name + "/" + s.name() }

// wait notes why a session does not carry frames; "" takes that back.
func (s *session) wait(reason string) {
	s.waits = nil
	if reason != "" {
		s.waits = &reason
	}
}

func (s *session) reason() string {
	if s.waits == nil {
		return ""
	}
	return *s.waits
}

func origin(byRequest bool) string {
	if byRequest {
		return api.OriginAPI
	}
	return api.OriginFile
}

// session finds by name; nil if there is none.
func (t *tunnel) session(name string) *session {
	if t.names == nil {
		t.names = make(map[string]*session, len(t.sessions))
		for _, s := range t.sessions {
			t.names[s.name()] = s
		}
	}
	return t.names[name]
}

// eachSession goes over all sessions in the order of the configuration.
func (a *Appliance) eachSession(yield func(*session) bool) {
	for _, t := range a.tunnels {
		for _, s := range t.sessions {
			if !yield(s) {
				return
			}
		}
	}
}

// makeTunnels fills the table with tunnels and asks for their next hops.
func (a *Appliance) makeTunnels(cfg *config.Config) error {
	a.tunnels = make([]*tunnel, 0, len(cfg.Tunnels))
	for i := range cfg.Tunnels {
		t := &tunnel{Tunnel: cfg.Tunnels[i]}
		t.Sessions = nil
		if err := a.standTunnel(t); err != nil {
			return err
		}
		a.tunnels = append(a.tunnels, t)
		a.byName[t.Name] = t
	}
	return nil
}

// standTunnel puts an enabled tunnel into the table, and has its packets come.
func (a *Appliance) standTunnel(t *tunnel) error {
	if !t.Enabled {
		return nil
	}
	id, err := a.table.AddTunnel(tunnelSpec(&t.Tunnel))
	if err != nil {
		return fmt.Errorf("add tunnel %s: %w", t.Name, err)
	}
	t.id, t.target = id, a.targets[hopKey(&t.Tunnel)]
	a.table.SetTunnelNextHop(t.id, t.target.id)
	if err := a.steering.AddLocal(steerLocal(&t.Tunnel)); err != nil {
		return fmt.Errorf("steer packets for tunnel %s: %w", t.Name, err)
	}
	a.watchPeer(&t.Tunnel)
	return nil
}

func hopKey(t *config.Tunnel) nexthop.Key {
	return nexthop.Key{Peer: t.Peer.Addr(), Local: t.Local.Addr(), VRF: t.VRF}
}

// makeSessions fills the table with sessions. One that cannot stand (its interface's name is
// taken, say) does not stop the others: it waits with its reason.
func (a *Appliance) makeSessions(cfg *config.Config) error {
	bindings, failed := a.bindLocals(cfg)
	all := make([]session, cfg.Sessions())
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, t := range a.tunnels {
		list := cfg.Tunnels[i].Sessions
		packer := newPacker(list)
		t.sessions = make([]*session, len(list))
		for j := range list {
			s := &all[0]
			all = all[1:]
			s.tunnel = t
			s.packed, s.enabled, s.api = packer.pack(&list[j]), list[j].Enabled, list[j].Requested
			if list[j].Local() && s.runs() {
				s.bind(bindings, failed)
				a.noteClient(&list[j], bindings)
			}
			t.sessions[j] = s
			a.standSession(s, &list[j])
		}
		a.count += len(list)
	}
	for i, t := range a.tunnels {
		for j, s := range t.sessions {
			a.joinSession(s, cfg.Tunnels[i].Sessions[j].Attach)
		}
	}
	return nil
}

// addSession makes a session known to the table and then, where the kernel has other sessions of the
// same address, to the steering program: what that sends to a socket cannot go back.
func (a *Appliance) addSession(c *config.Tunnel, spec pw.SessionSpec) (pw.SessionID, error) {
	id, err := a.table.AddSession(spec)
	if err != nil || c.Unknown != config.UnknownKernel {
		return id, err
	}
	if err := a.steering.AddSession(steerSession(c, spec.SID)); err != nil {
		return 0, errors.Join(err, a.table.RemoveSession(id))
	}
	return id, nil
}

func steerSession(c *config.Tunnel, sid uint32) steer.Session {
	s := steer.Session{Local: steerLocal(c), Version: c.Version, Tunnel: uint16(c.TID), ID: sid}
	if c.Keyed {
		s.Peer = c.Peer.Addr()
	}
	return s
}

// steeredSessions is how many sessions the steering program has to know, and peers of the other tunnels.
func steeredSessions(cfg *config.Config) (n int) {
	for i := range cfg.Tunnels {
		switch t := &cfg.Tunnels[i]; {
		case !t.Enabled:
		case t.Unknown == config.UnknownKernel:
			n += len(t.Sessions)
		default:
			n++
		}
	}
	return n
}

// standSession puts a session into the table, or notes why it waits.
func (a *Appliance) standSession(s *session, c *config.Session) {
	if !s.runs() || s.waits != nil {
		return
	}
	ac, err := a.attachment(s, c)
	if err == nil {
		s.id, err = a.addSession(&s.tunnel.Tunnel, sessionSpec(s.tunnel.id, c, ac, a.clients[c.InterfaceName]))
	}
	if err != nil {
		s.wait(err.Error())
		a.log.Error("session waits", "tunnel", s.tunnel.Name, "session", c.Name, "error", err)
		return
	}
	s.standing = true
}

// attachment is the session's attachment circuit as the table knows it.
func (a *Appliance) attachment(s *session, c *config.Session) (pw.Attachment, error) {
	switch {
	case c.Switched():
		return pw.Attachment{Port: pw.NoPort}, nil
	case c.Local():
		return localAttachment(s.svlan, s.cvlan, c, a.trunkIndex()), nil
	}
	p := a.portNamed(c.Attach)
	if p == nil {
		return pw.Attachment{}, fmt.Errorf("there is no port %s", c.Attach)
	}
	return portAttachment(p.index, c, p.QinQTPID), nil
}

// joinSession joins a session with the one that it is attached to, if that is what it is attached to,
// once both stand.
func (a *Appliance) joinSession(s *session, other string) {
	if !strings.Contains(other, "/") || !s.standing {
		return
	}
	o := a.sessionAt(other)
	if o == nil || !o.standing {
		s.wait(missing(other))
		return
	}
	err := a.table.Join(s.id, o.id)
	if err != nil {
		s.wait(err.Error())
		a.log.Error("session waits", "tunnel", s.tunnel.Name, "session", s.name(), "error", err)
		return
	}
	s.wait("")
}

// missing is why a session waits whose attachment circuit is another one.
func missing(other string) string { return "session " + other + " does not stand" }

// sessionAt finds a session by "tunnel/session"; neither name has a slash.
func (a *Appliance) sessionAt(path string) *session {
	name, rest, _ := strings.Cut(path, "/")
	if t := a.byName[name]; t != nil {
		return t.session(rest)
	}
	return nil
}
