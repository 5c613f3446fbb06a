package config

import (
	"fmt"
	"hash/fnv"
	"strconv"
)

// nameInterfaces gives local interfaces without interface_name a name, and refuses names that are
// used twice. A derived name depends on the session's id and not on the other sessions, so that a
// change elsewhere in the file does not rename an interface that is in a bridge; only a session
// whose name is taken already, by a session above it or by an interface_name, gets one by hash.
func (l *loader) nameInterfaces() {
	type owner struct{ name, pos string }
	taken := map[string]owner{}
	for i := range l.ports {
		if p := &l.ports[i]; p.Interface != "" {
			taken[p.Interface] = owner{"port " + strconv.Quote(p.Name), p.Pos.String()}
		}
	}
	var derive []attached
	for _, t := range l.tunnels {
		for i := range t.Sessions {
			s := &t.Sessions[i]
			if !s.Local() {
				continue
			}
			if s.InterfaceName == "" {
				derive = append(derive, attached{t, i})
				continue
			}
			if !s.Enabled || !t.Enabled {
				continue
			}
			if first, again := taken[s.InterfaceName]; again {
				problems{l, "session", &t.sessions[i]}.errorf("interface_name", "%q is taken by %s (%s); choose another", s.InterfaceName, first.name, first.pos)
				continue
			}
			taken[s.InterfaceName] = owner{"session " + strconv.Quote(t.Name+"/"+s.Name), s.Pos.String()}
		}
	}
	for _, a := range derive {
		s := a.session()
		name := InterfaceName(s.SID)
		if _, again := taken[name]; again || s.SID == 0 {
			name = hashedName(a.t.Name, s.Name)
			if _, again = taken[name]; again {
				problems{l, "session", &a.t.sessions[a.i]}.errorf("interface_name", "is needed: the names that could be derived, %s and %s, are taken", InterfaceName(s.SID), name)
				continue
			}
		}
		s.InterfaceName = name
		if s.Enabled && a.t.Enabled {
			taken[name] = owner{}
		}
	}
}

// InterfaceName returns the name that a local interface has by default: l2tpeth100 for session id
// 100. Ids of more than eight digits are written in hexadecimal, as l2tpxHHHHHHHH: both forms have
// at most 15 bytes, the kernel's limit.
func InterfaceName(sid uint32) string {
	if sid > 99999999 {
		return fmt.Sprintf("l2tpx%08x", sid)
	}
	return "l2tpeth" + strconv.Itoa(int(sid))
}

func hashedName(tunnel, session string) string {
	h := fnv.New32a()
	h.Write([]byte(tunnel + "/" + session))
	return fmt.Sprintf("l2tp-%08x", h.Sum32())
}
