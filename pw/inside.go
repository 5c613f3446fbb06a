package pw

import (
	"encoding/binary"

	"xwire/l2tp"
)

const protoSCTP = 132

// inside is what outer headers want to know of a frame.
type inside struct {
	ip     []byte // an IPv4 or IPv6 packet with its fixed header, to the frame's end; nil: none
	tagged bool   // there is a VLAN tag
	pcp    uint8  // its priority
}

// lookInside goes behind skip tags that are not the customer's, up to two that are, and a PPPoE
// session's header. The frame has at least an Ethernet header.
func lookInside(frame []byte, skip int) (in inside) {
	if len(frame) < l2tp.EthernetLen {
		return in
	}
	typ := binary.BigEndian.Uint16(frame[12:])
	p := frame[l2tp.EthernetLen:]
	for i := 0; i < skip+2 && l2tp.IsTPID(typ) && len(p) >= l2tp.TagLen; i++ {
		if i == skip {
			in.tagged, in.pcp = true, p[0]>>5
		}
		typ = binary.BigEndian.Uint16(p[2:])
		p = p[l2tp.TagLen:]
	}
	if typ == l2tp.TypePPPoESession {
		if len(p) >= l2tp.PPPoELen {
			in.ip = insidePPP(p[l2tp.PPPoELen:])
		}
		return in
	}
	in.ip = packetOf(typ, p)
	return in
}

// insidePPP returns the packet in a PPP frame that begins with its protocol, of two bytes.
func insidePPP(p []byte) []byte {
	if len(p) < 2 {
		return nil
	}
	switch binary.BigEndian.Uint16(p) {
	case l2tp.PPPIPv4:
		return packetOf(l2tp.TypeIPv4, p[2:])
	case l2tp.PPPIPv6:
		return packetOf(l2tp.TypeIPv6, p[2:])
	}
	return nil
}

// packetOf returns p if it is a packet with its fixed header.
func packetOf(typ uint16, p []byte) []byte {
	if typ == l2tp.TypeIPv4 && len(p) >= l2tp.IPv4Len && p[0] >= 0x45 && p[0] <= 0x4f ||
		typ == l2tp.TypeIPv6 && len(p) >= l2tp.IPv6Len && p[0]>>4 == 6 {
		return p
	}
	return nil
}

// tos is the packet's TOS or traffic class; 0 if there is none.
func (in *inside) tos() uint8 {
	if in.ip == nil {
		return 0
	}
	return tosOf(in.ip)
}

// tosOf is the TOS or traffic class of an IP header.
func tosOf(ip []byte) uint8 {
	if ip[0]>>4 == 6 {
		return uint8(binary.BigEndian.Uint16(ip) >> 4)
	}
	return ip[1]
}

// ttl is the packet's TTL or hop limit, at least 1: nobody would send 0 on. 0 if there is no packet.
func (in *inside) ttl() uint8 {
	switch {
	case in.ip == nil:
		return 0
	case in.ip[0]>>4 == 6:
		return max(in.ip[7], 1)
	}
	return max(in.ip[8], 1)
}

// df tells whether routers may cut the packet up; DFTunnel if there is none.
func (in *inside) df() DF {
	switch {
	case in.ip == nil:
		return DFTunnel
	case in.ip[0]>>4 == 6 || in.ip[6]&(dontFragment>>8) != 0:
		return DFSet
	}
	return DFClear
}

// setECN changes the congestion field, and an IPv4 header's checksum with it (RFC 1624).
func (in *inside) setECN(ecn uint8) {
	if in.ip[0]>>4 == 6 {
		in.ip[1] = in.ip[1]&^(ecnMask<<4) | ecn<<4
		return
	}
	was := binary.BigEndian.Uint16(in.ip)
	in.ip[1] = in.ip[1]&^ecnMask | ecn
	sum := l2tp.AddSum(l2tp.AddSum(^binary.BigEndian.Uint16(in.ip[10:]), ^was), binary.BigEndian.Uint16(in.ip))
	binary.BigEndian.PutUint16(in.ip[10:], ^sum)
}

// hash is the same for all frames of a flow: addresses, protocol and ports, these where every packet
// of the flow has them; of frames without IP the MACs and the type.
func (in *inside) hash(frame []byte, s *seeds) uint32 {
	p := in.ip
	if p == nil {
		if len(frame) < l2tp.EthernetLen {
			return 0
		}
		macs := binary.BigEndian.Uint64(frame)
		rest := uint64(binary.BigEndian.Uint32(frame[8:]))<<16 | uint64(binary.BigEndian.Uint16(frame[12:]))
		return tagOf(fold(macs^s[0], rest^s[1]))
	}
	var h uint64
	var proto byte
	var l4 []byte
	if p[0]>>4 == 6 {
		proto, l4 = p[6], p[l2tp.IPv6Len:]
		h = fold(binary.BigEndian.Uint64(p[8:])^s[0], binary.BigEndian.Uint64(p[16:])^s[1]) ^
			fold(binary.BigEndian.Uint64(p[24:])^s[2], binary.BigEndian.Uint64(p[32:])^s[3])
	} else {
		ip := l2tp.IPv4(p)
		proto = ip.Protocol()
		if !ip.Fragment() && len(p) >= ip.HeaderLen() {
			l4 = p[ip.HeaderLen():]
		}
		h = fold(binary.BigEndian.Uint64(p[12:])^s[0], s[1])
	}
	ports := uint64(proto) << 32
	switch proto {
	case protoTCP, l2tp.ProtoUDP, protoSCTP:
		if len(l4) >= 4 {
			ports |= uint64(binary.BigEndian.Uint32(l4))
		}
	}
	return tagOf(fold(h^s[4], ports^s[5]))
}
