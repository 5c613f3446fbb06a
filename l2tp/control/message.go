package control

import (
	"encoding/binary"
	"fmt"
)

// HeaderLen is the length of a control message's header, over IP without the four zero bytes.
const HeaderLen = 12

const (
	flagT, flagL, flagS uint16 = 0x8000, 0x4000, 0x0800
	verMask             uint16 = 0x000f
)

// Type is the value of a Message Type AVP.
type Type uint16

// The message types that are named here; RFC 3931 section 3.1 and RFC 2661 section 3.2 have all.
const (
	ZLB     Type = 0 // no AVPs at all: not a value on the wire
	SCCRQ   Type = 1
	SCCRP   Type = 2
	SCCCN   Type = 3
	StopCCN Type = 4
	Hello   Type = 6
	ICRQ    Type = 10
	ICRP    Type = 11
	ICCN    Type = 12
	CDN     Type = 14
	WEN     Type = 15
	SLI     Type = 16
	ACK     Type = 20 // L2TPv3 only
)

// String returns the name that the RFCs use, or "message type N".
func (t Type) String() string {
	switch t {
	case ZLB:
		return "ZLB"
	case SCCRQ:
		return "SCCRQ"
	case SCCRP:
		return "SCCRP"
	case SCCCN:
		return "SCCCN"
	case StopCCN:
		return "StopCCN"
	case Hello:
		return "HELLO"
	case ICRQ:
		return "ICRQ"
	case ICRP:
		return "ICRP"
	case ICCN:
		return "ICCN"
	case CDN:
		return "CDN"
	case WEN:
		return "WEN"
	case SLI:
		return "SLI"
	case ACK:
		return "ACK"
	}
	return fmt.Sprintf("message type %d", uint16(t))
}

// Message is one control message. Body points into what it was parsed from.
type Message struct {
	Version uint8  // 2 or 3
	ID      uint32 // Control Connection ID, or Tunnel ID (16 bits) of L2TPv2
	Session uint16 // L2TPv2 only; 0 where the message is about the tunnel
	Ns, Nr  uint16
	Type    Type
	Body    []byte // its AVPs, the Message Type first
}

// Acknowledges reports whether the message does nothing but acknowledge: it takes no number, and
// is not answered.
func (m *Message) Acknowledges() bool { return m.Type == ZLB || m.Type == ACK && m.Version == 3 }

// Parse reads a control message that begins with its flags: over IP, behind the four zero bytes.
// What follows the message's own length is ignored. The AVPs of the body are whole; those that are
// hidden (H bit) are not opened.
func Parse(b []byte) (Message, error) {
	var m Message
	if len(b) < HeaderLen {
		return m, fmt.Errorf("control message of %d bytes: its header has %d", len(b), HeaderLen)
	}
	flags, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case flags&(flagT|flagL|flagS) != flagT|flagL|flagS:
		return m, fmt.Errorf("control message with flags %#04x: T, L and S must be set", flags)
	case n < HeaderLen || n > len(b):
		return m, fmt.Errorf("control message with length %d in %d bytes", n, len(b))
	}
	m.Version = uint8(flags & verMask)
	switch m.Version {
	case 2:
		m.ID, m.Session = uint32(binary.BigEndian.Uint16(b[4:])), binary.BigEndian.Uint16(b[6:])
	case 3:
		m.ID = binary.BigEndian.Uint32(b[4:])
	default:
		return m, fmt.Errorf("control message of version %d: 2 and 3 are known", m.Version)
	}
	m.Ns, m.Nr, m.Body = binary.BigEndian.Uint16(b[8:]), binary.BigEndian.Uint16(b[10:]), b[HeaderLen:n]
	first := true
	for a, err := range AVPs(m.Body) {
		if err != nil {
			return m, err
		}
		if !first {
			continue
		}
		first = false
		if a.Vendor != 0 || a.Type != TypeMessage || a.Hidden || len(a.Value) != 2 {
			return m, fmt.Errorf("control message begins with AVP %d of vendor %d: it must be the Message Type (RFC 3931 section 5.4.1)", a.Type, a.Vendor)
		}
		m.Type = Type(binary.BigEndian.Uint16(a.Value))
	}
	return m, nil
}

// Append writes the message as Parse reads it. Type is not written: Body has it.
func (m *Message) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, flagT|flagL|flagS|uint16(m.Version))
	b = binary.BigEndian.AppendUint16(b, uint16(HeaderLen+len(m.Body)))
	if m.Version == 2 {
		b = binary.BigEndian.AppendUint16(b, uint16(m.ID))
		b = binary.BigEndian.AppendUint16(b, m.Session)
	} else {
		b = binary.BigEndian.AppendUint32(b, m.ID)
	}
	b = binary.BigEndian.AppendUint16(b, m.Ns)
	b = binary.BigEndian.AppendUint16(b, m.Nr)
	return append(b, m.Body...)
}
