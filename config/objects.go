package config

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// keys gives a table's values to set, one by one, and returns which keys were there.
func (l *loader) keys(at place, kind string, d decoded, skip string, set func(r *reader, key string, v any)) (own keySet) {
	t := tables[kind]
	r := reader{l: l, at: at}
	for key, v := range d.all() {
		if key == skip {
			continue
		}
		i, ok := t.index[key]
		if !ok {
			names := t.names
			if skip != "" {
				names = append(names[:len(names):len(names)], skip)
			}
			l.unknownKey(at, key, names)
			continue
		}
		if own.has(1 << i) {
			l.errorf(at, t.keys[i].Alias, "is another name of %s, which is given too; leave one out", t.keys[i].Name)
			continue
		}
		own |= 1 << i
		set(&r, key, v)
	}
	return own
}

func (l *loader) applianceTable(at place, d decoded) {
	if l.appliance.exists {
		l.twice(at, l.appliance.place, "the appliance")
		return
	}
	l.appliance = draft{place: at, exists: true}
	l.builtin("appliance", at, l.cfg.Appliance.set)
	l.keys(at, "appliance", d, "", l.cfg.Appliance.set)
}

// builtin applies the defaults of the table in defaults.go.
func (l *loader) builtin(kind string, at place, set func(r *reader, key string, v any)) {
	r := reader{l: l, at: at}
	for _, k := range tables[kind].keys {
		if k.Default != nil {
			set(&r, k.Name, k.Default)
		}
	}
}

func (l *loader) portTable(at place, d decoded) {
	name := at.path[1]
	if i, again := l.portByName[name]; again {
		l.twice(at, l.ports[i].place, "the port")
		return
	}
	if !l.checkName(at, name) {
		return
	}
	p := portDraft{draft: draft{place: at, exists: true, broken: d.err != nil}}
	p.Name = strings.Clone(name)
	p.Pos = Pos{at.src.name, at.line("")}
	l.builtin("port", at, p.set)
	p.own = l.keys(at, "port", d, "", p.set)
	l.portByName[p.Name] = len(l.ports)
	l.ports = append(l.ports, p)
}

// tunnelDraft returns the tunnel of that name, which is made when it is named for the first time;
// nil after an error.
func (l *loader) tunnelDraft(at place, name string) *tunnelDraft {
	if t := l.byName[name]; t != nil {
		if t.src == at.src || !at.src.isText() {
			return t
		}
		// Once for each file: its sessions would all say the same.
		if stray := at.src.name + "\x00" + name; !l.strays[stray] {
			l.strays[stray] = true
			l.errorf(at, "", "tunnel %q stands in %s already; a name may stand in one file only", name, t.Pos)
		}
		return nil
	}
	if !l.checkName(at, name) {
		return nil
	}
	t := &tunnelDraft{draft: draft{place: place{src: at.src, sec: at.sec, path: at.path[:2]}}, byName: map[string]int{}}
	if len(at.rel) > 0 {
		t.rel = at.rel[:max(0, len(at.rel)-len(at.path)+2)]
	}
	t.Name = strings.Clone(name)
	t.Pos = Pos{at.src.name, at.line("")}
	l.byName[t.Name] = t
	l.tunnels = append(l.tunnels, t)
	return t
}

func (l *loader) tunnelTable(at place, d decoded) {
	t := l.tunnelDraft(at, at.path[1])
	if t == nil {
		return
	}
	if t.exists {
		l.twice(at, t.place, "the tunnel")
		return
	}
	t.place, t.exists, t.broken = at, true, d.err != nil
	t.Pos = Pos{at.src.name, at.line("")}
	t.own = l.keys(at, "tunnel", d, "session", t.set)
	if v, ok := d.table["session"]; ok {
		l.child(at, "session", "[tunnel.NAME.session.NAME]", v, below(d.keys)["session"])
	}
}

func (l *loader) sessionTable(at place, d decoded) {
	t := l.tunnelDraft(at, at.path[1])
	if t == nil {
		return
	}
	name := at.path[3]
	if i, again := t.byName[name]; again {
		l.twice(at, t.sessions[i].place, "the session")
		return
	}
	if !l.checkName(at, name) {
		return
	}
	t.Sessions = append(t.Sessions, Session{Name: strings.Clone(name), Pos: Pos{at.src.name, at.line("")}})
	t.sessions = append(t.sessions, draft{place: at, exists: true, broken: d.err != nil})
	i := len(t.Sessions) - 1
	t.byName[t.Sessions[i].Name] = i
	s := &t.Sessions[i]
	t.sessions[i].own = l.keys(at, "session", d, "", s.set)
	if f, ok := d.table["cookie_file"].(string); ok && f != "" {
		l.useCookieFile(at, t, i, f)
	}
}

func (l *loader) twice(at, first place, what string) {
	if at.src != first.src {
		l.errorf(at, "", "%s stands in %s:%d already; a name may stand in one file only", what, first.src.name, first.line(""))
		return
	}
	l.errorf(at, "", "%s stands in line %d already; put all its keys there", what, first.line(""))
}

// maxName is in bytes. Names stand in metrics, file names and commands ("tunnel/session").
const maxName = 255

func (l *loader) checkName(at place, name string) bool {
	switch {
	case name == "":
		l.errorf(at, "", "has an empty name; give it one")
	case name == "." || name == "..":
		l.errorf(at, "", "has a name that is a folder in paths; rename it")
	case len(name) > maxName:
		l.errorf(at, "", "has a name of %d bytes; %d is the most", len(name), maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(c rune) bool {
		return c == '/' || !unicode.IsPrint(c)
	}):
		l.errorf(at, "", "has a name with a slash or an unprintable character; rename it")
	default:
		return true
	}
	return false
}
