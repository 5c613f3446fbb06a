package config

import (
	"fmt"
	"slices"
	"strings"
)

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
		tunnel := tunnel
		if t.Requested = l.requested[t.Name]; t.Requested {
			tunnel = &defaults{} // those of a file are for its own objects
		}
		r := &reader{l: l, at: tunnel.place}
		tunnel.inherit(t.own, tunnelBuiltins, r, t.set)
		t.inheritKeyed(t.own | tunnel.given)
		t.inheritUnknown(t.own|tunnel.given, &l.cfg.Appliance)
		switch p := (problems{l, "tunnel", &t.draft}); {
		case t.broken:
		case !t.exists:
			l.headless(t, p.lacks(tunnel.given))
		default:
			p.missing(t.own | tunnel.given | t.spared("tunnel"))
			t.check(p)
		}
		r.at = session.place
		for i := range t.Sessions {
			s, d := &t.Sessions[i], &t.sessions[i]
			session := session
			if l.requested != nil && l.requested[t.Name+"/"+s.Name] {
				s.Requested, session = true, &defaults{}
			}
			session.inherit(d.own, sessionBuiltins, r, s.set)
			if d.broken {
				continue
			}
			p := problems{l, "session", d}
			p.missing(d.own | session.given | t.spared("session"))
			if session.cookieFile != "" && !d.own.has(tables["session"].bit("cookie_file")) {
				l.useCookieFile(session.place, t, i, session.cookieFile)
			}
			s.check(p, &t.Tunnel, d.own, d.own|session.given)
			s.checkKeyed(t, p, d.own|session.given)
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

// headless reports a tunnel that is known by its sessions only, with the keys that it lacks: most
// often its name is misspelt there.
func (l *loader) headless(t *tunnelDraft, lacks []Key) {
	if len(lacks) == 0 {
		return
	}
	var names, known []string
	for _, k := range lacks {
		names = append(names, fmt.Sprintf("%s = %s", k.Name, k.Example))
	}
	for _, o := range l.tunnels {
		if o.exists {
			known = append(known, o.Name)
		}
	}
	l.errorf(t.place, "", "there is no table %s; add it, with %s%s", "["+joinPath(t.path)+"]", strings.Join(names, ", "), suggest(t.Name, known))
}
