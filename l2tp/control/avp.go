package control

import (
	"encoding/binary"
	"fmt"
	"iter"
)

// TypeMessage is the attribute type of the Message Type AVP.
const TypeMessage uint16 = 0

// avpHeaderLen counts flags, length, vendor and type; a length has ten bits.
const (
	avpHeaderLen = 6
	avpMaxLen    = 1023
)

// AVP is one attribute value pair, RFC 3931 section 5.1 and RFC 2661 section 4.1:
//
//	|M|H|x x x x|Length (10) | Vendor ID |
//	| Attribute Type         | Value ...
type AVP struct {
	Mandatory    bool
	Hidden       bool // Value is encrypted
	Vendor, Type uint16
	Value        []byte
}

// AVPs gives the pairs of a message's body. One that does not fit ends them with an error.
func AVPs(body []byte) iter.Seq2[AVP, error] {
	return func(yield func(AVP, error) bool) {
		for len(body) > 0 {
			if len(body) < avpHeaderLen {
				yield(AVP{}, fmt.Errorf("AVP cut off after %d bytes of its header", len(body)))
				return
			}
			flags := binary.BigEndian.Uint16(body)
			n := int(flags & avpMaxLen)
			if n < avpHeaderLen || n > len(body) {
				yield(AVP{}, fmt.Errorf("AVP with length %d, of which %d bytes are there", n, len(body)))
				return
			}
			a := AVP{
				Mandatory: flags&0x8000 != 0, Hidden: flags&0x4000 != 0,
				Vendor: binary.BigEndian.Uint16(body[2:]), Type: binary.BigEndian.Uint16(body[4:]), Value: body[avpHeaderLen:n],
			}
			if !yield(a, nil) {
				return
			}
			body = body[n:]
		}
	}
}

// Append writes the pair. Its value must not be longer than 1,017 bytes.
func (a AVP) Append(b []byte) []byte {
	flags := uint16(avpHeaderLen + len(a.Value))
	if flags > avpMaxLen {
		panic(fmt.Sprintf("control: AVP %d with a value of %d bytes", a.Type, len(a.Value)))
	}
	if a.Mandatory {
		flags |= 0x8000
	}
	if a.Hidden {
		flags |= 0x4000
	}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, a.Vendor)
	b = binary.BigEndian.AppendUint16(b, a.Type)
	return append(b, a.Value...)
}

// Body is the body of a message that needs no AVP but its type: HELLO and ACK.
func Body(t Type) []byte {
	return AVP{Mandatory: true, Type: TypeMessage, Value: []byte{byte(t >> 8), byte(t)}}.Append(nil)
}
