package pw

import (
	"encoding/binary"
	"math/bits"

	"xwire/l2tp"
)

// dropNone is no reason to drop.
const dropNone = Drop(NumDrops)

// maxFrame is the longest frame, in bytes, whose packet is looked at.
const maxFrame = 0xffff

// parseOuter goes down the ladder of a packet's outer headers and fills class, l3, at, end and sid
// of l. The frame has at least an Ethernet header. The UDP checksum is left to whoever has found
// the session.
func parseOuter(b []byte, l *lookup) Drop {
	l3 := l2tp.EthernetLen
	typ := l2tp.Ethernet(b).Type()
	if typ != l2tp.TypeIPv4 && typ != l2tp.TypeIPv6 {
		_, n, t := l2tp.Ethernet(b).Tags()
		l3 += n * l2tp.TagLen
		typ = t
	}
	if len(b) > maxFrame {
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
		l.at, l.sid = uint16(l3+l4), l2tp.Data(p[l4:]).SessionID()
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
			switch {
			case l2tp.IsControl(flags):
				return DropControl
			case !l2tp.IsDataV2(flags):
				return DropVersion
			case !l2tp.V2(m).Valid():
				return DropShort
			}
			l.class |= classV2
			l.at, l.sid = uint16(l3+l4+l2tp.UDPLen), l2tp.V2(m).IDs()
			return dropNone
		}
		if len(m) < l2tp.FlagsLen+l2tp.SessionIDLen {
			return DropShort
		}
		l.at = uint16(l3 + l4 + l2tp.UDPLen + l2tp.FlagsLen)
		l.sid = l2tp.Data(b[l.at:]).SessionID()
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

// quickRow does what parseOuter and the hash do, for a row of packets of one core port that carry
// no tags and nothing odd over IPv4, which are those that mostly arrive. It fills lot and returns
// how many; what it does not take is for a closer look. Nothing is called in its loop.
func (s *seeds) quickRow(mem []byte, fs []Frame, first int, lot []lookup) int {
	s0, s1, s2 := s[0], s[1+classIP4], s[1+classUDP4]
	in := fs[first].In
	i := 0
	for ; i < len(lot) && first+i < len(fs); i++ {
		fr := &fs[first+i]
		addr, size := fr.Addr, fr.Len
		if fr.In != in || size < quickView || size > maxFrame {
			break
		}
		h := (*[quickView]byte)(mem[addr : addr+quickView : addr+quickView])
		w0, w1 := binary.LittleEndian.Uint64(h[12:]), binary.LittleEndian.Uint64(h[20:])
		key := binary.LittleEndian.Uint64(h[26:])
		end := uint32(bits.ReverseBytes16(uint16(w0>>32))) + l2tp.EthernetLen
		sum, c := bits.Add64(w0>>16, w1, 0)
		sum, c = bits.Add64(sum, binary.LittleEndian.Uint64(h[28:])<<16, c)
		// EtherType, version and header length; fragment; length; checksum.
		if w0&0x00ff_ffff != 0x0045_0008 || w1&0xff3f != 0 || end > size || (sum+c)%0xffff != 0 {
			break
		}
		l := &lot[i]
		l.record = 0
		l.frame = uint8(first + i)
		l.l3, l.end = l2tp.EthernetLen, uint16(end)
		l.key0 = key
		var sid, ports uint32
		seed, at := s1, uint32(34)
		class := classIP4
		if w1>>24&0xff == l2tp.ProtoL2TP {
			sid = binary.BigEndian.Uint32(h[34:])
		} else if w1>>24&0xff == l2tp.ProtoUDP {
			if uint32(binary.BigEndian.Uint16(h[38:])) != end-34 || binary.LittleEndian.Uint16(h[42:])&0x0f80 != 0x0300 {
				break
			}
			ports, sid = binary.LittleEndian.Uint32(h[34:]), binary.BigEndian.Uint32(h[46:])
			seed, at = s2, 46
			class = classUDP4
		} else {
			break
		}
		if end < at+l2tp.SessionIDLen || sid == 0 {
			break
		}
		l.class, l.at, l.sid, l.ports = class, uint16(at), sid, ports
		l.tag = tagOf(fold(key^s0, (uint64(ports)<<32|uint64(sid))^seed))
	}
	return i
}

const quickView = 12 + 8*5

// quickOuter6 does the same for one packet over IPv6.
func quickOuter6(b []byte, l *lookup, s *seeds) bool {
	if len(b) < 70 || len(b) > maxFrame {
		return false
	}
	p := (*[70]byte)(b)
	w0, w1 := binary.LittleEndian.Uint64(p[12:]), binary.LittleEndian.Uint64(p[20:])
	end := uint32(bits.ReverseBytes16(uint16(w0>>48))) + l2tp.EthernetLen + l2tp.IPv6Len
	if w0&0x00f0_ffff != 0x0060_dd86 || end > uint32(len(b)) {
		return false
	}
	l.l3, l.end = l2tp.EthernetLen, uint16(end)
	switch byte(w1) {
	case l2tp.ProtoL2TP:
		l.class, l.at, l.ports = classIP6, 54, 0
		l.sid = binary.BigEndian.Uint32(p[54:])
	case l2tp.ProtoUDP:
		if uint32(binary.BigEndian.Uint16(p[58:])) != end-54 || binary.LittleEndian.Uint16(p[62:])&0x0f80 != 0x0300 {
			return false
		}
		l.class, l.at, l.ports = classUDP6, 66, binary.LittleEndian.Uint32(p[54:])
		l.sid = binary.BigEndian.Uint32(p[66:])
	default:
		return false
	}
	l.key0 = binary.LittleEndian.Uint64(p[22:])
	l.tag = s.tag6(l.class, l.key0, binary.LittleEndian.Uint64(p[30:]), binary.LittleEndian.Uint64(p[38:]),
		binary.LittleEndian.Uint64(p[46:]), l.ports, l.sid)
	return end >= uint32(l.at)+l2tp.SessionIDLen && l.sid != 0
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
