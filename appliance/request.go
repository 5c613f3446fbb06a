package appliance

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"xwire/appliance/api"
	"xwire/config"
)

// refusal is why a request is not fulfilled: an answer's status and body.
type refusal struct {
	status int
	body   api.Error
}

func (r *refusal) Error() string { return r.body.Text }

func refused(status int, code, format string, args ...any) *refusal {
	return &refusal{status, api.Error{Code: code, Text: fmt.Sprintf(format, args...)}}
}

// faulty is the refusal of what the configuration would not take.
func faulty(status int, code string, err error) *refusal {
	r := refused(status, code, "%v", err)
	var list config.Errors
	if errors.As(err, &list) {
		for _, e := range list {
			r.body.Errors = append(r.body.Errors, api.Fault{File: e.File, Line: e.Line, Key: e.Key, Message: e.Msg})
		}
	}
	return r
}

// amend changes one object as a request says, in its turn. A change that the configuration would not take
// as it is, or only without another object, changes nothing. It returns the object as it then is, before
// anybody else's turn; nothing of one that is removed.
func (a *Appliance) amend(ctx context.Context, m config.Amendment, fresh bool) (object any, err error) {
	err = a.changer.do(ctx, func() error {
		a.mu.Lock()
		amended, d, err := a.planAmendment(m, fresh)
		a.mu.Unlock()
		if err != nil {
			return err
		}
		a.warn(amended.Warnings)
		if !d.Empty() {
			if err := a.apply(d, true); err != nil {
				return faulty(http.StatusConflict, api.CodeInterface, err)
			}
		}
		switch {
		case m.Remove:
		case m.Session == "":
			object, _ = a.tunnelNow(m.Tunnel)
		default:
			object, _ = a.Session(m.Tunnel, m.Session, false)
		}
		return nil
	})
	return object, err
}

// planAmendment finds what one amendment means. The caller holds mu.
func (a *Appliance) planAmendment(m config.Amendment, fresh bool) (*config.Config, *config.Difference, error) {
	t, s, err := a.subject(m, fresh)
	if err != nil {
		return nil, nil, err
	}
	base := newBase(a)
	list := []config.Amendment{m}
	if t != nil {
		base.addTunnel(t)
		if s != nil {
			base.addSession(s)
		} else if m.Session == "" {
			for _, s := range t.sessions {
				base.addSession(s)
			}
		}
	}
	if m.Remove {
		list = append(list, a.partings(base, t, s)...)
	}
	if path, ok := m.Keys["attach"].(string); ok {
		if o := a.sessionAt(path); o != nil {
			base.addSession(o)
		}
	}
	for first := true; ; first = false {
		from := base.config()
		to, err := from.Amend(list...)
		switch {
		case err != nil && first:
			return nil, nil, faulty(http.StatusUnprocessableEntity, api.CodeInvalidConfig, err)
		case err != nil:
			return nil, nil, faulty(http.StatusConflict, api.CodeClash, err)
		}
		d := config.Compare(from, to)
		if !base.addRivals(d) {
			return to, d, nil
		}
	}
}

// subject finds what a request is about: a new object must not be there, another must.
func (a *Appliance) subject(m config.Amendment, fresh bool) (*tunnel, *session, error) {
	t := a.byName[m.Tunnel]
	if m.Session == "" {
		switch {
		case fresh && t != nil:
			return nil, nil, refused(http.StatusConflict, api.CodeTunnelExists, "there is a tunnel %q already: change it, or delete it first", m.Tunnel)
		case !fresh && t == nil:
			return nil, nil, refused(http.StatusNotFound, api.CodeNoSuchTunnel, "there is no tunnel %q", m.Tunnel)
		}
		return t, nil, nil
	}
	if t == nil {
		return nil, nil, refused(http.StatusNotFound, api.CodeNoSuchTunnel, "there is no tunnel %q", m.Tunnel)
	}
	s := t.session(m.Session)
	switch {
	case fresh && s != nil:
		return nil, nil, refused(http.StatusConflict, api.CodeSessionExists, "there is a session %q in tunnel %q already: change it, or delete it first", m.Session, m.Tunnel)
	case !fresh && s == nil:
		return nil, nil, refused(http.StatusNotFound, api.CodeNoSuchSession, "there is no session %q in a tunnel %q", m.Session, m.Tunnel)
	}
	return t, s, nil
}

// partings are what becomes of sessions that are attached to one that is removed: they stay, not enabled,
// with nothing to be attached to. The sessions of a tunnel that is removed go with it.
func (a *Appliance) partings(base *base, t *tunnel, s *session) (list []config.Amendment) {
	gone := []*session{s}
	if s == nil {
		gone = t.sessions
	}
	for _, s := range gone {
		c := s.config()
		if !c.Switched() {
			continue
		}
		o := a.sessionAt(c.Attach)
		if o == nil || o == s || len(gone) > 1 && o.tunnel == t {
			continue
		}
		base.addSession(o)
		list = append(list, config.Amendment{Tunnel: o.tunnel.Name, Session: o.name(), Keys: map[string]any{"attach": nil, "enabled": false}})
	}
	return list
}

// base is the part of what runs that a change has to be checked with.
type base struct {
	a        *Appliance
	tunnels  []*tunnel
	sessions map[*tunnel][]*session
	has      map[*session]bool
}

func newBase(a *Appliance) *base {
	return &base{a: a, sessions: make(map[*tunnel][]*session), has: make(map[*session]bool)}
}

func (b *base) addTunnel(t *tunnel) bool {
	if _, has := b.sessions[t]; has {
		return false
	}
	b.tunnels = append(b.tunnels, t)
	b.sessions[t] = nil
	return true
}

func (b *base) addSession(s *session) bool {
	if b.has[s] {
		return false
	}
	b.addTunnel(s.tunnel)
	b.has[s] = true
	b.sessions[s.tunnel] = append(b.sessions[s.tunnel], s)
	if c := s.config(); c.Switched() { // the one makes no sense without the other
		if o := b.a.sessionAt(c.Attach); o != nil {
			b.addSession(o)
		}
	}
	return true
}

func (b *base) config() *config.Config {
	cfg := b.a.withPorts()
	for _, t := range b.tunnels {
		cfg.Tunnels = append(cfg.Tunnels, t.part(b.sessions[t]))
	}
	return cfg
}

// addRivals adds what an object as it will be might clash with. It reports whether there was any more.
func (b *base) addRivals(d *config.Difference) (more bool) {
	x := b.a.indexed()
	for i := range d.Tunnels {
		c := d.Tunnels[i].New
		if c == nil || !c.Enabled {
			continue
		}
		sameID, sameEnd := false, false // one of each is enough
		for _, t := range b.a.tunnels {
			if !t.Enabled || t.Name == c.Name {
				continue
			}
			if t.TID == c.TID && !sameID {
				sameID = true
				more = b.addTunnel(t) || more
			}
			if t.Encap == c.Encap && t.Local == c.Local && !sameEnd {
				sameEnd = true
				more = b.addTunnel(t) || more
			}
			if sameID && sameEnd {
				break
			}
		}
		if d.Tunnels[i].Old != nil {
			// Where the tunnel's packets are found others' may be.
			for _, s := range b.sessions[b.a.byName[c.Name]] {
				now := s.config()
				more = b.addEach(x.rivals(b.a, c, &now, s)) || more
			}
		}
	}
	for i := range d.Sessions {
		sd := &d.Sessions[i]
		if sd.New == nil || !sd.New.Enabled || !sd.Tunnel.Enabled {
			continue
		}
		var own *session
		if t := b.a.byName[sd.Tunnel.Name]; t != nil && sd.Old != nil {
			own = t.session(sd.Old.Name)
		}
		more = b.addEach(x.rivals(b.a, sd.Tunnel, sd.New, own)) || more
	}
	return more
}

func (b *base) addEach(list []*session) (more bool) {
	for _, s := range list {
		more = b.addSession(s) || more
	}
	return more
}
