package appliance

import (
	"cmp"
	"strings"

	"xwire/appliance/api"
	"xwire/appliance/liveness"
	"xwire/appliance/nexthop"
	"xwire/config"
)

// unsettled is what may have changed its state since states were last looked at.
type unsettled struct {
	all     bool
	targets map[*target]bool
}

func (u *unsettled) target(t *target) {
	if u.targets == nil {
		u.targets = make(map[*target]bool)
	}
	u.targets[t] = true
}

// settle tells of ports, tunnels and sessions that went up or down. The caller holds mu.
func (a *Appliance) settle() {
	u := a.unsettled
	a.unsettled = unsettled{}
	if !u.all && len(u.targets) == 0 {
		return
	}
	if u.all {
		for _, p := range a.ports {
			a.settlePort(p)
		}
	}
	for _, t := range a.tunnels {
		if u.all || u.targets[t.target] {
			a.settleTunnel(t)
			for _, s := range t.sessions {
				a.settleSession(s)
			}
		}
	}
}

func (a *Appliance) settlePort(p *port) {
	up := p.opened != nil && !p.opened.down
	if up == p.up {
		return
	}
	p.up = up
	e := api.Event{Type: api.EventUp, Kind: "port", Port: p.Name}
	if !up {
		e.Type, e.Reason = api.EventDown, cmp.Or(p.reason, "it is closed")
	}
	a.events.publish(e)
}

func (a *Appliance) settleTunnel(t *tunnel) {
	e := api.Event{Type: api.EventUp, Kind: "tunnel", Tunnel: t.Name, Origin: origin(t.Requested)}
	switch {
	case t.target == nil:
		e.Type, e.Reason = api.EventDown, "not enabled"
	case !t.target.known:
		return // nothing is known of its next hop yet
	case t.target.hop.State == nexthop.Resolved:
		if s, ok := a.peers.Status(t.Name); ok && s.State == liveness.Down {
			e.Type, e.Reason = api.EventPeerUnreachable, s.Reason
		}
	case t.target.hop.Pending && t.told != api.EventUp:
		return // there was none that could be lost
	case t.target.hop.State == nexthop.NoNeighbour:
		e.Type, e.Reason = api.EventNeighbourLost, hopText(t.target.hop)
	default:
		e.Type, e.Reason = api.EventPeerUnreachable, hopText(t.target.hop)
	}
	if e.Type != t.told {
		t.told = e.Type
		a.events.publish(e)
	}
}

// settleSession tells of a session, and of the one that it is switched with.
func (a *Appliance) settleSession(s *session) {
	c := s.config()
	a.settleOne(s, &c)
	if !c.Switched() {
		return
	}
	if o := a.sessionAt(c.Attach); o != nil {
		c := o.config()
		a.settleOne(o, &c)
	}
}

func (a *Appliance) settleOne(s *session, c *config.Session) {
	state, reason := a.sessionState(s, c)
	if up := state == "up"; up != s.up {
		s.up = up
		e := api.Event{Type: api.EventDown, Kind: "session", Tunnel: s.tunnel.Name, Session: s.name(), Origin: origin(s.api), Reason: cmp.Or(reason, "not enabled")}
		if up {
			e.Type, e.Reason = api.EventUp, ""
		}
		a.events.publish(e)
	}
}

// sessionState tells whether a session carries frames, and what it waits for.
func (a *Appliance) sessionState(s *session, c *config.Session) (state, reason string) {
	switch {
	case !s.runs():
		return "disabled", ""
	case !s.standing:
		return "waiting", s.reason()
	}
	if reason = a.circuitReason(s, c); reason == "" && s.tunnel.target.hop.State != nexthop.Resolved {
		reason = hopText(s.tunnel.target.hop)
	}
	if reason != "" {
		return "waiting", reason
	}
	return "up", ""
}

// tellChanges tells what a change set did. The caller holds mu.
func (a *Appliance) tellChanges(set *changeSet) {
	if a.events.listeners.Load() > 0 {
		for _, c := range set.Changes() {
			e := api.Event{Type: eventOf[c.Action], Kind: c.Kind, Keys: c.Keys}
			if c.Kind == "tunnel" || c.Kind == "session" {
				e.Origin = origin(c.Requested)
			}
			e.Tunnel, e.Session, e.Port = names(c.Kind, c.Name)
			a.events.publish(e)
		}
	}
	for i := range set.Tunnels {
		if t := set.Tunnels[i].New; t != nil {
			a.settleTunnel(a.byName[t.Name])
			if set.Tunnels[i].Old != nil {
				a.unsettled.target(a.byName[t.Name].target)
			}
		}
	}
	for i := range set.sessions {
		if c := &set.sessions[i]; c.to != nil {
			a.settleSession(c.s)
		}
	}
	if len(set.Ports) > 0 {
		a.unsettled.all = true
	}
}

// names takes a change's name apart.
func names(kind, name string) (tunnel, session, port string) {
	switch kind {
	case "port":
		return "", "", name
	case "tunnel":
		return name, "", ""
	case "session":
		tunnel, session, _ = strings.Cut(name, "/")
	}
	return tunnel, session, ""
}

var eventOf = map[string]string{"added": api.EventCreated, "changed": api.EventModified, "removed": api.EventDeleted}
