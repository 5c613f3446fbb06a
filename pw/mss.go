package pw

import (
	"encoding/binary"

	"xwire/l2tp"
)

// MSSByPath as SessionSpec.MSS clamps to what the path's MTU leaves.
const MSSByPath = -1

const (
	protoTCP  = 6
	tcpLen    = 20
	tcpSyn    = 0x02
	optionEnd = 0
	optionNop = 1
	optionMSS = 2
)

// clamp lowers the MSS option of a TCP SYN in an Ethernet frame so that segments with headers fit a
// packet of mtu bytes, but not below what every path carries (RFC 879, RFC 8200), or, where mss is
// above 0, to mss; behind tags, and in a customer's PPPoE session as well. Fragments and IPv6 extension headers are left alone.
func clamp(frame []byte, mtu, mss int) {
	if len(frame) < l2tp.EthernetLen {
		return
	}
	_, tags, typ := l2tp.Ethernet(frame).Tags()
	p := frame[l2tp.EthernetLen+tags*l2tp.TagLen:]
	if typ == l2tp.TypePPPoESession && len(p) >= l2tp.PPPoELen {
		clampPPP(p[l2tp.PPPoELen:], mtu-l2tp.PPPoELen, mss)
		return
	}
	clampPacket(typ, p, mtu, mss)
}

// clampPPP does the same in a PPP frame that begins with its protocol, of one byte or two.
func clampPPP(frame []byte, mtu, mss int) {
	if len(frame) < 2 {
		return
	}
	protocol, n := uint16(frame[0]), 1
	if protocol&1 == 0 {
		protocol, n = binary.BigEndian.Uint16(frame), 2
	}
	switch protocol {
	case l2tp.PPPIPv4:
		clampPacket(l2tp.TypeIPv4, frame[n:], mtu-n, mss)
	case l2tp.PPPIPv6:
		clampPacket(l2tp.TypeIPv6, frame[n:], mtu-n, mss)
	}
}

func clampPacket(typ uint16, ip []byte, mtu, mss int) {
	var tcp []byte
	var headers, least int
	switch typ {
	case l2tp.TypeIPv4:
		p := l2tp.IPv4(ip)
		if !p.Valid() || p.Version() != 4 || p.Protocol() != protoTCP || p.Fragment() || p.HeaderLen() < l2tp.IPv4Len || p.HeaderLen() > p.TotalLen() {
			return
		}
		tcp, headers, least = ip[p.HeaderLen():p.TotalLen()], l2tp.IPv4Len+tcpLen, 536
	case l2tp.TypeIPv6:
		p := l2tp.IPv6(ip)
		if !p.Valid() || p.NextHeader() != protoTCP {
			return
		}
		tcp, headers, least = ip[l2tp.IPv6Len:l2tp.IPv6Len+p.PayloadLen()], l2tp.IPv6Len+tcpLen, 1220
	default:
		return
	}
	if mss <= 0 {
		mss = max(mtu-headers, least)
	}
	if len(tcp) < tcpLen || tcp[13]&tcpSyn == 0 {
		return
	}
	end := int(tcp[12]>>4) * 4
	if end > len(tcp) {
		return
	}
	for i := tcpLen; i < end; {
		switch tcp[i] {
		case optionEnd:
			return
		case optionNop:
			i++
			continue
		}
		if i+2 > end || tcp[i+1] < 2 || i+int(tcp[i+1]) > end {
			return
		}
		if tcp[i] == optionMSS && tcp[i+1] == 4 {
			setWord(tcp, i+2, uint16(mss)) // go on: where there are two, the last one counts for Linux
		}
		i += int(tcp[i+1])
	}
}

// setWord lowers a 16-bit value of a TCP header to at most v, and puts the checksum right (RFC 1624).
// The value may begin at an odd place, which swaps its bytes in the sum.
func setWord(tcp []byte, at int, v uint16) {
	old := binary.BigEndian.Uint16(tcp[at:])
	if old <= v {
		return
	}
	binary.BigEndian.PutUint16(tcp[at:], v)
	if at&1 != 0 {
		old, v = old<<8|old>>8, v<<8|v>>8
	}
	sum := l2tp.AddSum(l2tp.AddSum(^binary.BigEndian.Uint16(tcp[16:]), ^old), v)
	binary.BigEndian.PutUint16(tcp[16:], ^sum)
}

// clampFor clamps what a session carries, by the path's present MTU. The frame is n bytes long inside the
// pseudowire.
func (f *Forwarder) clampFor(frame []byte, n uint32, d *session, e *extra) {
	if e.mss > 0 && !d.ppp() {
		clamp(frame, 0, e.mss)
		return
	}
	t := f.table.tunnels.at(d.tunnel)
	h := f.table.hops.at(f.table.hopNow.at(t.hop.Load()).Load())
	over := int(t.hdrLen) - 2 + int(d.partLen)
	if d.v2() && e.seq != nil && e.seq.sends() {
		over += l2tp.V2SequencedLen - int(d.partLen)
	}
	if d.ppp() {
		clampPPP(frame, int(h.mtu)-over-l2tp.PPPAddressControlLen, max(e.mss, 0))
		return
	}
	over += l2tp.EthernetLen + int(n) - len(frame)
	if len(frame) >= l2tp.EthernetLen {
		_, tags, _ := l2tp.Ethernet(frame).Tags()
		over += tags * l2tp.TagLen
	}
	clamp(frame, int(h.mtu)-over, 0)
}
