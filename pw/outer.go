package pw

import (
	"encoding/binary"
	"math/bits"

	"xwire/l2tp"
)

// dropNone is no reason to drop.
const dropNone = Drop(NumDrops)

// parseOuter goes down the ladder of a packet's outer headers and fills class, l3, at and end of
// l. The frame has at least an Ethernet header. The UDP checksum is left to whoever has found
// the session.
func parseOuter(b []byte, l *lookup) Drop {
	l3 := l2tp.EthernetLen
	typ := l2tp.Ethernet(b).Type()
	if typ != l2tp.TypeIPv4 && typ != l2tp.TypeIPv6 {
		_, n, t := l2tp.Ethernet(b).Tags()
		l3 += n * l2tp.TagLen
		typ = t
	}
	if len(b) > 0xffff {
		return DropIPLength
	}
	p := b[l3:]
	l.l3 = uint8(l3)
	var proto byte
	var l4, end int
	switch typ {
	case l2tp.TypeIPv4:
		if len(p) < l2tp.IPv4Len {
			return DropIPLength
		}
		ip := l2tp.IPv4(p)
		if p[0] != 0x45 {
			if ip.Version() != 4 || ip.HeaderLen() < l2tp.IPv4Len {
				return DropIPHeader
			}
			return DropIPOptions
		}
		end = ip.TotalLen()
		if end < l2tp.IPv4Len || end > len(p) {
			return DropIPLength
		}
		if !ipv4ChecksumOK((*[20]byte)(p)) {
			return DropIPChecksum
		}
		if ip.Fragment() {
			return DropIPFragment
		}
		proto = ip.Protocol()
		l4 = l2tp.IPv4Len
		l.class = classIP4
	case l2tp.TypeIPv6:
		if len(p) < l2tp.IPv6Len {
			return DropIPLength
		}
		ip := l2tp.IPv6(p)
		if ip.Version() != 6 {
			return DropIPHeader
		}
		end = l2tp.IPv6Len + ip.PayloadLen()
		if end > len(p) {
			return DropIPLength
		}
		proto = ip.NextHeader()
		switch proto {
		case 0, 43, 60: // hop-by-hop options, routing, destination options
			return DropIPOptions
		case 44:
			return DropIPFragment
		}
		l4 = l2tp.IPv6Len
		l.class = classIP6
	default:
		return DropNotIP
	}
	switch proto {
	case l2tp.ProtoL2TP:
		if end-l4 < l2tp.SessionIDLen {
			return DropShort
		}
		if l2tp.Data(p[l4:]).SessionID() == 0 {
			return DropControl
		}
		l.at = uint16(l3 + l4)
	case l2tp.ProtoUDP:
		l.class++
		u := l2tp.UDP(p[l4:end])
		if !u.Valid() {
			return DropUDPLength
		}
		end = l4 + u.Len()
		m := p[l4+l2tp.UDPLen : end]
		l.end = uint16(l3 + end)
		if len(m) < 2 {
			return DropShort
		}
		if flags := binary.BigEndian.Uint16(m); !l2tp.IsData(flags) {
			if l2tp.IsControl(flags) {
				return DropControl
			}
			return DropVersion
		}
		if len(m) < l2tp.FlagsLen+l2tp.SessionIDLen {
			return DropShort
		}
		l.at = uint16(l3 + l4 + l2tp.UDPLen + l2tp.FlagsLen)
	default:
		return DropNotL2TP
	}
	l.end = uint16(l3 + end)
	return dropNone
}

// ipv4ChecksumOK verifies a header without options. The ones' complement sum of a right header is
// 0xffff or a multiple of it, in any byte order and word size; it cannot be 0, as the version is
// not.
func ipv4ChecksumOK(h *[20]byte) bool {
	s, c := bits.Add64(binary.LittleEndian.Uint64(h[0:8]), binary.LittleEndian.Uint64(h[8:16]), 0)
	s, c = bits.Add64(s, uint64(binary.LittleEndian.Uint32(h[16:20])), c)
	s, c = bits.Add64(s, 0, c)
	return (s+c)%0xffff == 0
}

// flowOf returns what names the tunnel of a packet whose l3 and class are known and whose headers
// are complete.
func flowOf(b []byte, l *lookup) (f flow) {
	f.class = l.class
	p := b[l.l3:]
	l4 := p[l2tp.IPv4Len:]
	if l.class.ip6() {
		for i := range f.key {
			f.key[i] = binary.LittleEndian.Uint64(p[8+8*i:])
		}
		l4 = p[l2tp.IPv6Len:]
	} else {
		f.key[0] = binary.LittleEndian.Uint64(p[12:])
	}
	if l.class.udp() {
		f.ports = binary.LittleEndian.Uint32(l4)
	}
	return f
}

// udpSumOK verifies the UDP checksum, if there is one.
func udpSumOK(b []byte, l *lookup) (present, ok bool) {
	p := b[l.l3:l.end]
	addrs, l4 := p[12:20], p[l2tp.IPv4Len:]
	if l.class.ip6() {
		addrs, l4 = p[8:40], p[l2tp.IPv6Len:]
	}
	if l2tp.UDP(l4).Checksum() == 0 {
		return false, true
	}
	s := l2tp.AddSum(l2tp.Sum(0, addrs), l2tp.ProtoUDP)
	s = l2tp.AddSum(s, uint16(len(l4)))
	return true, l2tp.Sum(s, l4) == 0xffff
}
