package nexthop

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Attributes and flags of rtnetlink that x/sys/unix does not name.
const (
	ndaProtocol    = 12
	ndaFlagsExt    = 15
	ntfExtManaged  = 1 << 0
	attrTypeMask   = 0x3fff // the upper bits are NLA_F_NESTED and NLA_F_NET_BYTEORDER
	sizeofNdMsg    = 12
	sizeofRtMsg    = unix.SizeofRtMsg
	sizeofIfInfo   = unix.SizeofIfInfomsg
	sizeofNlMsghdr = unix.SizeofNlMsghdr
)

var native = binary.NativeEndian

// message is one netlink message out of a datagram, header included in typ, flags and seq.
type message struct {
	typ  uint16
	seq  uint32
	body []byte
}

// next cuts the first message off b. It returns false at the end of b or where b is damaged.
func next(b []byte) (m message, rest []byte, ok bool) {
	if len(b) < sizeofNlMsghdr {
		return message{}, nil, false
	}
	n := int(native.Uint32(b))
	if n < sizeofNlMsghdr || n > len(b) {
		return message{}, nil, false
	}
	m = message{typ: native.Uint16(b[4:]), seq: native.Uint32(b[8:]), body: b[sizeofNlMsghdr:n]}
	return m, b[min(align(n), len(b)):], true
}

func align(n int) int { return (n + 3) &^ 3 }

// begin opens a message at the end of b; end closes it. The body follows in between.
func begin(b []byte, typ, flags uint16, seq uint32) (out []byte, at int) {
	at = len(b)
	b = append(b, make([]byte, sizeofNlMsghdr)...)
	native.PutUint16(b[at+4:], typ)
	native.PutUint16(b[at+6:], flags|unix.NLM_F_REQUEST)
	native.PutUint32(b[at+8:], seq)
	return b, at
}

func end(b []byte, at int) []byte {
	native.PutUint32(b[at:], uint32(len(b)-at))
	return b
}

// attr appends one attribute, padded.
func attr(b []byte, typ uint16, value []byte) []byte {
	b = native.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	b = native.AppendUint16(b, typ)
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func attrUint32(b []byte, typ uint16, v uint32) []byte {
	return attr(b, typ, native.AppendUint32(nil, v))
}

// attrs calls f for every attribute in b and stops at the first that does not fit.
func attrs(b []byte, f func(typ uint16, value []byte)) {
	for len(b) >= unix.SizeofRtAttr {
		n := int(native.Uint16(b))
		if n < unix.SizeofRtAttr || n > len(b) {
			return
		}
		f(native.Uint16(b[2:])&attrTypeMask, b[unix.SizeofRtAttr:n])
		b = b[min(align(n), len(b)):]
	}
}

func attrInt(v []byte) int {
	switch {
	case len(v) >= 4:
		return int(int32(native.Uint32(v)))
	case len(v) >= 2:
		return int(native.Uint16(v))
	case len(v) == 1:
		return int(v[0])
	}
	return 0
}

func attrString(v []byte) string {
	for i, c := range v {
		if c == 0 {
			return string(v[:i])
		}
	}
	return string(v)
}

// attrAddr returns the invalid address for anything but 4 or 16 bytes.
func attrAddr(v []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(v)
	return a
}

func family(a netip.Addr) uint8 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
