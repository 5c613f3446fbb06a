package config

import (
	"net"

	"xwire/l2tp"
)

// PPP reports whether the pseudowire carries PPP. Such a session's attachment circuit is a PPPoE session
// (RFC 2516): on a port, on a local interface, or none where it is switched.
func (s *Session) PPP() bool { return s.Pseudowire == l2tp.PWPPP || s.Pseudowire == l2tp.PWPPPAC }

// setPPPoE takes one of the keys about the PPPoE session.
func (s *Session) setPPPoE(r *reader, key string, v any) {
	switch key {
	case "pppoe_session_id":
		if n, ok := r.integer(key, v, 1, 0xfffe); ok {
			s.PPPoESession = uint16(n)
		}
	case "pppoe_peer_mac":
		s.PPPoEPeer = r.mac(key, v)
	}
}

// mac reads "02:00:00:00:00:01" or an array of six bytes; zero after an error.
func (r *reader) mac(key string, v any) (m l2tp.MAC) {
	switch v := v.(type) {
	case string:
		a, err := net.ParseMAC(v)
		if err != nil || len(a) != len(m) {
			r.errorf(key, `%q is not an Ethernet address; write it as "02:00:00:00:00:01"`, v)
			return l2tp.MAC{}
		}
		m = l2tp.MAC(a)
	case []any:
		if len(v) != len(m) {
			r.errorf(key, "has %d bytes; an Ethernet address has 6", len(v))
			return l2tp.MAC{}
		}
		for i, b := range v {
			n, ok := r.integer(key, b, 0, 255)
			if !ok {
				return l2tp.MAC{}
			}
			m[i] = byte(n)
		}
	default:
		r.errorf(key, `must be an array of 6 bytes or "02:00:00:00:00:01", is %s`, describe(v))
		return m
	}
	if m[0]&1 != 0 || m == (l2tp.MAC{}) {
		r.errorf(key, "%s is no station's address", macText(m))
		return l2tp.MAC{}
	}
	return m
}

// macText is an address as it is read.
func macText(m l2tp.MAC) string { return net.HardwareAddr(m[:]).String() }

// checkVersion settles what is different with L2TPv2.
func (s *Session) checkVersion(p problems, t *Tunnel, mine func(string) bool) {
	if t.Version != 2 {
		return
	}
	if !s.PPP() {
		p.errorf("pseudowire", `must be "ppp" or "pppac" in a tunnel of version "l2tpv2", which carries nothing else`)
	}
	checkV2ID(p, "session", "sid", s.SID)
	checkV2ID(p, "session", "psid", s.PSID)
	if s.TxCookie.Len() > 0 {
		p.errorf("tx_cookie", "L2TPv2 has no cookies; leave it out")
	}
	if s.RxCookieCount > 0 {
		p.errorf("rx_cookie", "L2TPv2 has no cookies; leave it out")
	}
	if s.L2Spec != l2tp.SublayerNone && mine("l2spec_type") {
		p.errorf("l2spec_type", "L2TPv2 has no sublayer; leave it out")
	}
	s.L2Spec, s.L2SpecGiven = l2tp.SublayerNone, false
}

// checkPPP settles what is different with PPP, of a session on a port or on a local interface.
func (s *Session) checkPPP(p problems, mine func(string) bool) {
	pppoe := []string{"pppoe_session_id", "pppoe_peer_mac"}
	if !s.PPP() || s.Switched() {
		for _, k := range pppoe {
			switch {
			case !mine(k):
			case s.Switched():
				p.errorf(k, "has no meaning between two sessions, whose frames are carried as they are; leave it out, or name a port in attach")
			default:
				p.warnf(k, "has no effect with pseudowire = %q", s.Pseudowire)
			}
		}
		s.PPPoESession, s.PPPoEPeer = 0, l2tp.MAC{}
		return
	}
	if s.PWVLAN.Kind != PWKeep && mine("pw_vlan") {
		p.errorf("pw_vlan", "has no meaning with pseudowire = %q, which carries no VLAN tags", s.Pseudowire)
	}
	s.PWVLAN = PWVLAN{}
	if s.Local() {
		return
	}
	switch s.VLAN.Kind {
	case VLANAbsent:
		s.VLAN = VLAN{Kind: VLANUntagged}
	case VLANAll, VLANRange:
		p.errorf("vlan", `%q is not where one PPPoE session can be; use "untagged", a VLAN such as 100, or a pair such as "100.20"`, s.VLAN)
	}
}

// pppoe reports PPP sessions without a PPPoE session, once it is known which are switched. One that is not
// enabled needs none yet: that is what stays of a pair when the other session is deleted.
func (l *loader) pppoe() {
	for _, t := range l.tunnels {
		for i := range t.Sessions {
			s, d := &t.Sessions[i], &t.sessions[i]
			if !s.PPP() || s.Switched() || d.broken || !s.Enabled {
				continue
			}
			p := problems{l, "session", d}
			if s.PPPoESession == 0 && !p.given("pppoe_session_id") {
				p.errorf("pppoe_session_id", `is missing; PPP ends in a PPPoE session of a port or of a local interface, or goes on in another session: attach = "tunnel/session"`)
			}
			if s.PPPoEPeer == (l2tp.MAC{}) && !p.given("pppoe_peer_mac") {
				p.errorf("pppoe_peer_mac", `is missing; say whose PPPoE session it is: "02:00:00:00:00:01"`)
			}
		}
	}
}

// pppoeCircuit is what tells PPPoE sessions of a port apart.
type pppoeCircuit struct {
	port    int
	vlan    VLAN
	session uint16
	peer    l2tp.MAC
}

// pppoeCircuits are those that are taken, by whom. Those with session 0 stand for all of a VLAN.
type pppoeCircuits map[pppoeCircuit]attached

// take gives a PPPoE session to a session, or returns the one that has it. first tells that the VLAN
// had none before, so that it must be free of Ethernet sessions.
func (c pppoeCircuits) take(port int, a attached) (holder attached, taken, first bool) {
	s := a.session()
	k := pppoeCircuit{port, s.VLAN, s.PPPoESession, s.PPPoEPeer}
	if holder, taken = c[k]; taken {
		return holder, true, false
	}
	c[k] = a
	vlan := pppoeCircuit{port: port, vlan: s.VLAN}
	if _, again := c[vlan]; !again {
		c[vlan] = a
		first = true
	}
	return attached{}, false, first
}
