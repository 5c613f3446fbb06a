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
	packet  bool // of L2TPv3
	id      uint32
	cookie  []byte // behind the session id
	tags    [2]l2tp.Tag
	ntags   int
}

// parse takes a frame apart: a customer's, or an L2TPv3 packet with one inside. Without a
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
	_, n, typ := e.Tags()
	b := frame[l2tp.EthernetLen+n*l2tp.TagLen:]
	protocol := byte(0)
	switch {
	case typ == l2tp.TypeIPv4 && l2tp.IPv4(b).Valid():
		p := l2tp.IPv4(b)
		protocol, b = p.Protocol(), b[p.HeaderLen():p.TotalLen()]
	case typ == l2tp.TypeIPv6 && l2tp.IPv6(b).Valid():
		p := l2tp.IPv6(b)
		protocol, b = p.NextHeader(), b[l2tp.IPv6Len:l2tp.IPv6Len+p.PayloadLen()]
	}
	if protocol == l2tp.ProtoUDP && len(b) >= l2tp.UDPLen+l2tp.FlagsLen {
		b = b[l2tp.UDPLen:]
		if !l2tp.IsData(binary.BigEndian.Uint16(b)) {
			return
		}
		b = b[l2tp.FlagsLen:]
	} else if protocol != l2tp.ProtoL2TP {
		return
	}
	if len(b) < l2tp.SessionIDLen {
		return
	}
	id := l2tp.Data(b).SessionID()
	for skip := l2tp.SessionIDLen; skip <= l2tp.SessionIDLen+12 && skip < len(b); skip += 4 {
		if a.inner(b[skip:]) {
			a.packet, a.id, a.cookie = true, id, b[l2tp.SessionIDLen:skip]
			return
		}
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
// session, with another cookie, or with other tags.
func (p *Plan) misdelivered(a *arrival) bool {
	if int(a.session) >= len(p.at) || p.at[a.session] < 0 {
		return true
	}
	l := &p.lanes[p.at[a.session]]
	if tagKey(a.tags[:a.ntags]) != tagKey(l.tags) || a.ntags != len(l.tags) {
		return true
	}
	if l.outer == nil {
		return a.packet
	}
	want := l.outer.Cookie.Bytes()
	return !a.packet || a.id != l.outer.SessionID || len(a.cookie) != len(want)+l.outer.Sublayer.Len() ||
		string(a.cookie[:len(want)]) != string(want)
}
