package steer

import (
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// XDP actions of linux/bpf.h.
const (
	xdpDrop     = 1
	xdpPass     = 2
	xdpRedirect = 4
)

// A frame is put together from these pieces.
var (
	ownMAC   = []byte{0x02, 0x00, 0x00, 0x00, 0x00, 0x01}
	otherMAC = []byte{0x02, 0x00, 0x00, 0x00, 0x00, 0x99}
	groupMAC = []byte{0x01, 0x00, 0x5e, 0x00, 0x00, 0x01}
	lldpMAC  = []byte{0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e}
	stpMAC   = []byte{0x01, 0x80, 0xc2, 0x00, 0x00, 0x00}
	gmrpMAC  = []byte{0x01, 0x80, 0xc2, 0x00, 0x00, 0x20} // just beyond the reserved block
	srcMAC   = []byte{0x02, 0x00, 0x00, 0x00, 0x00, 0x02}

	typeIPv4 = []byte{0x08, 0x00}
	typeIPv6 = []byte{0x86, 0xdd}
	typeARP  = []byte{0x08, 0x06}

	session1 = []byte{0x00, 0x00, 0x00, 0x01} // session id, as over IP
	session0 = []byte{0x00, 0x00, 0x00, 0x00}
	dataV3   = []byte{
		0x00, 0x03, 0x00, 0x00, // T=0, version 3
		0x00, 0x00, 0x00, 0x01, // session id
		0xde, 0xad, 0xbe, 0xef,
	}
	controlV3 = []byte{
		0xc8, 0x03, 0x00, 0x0c, // T, L, S, version 3, length 12
		0x00, 0x00, 0x00, 0x01, // control connection id
		0x00, 0x00, 0x00, 0x00, // Ns, Nr
	}
	dataV2 = []byte{
		0x00, 0x02, // T=0, version 2
		0x00, 0x01, // tunnel id
		0x00, 0x01, // session id
		0xc0, 0x21, // PPP protocol, compressed address and control
	}
)

func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// ether is a frame up to its EtherType, or up to the TPID of a tag.
func ether(dst []byte, rest ...[]byte) []byte {
	return join(append([][]byte{dst, srcMAC}, rest...)...)
}

func tag(tpid, tci uint16) []byte {
	return []byte{byte(tpid >> 8), byte(tpid), byte(tci >> 8), byte(tci)}
}

// ipv4 is a header from 192.0.2.9 to 192.0.2.last, with what edit changes in it.
func ipv4(proto, last byte, edit func(h []byte)) []byte {
	h := []byte{
		0x45, 0x00, 0x00, 0x40, // version, IHL, TOS, total length
		0x00, 0x00, 0x40, 0x00, // identification, DF
		0x40, proto, 0x00, 0x00, // TTL, protocol, checksum
		192, 0, 2, 9, // source
		192, 0, 2, last, // destination
	}
	if edit != nil {
		edit(h)
	}
	return h
}

// ipv6 is a header from 2001:db8::9 to 2001:db8::last.
func ipv6(next, last byte) []byte {
	return []byte{
		0x60, 0x00, 0x00, 0x00, // version, traffic class, flow label
		0x00, 0x20, next, 0x40, // payload length, next header, hop limit
		0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, // source
		0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last, // destination
	}
}

func udp(port uint16, payload []byte) []byte {
	n := uint16(8 + len(payload))
	return join([]byte{
		0x06, 0xa5, byte(port >> 8), byte(port), // source 1701, destination
		byte(n >> 8), byte(n), 0x00, 0x00, // length, checksum
	}, payload)
}

// overIP and overUDP are the data messages most cases vary.
func overIP(dst []byte, tags ...[]byte) []byte {
	return join(ether(dst, tags...), typeIPv4, ipv4(115, 1, nil), session1)
}

func overUDP(payload []byte) []byte {
	return join(ether(ownMAC), typeIPv4, ipv4(17, 1, nil), udp(1701, payload))
}

var arp = join(ether([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), typeARP, make([]byte, 28))

func arpIn(tags ...[]byte) []byte {
	return join(ether(otherMAC, tags...), typeARP, make([]byte, 28))
}

func l2cp(dst []byte, tags ...[]byte) []byte {
	return join(ether(dst, tags...), []byte{0x00, 0x26, 0x42, 0x42, 0x03}, make([]byte, 35))
}

type verdict struct {
	name   string
	frame  []byte
	action uint32
	count  Stats
}

var (
	isOther       = Stats{Other: 1}
	isEncap       = Stats{EncapRedirected: 1}
	isDecap       = Stats{DecapRedirected: 1}
	isControl     = Stats{Control: 1}
	isHeard       = Stats{Heard: 1}
	isShort       = Stats{Short: 1}
	isFragment    = Stats{Fragments: 1}
	isOptions     = Stats{Options: 1}
	isForeign     = Stats{ForeignMAC: 1}
	isForeignVLAN = Stats{ForeignVLAN: 1}
	isUnknown     = Stats{Unknown: 1}
)

// bench is an instance that is attached nowhere, with a socket on queue 0.
type bench struct {
	s *Steering
	p *Program
}

func newBench(t testing.TB) bench {
	t.Helper()
	newNetns(t)
	s, err := Load(LoadConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return newBenchOf(t, s)
}

func newBenchOf(t testing.TB, s *Steering) bench {
	t.Helper()
	p, err := s.load(AttachConfig{Name: "bench", Queues: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.objs.Close() })
	if err := p.Register(0, newSocket(t)); err != nil {
		t.Fatal(err)
	}
	return bench{s, p}
}

// newSocket makes an AF_XDP socket that is bound to nothing: a map takes it all the same.
func newSocket(t testing.TB) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open an AF_XDP socket: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func (b bench) stats(t testing.TB) Stats {
	t.Helper()
	s, err := b.p.Stats()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// verdicts runs each frame and compares the action and the counter it moved.
func (b bench) verdicts(t *testing.T, cases []verdict) {
	t.Helper()
	for _, c := range cases {
		before := b.stats(t)
		action, err := b.p.objs.XwireSteer.Run(&ebpf.RunOptions{Data: c.frame})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if action != c.action {
			t.Errorf("%s: action = %d, want %d", c.name, action, c.action)
		}
		if got := b.stats(t).sub(before); got != c.count {
			t.Errorf("%s: counted %+v, want %+v", c.name, got, c.count)
		}
	}
}

func (s Stats) sub(o Stats) Stats {
	return Stats{
		s.EncapRedirected - o.EncapRedirected, s.DecapRedirected - o.DecapRedirected, s.L2CPDropped - o.L2CPDropped, s.Heard - o.Heard,
		s.NoSocket - o.NoSocket, s.L2CPHost - o.L2CPHost, s.Control - o.Control, s.Short - o.Short,
		s.Fragments - o.Fragments, s.Options - o.Options, s.ForeignMAC - o.ForeignMAC, s.ForeignVLAN - o.ForeignVLAN,
		s.Unknown - o.Unknown, s.Other - o.Other,
	}
}

func (b bench) rules(t testing.TB, r PortRules) {
	t.Helper()
	if err := b.p.SetRules(r); err != nil {
		t.Fatal(err)
	}
}

func (b bench) core(t testing.TB) {
	t.Helper()
	b.rules(t, PortRules{Core: true})
	for _, l := range []Local{
		{Addr: netip.MustParseAddr("192.0.2.1"), Encap: EncapIP},
		{Addr: netip.MustParseAddr("192.0.2.1"), Encap: EncapUDP, Port: 1701},
		{Addr: netip.MustParseAddr("192.0.2.2"), Encap: EncapIP},
		{Addr: netip.MustParseAddr("2001:db8::1"), Encap: EncapIP},
		{Addr: netip.MustParseAddr("2001:db8::1"), Encap: EncapUDP, Port: 1701},
	} {
		if err := b.s.AddLocal(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.p.AddMAC([6]byte(ownMAC)); err != nil {
		t.Fatal(err)
	}
}

func TestCoreVerdicts(t *testing.T) {
	b := newBench(t)
	b.core(t)
	moreFragments := func(h []byte) { h[6] = 0x20 }
	laterFragment := func(h []byte) { h[7] = 0x01 }
	noDF := func(h []byte) { h[6] = 0 }
	options := func(h []byte) { h[0] = 0x46 }
	version5 := func(h []byte) { h[0] = 0x55 }

	b.verdicts(t, []verdict{
		{"protocol 115", overIP(ownMAC), xdpRedirect, isDecap},
		{"protocol 115 without DF", join(ether(ownMAC), typeIPv4, ipv4(115, 1, noDF), session1), xdpRedirect, isDecap},
		{"protocol 115, second address", join(ether(ownMAC), typeIPv4, ipv4(115, 2, nil), session1), xdpRedirect, isDecap},
		{"protocol 115, address not ours", join(ether(ownMAC), typeIPv4, ipv4(115, 3, nil), session1), xdpPass, isOther},
		{"protocol 115, session id 0", join(ether(ownMAC), typeIPv4, ipv4(115, 1, nil), session0), xdpPass, isControl},
		{"protocol 115, session id cut", join(ether(ownMAC), typeIPv4, ipv4(115, 1, nil), session1[:3]), xdpPass, isShort},
		{"protocol 115, first fragment", join(ether(ownMAC), typeIPv4, ipv4(115, 1, moreFragments), session1), xdpRedirect, isDecap},
		{"protocol 115, later fragment", join(ether(ownMAC), typeIPv4, ipv4(115, 2, laterFragment), session1), xdpPass, isFragment},
		{"fragment not to us", join(ether(ownMAC), typeIPv4, ipv4(115, 3, laterFragment), session1), xdpPass, isOther},
		{"IPv4 options", join(ether(ownMAC), typeIPv4, ipv4(115, 1, options), []byte{1, 1, 1, 1}, session1), xdpPass, isOptions},
		{"IP version 5 under EtherType IPv4", join(ether(ownMAC), typeIPv4, ipv4(115, 1, version5), session1), xdpPass, isOther},
		{"IPv4 header cut", join(ether(ownMAC), typeIPv4, ipv4(115, 1, nil)[:19]), xdpPass, isOther},
		{"EtherType only", join(ether(ownMAC), typeIPv4), xdpPass, isOther},
		{"ARP", arp, xdpPass, isOther},
		{"ICMP to the tunnel address", join(ether(ownMAC), typeIPv4, ipv4(1, 1, nil), make([]byte, 40)), xdpPass, isOther},
		{"TCP to the tunnel address", join(ether(ownMAC), typeIPv4, ipv4(6, 1, nil), make([]byte, 40)), xdpPass, isOther},
		{"fragment of ICMP to the tunnel address", join(ether(ownMAC), typeIPv4, ipv4(1, 1, moreFragments), make([]byte, 40)), xdpPass, isOther},

		{"another station's MAC", overIP(otherMAC), xdpPass, isForeign},
		{"group MAC", overIP(groupMAC), xdpPass, isForeign},
		{"control to another station's MAC", join(ether(otherMAC), typeIPv4, ipv4(115, 1, nil), session0), xdpPass, isControl},

		{"tags without a device", overIP(ownMAC, tag(0x8100, 100)), xdpPass, isForeignVLAN},
		{"priority tag", overIP(ownMAC, tag(0x8100, 0xe000)), xdpRedirect, isDecap},
		{"three tags", overIP(ownMAC, tag(0x88a8, 100), tag(0x8100, 200), tag(0x8100, 300)), xdpPass, isOther},
		{"tag cut", join(ether(ownMAC), tag(0x8100, 100)), xdpPass, isOther},

		{"UDP version 3", overUDP(dataV3), xdpRedirect, isDecap},
		{"UDP version 3 with reserved bits", overUDP(join([]byte{0x7f, 0xf3, 0xff, 0xff}, dataV3[4:])), xdpRedirect, isDecap},
		{"UDP version 3 control", overUDP(controlV3), xdpPass, isControl},
		{"UDP T bit alone", overUDP([]byte{0x80, 0x03}), xdpPass, isControl},
		{"UDP 11 bytes", join(overUDP(dataV3[:11]), make([]byte, 20)), xdpPass, isShort},
		{"UDP keepalive of one byte, padded", join(overUDP([]byte{0xff}), make([]byte, 17)), xdpPass, isShort},
		{"UDP keepalive of one byte", overUDP([]byte{0xff}), xdpPass, isShort},
		{"UDP empty", overUDP(nil), xdpPass, isShort},
		{"UDP version 2", overUDP(dataV2), xdpRedirect, isDecap},
		{"UDP version 2, 7 bytes", overUDP(dataV2[:7]), xdpPass, isShort},
		{"UDP version 0 is as short as version 3", overUDP(make([]byte, 11)), xdpPass, isShort},
		{"UDP to another port", join(ether(ownMAC), typeIPv4, ipv4(17, 1, nil), udp(1702, dataV3)), xdpPass, isOther},
		{"UDP to an address with IP encapsulation only", join(ether(ownMAC), typeIPv4, ipv4(17, 2, nil), udp(1701, dataV3)), xdpPass, isOther},
		{"UDP header cut", join(ether(ownMAC), typeIPv4, ipv4(17, 1, nil), udp(1701, nil)[:7]), xdpPass, isOther},
		{"UDP first fragment", join(ether(ownMAC), typeIPv4, ipv4(17, 1, moreFragments), udp(1701, dataV3)), xdpRedirect, isDecap},

		{"IPv6 protocol 115", join(ether(ownMAC), typeIPv6, ipv6(115, 1), session1), xdpRedirect, isDecap},
		{"IPv6 protocol 115, session id 0", join(ether(ownMAC), typeIPv6, ipv6(115, 1), session0), xdpPass, isControl},
		{"IPv6 protocol 115, address not ours", join(ether(ownMAC), typeIPv6, ipv6(115, 3), session1), xdpPass, isOther},
		{"IPv6 UDP", join(ether(ownMAC), typeIPv6, ipv6(17, 1), udp(1701, dataV3)), xdpRedirect, isDecap},
		{"IPv6 UDP control", join(ether(ownMAC), typeIPv6, ipv6(17, 1), udp(1701, controlV3)), xdpPass, isControl},
		{"IPv6 first fragment", join(ether(ownMAC), typeIPv6, ipv6(44, 1), []byte{115, 0, 0, 1, 0, 0, 0, 1}, session1), xdpRedirect, isDecap},
		{"IPv6 fragment header cut", join(ether(ownMAC), typeIPv6, ipv6(44, 1), []byte{115, 0, 0, 1, 0, 0, 0}), xdpPass, isFragment},
		{"IPv6 fragment not to us", join(ether(ownMAC), typeIPv6, ipv6(44, 3), []byte{115, 0, 0, 0, 0, 0, 0, 1}, session1), xdpPass, isOther},
		{"IPv6 hop-by-hop header", join(ether(ownMAC), typeIPv6, ipv6(0, 1), []byte{115, 0, 1, 4, 0, 0, 0, 0}, session1), xdpPass, isOptions},
		{"IPv6 routing header", join(ether(ownMAC), typeIPv6, ipv6(43, 1), make([]byte, 8), session1), xdpPass, isOptions},
		{"IPv6 destination options", join(ether(ownMAC), typeIPv6, ipv6(60, 1), []byte{115, 0, 1, 4, 0, 0, 0, 0}, session1), xdpPass, isOptions},
		{"IPv6 neighbour solicitation", join(ether([]byte{0x33, 0x33, 0xff, 0, 0, 1}), typeIPv6, ipv6(58, 1), make([]byte, 24)), xdpPass, isOther},
		{"IPv6 header cut", join(ether(ownMAC), typeIPv6, ipv6(115, 1)[:39]), xdpPass, isOther},
		{"IPv4 under EtherType IPv6", join(ether(ownMAC), typeIPv6, ipv4(115, 1, nil), make([]byte, 40)), xdpPass, isOther},
		{"our IPv4 address as the first bytes of an IPv6 address", join(ether(ownMAC), typeIPv6, mapped(), session1), xdpPass, isOther},
	})
}

// mapped is an IPv6 header to c000:201::, which begins like 192.0.2.1 and ends in zeros.
func mapped() []byte {
	h := ipv6(115, 0)
	copy(h[24:], []byte{192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	return h
}

func TestNoRulesTakeNothing(t *testing.T) {
	b := newBench(t)
	b.core(t)
	b.rules(t, PortRules{})
	b.verdicts(t, []verdict{
		{"data message", overIP(ownMAC), xdpPass, isOther},
		{"untagged", arp, xdpPass, isOther},
		{"tagged", arpIn(tag(0x8100, 100)), xdpPass, isOther},
		{"STP", l2cp(stpMAC), xdpPass, isOther},
	})
}

func TestQueueWithoutSocket(t *testing.T) {
	b := newBench(t)
	b.core(t)
	if err := b.p.Unregister(0); err != nil {
		t.Fatal(err)
	}
	b.verdicts(t, []verdict{{"data message", overIP(ownMAC), xdpPass, Stats{NoSocket: 1}}})
	b.rules(t, PortRules{Whole: true})
	b.verdicts(t, []verdict{{"customer frame", arp, xdpPass, Stats{NoSocket: 1}}})
	if err := b.p.Unregister(0); err != nil {
		t.Errorf("unregister a queue without a socket: %v", err)
	}
	if err := b.p.Register(2, newSocket(t)); err == nil {
		t.Error("register queue 2 of 2: no error")
	}
}
