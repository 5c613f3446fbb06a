package config

import (
	"reflect"
	"slices"

	"xwire/l2tp"
)

// Effect is what a change does to traffic.
type Effect uint8

// From none to all: of several the largest counts.
const (
	Hitless     Effect = iota // no frame is lost
	SessionBlip               // frames under way on the session, or on the tunnel's sessions, may be lost
	PortReset                 // the port is closed and opened again
	Restart                   // none before the next start
)

var effects = [...]string{"hitless", "session blip", "port reset", "restart"}

func (e Effect) String() string { return effects[e] }

// blips, resets and live are the keys that are not as most of their table: a change of a session's or a
// tunnel's key is hitless, one of a port's too, one of the appliance's waits for the next start.
var (
	blips = map[string][]string{
		"session": {"enabled", "pseudowire", "sid", "psid", "l2spec_type", "attach", "vlan", "pw_vlan", "interface_name"},
		"tunnel":  {"enabled", "version", "encap", "local", "peer", "vrf", "keyed"},
	}
	resets = []string{"interface", "queues", "mode", "spread", "busy_poll"}
	live   = []string{"unknown", "control_group"}
)

// Delta is one object's difference: Old or New is nil where it was added or removed.
type Delta[T any] struct {
	Old, New *T
	Keys     []string // of one that changed, in the order of a manual
}

// SessionDelta also tells whose session it is: the tunnel as it will be, or was.
type SessionDelta struct {
	Delta[Session]
	Tunnel *Tunnel
}

// Difference is what leads from one configuration to another.
type Difference struct {
	Appliance Delta[Appliance]
	Ports     []Delta[Port]
	Tunnels   []Delta[Tunnel] // without their sessions
	Sessions  []SessionDelta
}

// Compare tells what leads from one configuration to another. Both stay as they are: the difference
// refers to them.
func Compare(from, to *Config) *Difference {
	d := &Difference{}
	if keys := changed("appliance", from.Appliance.entries, to.Appliance.entries); keys != nil {
		d.Appliance = Delta[Appliance]{&from.Appliance, &to.Appliance, keys}
	}
	d.Ports = deltas(from.Ports, to.Ports, func(p *Port) string { return p.Name }, func(a, b *Port) ([]string, bool) {
		keys := changed("port", a.entries, b.entries)
		return keys, keys != nil
	})
	sessions := func(t *Tunnel, from, to []Session) {
		for _, s := range deltas(from, to, func(s *Session) string { return s.Name }, compareSessions) {
			d.Sessions = append(d.Sessions, SessionDelta{s, t})
		}
	}
	olds := make(map[string]*Tunnel, len(from.Tunnels))
	for i := range from.Tunnels {
		olds[from.Tunnels[i].Name] = &from.Tunnels[i]
	}
	d.Tunnels = deltas(from.Tunnels, to.Tunnels, func(t *Tunnel) string { return t.Name }, func(a, b *Tunnel) ([]string, bool) {
		keys := changed("tunnel", a.entries, b.entries)
		return keys, keys != nil || a.Requested != b.Requested
	})
	for i := range to.Tunnels {
		t := &to.Tunnels[i]
		var had []Session
		if old := olds[t.Name]; old != nil {
			had = old.Sessions
			delete(olds, t.Name)
		}
		sessions(t, had, t.Sessions)
	}
	for i := range from.Tunnels {
		if t := &from.Tunnels[i]; olds[t.Name] != nil {
			sessions(t, t.Sessions, nil)
		}
	}
	return d
}

func compareSessions(a, b *Session) ([]string, bool) {
	x, y := *a, *b
	x.Pos, y.Pos = Pos{}, Pos{}
	if x == y {
		return nil, false
	}
	keys := changed("session", a.entries, b.entries)
	return keys, keys != nil || a.Requested != b.Requested
}

// deltas lists what is gone, in the old order, and then what is new or differs, in the new one.
func deltas[T any](from, to []T, name func(*T) string, differ func(a, b *T) ([]string, bool)) (list []Delta[T]) {
	olds := make(map[string]*T, len(from))
	for i := range from {
		olds[name(&from[i])] = &from[i]
	}
	var rest []Delta[T]
	for i := range to {
		n := &to[i]
		old := olds[name(n)]
		if old == nil {
			rest = append(rest, Delta[T]{New: n})
			continue
		}
		delete(olds, name(n))
		if keys, changed := differ(old, n); changed {
			rest = append(rest, Delta[T]{old, n, keys})
		}
	}
	for i := range from {
		if old := &from[i]; olds[name(old)] != nil {
			list = append(list, Delta[T]{Old: old})
		}
	}
	return append(list, rest...)
}

// changed names the keys with another value, a value that is left out being the default.
func changed(kind string, a, b func(entries)) (keys []string) {
	x, y := withDefaults(kind, a), withDefaults(kind, b)
	for _, k := range tables[kind].keys {
		if !reflect.DeepEqual(x[k.Name], y[k.Name]) {
			keys = append(keys, k.Name)
		}
	}
	return keys
}

// Effect tells what a change of a session does to its traffic.
func (d *SessionDelta) Effect() Effect {
	if d.Old == nil || d.New == nil {
		return Hitless // for all others
	}
	if d.Old.Sequence.ReorderTimeout != 0 && !d.New.Sequence.Wanted() {
		return SessionBlip // packets that wait have no place any more
	}
	for _, k := range d.Keys {
		if slices.Contains(blips["session"], k) || k == "rx_cookie" && !d.New.accepts(d.Old) {
			return SessionBlip
		}
	}
	return Hitless
}

// accepts tells whether a cookie that was accepted still is: then a peer that changes from one to the
// other meanwhile loses nothing.
func (s *Session) accepts(was *Session) bool {
	if s.RxCookieCount == 0 || was.RxCookieCount == 0 {
		return s.RxCookieCount == was.RxCookieCount
	}
	return slices.ContainsFunc(s.RxCookies[:s.RxCookieCount], func(c l2tp.Cookie) bool {
		return slices.Contains(was.RxCookies[:was.RxCookieCount], c)
	})
}

// TunnelEffect tells what a change of a tunnel does to its sessions' traffic.
func TunnelEffect(d *Delta[Tunnel]) Effect {
	if d.Old == nil || d.New == nil {
		return Hitless
	}
	return effectOf(d.Keys, blips["tunnel"], SessionBlip, Hitless)
}

// PortEffect tells what a change of a port does to its traffic.
func PortEffect(d *Delta[Port]) Effect {
	if d.Old == nil || d.New == nil {
		return Hitless
	}
	return effectOf(d.Keys, resets, PortReset, Hitless)
}

// ApplianceEffect tells when a change of the appliance's own keys counts.
func ApplianceEffect(keys []string) Effect {
	for _, k := range keys {
		if !slices.Contains(live, k) {
			return Restart
		}
	}
	return Hitless
}

func effectOf(keys, among []string, those, others Effect) Effect {
	if slices.ContainsFunc(keys, func(k string) bool { return slices.Contains(among, k) }) {
		return those
	}
	return others
}
