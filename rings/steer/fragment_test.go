package steer

import (
	"encoding/binary"
	"testing"
)

// part is the IPv4 header of a fragment: with an offset in units of 8 bytes, more behind it, or neither.
func part(proto byte, id, word uint16) []byte {
	return ipv4(proto, 1, func(h []byte) {
		binary.BigEndian.PutUint16(h[4:], id)
		binary.BigEndian.PutUint16(h[6:], word)
	})
}

func part6(next byte, id uint32, word uint16) []byte {
	h := []byte{next, 0, byte(word >> 8), byte(word)}
	return join(typeIPv6, ipv6(44, 1), binary.BigEndian.AppendUint32(h, id))
}

// Fragments behind a first one go where that went; the identification tells them, with the addresses
// and over IPv4 the protocol.
func TestFragmentVerdicts(t *testing.T) {
	const more, later = 0x2000, 100
	b := newBench(t)
	b.core(t)
	b.devices(t, Stack{{0x8100, 7}})
	own, other, strange := ether(ownMAC, typeIPv4), ether(otherMAC, typeIPv4), ether(ownMAC, tag(0x8100, 8), typeIPv4)
	rest := make([]byte, 40)
	b.verdicts(t, []verdict{
		{"later one before the first", join(own, part(115, 1, later), rest), xdpPass, isFragment},
		{"first", join(own, part(115, 1, more), session1, rest), xdpRedirect, isDecap},
		{"later", join(own, part(115, 1, more|later), rest), xdpRedirect, isDecap},
		{"last", join(own, part(115, 1, later), rest), xdpRedirect, isDecap},
		{"of another identification", join(own, part(115, 2, later), rest), xdpPass, isFragment},
		{"of another protocol", join(own, part(17, 1, later), rest), xdpPass, isFragment},
		{"of a protocol not ours", join(own, part(1, 1, later), rest), xdpPass, isOther},
		{"control message", join(own, part(115, 1, more), session0, rest), xdpPass, isFragment},
		{"its last, with an identification that was ours", join(own, part(115, 1, later), rest), xdpPass, isFragment},

		{"UDP", join(own, part(17, 3, more), udp(1701, dataV3)), xdpRedirect, isDecap},
		{"UDP, last", join(own, part(17, 3, later), rest), xdpRedirect, isDecap},
		{"UDP to another port", join(own, part(17, 4, more), udp(1702, dataV3)), xdpPass, isFragment},
		{"UDP to another port, last", join(own, part(17, 4, later), rest), xdpPass, isFragment},
		{"UDP control message", join(own, part(17, 5, more), udp(1701, controlV3)), xdpPass, isFragment},
		{"UDP header cut", join(own, part(17, 5, more), udp(1701, nil)[:7]), xdpPass, isFragment},

		{"another station's MAC", join(other, part(115, 6, more), session1, rest), xdpPass, isForeign},
		{"another station's MAC, last", join(other, part(115, 6, later), rest), xdpPass, isFragment},
		{"VLAN without a device", join(strange, part(115, 7, more), session1, rest), xdpPass, isForeignVLAN},
		{"VLAN without a device, last", join(strange, part(115, 7, later), rest), xdpPass, isFragment},

		{"IPv6", join(ether(ownMAC), part6(115, 1, 1), session1, rest), xdpRedirect, isDecap},
		{"IPv6, last", join(ether(ownMAC), part6(115, 1, later<<3), rest), xdpRedirect, isDecap},
		{"IPv6, other last", join(ether(ownMAC), part6(115, 2, later<<3), rest), xdpPass, isFragment},
		{"IPv6 UDP", join(ether(ownMAC), part6(17, 3, 1), udp(1701, dataV3)), xdpRedirect, isDecap},
		{"IPv6 UDP, last", join(ether(ownMAC), part6(17, 3, later<<3), rest), xdpRedirect, isDecap},
		{"IPv6 ICMP", join(ether(ownMAC), part6(58, 3, 1), rest), xdpPass, isFragment},
		{"IPv6 ICMP, last", join(ether(ownMAC), part6(58, 3, later<<3), rest), xdpPass, isFragment},
	})
}
