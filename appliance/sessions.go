package appliance

import (
	"errors"
	"fmt"

	"xwire/appliance/nexthop"
	"xwire/config"
	"xwire/pw"
	"xwire/rings/steer"
)

// tunnel is what stays of a tunnel's configuration. What the table knows is asked there.
type tunnel struct {
	name, description, vrf string
	tid, ptid              uint32
	id                     pw.TunnelID
	enabled                bool
	unknown                config.Unknown
	target                 *target
	first, sessions        int // its sessions stand at Appliance.sessions[first : first+sessions]
}

// session is what stays of a session's configuration: at 100,000 sessions every word counts, so
// what the table knows (ids, cookies, sublayer, tags) is asked there.
type session struct {
	name, description string
	local             string // the interface's name, "" with a port or a session
	reason            string // why it is not in the table
	id                pw.SessionID
	tunnel            int32
	mtu               uint16
	pwvlan            config.PWVLAN
	enabled, standing bool
}

// makeTunnels fills the table with tunnels and asks for their next hops.
func (a *Appliance) makeTunnels(cfg *config.Config) error {
	a.tunnels = make([]tunnel, 0, len(cfg.Tunnels))
	for i := range cfg.Tunnels {
		c := &cfg.Tunnels[i]
		t := tunnel{name: c.Name, description: c.Description, vrf: c.VRF, tid: c.TID, ptid: c.PTID, enabled: c.Enabled, unknown: c.Unknown}
		if c.Enabled {
			spec := tunnelSpec(c)
			var err error
			if t.id, err = a.table.AddTunnel(spec); err != nil {
				return fmt.Errorf("add tunnel %s: %w", c.Name, err)
			}
			t.target = a.targets[hopKey(c)]
			a.table.SetTunnelNextHop(t.id, t.target.id)
			if err := a.steering.AddLocal(steerLocal(c)); err != nil {
				return fmt.Errorf("steer packets for tunnel %s: %w", c.Name, err)
			}
		}
		a.tunnels = append(a.tunnels, t)
	}
	return nil
}

func hopKey(t *config.Tunnel) nexthop.Key {
	return nexthop.Key{Peer: t.Peer.Addr(), Local: t.Local.Addr(), VRF: t.VRF}
}

// makeSessions fills the table with sessions. One that cannot stand (its interface's name is
// taken, say) does not stop the others: it waits with its reason.
func (a *Appliance) makeSessions(cfg *config.Config) error {
	bindings, failed := a.bindLocals(cfg)
	byName := make(map[string]uint16)
	a.mu.Lock()
	for _, p := range a.ports {
		byName[p.Name] = p.index
	}
	a.mu.Unlock()
	total := 0
	for i := range cfg.Tunnels {
		total += len(cfg.Tunnels[i].Sessions)
	}
	a.sessions = make([]session, 0, total)
	a.switched = make(map[*session]string)
	for i := range cfg.Tunnels {
		c := &cfg.Tunnels[i]
		t := &a.tunnels[i]
		t.first, t.sessions = len(a.sessions), len(c.Sessions)
		for j := range c.Sessions {
			sc := &c.Sessions[j]
			s := session{name: sc.Name, description: sc.Description, tunnel: int32(i), enabled: sc.Enabled && c.Enabled,
				pwvlan: sc.PWVLAN, mtu: sc.MTU}
			ac := pw.Attachment{Port: pw.NoPort}
			switched := ""
			switch {
			case sc.Switched():
				switched = sc.Attach
			case sc.Local():
				s.local = sc.InterfaceName
				b, ok := bindings[sc.InterfaceName]
				if !ok && s.enabled {
					s.reason = notMade(sc.InterfaceName, failed)
				}
				s.mtu = uint16(b.MTU)
				ac = localAttachment(b, sc, a.trunkIndex())
			default:
				ac = portAttachment(byName[sc.Attach], sc, cfg.Port(sc.Attach).QinQTPID)
			}
			if s.enabled && s.reason == "" {
				id, err := a.addSession(c, sessionSpec(t.id, sc, ac))
				if err != nil {
					s.reason = err.Error()
					a.log.Error("session waits", "tunnel", c.Name, "session", sc.Name, "error", err)
				} else {
					s.id, s.standing = id, true
				}
			}
			a.sessions = append(a.sessions, s)
			if switched != "" {
				a.switched[&a.sessions[len(a.sessions)-1]] = switched
			}
		}
	}
	a.joinSessions()
	return nil
}

// addSession makes a session known to the table and then, where the kernel has other sessions of the
// same address, to the steering program: what that sends to a socket cannot go back.
func (a *Appliance) addSession(c *config.Tunnel, spec pw.SessionSpec) (pw.SessionID, error) {
	id, err := a.table.AddSession(spec)
	if err != nil || c.Unknown != config.UnknownKernel {
		return id, err
	}
	if err := a.steering.AddSession(steer.Session{Local: steerLocal(c), Version: c.Version, Tunnel: uint16(c.TID), ID: spec.SID}); err != nil {
		return 0, errors.Join(err, a.table.RemoveSession(id))
	}
	return id, nil
}

// sharedSessions is how many sessions the steering program has to know.
func sharedSessions(cfg *config.Config) (n int) {
	for i := range cfg.Tunnels {
		if t := &cfg.Tunnels[i]; t.Enabled && t.Unknown == config.UnknownKernel {
			n += len(t.Sessions)
		}
	}
	return n
}

// joinSessions joins the sessions that are attached to each other.
func (a *Appliance) joinSessions() {
	byName := make(map[string]*session, len(a.switched))
	for s := range a.switched {
		byName[a.tunnels[s.tunnel].name+"/"+s.name] = s
	}
	for s, other := range a.switched {
		if !s.standing {
			continue
		}
		o := byName[other]
		if o == nil || !o.standing {
			s.reason = "session " + other + " does not stand"
			continue
		}
		if err := a.table.Join(s.id, o.id); err != nil {
			s.reason = err.Error()
			a.log.Error("session waits", "tunnel", a.tunnels[s.tunnel].name, "session", s.name, "error", err)
		}
	}
}
