package config

import (
	"net/netip"

	"xwire/l2tp"
)

// keyedPSID is the session id that RFC 8159 section 3 recommends to send.
const keyedPSID = 0xffffffff

// inheritKeyed gives a keyed tunnel (RFC 8159) the encapsulation that it must have, where none was
// named.
func (t *tunnelDraft) inheritKeyed(given keySet) {
	if t.Keyed && !tables["tunnel"].holds(given, "encap") {
		t.Encap = l2tp.EncapIP
	}
}

// spared are the mandatory keys that an object of a keyed tunnel does without: its packets have no ids
// that anyone looks at.
func (t *tunnelDraft) spared(kind string) (set keySet) {
	if t.Keyed {
		for _, k := range []string{"tid", "ptid", "sid", "psid"} {
			if i, ok := tables[kind].index[k]; ok {
				set |= 1 << i
			}
		}
	}
	return set
}

func (t *tunnelDraft) checkKeyed(p problems) {
	switch {
	case !t.Keyed:
	case t.Encap != l2tp.EncapIP:
		p.errorf("keyed", `needs encap = "ip": a keyed tunnel has no UDP header`)
	case t.Local.IsValid() && !t.IP6():
		p.errorf("keyed", "needs IPv6 addresses, which are its key (RFC 8159); %s is none", t.Local.Addr())
	}
}

// checkKeyed settles what a session of a keyed tunnel has. Those of other tunnels are left alone.
func (s *Session) checkKeyed(t *tunnelDraft, p problems, given keySet) {
	if !t.Keyed {
		return
	}
	if s.SID != 0 {
		p.warnf("sid", "%d has no effect: a keyed tunnel's packets are the session's whatever id they have", s.SID)
		s.SID = 0
	}
	if !tables["session"].holds(given, "psid") {
		s.PSID = keyedPSID
	}
	for _, c := range []struct {
		key    string
		length int
	}{{"tx_cookie", s.TxCookie.Len()}, {"rx_cookie", s.RxCookies[0].Len()}} {
		if c.length != l2tp.MaxCookieLen {
			p.errorf(c.key, "has %d bytes; a keyed tunnel needs cookies of %d, which are all that tells its packets from forged ones (RFC 8159)", c.length, l2tp.MaxCookieLen)
		}
	}
}

// clashingKeyed reports what cannot be beside a keyed tunnel: a second session in it, or a second tunnel
// between the same addresses.
func (l *loader) clashingKeyed() {
	type pair struct{ local, peer netip.Addr }
	keyed := map[pair]*tunnelDraft{}
	for _, t := range l.tunnels {
		if !t.Enabled || !t.Keyed {
			continue
		}
		keyed[pair{t.Local.Addr(), t.Peer.Addr()}] = t
		first := -1
		for i := range t.Sessions {
			switch {
			case !t.Sessions[i].Enabled:
			case first < 0:
				first = i
			default:
				l.errorf(t.sessions[i].place, "", "keyed tunnel %q has session %q already (%s); such a tunnel has one", t.Name, t.Sessions[first].Name, t.Sessions[first].Pos)
			}
		}
	}
	for _, t := range l.tunnels {
		first := keyed[pair{t.Local.Addr(), t.Peer.Addr()}]
		if t.Enabled && t.Encap == l2tp.EncapIP && first != nil && first != t && t.Local.IsValid() {
			problems{l, "tunnel", &t.draft}.errorf("peer", "%s is the peer of keyed tunnel %q (%s) with the same local address; a keyed tunnel has the pair for itself", t.Peer.Addr(), first.Name, first.Pos)
		}
	}
}
