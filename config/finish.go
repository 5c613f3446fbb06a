package config

import "slices"

// finish turns the drafts into the configuration, once every file is read: defaults may stand in
// any of them.
func (l *loader) finish() {
	if !l.appliance.exists {
		l.builtin("appliance", place{}, l.cfg.Appliance.set)
	}
	for i := range l.ports {
		p := &l.ports[i]
		if !p.broken {
			problems{l, "port", &p.draft}.missing(p.own)
		}
	}
	tunnel, session := l.defaults["tunnel"], l.defaults["session"]
	tunnelBuiltins, sessionBuiltins := builtins("tunnel"), builtins("session")
	for _, t := range l.tunnels {
		r := &reader{l: l, at: tunnel.place}
		tunnel.inherit(t.own, tunnelBuiltins, r, t.set)
		if p := (problems{l, "tunnel", &t.draft}); !t.broken {
			p.missing(t.own | tunnel.given)
			t.check(p)
		}
		r.at = session.place
		for i := range t.Sessions {
			s, d := &t.Sessions[i], &t.sessions[i]
			session.inherit(d.own, sessionBuiltins, r, s.set)
			if d.broken {
				continue
			}
			p := problems{l, "session", d}
			p.missing(d.own | session.given)
			if session.cookieFile != "" && !d.own.has(tables["session"].bit("cookie_file")) {
				l.useCookieFile(session.place, t, i, session.cookieFile)
			}
			s.check(p, d.own, d.own|session.given)
		}
	}
	l.unusedCookies()
	l.clashes()
	l.nameInterfaces()

	for i := range l.ports {
		l.cfg.Ports = append(l.cfg.Ports, l.ports[i].Port)
	}
	for _, t := range l.tunnels {
		t.Tunnel.Sessions = slices.Clip(append([]Session(nil), t.Sessions...))
		l.cfg.Tunnels = append(l.cfg.Tunnels, t.Tunnel)
	}
}
