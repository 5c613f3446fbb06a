package nexthop_test

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"xwire/appliance/nexthop"
	"xwire/l2tp"
)

// TestLearntPathMTU has the kernel learn a path MTU from a message that anyone could have sent, as it does
// where a socket of protocol 115 is open. Hops have the route's.
func TestLearntPathMTU(t *testing.T) {
	for _, c := range []struct {
		name, local, gateway, peer, prefix string
		bits                               int
	}{
		{"IPv4", "192.0.2.1", "192.0.2.254", "198.51.100.7", "198.51.100.0/24", 24},
		{"IPv6", "2001:db8:1::1", "2001:db8:1::fe", "2001:db8:2::7", "2001:db8:2::/64", 64},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			l.ip("addr add %s/%d dev p0", c.local, c.bits)
			l.ipnet("addr add %s/%d dev n0", c.gateway, c.bits)
			l.ip("route add %s via %s mtu 1480", c.prefix, c.gateway)
			within(t, l.box, func() {
				if err := unix.Connect(rawSocket(t, c.local, l2tp.ProtoL2TP), address(c.peer)); err != nil {
					t.Error(err)
				}
			})
			for i := 0; !strings.Contains(l.ip("route get %s", c.peer), "mtu 1300"); i++ {
				if i == 50 {
					t.Fatalf("the kernel did not learn it: %s", l.ip("route get %s", c.peer))
				}
				within(t, l.net, func() { forge(t, c.local, c.peer, 1300) })
			}
			f := l.follow("p0")
			k := key(c.peer, c.local)
			f.Add(k)
			f.await(k, "the route's MTU", func(h nexthop.Hop) bool { return resolved(h) && h.MTU == 1480 })
			l.ip("route replace %s via %s", c.prefix, c.gateway)
			f.await(k, "the device's MTU", func(h nexthop.Hop) bool { return h.MTU == 1500 })
		})
	}
}

func rawSocket(t *testing.T, local string, proto int) int {
	a := netip.MustParseAddr(local)
	family := unix.AF_INET
	if a.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		t.Error(err)
		return -1
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func address(text string) unix.Sockaddr {
	a := netip.MustParseAddr(text)
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Addr: a.As16()}
}

// forge sends to local, in nobody's name, that a packet of protocol 115 to peer was too large.
func forge(t *testing.T, local, peer string, mtu int) {
	src, dst := netip.MustParseAddr(local), netip.MustParseAddr(peer)
	var icmp []byte
	proto := unix.IPPROTO_ICMPV6
	if src.Is4() {
		icmp = binary.BigEndian.AppendUint32([]byte{3, 4, 0, 0}, uint32(mtu))
		quoted := make([]byte, l2tp.IPv4Len+8)
		l2tp.IPv4(quoted).Encode(&l2tp.IPv4Fields{TotalLen: 1500, TTL: 64, Protocol: l2tp.ProtoL2TP, Src: src.As4(), Dst: dst.As4()})
		icmp = append(icmp, quoted...)
		binary.BigEndian.PutUint16(icmp[2:], ^l2tp.Sum(0, icmp))
		proto = unix.IPPROTO_ICMP
	} else {
		icmp = binary.BigEndian.AppendUint32([]byte{2, 0, 0, 0}, uint32(mtu)) // the kernel puts the checksum
		quoted := make([]byte, l2tp.IPv6Len+8)
		l2tp.IPv6(quoted).Encode(&l2tp.IPv6Fields{PayloadLen: 1460, NextHeader: l2tp.ProtoL2TP, HopLimit: 64, Src: src.As16(), Dst: dst.As16()})
		icmp = append(icmp, quoted...)
	}
	if err := unix.Sendto(rawSocket(t, local, proto), icmp, 0, address(local)); err != nil {
		t.Error(err)
	}
}
