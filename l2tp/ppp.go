package l2tp

import "encoding/binary"

// PPPAddressControl is what L2TP has before the protocol of every PPP frame that it sends: "all
// stations, unnumbered information" (RFC 1661 by way of RFC 1662). A receiver takes frames without it
// too, as peers may have left it out by the option ACFC.
const PPPAddressControl uint16 = 0xff03

// PPPAddressControlLen is the length of that.
const PPPAddressControlLen = 2

// PPP protocol numbers of frames that are looked into.
const (
	PPPIPv4 = 0x0021
	PPPIPv6 = 0x0057
)

// TrimPPP takes address and control off a PPP frame, if they are there.
func TrimPPP(b []byte) []byte {
	if len(b) >= PPPAddressControlLen && binary.BigEndian.Uint16(b) == PPPAddressControl {
		return b[PPPAddressControlLen:]
	}
	return b
}

// PPPMTU returns the MTU of IP packets inside PPP, in bytes, of a path whose headers take over bytes up
// to address and control, those included: what the kernel gives its interfaces, which is 40 less than
// the path's, or less where our headers are larger than it reckons with. Where nothing is left it
// reckons with a path of 1500 bytes.
func PPPMTU(pathMTU, over int) int {
	less := max(40, over+2)
	if n := pathMTU - less; n >= 0 && n <= 65535 {
		return n
	}
	return 1500 - less
}

// EtherTypes of PPPoE, RFC 2516 section 4.
const (
	TypePPPoEDiscovery = 0x8863
	TypePPPoESession   = 0x8864
)

// PPPoELen is the length of the header behind the Ethernet header.
const PPPoELen = 6

// PPPoE is the payload of an Ethernet frame of type PPPoE session, from its version on.
type PPPoE []byte

// Valid tells that version and type are 1, that the code is that of session data, and that "Length"
// does not pass the slice's end.
func (p PPPoE) Valid() bool {
	return len(p) >= PPPoELen && p[0] == 0x11 && p[1] == 0 && PPPoELen+p.Len() <= len(p)
}
func (p PPPoE) SessionID() uint16 { return binary.BigEndian.Uint16(p[2:]) }

// Len returns "Length": the bytes of the PPP frame, from its protocol on.
func (p PPPoE) Len() int { return int(binary.BigEndian.Uint16(p[4:])) }

// Encode writes the header of a PPP frame of n bytes.
func (p PPPoE) Encode(session uint16, n int) {
	p[0], p[1] = 0x11, 0
	binary.BigEndian.PutUint16(p[2:], session)
	binary.BigEndian.PutUint16(p[4:], uint16(n))
}
