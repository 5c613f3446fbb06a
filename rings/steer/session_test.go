package steer

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

// The addresses that share adds; ipv4 and ipv6 write them as 4.
var (
	sharedAddr  = netip.MustParseAddr("192.0.2.4")
	sharedAddr6 = netip.MustParseAddr("2001:db8::4")
	keyedPeer   = netip.MustParseAddr("2001:db8::a") // of a keyed tunnel at sharedAddr6

	session7     = []byte{0x00, 0x00, 0x00, 0x07}
	dataV2Length = []byte{
		0x40, 0x02, 0x00, 0x0a, // T=0, L, version 2; length 10
		0x00, 0x01, 0x00, 0x02, // tunnel and session id
		0xc0, 0x21, // PPP protocol
	}
)

func toShared(ip []byte, rest ...[]byte) []byte {
	typ := typeIPv4
	if ip[0]>>4 == 6 {
		typ = typeIPv6
	}
	return join(append([][]byte{ether(ownMAC), typ, ip}, rest...)...)
}

// share adds addresses that the kernel's L2TP has too, with session 1 over IP and over UDP, over
// UDP tunnel 1 session 2 of L2TPv2, and over IPv6 a keyed tunnel.
func (b bench) share(t testing.TB) {
	t.Helper()
	for _, addr := range []netip.Addr{sharedAddr, sharedAddr6} {
		ip := Local{Addr: addr, Encap: EncapIP, Shared: true}
		udp := Local{Addr: addr, Encap: EncapUDP, Port: 1701, Shared: true}
		for _, l := range []Local{ip, udp} {
			if err := b.s.AddLocal(l); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range []Session{{Local: ip, Version: 3, ID: 1}, {Local: udp, Version: 3, ID: 1}, {Local: udp, Version: 2, Tunnel: 1, ID: 2}} {
			if err := b.s.AddSession(n); err != nil {
				t.Fatal(err)
			}
		}
	}
	keyed := Session{Local: Local{Addr: sharedAddr6, Encap: EncapIP}, Version: 3, Peer: keyedPeer}
	if err := b.s.AddSession(keyed); err != nil {
		t.Fatal(err)
	}
}

// fromKeyed is an IPv6 header from keyedPeer to sharedAddr6.
func fromKeyed(next byte) []byte {
	h := ipv6(next, 4)
	h[8+15] = 0x0a
	return h
}

func TestSharedVerdicts(t *testing.T) {
	b := newBench(t)
	b.core(t)
	b.share(t)
	v3 := func(flags byte, id byte) []byte {
		return []byte{flags, 0x03, 0, 0, 0, 0, 0, id, 0xde, 0xad, 0xbe, 0xef}
	}
	v2 := func(tunnel, session byte) []byte { return []byte{0, 2, 0, tunnel, 0, session, 0xc0, 0x21} }
	over := func(l2tp []byte) []byte { return toShared(ipv4(17, 4, nil), udp(1701, l2tp)) }
	version := func(v byte) []byte { return []byte{0, v, 0, 0, 0, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef} }
	b.verdicts(t, []verdict{
		{"over IP, ours", toShared(ipv4(115, 4, nil), session1), xdpRedirect, isDecap},
		{"over IP, not ours", toShared(ipv4(115, 4, nil), session7), xdpPass, isUnknown},
		{"over IP, control", toShared(ipv4(115, 4, nil), session0), xdpPass, isControl},
		{"over IP, session id cut", toShared(ipv4(115, 4, nil), session1[:3]), xdpPass, isShort},
		{"over IPv6, ours", toShared(ipv6(115, 4), session1), xdpRedirect, isDecap},
		{"over IPv6, not ours", toShared(ipv6(115, 4), session7), xdpPass, isUnknown},
		{"keyed", toShared(fromKeyed(115), session7), xdpRedirect, isDecap},
		{"keyed, control", toShared(fromKeyed(115), session0), xdpPass, isControl},
		{"over UDP, from the peer of a keyed tunnel", toShared(fromKeyed(17), udp(1701, v3(0, 7))), xdpPass, isUnknown},
		{"over UDP, ours", over(v3(0, 1)), xdpRedirect, isDecap},
		{"over UDP, reserved bits", over(v3(0x7f, 1)), xdpRedirect, isDecap},
		{"over UDP, not ours", over(v3(0, 7)), xdpPass, isUnknown},
		{"over UDP, control", over(controlV3), xdpPass, isControl},
		{"over UDP and IPv6, ours", toShared(ipv6(17, 4), udp(1701, v3(0, 1))), xdpRedirect, isDecap},
		{"over UDP to another port", toShared(ipv4(17, 4, nil), udp(1702, v3(0, 1))), xdpPass, isOther},
		{"ours, to another station's MAC", join(ether(otherMAC), typeIPv4, ipv4(115, 4, nil), session1), xdpPass, isForeign},
		{"L2TPv2, ours", over(v2(1, 2)), xdpRedirect, isDecap},
		{"L2TPv2 with a length, ours", over(dataV2Length), xdpRedirect, isDecap},
		{"L2TPv2 with a length, cut", over(dataV2Length[:8])[:48], xdpPass, isShort},
		{"L2TPv2, another tunnel", over(v2(2, 2)), xdpPass, isUnknown},
		{"L2TPv2, another session", over(v2(1, 1)), xdpPass, isUnknown},
		{"L2TPv2, what would be session 1 of version 3", over(v2(0, 1)), xdpPass, isUnknown},
		{"version 0", over(version(0)), xdpPass, isUnknown},
		{"version 1, layer 2 forwarding", over(version(1)), xdpPass, isUnknown},
		{"version 4", over(version(4)), xdpPass, isUnknown},
		{"another address's unknown session", join(ether(ownMAC), typeIPv4, ipv4(115, 1, nil), session7), xdpRedirect, isDecap},
	})
}

func TestSharedIsTakenBack(t *testing.T) {
	b := newBench(t)
	b.core(t)
	shared := Local{Addr: tunnelAddr, Encap: EncapIP, Shared: true}
	ours := Session{Local: shared, Version: 3, ID: 1}
	local := func(change func(Local) error, l Local) func() error { return func() error { return change(l) } }
	session := func(change func(Session) error) func() error { return func() error { return change(ours) } }
	for _, s := range []struct {
		name   string
		change func() error
		action uint32
		want   Stats
	}{
		{"share", local(b.s.AddLocal, shared), xdpPass, isUnknown},
		{"add the session", session(b.s.AddSession), xdpRedirect, isDecap},
		{"add one with its id", session(b.s.AddSession), xdpRedirect, isDecap},
		{"remove one", session(b.s.RemoveSession), xdpRedirect, isDecap},
		{"remove the other", session(b.s.RemoveSession), xdpPass, isUnknown},
		{"remove one that is not there", session(b.s.RemoveSession), xdpPass, isUnknown},
		{"share again", local(b.s.AddLocal, shared), xdpPass, isUnknown},
		{"share once less", local(b.s.RemoveLocal, shared), xdpPass, isUnknown},
		{"share no more", local(b.s.RemoveLocal, shared), xdpRedirect, isDecap},
		{"remove the address", local(b.s.RemoveLocal, Local{Addr: tunnelAddr, Encap: EncapIP}), xdpPass, isOther},
	} {
		if err := s.change(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		b.verdicts(t, []verdict{{s.name, overIP(ownMAC), s.action, s.want}})
	}
}

func TestSessionRefused(t *testing.T) {
	ip := Local{Addr: tunnelAddr, Encap: EncapIP}
	udp := Local{Addr: tunnelAddr, Encap: EncapUDP, Port: 1701}
	for _, n := range []Session{
		{Local: ip, Version: 3},
		{Local: ip, Version: 2, Tunnel: 1, ID: 1},
		{Local: udp, Version: 2, Tunnel: 1, ID: 65536},
		{Local: udp, Version: 4, ID: 1},
		{Local: Local{Encap: EncapIP}, Version: 3, ID: 1},
		{Local: ip, Version: 3, Peer: keyedPeer},
		{Local: Local{Addr: sharedAddr6, Encap: EncapIP}, Version: 3, ID: 1, Peer: keyedPeer},
		{Local: Local{Addr: sharedAddr6, Encap: EncapUDP, Port: 1701}, Version: 3, Peer: keyedPeer},
	} {
		if _, err := n.key(); err == nil {
			t.Errorf("%+v: no error", n)
		}
	}
}

// TestManySessions adds as many as a large appliance has, more than are expected.
func TestManySessions(t *testing.T) {
	const many = 100_000
	s, err := Load(LoadConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n := Session{Local: Local{Addr: tunnelAddr, Encap: EncapUDP, Port: 1701}, Version: 3}
	start := time.Now()
	for n.ID = 1; n.ID <= many; n.ID++ {
		if err := s.AddSession(n); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d sessions added in %v", many, time.Since(start))
	b := newBenchOf(t, s)
	b.core(t)
	if err := s.AddLocal(Local{Addr: tunnelAddr, Encap: EncapUDP, Port: 1701, Shared: true}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		id   uint32
		want verdict
	}{
		{1, verdict{"the first", nil, xdpRedirect, isDecap}},
		{1024, verdict{"the last before the first widening", nil, xdpRedirect, isDecap}},
		{many, verdict{"the last", nil, xdpRedirect, isDecap}},
		{many + 1, verdict{"none of them", nil, xdpPass, isUnknown}},
	} {
		c.want.frame = overUDP(append(binary.BigEndian.AppendUint32([]byte{0, 3, 0, 0}, c.id), 0, 0, 0, 0))
		b.verdicts(t, []verdict{c.want})
	}
}
