package pw

import (
	"encoding/binary"

	"xwire/l2tp"
)

const (
	protoICMP  = 1
	protoICMP6 = 58

	icmpLen        = 8
	icmpFragNeeded = 0x0304 // type and code, RFC 792
	icmp6TooBig    = 0x0200 // RFC 4443 section 3.2

	// An answer quotes as much as fits a packet that every path carries: RFC 1812 section 4.3.2.3, RFC 4443
	// section 2.4.
	answerLen4 = 576
	answerLen6 = 1280

	// A session may have so many answers at once, and then one every answerEvery nanoseconds.
	answerBurst = 32
	answerEvery = 10_000_000
)

// allowance limits the answers of the sessions whose SessionIDs end alike: when one more is due.
type allowance int64

// take tells whether there may be one more at the time now.
func (k *allowance) take(now int64) bool {
	if *k = max(*k, allowance(now-answerBurst*answerEvery)); int64(*k) > now {
		return false
	}
	*k += answerEvery
	return true
}

// answer tells the sender of a frame, as it would be inside the pseudowire, that its packet is too large
// where the path takes frames of room bytes: an IPv4 packet that must not be fragmented, and any of IPv6.
// False: that is not for us to tell, and the frame is to be treated as without an answer.
//
// The answer comes from the packet's destination, for we have no address among customers, and goes back
// the way that a frame of the peer would come.
func (f *Forwarder) answer(mem []byte, fr *Frame, addr uint64, n uint32, d *session, e *extra, room uint32) bool {
	b := mem[addr : addr+uint64(n)]
	l2, typ := e.packetIn(b)
	if d.port == NoPort || int(room) < l2 {
		return false
	}
	mtu := int(room) - l2
	ip := b[l2:]
	var ok bool
	switch typ {
	case l2tp.TypeIPv4:
		ok = mayAnswer4(ip, mtu)
	case l2tp.TypeIPv6:
		mtu = max(mtu, answerLen6)
		ok = mayAnswer6(ip, mtu)
	}
	if !ok {
		return false
	}
	if len(f.spare) == 0 || !f.answers[d.slot%uint32(len(f.answers))].take(f.now) {
		return true
	}
	made := Frame{Addr: f.spare[len(f.spare)-1], In: fr.In}
	f.spare = f.spare[:len(f.spare)-1]
	out := mem[made.Addr : made.Addr+fragmentRoom]
	copy(out, b[:l2])
	if e.ppp == 0 {
		copy(out, b[6:12])
		copy(out[6:], b[:6])
	}
	made.Len = uint32(l2)
	if typ == l2tp.TypeIPv4 {
		made.Len += fragNeeded(out[l2:], ip, mtu)
	} else {
		made.Len += tooBig(out[l2:], ip, mtu)
	}
	why := dropNone
	if e.ppp != 0 {
		trimPPP(mem, &made)
		why = f.deliverPPP(mem, &made, d, e)
	} else {
		why = f.deliver(mem, &made, d)
	}
	if why != dropNone {
		f.drop(&made, why)
	}
	f.emit(made)
	f.unsettled = true
	return true
}

// packetIn tells how long the header is before the packet in a frame inside the pseudowire, and of what
// EtherType that is; 0 where the frame is none to be answered.
func (e *extra) packetIn(b []byte) (l2 int, typ uint16) {
	if e.ppp != 0 {
		p := l2tp.TrimPPP(b)
		if len(p) < 2 {
			return 0, 0
		}
		switch binary.BigEndian.Uint16(p) {
		case l2tp.PPPIPv4:
			typ = l2tp.TypeIPv4
		case l2tp.PPPIPv6:
			typ = l2tp.TypeIPv6
		}
		return len(b) - len(p) + 2, typ
	}
	if len(b) < l2tp.EthernetLen || (b[0]|b[6])&1 != 0 {
		return 0, 0
	}
	_, tags, typ := l2tp.Ethernet(b).Tags()
	return l2tp.EthernetLen + tags*l2tp.TagLen, typ
}

// mayAnswer4 tells whether RFC 1812 section 4.3.2.7 lets us answer an IPv4 packet that is larger than mtu.
func mayAnswer4(b []byte, mtu int) bool {
	p := l2tp.IPv4(b)
	if len(b) < l2tp.IPv4Len || p.Version() != 4 || p.HeaderLen() < l2tp.IPv4Len || p.TotalLen() > len(b) || p.TotalLen() <= mtu || p.TotalLen() < p.HeaderLen() {
		return false
	}
	word := binary.BigEndian.Uint16(b[6:])
	if word&dontFragment == 0 || word&fragmentOffset != 0 || !aHost4(b[12:16]) || !aHost4(b[16:20]) || l2tp.Sum(0, b[:p.HeaderLen()]) != 0xffff {
		return false
	}
	return p.Protocol() != protoICMP || !isError4(b[p.HeaderLen():p.TotalLen()])
}

// mayAnswer6 is the same for IPv6, RFC 4443 section 2.4.
func mayAnswer6(b []byte, mtu int) bool {
	p := l2tp.IPv6(b)
	if len(b) < l2tp.IPv6Len || p.Version() != 6 || l2tp.IPv6Len+p.PayloadLen() > len(b) || l2tp.IPv6Len+p.PayloadLen() <= mtu {
		return false
	}
	if b[8] == 0xff || b[24] == 0xff || binary.BigEndian.Uint64(b[8:])|binary.BigEndian.Uint64(b[16:]) == 0 {
		return false
	}
	return p.NextHeader() != protoICMP6 || b[l2tp.IPv6Len] >= 128 // below are errors
}

// aHost4 tells whether an address can be one host's.
func aHost4(a []byte) bool { return a[0] != 0 && a[0] < 224 && a[0] != 127 }

func isError4(icmp []byte) bool {
	const errors = 1<<3 | 1<<4 | 1<<5 | 1<<11 | 1<<12
	return len(icmp) == 0 || icmp[0] < 32 && errors>>icmp[0]&1 != 0
}

// fragNeeded writes the answer to an IPv4 packet and returns its length.
func fragNeeded(out, packet []byte, mtu int) uint32 {
	n := copy(out[l2tp.IPv4Len+icmpLen:answerLen4], packet[:l2tp.IPv4(packet).TotalLen()])
	icmp := out[l2tp.IPv4Len : l2tp.IPv4Len+icmpLen+n]
	clear(icmp[:icmpLen])
	binary.BigEndian.PutUint16(icmp, icmpFragNeeded)
	binary.BigEndian.PutUint16(icmp[6:], uint16(mtu))
	binary.BigEndian.PutUint16(icmp[2:], ^l2tp.Sum(0, icmp))
	ip := l2tp.IPv4(out)
	ip.Encode(&l2tp.IPv4Fields{
		TotalLen: uint16(l2tp.IPv4Len + len(icmp)), TTL: hopLimit, Protocol: protoICMP, Src: l2tp.IPv4(packet).Dst(), Dst: l2tp.IPv4(packet).Src(),
	})
	return uint32(l2tp.IPv4Len + len(icmp))
}

// tooBig writes the answer to an IPv6 packet and returns its length.
func tooBig(out, packet []byte, mtu int) uint32 {
	n := copy(out[l2tp.IPv6Len+icmpLen:answerLen6], packet[:l2tp.IPv6Len+l2tp.IPv6(packet).PayloadLen()])
	icmp := out[l2tp.IPv6Len : l2tp.IPv6Len+icmpLen+n]
	clear(icmp[:icmpLen])
	binary.BigEndian.PutUint16(icmp, icmp6TooBig)
	binary.BigEndian.PutUint32(icmp[4:], uint32(mtu))
	src, dst := l2tp.IPv6(packet).Dst(), l2tp.IPv6(packet).Src()
	s := l2tp.AddSum(l2tp.PseudoSum(src[:], dst[:], protoICMP6), uint16(len(icmp)))
	binary.BigEndian.PutUint16(icmp[2:], ^l2tp.Sum(s, icmp))
	l2tp.IPv6(out).Encode(&l2tp.IPv6Fields{PayloadLen: uint16(len(icmp)), NextHeader: protoICMP6, HopLimit: hopLimit, Src: src, Dst: dst})
	return uint32(l2tp.IPv6Len + len(icmp))
}
