package pw

import (
	"encoding/binary"
	"fmt"

	"xwire/l2tp"
)

// Marking is what a session's packets say in their outer headers otherwise than the tunnel's. Its
// zero value changes nothing.
type Marking struct {
	TTL      uint8 // or hop limit; 0: the tunnel's
	TTLInner bool  // that of the IPv4 or IPv6 packet inside; of other frames the tunnel's
	DF       DF
	TOS      uint8 // with TOSFixed: DSCP and ECN bits, or traffic class
	TOSFrom  TOSFrom

	// PCP gives packets of frames with a VLAN tag the DSCP (0 to 63) that stands in DSCP at the
	// priority of the outermost tag, behind Skip tags which are not the customer's. Others get theirs
	// as TOSFrom says.
	PCP  bool
	DSCP [8]uint8
	Skip uint8 // 0 to 2

	// ECN copies the congestion field of the packet inside to the outer header, and combines both
	// where the session's packets end (RFC 6040 section 4: normal mode). Without it 0 is sent, but
	// for TOSFixed, and what arrives outside is ignored.
	ECN bool

	// FlowLabel and SourcePort spread a tunnel over paths: the IPv6 flow label, or the UDP source port
	// of 49152 to 65535, is a hash of the flow inside. For the latter the peer must take any port.
	FlowLabel, SourcePort bool
}

// TOSFrom tells where the outer header's DSCP comes from.
type TOSFrom uint8

const (
	TOSTunnel TOSFrom = iota // from the tunnel
	TOSFixed                 // from Marking.TOS
	TOSInner                 // from the IPv4 or IPv6 packet inside, behind up to two VLAN tags; 0 for others
)

// DF is the IPv4 bit "don't fragment". Fragments that we send have it too: nobody else may make more.
type DF uint8

const (
	DFTunnel DF = iota // as the tunnel
	DFClear
	DFSet
	DFInner // as the IPv4 packet inside, set for IPv6; of other frames the tunnel's
)

// ClassSelectors is the usual Marking.DSCP: class selector n for priority n (RFC 2474 section 4.2.2.1).
var ClassSelectors = [8]uint8{0, 8, 16, 24, 32, 40, 48, 56}

func (m *Marking) check() error {
	if m.DF > DFInner || m.TOSFrom > TOSInner || m.Skip > 2 {
		return fmt.Errorf("marking %+v: DF, TOSFrom or Skip is out of range", *m)
	}
	for _, c := range m.DSCP {
		if c > 63 {
			return fmt.Errorf("DSCP %d: must be 0 to 63", c)
		}
	}
	if m.TOS != 0 && m.TOSFrom != TOSFixed {
		return fmt.Errorf("TOS %#x: needs TOSFixed", m.TOS)
	}
	if m.TTL != 0 && m.TTLInner {
		return fmt.Errorf("TTL %d: is to be that of the packet inside", m.TTL)
	}
	return nil
}

// wanted tells whether there is anything to do.
func (m *Marking) wanted() bool { return *m != Marking{} && *m != Marking{Skip: m.Skip, DSCP: m.DSCP} }

// marks are a packet's, read from the frame before it is changed.
type marks struct {
	tos  uint8
	ttl  uint8 // 0: the tunnel's
	df   DF    // never DFInner
	flow uint32
}

const (
	ecnMask  = 3
	firstEph = 49152 // RFC 6335 section 6: dynamic ports
)

// read looks into a customer's frame, or, with ppp, into one of PPP that begins with its protocol.
// fixed is the tunnel's TOS.
func (m *Marking) read(frame []byte, ppp bool, fixed uint8, s *seeds) (k marks) {
	k.tos, k.ttl, k.df = fixed, m.TTL, m.DF
	if !m.PCP && !m.ECN && !m.FlowLabel && !m.SourcePort && !m.TTLInner && m.DF != DFInner && m.TOSFrom != TOSInner {
		if m.TOSFrom == TOSFixed {
			k.tos = m.TOS
		}
		return k
	}
	var in inside
	if ppp {
		in.ip = insidePPP(frame)
	} else {
		in = lookInside(frame, int(m.Skip))
	}
	switch m.TOSFrom {
	case TOSFixed:
		k.tos = m.TOS
	case TOSInner:
		k.tos = in.tos() &^ ecnMask
	}
	if m.PCP && in.tagged {
		k.tos = m.DSCP[in.pcp&7] << 2
	}
	if m.ECN {
		k.tos = k.tos&^ecnMask | in.tos()&ecnMask
	}
	if m.TTLInner {
		k.ttl = in.ttl()
	}
	if m.DF == DFInner {
		k.df = in.df()
	}
	if m.FlowLabel || m.SourcePort {
		k.flow = in.hash(frame, s)
	}
	return k
}

// mark changes the outer headers of a packet whose IP header begins at l3 and is filled, and returns
// what its UDP checksum has to add to the tunnel's sum.
func (m *Marking) mark(l3 []byte, c class, k marks) (sum uint16) {
	ip := l2tp.IPv4Len
	if c.ip6() {
		ip = l2tp.IPv6Len
		w := binary.BigEndian.Uint32(l3)
		w = w&^(0xff<<20) | uint32(k.tos)<<20
		if m.FlowLabel {
			w = w&^0xfffff | k.flow>>12 | 1
		}
		binary.BigEndian.PutUint32(l3, w)
		if k.ttl != 0 {
			l3[7] = k.ttl
		}
	} else {
		l3[1] = k.tos
		switch k.df {
		case DFSet:
			l3[6] |= dontFragment >> 8
		case DFClear:
			l3[6] &^= dontFragment >> 8
		}
		if k.ttl != 0 {
			l3[8] = k.ttl
		}
		l2tp.IPv4(l3).SetChecksum()
	}
	if m.SourcePort && c.udp() {
		u := l3[ip:]
		was, is := binary.BigEndian.Uint16(u), firstEph|uint16(k.flow)&^firstEph
		binary.BigEndian.PutUint16(u, is)
		sum = l2tp.AddSum(^was, is)
	}
	return sum
}
