package l2tp

import "encoding/binary"

// MAC is an Ethernet address.
type MAC = [6]byte

// Tag is a VLAN tag as on the wire: IEEE 802.1Q clause 9.
type Tag struct {
	TPID uint16
	TCI  uint16 // PCP (3 bits), DEI (1), VID (12)
}

// VID returns the VLAN identifier, 0 meaning a priority tag.
func (t Tag) VID() uint16 { return t.TCI & VIDMask }

const (
	VIDMask = 0x0fff
	TagLen  = 4

	TPIDC = 0x8100 // C-tag, or the only one
	TPIDS = 0x88a8 // S-tag, IEEE 802.1ad
	TPIDQ = 0x9100 // what some switches send for an S-tag

	TypeIPv4 = 0x0800
	TypeIPv6 = 0x86dd
)

// IsTPID tells whether an EtherType announces a VLAN tag.
func IsTPID(t uint16) bool { return t == TPIDC || t == TPIDS || t == TPIDQ }

// EthernetLen is the length of an untagged Ethernet header.
const EthernetLen = 14

// Ethernet is a frame that begins with its destination address, without preamble and FCS.
type Ethernet []byte

func (e Ethernet) Valid() bool      { return len(e) >= EthernetLen }
func (e Ethernet) Dst() MAC         { return MAC(e[0:]) }
func (e Ethernet) Src() MAC         { return MAC(e[6:]) }
func (e Ethernet) Type() uint16     { return binary.BigEndian.Uint16(e[12:]) }
func (e Ethernet) SetDst(m MAC)     { copy(e[0:6], m[:]) }
func (e Ethernet) SetSrc(m MAC)     { copy(e[6:12], m[:]) }
func (e Ethernet) SetType(t uint16) { binary.BigEndian.PutUint16(e[12:], t) }

// Tags returns up to two VLAN tags, how many there are, and the EtherType behind them. A tag that
// the frame's end cuts off is not a tag; its TPID is then the EtherType.
func (e Ethernet) Tags() (tags [2]Tag, n int, typ uint16) {
	typ = e.Type()
	for n < 2 && IsTPID(typ) && len(e) >= EthernetLen+TagLen*(n+1) {
		tags[n] = Tag{typ, binary.BigEndian.Uint16(e[EthernetLen+TagLen*n:])}
		typ = binary.BigEndian.Uint16(e[EthernetLen+TagLen*n+2:])
		n++
	}
	return tags, n, typ
}
