package steer

import (
	"encoding/binary"
	"net/netip"
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

// sources are the addresses that ipv4 and ipv6 have packets come from.
func sources() (four, six netip.Addr) {
	return netip.AddrFrom4([4]byte(ipv4(115, 1, nil)[12:16])), netip.AddrFrom16([16]byte(ipv6(115, 1)[8:24]))
}

// Fragments that come before their first one are ours if a tunnel of ours is between the two addresses, of the
// encapsulation that the protocol is of, and does not share its address.
func TestEarlyFragmentVerdicts(t *testing.T) {
	const later = 100
	b := newBench(t)
	b.core(t)
	four, six := sources()
	own, other, strange := ether(ownMAC, typeIPv4), ether(otherMAC, typeIPv4), ether(ownMAC, tag(0x8100, 8), typeIPv4)
	rest := make([]byte, 40)
	cases := func(ip, udp bool) []verdict {
		is := func(ours bool) (uint32, Stats) {
			if ours {
				return xdpRedirect, isDecap
			}
			return xdpPass, isFragment
		}
		var list []verdict
		for _, c := range []struct {
			name  string
			frame []byte
			ours  bool
		}{
			{"IPv4, protocol 115", join(own, part(115, 1, later), rest), ip},
			{"IPv4, UDP", join(own, part(17, 1, later), rest), udp},
			{"IPv4, another peer", join(own, edited(part(115, 1, later), 15), rest), false},
			{"IPv6, protocol 115", join(ether(ownMAC), part6(115, 1, later<<3), rest), ip},
			{"IPv6, UDP", join(ether(ownMAC), part6(17, 1, later<<3), rest), udp},
			{"IPv6, ICMP", join(ether(ownMAC), part6(58, 1, later<<3), rest), false},
		} {
			action, count := is(c.ours)
			list = append(list, verdict{c.name, c.frame, action, count})
		}
		return list
	}
	locals := func(encap uint8, shared bool) (list []Local) {
		for _, l := range []Local{{Addr: netip.MustParseAddr("192.0.2.1"), Peer: four}, {Addr: netip.MustParseAddr("2001:db8::1"), Peer: six}} {
			l.Encap, l.Port, l.Shared = encap, 1701, shared
			list = append(list, l)
		}
		return list
	}
	each := func(list []Local, f func(Local) error) {
		t.Helper()
		for _, l := range list {
			if err := f(l); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.verdicts(t, cases(false, false))
	each(locals(EncapIP, false), b.s.AddLocal)
	b.verdicts(t, cases(true, false))
	each(locals(EncapUDP, false), b.s.AddLocal)
	each(locals(EncapUDP, false), b.s.AddLocal) // a second tunnel
	b.verdicts(t, cases(true, true))
	b.verdicts(t, []verdict{
		{"another station's MAC", join(other, part(115, 6, later), rest), xdpPass, isForeign},
		{"VLAN without a device", join(strange, part(115, 7, later), rest), xdpPass, isForeignVLAN},
	})
	// What is not ours by its first fragment is the kernel's in whatever follows.
	b.verdicts(t, []verdict{
		{"control message", join(own, part(115, 8, 0x2000), session0, rest), xdpPass, isFragment},
		{"control message, last", join(own, part(115, 8, later), rest), xdpPass, isFragment},
		{"control message, UDP", join(own, part(17, 8, 0x2000), udp(1701, controlV3)), xdpPass, isFragment},
		{"control message, UDP, last", join(own, part(17, 8, later), rest), xdpPass, isFragment},
		{"UDP to another port", join(own, part(17, 9, 0x2000), udp(1702, dataV3)), xdpPass, isFragment},
		{"UDP to another port, last", join(own, part(17, 9, later), rest), xdpPass, isFragment},
		{"UDP, with that identification", join(own, part(17, 9, 0x2000), udp(1701, dataV3)), xdpRedirect, isDecap},
		{"UDP, with that identification, last", join(own, part(17, 9, later), rest), xdpRedirect, isDecap},
		{"IPv6 UDP to another port", join(ether(ownMAC), part6(17, 9, 1), udp(1702, dataV3)), xdpPass, isFragment},
		{"IPv6 UDP to another port, last", join(ether(ownMAC), part6(17, 9, later<<3), rest), xdpPass, isFragment},
		{"IPv6 ICMP, first", join(ether(ownMAC), part6(58, 8, 1), rest), xdpPass, isFragment},
	})
	b.forget(t)
	each(locals(EncapIP, false), b.s.RemoveLocal)
	each(locals(EncapUDP, false), b.s.RemoveLocal)
	b.verdicts(t, cases(false, true))
	each(locals(EncapUDP, false), b.s.RemoveLocal)
	each(locals(EncapUDP, true), b.s.AddLocal)
	b.verdicts(t, cases(false, false))
}

// edited is b with another byte at i.
func edited(b []byte, i int) []byte {
	b = append([]byte(nil), b...)
	b[i]++
	return b
}
