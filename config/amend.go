package config

import (
	"fmt"
	"maps"
)

// Sources of what was not read from a file, as errors name them.
const (
	requestName = "api"     // what a request says
	runningName = "running" // what was there before
)

// Amendment is a change to one tunnel, or with Session to one of its sessions.
type Amendment struct {
	Tunnel, Session string
	Remove          bool
	// Keys are laid over those that the object has, and make a new one where there is none: values as a
	// file has them (string, bool, int64, []any), nil for the default. A tunnel may have "session", a
	// table of new sessions by name.
	Keys map[string]any
}

// Amend returns the configuration with changes, checked as a file is. c itself may be a part of what runs,
// as long as everything that the changes might clash with is in it. New objects are marked as Requested.
func (c *Config) Amend(list ...Amendment) (*Config, error) {
	l := newLoader(disk{})
	l.requested = map[string]bool{}
	l.cfg.Appliance = c.Appliance
	l.appliance.exists = true
	running, request := written(runningName), written(requestName)
	for i := range c.Ports {
		p := &c.Ports[i]
		l.portTable(place{src: running, path: []string{"port", p.Name}}, decoded{table: tabled(p.entries)})
	}
	amended := map[string]*Amendment{}
	for i := range list {
		a := &list[i]
		amended[a.Tunnel+"/"+a.Session] = a
		if _, ok := a.Keys["cookie_file"]; ok {
			at := place{src: request, path: objectPath(a.Tunnel, a.Session)}
			l.errorf(at, "cookie_file", "is for files; a request gives the cookies themselves")
		}
	}
	for i := range c.Tunnels {
		l.amendTunnel(&c.Tunnels[i], amended, running, request)
	}
	for i := range list {
		a := &list[i]
		if _, done := amended[a.Tunnel+"/"+a.Session]; done && !a.Remove {
			l.addRequested(request, a)
		}
	}
	l.finish()
	return l.result()
}

// amendTunnel takes over a tunnel with its sessions, changed where that is asked for.
func (l *loader) amendTunnel(t *Tunnel, amended map[string]*Amendment, running, request *source) {
	take := func(kind, name string, of func(entries), requested bool) (map[string]any, *source) {
		keys, src := tabled(of), running
		if a := amended[name]; a != nil {
			delete(amended, name)
			if a.Remove {
				return nil, nil
			}
			keys, src = lay(kind, keys, a.Keys), request
		}
		l.requested[name] = requested
		return keys, src
	}
	keys, src := take("tunnel", t.Name+"/", t.entries, t.Requested)
	if keys == nil {
		return
	}
	l.requested[t.Name] = t.Requested
	l.tunnelTable(place{src: src, path: objectPath(t.Name, "")}, decoded{table: keys})
	for i := range t.Sessions {
		s := &t.Sessions[i]
		if keys, src := take("session", t.Name+"/"+s.Name, s.entries, s.Requested); keys != nil {
			l.sessionTable(place{src: src, path: objectPath(t.Name, s.Name)}, decoded{table: keys})
		}
	}
}

// addRequested adds an object that was not there.
func (l *loader) addRequested(request *source, a *Amendment) {
	at := place{src: request, path: objectPath(a.Tunnel, a.Session)}
	keys := lay("session", map[string]any{}, a.Keys)
	if a.Session != "" {
		l.requested[a.Tunnel+"/"+a.Session] = true
		l.sessionTable(at, decoded{table: keys})
		return
	}
	l.requested[a.Tunnel] = true
	if sessions, ok := keys["session"].(map[string]any); ok {
		for name := range sessions {
			l.requested[a.Tunnel+"/"+name] = true
		}
	}
	l.tunnelTable(at, decoded{table: keys})
}

// inject adds what was created by requests to what files say: where both have an object, the file's
// counts. A tunnel that lost its table stays as it was as long as it has sessions by request.
func (l *loader) inject(c *Config) {
	if c == nil {
		return
	}
	l.requested = map[string]bool{}
	request := written(requestName)
	for i := range c.Tunnels {
		t := &c.Tunnels[i]
		if !t.holdsRequested() {
			continue
		}
		if has := l.byName[t.Name]; has == nil || !has.exists {
			l.requested[t.Name] = true
			l.tunnelTable(place{src: request, path: objectPath(t.Name, "")}, decoded{table: tabled(t.entries)})
		}
		for j := range t.Sessions {
			s := &t.Sessions[j]
			if _, has := l.byName[t.Name].byName[s.Name]; has || !s.Requested {
				continue
			}
			l.requested[t.Name+"/"+s.Name] = true
			l.sessionTable(place{src: request, path: objectPath(t.Name, s.Name)}, decoded{table: tabled(s.entries)})
		}
	}
}

func (t *Tunnel) holdsRequested() bool {
	for i := range t.Sessions {
		if t.Sessions[i].Requested {
			return true
		}
	}
	return t.Requested
}

// written is a source without a text.
func written(name string) *source {
	return &source{name: name, sections: make([]section, 1)}
}

func (src *source) isText() bool { return src.name != requestName && src.name != runningName }

func objectPath(tunnel, session string) []string {
	if session == "" {
		return []string{"tunnel", tunnel}
	}
	return []string{"tunnel", tunnel, "session", session}
}

func tabled(of func(entries)) map[string]any {
	m := map[string]any{}
	of(func(key string, v any) { m[key] = v })
	return m
}

// lay puts keys over those that an object has. What only goes with another circuit leaves with it.
func lay(kind string, has, keys map[string]any) map[string]any {
	out := maps.Clone(has)
	for key, v := range keys {
		if i, ok := tables[kind].index[key]; ok {
			if k := tables[kind].keys[i]; key == k.Alias {
				if _, both := keys[k.Name]; !both {
					key = k.Name
				}
			}
		}
		if v == nil {
			delete(out, key)
			continue
		}
		out[key] = v
	}
	if kind != "session" {
		return out
	}
	drop := func(names ...string) {
		for _, n := range names {
			if _, asked := keys[n]; !asked {
				delete(out, n)
			}
		}
	}
	if attach, changed := keys["attach"]; changed && attach != has["attach"] {
		drop("interface_name", "mtu")
		if s, ok := attach.(string); !ok || s == "" || (&Session{Attach: s}).Switched() {
			drop("vlan", "pw_vlan")
		}
	}
	return out
}

// Keys are the tunnel's keys with their values, those at their default too.
func (t *Tunnel) Keys() map[string]any { return withDefaults("tunnel", t.entries) }

// Keys are the session's keys with their values, those at their default too, cookies in clear.
func (s *Session) Keys() map[string]any { return withDefaults("session", s.entries) }

func withDefaults(kind string, of func(entries)) map[string]any {
	m := map[string]any{}
	for _, k := range tables[kind].keys {
		if k.Default != nil {
			m[k.Name] = k.Default
		}
	}
	of(func(key string, v any) { m[key] = v })
	return m
}

// NewName reports whether a request may give an object this name.
func NewName(name string) error {
	l := newLoader(disk{})
	if !l.checkName(place{src: written(requestName), path: []string{name}}, name) {
		return fmt.Errorf("name %q: %s", name, l.errs[0].Msg)
	}
	return nil
}
