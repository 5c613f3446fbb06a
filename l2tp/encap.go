package l2tp

import "strconv"

// Encap is what carries L2TP messages. The values are those of the kernel's netlink attribute.
type Encap uint8

const (
	EncapUDP Encap = 0
	EncapIP  Encap = 1 // IP protocol 115, L2TPv3 only
)

// String returns "udp" or "ip".
func (e Encap) String() string {
	switch e {
	case EncapUDP:
		return "udp"
	case EncapIP:
		return "ip"
	}
	return "encap(" + strconv.Itoa(int(e)) + ")"
}

// Sublayer is the L2-specific sublayer between cookie and payload, RFC 3931 section 4.6.
type Sublayer uint8

const (
	SublayerNone    Sublayer = 0
	SublayerDefault Sublayer = 1 // 4 bytes
)

// Len returns the size in bytes, 0 or 4.
func (s Sublayer) Len() int {
	if s == SublayerDefault {
		return 4
	}
	return 0
}

// String returns "none" or "default".
func (s Sublayer) String() string {
	switch s {
	case SublayerNone:
		return "none"
	case SublayerDefault:
		return "default"
	}
	return "sublayer(" + strconv.Itoa(int(s)) + ")"
}

// PWType is a pseudowire type of the IANA registry. PWPPPAC is the kernel's number for a PPP
// pseudowire with a PPPoE attachment circuit.
type PWType uint16

const (
	PWEthVLAN PWType = 4
	PWEth     PWType = 5
	PWPPP     PWType = 7
	PWPPPAC   PWType = 8
)

// String returns "vlan", "eth", "ppp" or "pppac".
func (t PWType) String() string {
	switch t {
	case PWEthVLAN:
		return "vlan"
	case PWEth:
		return "eth"
	case PWPPP:
		return "ppp"
	case PWPPPAC:
		return "pppac"
	}
	return "pwtype(" + strconv.Itoa(int(t)) + ")"
}
