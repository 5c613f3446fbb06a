package pathmtu

import (
	"encoding/binary"
	"net/netip"

	"xwire/l2tp"
)

const (
	icmpHeader      = 8
	icmpUnreachable = 3 // RFC 792, with
	icmpFragNeeded  = 4
	icmp6TooBig     = 2 // RFC 4443 section 3.2
	nextFragment    = 44
	fragmentHeader  = 8

	// leastIP4 and leastIP6 are the smallest path MTUs that are believed: the kernel's min_pmtu, and
	// what RFC 8200 section 5 has every link carry.
	leastIP4 = 552
	leastIP6 = 1280
)

// plateaus are what links were made for, RFC 1191 section 7.1: for routers that tell no MTU.
var plateaus = [...]int{32000, 17914, 8166, 4352, 2002, 1492, 1006, leastIP4}

// Report is one such message about a packet of ours. Anyone can send one: what it quotes is to be
// compared with what we send.
type Report struct {
	Local, Peer netip.AddrPort // of the packet; ports are 0 over IP
	Encap       l2tp.Encap
	MTU         int    // bytes, of an outer IP packet
	Message     []byte // what is quoted of the L2TP message, perhaps nothing; valid until the next Read
}

// parse4 reads an IPv4 packet with an ICMP message.
func parse4(packet []byte) (r Report, ok bool) {
	if len(packet) < l2tp.IPv4Len || packet[0]>>4 != 4 {
		return r, false
	}
	hlen := int(packet[0]&15) * 4
	if hlen < l2tp.IPv4Len || len(packet) < hlen+icmpHeader+l2tp.IPv4Len {
		return r, false
	}
	icmp := packet[hlen:]
	if icmp[0] != icmpUnreachable || icmp[1] != icmpFragNeeded || l2tp.Sum(0, icmp) != 0xffff {
		return r, false
	}
	q := icmp[icmpHeader:]
	qlen := int(q[0]&15) * 4
	if q[0]>>4 != 4 || qlen < l2tp.IPv4Len || len(q) < qlen || binary.BigEndian.Uint16(q[6:])&0x1fff != 0 {
		return r, false
	}
	r.MTU = int(binary.BigEndian.Uint16(icmp[6:]))
	if r.MTU == 0 {
		r.MTU = below(int(binary.BigEndian.Uint16(q[2:])))
	}
	r.MTU = max(r.MTU, leastIP4)
	src, dst := netip.AddrFrom4([4]byte(q[12:16])), netip.AddrFrom4([4]byte(q[16:20]))
	return r, r.quoted(src, dst, q[9], q[qlen:])
}

// below is the largest plateau under a packet's length.
func below(length int) int {
	for _, p := range plateaus {
		if p < length {
			return p
		}
	}
	return leastIP4
}

// parse6 reads an ICMPv6 message whose checksum is right.
func parse6(icmp []byte) (r Report, ok bool) {
	if len(icmp) < icmpHeader+l2tp.IPv6Len || icmp[0] != icmp6TooBig {
		return r, false
	}
	q := icmp[icmpHeader:]
	if q[0]>>4 != 6 {
		return r, false
	}
	proto, l4 := q[6], q[l2tp.IPv6Len:]
	if proto == nextFragment {
		if len(l4) < fragmentHeader || binary.BigEndian.Uint16(l4[2:])&^7 != 0 {
			return r, false
		}
		proto, l4 = l4[0], l4[fragmentHeader:]
	}
	r.MTU = int(min(max(binary.BigEndian.Uint32(icmp[4:]), leastIP6), 65535))
	src, dst := netip.AddrFrom16([16]byte(q[8:24])), netip.AddrFrom16([16]byte(q[24:40]))
	return r, r.quoted(src, dst, proto, l4)
}

// quoted fills in what tells the tunnel.
func (r *Report) quoted(src, dst netip.Addr, proto byte, l4 []byte) bool {
	var sport, dport uint16
	switch proto {
	case l2tp.ProtoL2TP:
		r.Encap = l2tp.EncapIP
	case l2tp.ProtoUDP:
		if len(l4) < l2tp.UDPLen {
			return false
		}
		r.Encap = l2tp.EncapUDP
		sport, dport = l2tp.UDP(l4).SrcPort(), l2tp.UDP(l4).DstPort()
		l4 = l4[l2tp.UDPLen:]
	default:
		return false
	}
	r.Local, r.Peer, r.Message = netip.AddrPortFrom(src, sport), netip.AddrPortFrom(dst, dport), l4
	return true
}
