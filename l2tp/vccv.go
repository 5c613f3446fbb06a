package l2tp

import "encoding/binary"

// VCCVLen is the length of the word that takes the default sublayer's place in a VCCV message
// (RFC 5085 section 5.3).
const VCCVLen = 4

// Types of VCCV channels (RFC 5085 section 5.3, RFC 5885 section 3.2).
const (
	ChannelBFD  uint16 = 0x0007 // a BFD control packet
	ChannelIPv4 uint16 = 0x0021 // an IPv4 packet
	ChannelIPv6 uint16 = 0x0057 // an IPv6 packet
)

// VCCV is a VCCV message from the word with the V bit on.
type VCCV []byte

// Valid tells that the word is there, has the V bit and is of version 0.
func (v VCCV) Valid() bool { return len(v) >= VCCVLen && v[0]&0x80 != 0 && v[0]&0x0f == 0 }

// Channel returns the type of what follows.
func (v VCCV) Channel() uint16 { return binary.BigEndian.Uint16(v[2:]) }

// Payload returns what follows the word.
func (v VCCV) Payload() []byte { return v[VCCVLen:] }
