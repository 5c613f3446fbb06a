package l2tp

import "encoding/binary"

const (
	IPv4Len = 20 // without options
	IPv6Len = 40
	UDPLen  = 8

	ProtoUDP  = 17
	ProtoL2TP = 115
)

// IPv4 is a packet that begins with its IPv4 header, RFC 791.
type IPv4 []byte

// Valid tells that the fixed header is there, that it says version 4 and at least 20 bytes, and
// that "Total Length" lies between the header's length and the slice's.
func (p IPv4) Valid() bool {
	return len(p) >= IPv4Len && p.Version() == 4 && p.HeaderLen() >= IPv4Len &&
		p.TotalLen() >= p.HeaderLen() && p.TotalLen() <= len(p)
}
func (p IPv4) Version() int     { return int(p[0] >> 4) }
func (p IPv4) HeaderLen() int   { return int(p[0]&15) * 4 }
func (p IPv4) TOS() byte        { return p[1] }
func (p IPv4) TotalLen() int    { return int(binary.BigEndian.Uint16(p[2:])) }
func (p IPv4) ID() uint16       { return binary.BigEndian.Uint16(p[4:]) }
func (p IPv4) Flags() uint16    { return binary.BigEndian.Uint16(p[6:]) }
func (p IPv4) TTL() byte        { return p[8] }
func (p IPv4) Protocol() byte   { return p[9] }
func (p IPv4) Checksum() uint16 { return binary.BigEndian.Uint16(p[10:]) }
func (p IPv4) Src() [4]byte     { return [4]byte(p[12:]) }
func (p IPv4) Dst() [4]byte     { return [4]byte(p[16:]) }

// Fragment tells whether the packet is a piece of one: "MF" set or "Fragment Offset" not 0.
func (p IPv4) Fragment() bool { return p.Flags()&0x3fff != 0 }

// IPv4Fields are the fields of a header without options; identification is 0.
type IPv4Fields struct {
	TOS      byte
	DF       bool // "don't fragment"
	TotalLen uint16
	TTL      byte
	Protocol byte
	Src, Dst [4]byte
}

// Encode writes a header of 20 bytes with its checksum.
func (p IPv4) Encode(f *IPv4Fields) {
	p[0], p[1] = 0x45, f.TOS
	binary.BigEndian.PutUint16(p[2:], f.TotalLen)
	clear(p[4:8])
	if f.DF {
		p[6] = 0x40
	}
	p[8], p[9] = f.TTL, f.Protocol
	clear(p[10:12])
	copy(p[12:16], f.Src[:])
	copy(p[16:20], f.Dst[:])
	p.SetChecksum()
}

// SetChecksum computes "Header Checksum" of a header without options.
func (p IPv4) SetChecksum() {
	clear(p[10:12])
	binary.BigEndian.PutUint16(p[10:], ^Sum(0, p[:IPv4Len]))
}

// IPv6 is a packet that begins with its IPv6 header, RFC 8200.
type IPv6 []byte

// Valid tells that the fixed header is there, that it says version 6, and that "Payload Length"
// does not pass the slice's end.
func (p IPv6) Valid() bool {
	return len(p) >= IPv6Len && p.Version() == 6 && IPv6Len+p.PayloadLen() <= len(p)
}
func (p IPv6) Version() int      { return int(p[0] >> 4) }
func (p IPv6) FlowLabel() uint32 { return binary.BigEndian.Uint32(p) & 0xfffff }
func (p IPv6) PayloadLen() int   { return int(binary.BigEndian.Uint16(p[4:])) }
func (p IPv6) NextHeader() byte  { return p[6] }
func (p IPv6) HopLimit() byte    { return p[7] }
func (p IPv6) Src() [16]byte     { return [16]byte(p[8:]) }
func (p IPv6) Dst() [16]byte     { return [16]byte(p[24:]) }

// IPv6Fields are the fields of a header.
type IPv6Fields struct {
	FlowLabel  uint32 // 20 bits
	Class      byte   // traffic class
	PayloadLen uint16
	NextHeader byte
	HopLimit   byte
	Src, Dst   [16]byte
}

// Encode writes a header of 40 bytes.
func (p IPv6) Encode(f *IPv6Fields) {
	binary.BigEndian.PutUint32(p, 6<<28|uint32(f.Class)<<20|f.FlowLabel&0xfffff)
	binary.BigEndian.PutUint16(p[4:], f.PayloadLen)
	p[6], p[7] = f.NextHeader, f.HopLimit
	copy(p[8:24], f.Src[:])
	copy(p[24:40], f.Dst[:])
}

// UDP is a datagram that begins with its UDP header, RFC 768.
type UDP []byte

// Valid tells that the header is there and that "Length" lies between 8 and the slice's length.
func (u UDP) Valid() bool      { return len(u) >= UDPLen && u.Len() >= UDPLen && u.Len() <= len(u) }
func (u UDP) SrcPort() uint16  { return binary.BigEndian.Uint16(u) }
func (u UDP) DstPort() uint16  { return binary.BigEndian.Uint16(u[2:]) }
func (u UDP) Len() int         { return int(binary.BigEndian.Uint16(u[4:])) }
func (u UDP) Checksum() uint16 { return binary.BigEndian.Uint16(u[6:]) }

// Encode writes a header of 8 bytes with checksum 0.
func (u UDP) Encode(src, dst, length uint16) {
	binary.BigEndian.PutUint16(u, src)
	binary.BigEndian.PutUint16(u[2:], dst)
	binary.BigEndian.PutUint16(u[4:], length)
	clear(u[6:8])
}
