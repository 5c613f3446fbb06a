package stream

import (
	"cmp"
	"encoding/binary"

	"xwire/bench/traffic"
	"xwire/config"
	"xwire/l2tp"
)

// pppoe is the PPPoE session in which PPP frames are on the access side. An address of zeros is
// the source's own (MACs), and any to the sink.
type pppoe struct {
	id       uint16
	dst, src l2tp.MAC
}

// newPPPoE is a session's. On a port the peer of the configuration is the customer; on a local interface
// xwire has that address itself.
func newPPPoE(s *config.Session, send bool) *pppoe {
	p := &pppoe{id: s.PPPoESession}
	if send == s.Local() {
		p.dst = s.PPPoEPeer
	} else {
		p.src = s.PPPoEPeer
	}
	return p
}

// takes tells whether a frame of got is one of the session.
func (p *pppoe) takes(got *pppoe) bool {
	return p.id == got.id && cmp.Or(p.dst, got.dst) == got.dst && cmp.Or(p.src, got.src) == got.src
}

// ToPort is a session whose frames the box takes only when they are sent to its port's address; "" if there
// is none.
func (p *Plan) ToPort() string {
	for i := range p.lanes {
		if l := &p.lanes[i]; l.pppoe != nil && l.pppoe.dst == (l2tp.MAC{}) {
			return l.name
		}
	}
	return ""
}

// A PPP frame's stamp is in a UDP packet without checksum over IPv4, between addresses that are for
// measurements (RFC 2544 appendix C.2.2); the last two bytes of the source's are the flow.
const (
	pppLen  = 2 + l2tp.IPv4Len + l2tp.UDPLen // protocol and headers
	udpPort = 9                              // discard
)

// appendPPP appends everything before the stamp of a PPP frame.
func (l *lane) appendPPP(b []byte, macs MACs, flow uint16, body int) []byte {
	if c := l.pppoe; c != nil {
		b = traffic.AppendEthernet(b, cmp.Or(c.dst, macs.Dst), cmp.Or(c.src, macs.Src), l.tags)
		b = binary.BigEndian.AppendUint16(b, l2tp.TypePPPoESession)
		var h [l2tp.PPPoELen]byte
		l2tp.PPPoE(h[:]).Encode(c.id, pppLen+body)
		b = append(b, h[:]...)
	} else {
		b = binary.BigEndian.AppendUint16(b, l2tp.PPPAddressControl)
	}
	b = binary.BigEndian.AppendUint16(b, l2tp.PPPIPv4)
	f := l2tp.IPv4Fields{TotalLen: uint16(l2tp.IPv4Len + l2tp.UDPLen + body), TTL: 64, Protocol: l2tp.ProtoUDP,
		Src: [4]byte{198, 18, byte(flow >> 8), byte(flow)}, Dst: [4]byte{198, 19, 0, 1}}
	var h [l2tp.IPv4Len + l2tp.UDPLen]byte
	l2tp.IPv4(h[:]).Encode(&f)
	l2tp.UDP(h[l2tp.IPv4Len:]).Encode(udpPort, udpPort, uint16(l2tp.UDPLen+body))
	return append(b, h[:]...)
}

// innerPPP reads a PPP frame, with address and control or without, and tells whether it is one of a stream.
func (a *arrival) innerPPP(b []byte) bool {
	b = l2tp.TrimPPP(b)
	if len(b) < pppLen || binary.BigEndian.Uint16(b) != l2tp.PPPIPv4 {
		return false
	}
	p := l2tp.IPv4(b[2:])
	if !p.Valid() || p.HeaderLen() != l2tp.IPv4Len || p.Protocol() != l2tp.ProtoUDP || l2tp.Sum(0, p[:l2tp.IPv4Len]) != 0xffff {
		return false
	}
	u := l2tp.UDP(p[l2tp.IPv4Len:p.TotalLen()])
	if !u.Valid() || u.SrcPort() != udpPort || u.DstPort() != udpPort {
		return false
	}
	a.verdict = a.get(u[l2tp.UDPLen:])
	a.ppp = a.verdict != foreign
	return a.ppp
}
