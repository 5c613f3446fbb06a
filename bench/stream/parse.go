package stream

import (
	"encoding/binary"

	"xwire/bench/traffic"
	"xwire/l2tp"
)

// arrival is a frame as the sink sees it.
type arrival struct {
	stamp
	verdict verdict
	packet  bool   // of L2TP
	v2      bool   // of L2TPv2
	id      uint32 // of the session; of L2TPv2 with the tunnel's in the upper half
	cookie  []byte // behind the session id, with the sublayer
	ppp     bool
	pppoe   pppoe
	tags    [2]l2tp.Tag
	ntags   int
}

// parse takes a frame apart: a customer's, or an L2TP packet with one inside. Without a
// configuration the length of cookie and sublayer is found by trying.
func (a *arrival) parse(frame []byte) {
	*a = arrival{}
	if a.inner(frame) {
		return
	}
	e := l2tp.Ethernet(frame)
	if !e.Valid() {
		return
	}
	tags, n, typ := e.Tags()
	b := frame[l2tp.EthernetLen+n*l2tp.TagLen:]
	protocol := byte(0)
	switch {
	case typ == l2tp.TypePPPoESession:
		if p := l2tp.PPPoE(b); p.Valid() && a.innerPPP(b[l2tp.PPPoELen:l2tp.PPPoELen+p.Len()]) {
			a.pppoe = pppoe{p.SessionID(), l2tp.MAC(frame), l2tp.MAC(frame[6:])}
			a.tags, a.ntags = tags, n
		}
		return
	case typ == l2tp.TypeIPv4 && l2tp.IPv4(b).Valid():
		p := l2tp.IPv4(b)
		protocol, b = p.Protocol(), b[p.HeaderLen():p.TotalLen()]
	case typ == l2tp.TypeIPv6 && l2tp.IPv6(b).Valid():
		p := l2tp.IPv6(b)
		protocol, b = p.NextHeader(), b[l2tp.IPv6Len:l2tp.IPv6Len+p.PayloadLen()]
	}
	switch {
	case protocol == l2tp.ProtoL2TP:
		a.data(b)
	case protocol == l2tp.ProtoUDP && len(b) >= l2tp.UDPLen+l2tp.FlagsLen:
		b = b[l2tp.UDPLen:]
		switch flags := binary.BigEndian.Uint16(b); {
		case l2tp.IsData(flags):
			a.data(b[l2tp.FlagsLen:])
		case l2tp.IsDataV2(flags):
			a.dataV2(b)
		}
	}
}

// data reads L2TPv3 from its session id on.
func (a *arrival) data(b []byte) {
	if len(b) < l2tp.SessionIDLen {
		return
	}
	for skip := l2tp.SessionIDLen; skip <= l2tp.SessionIDLen+12 && skip < len(b); skip += 4 {
		if a.inner(b[skip:]) || a.innerPPP(b[skip:]) {
			a.packet, a.id, a.cookie = true, l2tp.Data(b).SessionID(), b[l2tp.SessionIDLen:skip]
			return
		}
	}
}

// dataV2 reads L2TPv2.
func (a *arrival) dataV2(b []byte) {
	m := l2tp.V2(b)
	if !m.Valid() {
		return
	}
	if n, ok := m.HeaderLen(); ok && a.innerPPP(b[n:]) {
		a.packet, a.v2, a.id = true, true, m.IDs()
	}
}

// inner reads a customer's frame and tells whether it is one of a stream.
func (a *arrival) inner(frame []byte) bool {
	e := l2tp.Ethernet(frame)
	if !e.Valid() {
		return false
	}
	tags, n, typ := e.Tags()
	if typ != traffic.EtherTypeTest {
		return false
	}
	a.verdict = a.get(frame[l2tp.EthernetLen+n*l2tp.TagLen:])
	a.tags, a.ntags = tags, n
	return a.verdict != foreign
}

// misdelivered tells whether a whole frame came out where the plan does not want it: by another
// session, with another cookie, with other tags, or in another PPPoE session.
func (p *Plan) misdelivered(a *arrival) bool {
	if int(a.session) >= len(p.at) || p.at[a.session] < 0 {
		return true
	}
	l := &p.lanes[p.at[a.session]]
	if a.ppp != l.ppp || tagKey(a.tags[:a.ntags]) != tagKey(l.tags) || a.ntags != len(l.tags) {
		return true
	}
	if l.outer == nil {
		return a.packet || l.pppoe != nil && !l.pppoe.takes(&a.pppoe)
	}
	want := l.outer.Cookie.Bytes()
	return !a.packet || a.v2 != l.outer.V2 || a.id != l.outer.SessionID || len(a.cookie) != len(want)+l.outer.Sublayer.Len() ||
		string(a.cookie[:len(want)]) != string(want)
}
