package l2tp

import "encoding/binary"

// FlagsLen is the length of the word before the session id in L2TPv3 over UDP.
const FlagsLen = 4

// FlagsData is that word as it is sent in data messages: T=0, version 3, reserved bits 0.
const FlagsData uint32 = 0x00030000

// IsData tells from the word's first two bytes that a message over UDP is data of L2TPv3; reserved
// bits are ignored, RFC 3931 section 4.1.2.1.
func IsData(flags uint16) bool { return flags&(flagT|verMask) == 3 }

// IsControl tells that the T bit is set.
func IsControl(flags uint16) bool { return flags&flagT != 0 }

const (
	flagT   = 0x8000
	verMask = 0x000f
)

// SessionIDLen is the length of the session id.
const SessionIDLen = 4

// Data is an L2TPv3 data message from its session id on.
type Data []byte

// SessionID returns the receiver's "Session ID"; 0 marks a control message over IP.
func (d Data) SessionID() uint32 { return binary.BigEndian.Uint32(d) }

// Cookie returns the n bytes behind the session id.
func (d Data) Cookie(n int) []byte { return d[SessionIDLen : SessionIDLen+n] }

// Sublayer returns the default L2-specific sublayer behind a cookie of n bytes.
func (d Data) Sublayer(n int) uint32 { return binary.BigEndian.Uint32(d[SessionIDLen+n:]) }

// Bits of the default L2-specific sublayer.
const (
	SublayerV    uint32 = 0x80000000 // VCCV message, RFC 5085
	SublayerS    uint32 = 0x40000000 // the sequence number counts, RFC 3931 section 4.6.1
	SublayerB    uint32 = 0x20000000 // not the beginning of a fragmented payload, RFC 4623
	SublayerE    uint32 = 0x10000000 // not its end
	SublayerRest uint32 = 0x0f000000 // reserved
	SublayerSeq  uint32 = 0x00ffffff
)

// Overhead returns the bytes from the outer IP header's first to the last before the inner frame.
func Overhead(ip6 bool, e Encap, cookieLen int, s Sublayer) int {
	n := IPv4Len
	if ip6 {
		n = IPv6Len
	}
	if e == EncapUDP {
		n += UDPLen + FlagsLen
	}
	return n + SessionIDLen + cookieLen + s.Len()
}

// OverheadV2 returns the same for L2TPv2.
func OverheadV2(ip6, sequenced bool) int {
	n := Overhead(ip6, EncapUDP, 0, SublayerNone) - FlagsLen - SessionIDLen + V2Len
	if sequenced {
		n += V2SequencedLen - V2Len
	}
	return n
}

// EthMTU returns the MTU that the kernel gives to an l2tpeth interface, in bytes: what is left of
// the path's MTU for the inner packet, the inner Ethernet header taken off. Where nothing is left,
// or more than an interface can have, it reckons with a path of 1500 bytes, as the kernel does.
func EthMTU(pathMTU int, ip6 bool, e Encap, txCookieLen int, s Sublayer) int {
	over := Overhead(ip6, e, txCookieLen, s) + EthernetLen
	if n := pathMTU - over; n >= 0 && n <= 65535 {
		return n
	}
	return 1500 - over
}
