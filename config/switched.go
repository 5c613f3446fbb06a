package config

import (
	"strings"

	"xwire/l2tp"
)

// Switched reports whether the session's attachment circuit is another session, which Attach then
// names as "tunnel/session".
func (s *Session) Switched() bool { return strings.Contains(s.Attach, "/") }

// switched checks sessions that are attached to sessions. It is enough that one of the two names the
// other: then the other is attached to it.
func (l *loader) switched() {
	var pairs []attached
	for _, t := range l.tunnels {
		for i := range t.Sessions {
			if t.Sessions[i].Switched() {
				pairs = append(pairs, attached{t, i})
			}
		}
	}
	if pairs == nil {
		return
	}
	byName, names := map[string]attached{}, []string(nil)
	for _, t := range l.tunnels {
		for i := range t.Sessions {
			name := t.Name + "/" + t.Sessions[i].Name
			byName[name] = attached{t, i}
			names = append(names, name)
		}
	}
	asked := map[string]attached{} // by the session that is named, and does not name one itself
	for _, a := range pairs {
		s, own := a.session(), a.t.Name+"/"+a.session().Name
		p := problems{l, "session", &a.t.sessions[a.i]}
		other, ok := byName[s.Attach]
		if !ok {
			p.errorf("attach", "%q is not a session; name tunnel/session%s", s.Attach, suggest(s.Attach, names))
			continue
		}
		o := other.session()
		first, again := asked[s.Attach]
		switch {
		case o == s:
			p.errorf("attach", "%q is the session itself; name the session to which its frames go", s.Attach)
		case o.Attach != "" && o.Attach != own && !o.Switched():
			p.errorf("attach", "session %q (%s) is attached to port %q; take attach and vlan out there", s.Attach, o.Pos, o.Attach)
		case o.Attach != "" && o.Attach != own:
			p.errorf("attach", "session %q (%s) is attached to session %q; only two can be switched", s.Attach, o.Pos, o.Attach)
		case again:
			p.errorf("attach", "session %q is named by session %q already (%s); only two can be switched", s.Attach, first.t.Name+"/"+first.session().Name, first.session().Pos)
		case o.Attach == "" && other.named():
			p.errorf("attach", "session %q (%s) has the interface %q; take interface_name out there", s.Attach, o.Pos, o.InterfaceName)
		case o.Pseudowire != s.Pseudowire && !(o.PPP() && s.PPP()):
			p.errorf("attach", `session %q (%s) has pseudowire = "%v", this one "%v"; both must be of one type`, s.Attach, o.Pos, o.Pseudowire, s.Pseudowire)
		case o.Attach == "":
			asked[s.Attach] = a
		}
	}
	for name, a := range asked {
		o := byName[name].session()
		o.Attach = a.t.Name + "/" + a.session().Name
		o.InterfaceName, o.MTU, o.VLAN, o.PWVLAN = "", 0, VLAN{}, PWVLAN{}
		o.PPPoESession, o.PPPoEPeer = 0, l2tp.MAC{}
	}
}

// named tells whether somebody has chosen the name of the session's interface: what runs has one in any case.
func (a attached) named() bool {
	s := a.session()
	derived := s.InterfaceName == InterfaceName(s.SID) || s.InterfaceName == hashedName(a.t.Name, s.Name)
	return s.InterfaceName != "" && (!derived || a.t.sessions[a.i].place.src.isText())
}
