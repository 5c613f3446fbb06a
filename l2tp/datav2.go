package l2tp

import "encoding/binary"

// V2Len and V2SequencedLen are the lengths of the two headers of L2TPv2 data messages that are sent:
// flags, tunnel id and session id; and with Ns and Nr behind them, as the kernel sends with sequence
// numbers.
const (
	V2Len          = 6
	V2SequencedLen = 10
)

// V2FlagsData and V2FlagsSequenced are the first two bytes of those headers: T, L, O and P 0, version 2.
const (
	V2FlagsData      uint16 = 0x0002
	V2FlagsSequenced uint16 = 0x0802
)

// Bits of the first two bytes of an L2TPv2 header, RFC 2661 section 3.1. Of a data message's, P
// ("Priority") and the reserved ones are ignored.
const (
	flagL = 0x4000 // "Length" is there
	flagS = 0x0800 // Ns and Nr are
	flagO = 0x0200 // "Offset Size" is, and as many bytes of padding behind it
)

// IsDataV2 tells from the first two bytes that a message over UDP is data of L2TPv2.
func IsDataV2(flags uint16) bool { return flags&(flagT|verMask) == 2 }

// V2 is an L2TPv2 data message, of any of the forms L, S and O allow, from its flags on.
//
//	| T L x x S x O P x x x x Ver=2 | Length, if L       |
//	| Tunnel ID                     | Session ID         |
//	| Ns, if S                      | Nr, if S           |
//	| Offset Size, if O             | Offset padding ... |
//
// Length is ignored, as the kernel does: the payload goes to the end of the UDP datagram.
type V2 []byte

// Valid tells that the message is long enough for tunnel id and session id.
func (m V2) Valid() bool { return len(m) >= V2Len && len(m) >= m.ids()+4 }

// ids is where tunnel id and session id stand.
func (m V2) ids() int {
	if m.Flags()&flagL != 0 {
		return 4
	}
	return 2
}

func (m V2) Flags() uint16 { return binary.BigEndian.Uint16(m) }

// IDs returns the receiver's tunnel id (upper half) and session id.
func (m V2) IDs() uint32 { return binary.BigEndian.Uint32(m[m.ids():]) }

// Ns returns the sequence number, if there is one in a message whose HeaderLen is right.
func (m V2) Ns() (ns uint16, ok bool) {
	if m.Flags()&flagS == 0 {
		return 0, false
	}
	return binary.BigEndian.Uint16(m[m.ids()+4:]), true
}

// HeaderLen returns the bytes before the payload, padding included. False: they run past the
// message's end.
func (m V2) HeaderLen() (int, bool) {
	n := m.ids() + 4
	if m.Flags()&flagS != 0 {
		n += 4
	}
	if m.Flags()&flagO != 0 {
		if len(m) < n+2 {
			return 0, false
		}
		n += 2 + int(binary.BigEndian.Uint16(m[n:]))
	}
	return n, n <= len(m)
}

// EncodeV2 writes a header of V2Len bytes.
func EncodeV2(b []byte, tunnel, session uint16) {
	binary.BigEndian.PutUint16(b, V2FlagsData)
	binary.BigEndian.PutUint16(b[2:], tunnel)
	binary.BigEndian.PutUint16(b[4:], session)
}

// EncodeV2Sequenced writes a header of V2SequencedLen bytes, with Nr 0.
func EncodeV2Sequenced(b []byte, tunnel, session, ns uint16) {
	binary.BigEndian.PutUint16(b, V2FlagsSequenced)
	binary.BigEndian.PutUint16(b[2:], tunnel)
	binary.BigEndian.PutUint16(b[4:], session)
	binary.BigEndian.PutUint16(b[6:], ns)
	binary.BigEndian.PutUint16(b[8:], 0)
}
