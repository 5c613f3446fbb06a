package pw

import (
	"bytes"
	"testing"

	"xwire/l2tp"
)

// What a customer sends: an ARP-like frame of 46 bytes payload would do, a short one reads better.
var (
	customerPlain = []string{
		"02 00 00 00 0a 0b", // destination
		"02 00 00 00 0a 0a", // source
		"08 00",             // IPv4
		"45 00 00 16 aa bb cc dd",
	}
	customerTagged = []string{
		"02 00 00 00 0a 0b",
		"02 00 00 00 0a 0a",
		"81 00 a0 64", // C-tag, PCP 5, VLAN 100
		"08 00",
		"45 00 00 16 aa bb cc dd",
	}
	customerQinQ = []string{
		"02 00 00 00 0a 0b",
		"02 00 00 00 0a 0a",
		"88 a8 60 64", // S-tag, PCP 3, VLAN 100
		"81 00 a0 14", // C-tag, PCP 5, VLAN 20
		"08 00",
		"45 00 00 16 aa bb cc dd",
	}
)

func lines(groups ...[]string) (all []string) {
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

// wireCase is a session, a customer's frame and the packet that is the same on the core side. The
// tunnel's two ends are alike, so the packet serves both ways.
type wireCase struct {
	name    string
	tunnel  TunnelSpec
	session SessionSpec
	hopTags []l2tp.Tag
	frame   []string // from or to the attachment circuit
	packet  []string // on the core
	back    []string // to the attachment circuit, if it is not frame
}

var (
	ip4 = TunnelSpec{Encap: l2tp.EncapIP, Local: addrPort("192.0.2.1"), Peer: addrPort("198.51.100.7")}
	ip6 = TunnelSpec{Encap: l2tp.EncapIP, Local: addrPort("2001:db8::1"), Peer: addrPort("2001:db8:1::2")}

	udp4 = TunnelSpec{Encap: l2tp.EncapUDP, Local: addrPort("192.0.2.1:1701"), Peer: addrPort("198.51.100.7:1702")}
	udp6 = TunnelSpec{Encap: l2tp.EncapUDP, Local: addrPort("[2001:db8::1]:1701"), Peer: addrPort("[2001:db8:1::2]:1702")}

	linkHeader = []string{
		"02 00 00 00 00 02", // next hop
		"02 00 00 00 00 01", // core port
	}
	addresses4 = []string{"c0 00 02 01", "c6 33 64 07"}
	addresses6 = []string{
		"2001 0db8 0000 0000 0000 0000 0000 0001",
		"2001 0db8 0001 0000 0000 0000 0000 0002",
	}
)

func with(t TunnelSpec, change func(*TunnelSpec)) TunnelSpec { change(&t); return t }

func wireCases(t testing.TB) []wireCase {
	plain := SessionSpec{SID: 0x11223344, PSID: 0x55667788, Type: l2tp.PWEth, AC: Attachment{Port: 1}}
	vlan := func(s SessionSpec, v VLANMatch, p PWTags) SessionSpec {
		s.AC.VLAN, s.AC.PW = v, p
		return s
	}
	cookies := func(s SessionSpec, tx, rx string) SessionSpec {
		s.TxCookie, s.RxCookies[0], s.RxCookieCount = cookie(t, tx), cookie(t, rx), 1
		return s
	}
	sublayer := func(s SessionSpec) SessionSpec { s.Sublayer = l2tp.SublayerDefault; return s }
	// An IPv4 header of the given total length and protocol, identification 0.
	ipv4 := func(length, proto, sum string) []string {
		return lines([]string{"08 00", "45 00 " + length + " 0000 0000 40 " + proto + sum}, addresses4)
	}
	single := VLANMatch{Kind: VLANSingle, Lo: 100}
	qinq := VLANMatch{Kind: VLANQinQ, Lo: 100, C: 20}
	return []wireCase{
		{
			name: "RFC3931-4.1.1.1-over-IPv4", tunnel: ip4, session: plain, frame: customerPlain,
			packet: lines(linkHeader, ipv4("002e", "73", "8e 21"), []string{"55667788"}, customerPlain),
		}, {
			name: "RFC3931-4.1-cookie-of-4-bytes", tunnel: ip4, session: cookies(plain, "01020304", "01020304"), frame: customerPlain,
			packet: lines(linkHeader, ipv4("0032", "73", "8e 1d"), []string{"55667788", "01020304"}, customerPlain),
		}, {
			name: "RFC3931-4.6-cookie-of-8-bytes-and-sublayer", tunnel: ip4, session: sublayer(cookies(plain, "0102030405060708", "0102030405060708")), frame: customerPlain,
			packet: lines(linkHeader, ipv4("003a", "73", "8e 15"), []string{"55667788", "0102030405060708", "00000000"}, customerPlain),
		}, {
			name: "RFC3931-4.1.2.1-over-UDP", tunnel: udp4, session: plain, frame: customerPlain,
			packet: lines(linkHeader, ipv4("003a", "11", "8e 77"), []string{
				"06a5 06a6 0026 0000", // UDP without checksum
				"00030000",            // flags and version
				"55667788",
			}, customerPlain),
		}, {
			name: "RFC768-UDP-checksum", tunnel: with(udp4, func(s *TunnelSpec) { s.UDPChecksumTx = true }), session: plain, frame: customerPlain,
			packet: lines(linkHeader, ipv4("003a", "11", "8e 77"), []string{
				"06a5 06a6 0026 5c64",
				"00030000",
				"55667788",
			}, customerPlain),
		}, {
			name: "RFC3931-4.1.1.1-over-IPv6", tunnel: ip6, session: plain, frame: customerPlain,
			packet: lines(linkHeader, []string{
				"86dd",
				"6000 0000", // version, traffic class 0, flow label of our choice
				"001a 73 40",
			}, addresses6, []string{"55667788"}, customerPlain),
		}, {
			name: "RFC6935-UDP-over-IPv6-without-checksum", tunnel: with(udp6, func(s *TunnelSpec) { s.UDPZeroChecksumRx = true }), session: plain, frame: customerPlain,
			packet: lines(linkHeader, []string{"86dd", "6000 0000", "0026 11 40"}, addresses6, []string{
				"06a5 06a6 0026 0000",
				"00030000",
				"55667788",
			}, customerPlain),
		}, {
			name: "RFC8200-8.1-UDP-over-IPv6-with-checksum", tunnel: with(udp6, func(s *TunnelSpec) { s.UDPChecksumTx = true }), session: sublayer(plain), frame: customerPlain,
			packet: lines(linkHeader, []string{"86dd", "6000 0000", "002a 11 40"}, addresses6, []string{
				"06a5 06a6 002a ed22",
				"00030000",
				"55667788", "00000000",
			}, customerPlain),
		}, {
			name: "802.1Q-tag-on-the-core", tunnel: ip4, session: plain, hopTags: []l2tp.Tag{{TPID: 0x8100, TCI: 300}}, frame: customerPlain,
			packet: lines(linkHeader, []string{"8100 012c"}, ipv4("002e", "73", "8e 21"), []string{"55667788"}, customerPlain),
		}, {
			name: "802.1ad-tags-on-the-core", tunnel: ip4, session: plain, hopTags: []l2tp.Tag{{TPID: 0x88a8, TCI: 300}, {TPID: 0x8100, TCI: 7}}, frame: customerPlain,
			packet: lines(linkHeader, []string{"88a8 012c 8100 0007"}, ipv4("002e", "73", "8e 21"), []string{"55667788"}, customerPlain),
		}, {
			name: "RFC4719-tags-carried-transparently", tunnel: ip4, session: plain, frame: customerQinQ,
			packet: lines(linkHeader, ipv4("0036", "73", "8e 19"), []string{"55667788"}, customerQinQ),
		}, {
			name: "RFC4719-VLAN-kept", tunnel: ip4, session: vlan(plain, single, PWTags{}), frame: customerTagged,
			packet: lines(linkHeader, ipv4("0032", "73", "8e 1d"), []string{"55667788"}, customerTagged),
		}, {
			name: "RFC4719-VLAN-popped-and-pushed", tunnel: ip4, session: vlan(plain, single, PWTags{Kind: PWNone}), frame: customerTagged,
			packet: lines(linkHeader, ipv4("002e", "73", "8e 21"), []string{"55667788"}, customerPlain),
			back:   lines(customerPlain[:2], []string{"8100 0064"}, customerPlain[2:]), // PCP is lost with the tag
		}, {
			name: "RFC4719-VLAN-replaced", tunnel: ip4, session: vlan(plain, single, PWTags{Kind: PWVID, VID: 7}), frame: customerTagged,
			packet: lines(linkHeader, ipv4("0032", "73", "8e 1d"), []string{"55667788"}, customerPlain[:2], []string{"8100 a007"}, customerPlain[2:]),
		}, {
			name: "802.1ad-pair-popped-and-pushed", tunnel: ip4, session: vlan(plain, qinq, PWTags{Kind: PWNone}), frame: customerQinQ,
			packet: lines(linkHeader, ipv4("002e", "73", "8e 21"), []string{"55667788"}, customerPlain),
			back:   lines(customerPlain[:2], []string{"88a8 0064 8100 0014"}, customerPlain[2:]),
		}, {
			name: "802.1ad-pair-replaced", tunnel: ip4, session: vlan(plain, qinq, PWTags{Kind: PWVID, VID: 7}), frame: customerQinQ,
			packet: lines(linkHeader, ipv4("0032", "73", "8e 1d"), []string{"55667788"}, customerPlain[:2], []string{"8100 6007"}, customerPlain[2:]),
			back:   lines(customerPlain[:2], []string{"88a8 6064 8100 6014"}, customerPlain[2:]),
		}, {
			name: "untagged-tagged-inside", tunnel: ip4, session: vlan(plain, VLANMatch{Kind: VLANUntagged}, PWTags{Kind: PWVID, VID: 7}), frame: customerPlain,
			packet: lines(linkHeader, ipv4("0032", "73", "8e 1d"), []string{"55667788"}, customerPlain[:2], []string{"8100 0007"}, customerPlain[2:]),
		},
	}
}

// newWireBox makes a table of a case; far swaps the ends, so that it takes what near sends.
func newWireBox(t testing.TB, c *wireCase, far bool) *Table {
	table := NewTable(1)
	tun, s := c.tunnel, c.session
	if far {
		tun.Local, tun.Peer, tun.TID, tun.PTID = tun.Peer, tun.Local, tun.PTID, tun.TID
		s.SID, s.PSID = s.PSID, s.SID
		if tun.Keyed {
			s.SID, s.PSID = 0, s.SID
		}
	}
	table.SetPort(0, PortSpec{Core: true})
	id := must(table.AddTunnel(tun))(t)
	table.SetTunnelNextHop(id, table.AddNextHop(NextHop{
		Port: 0, Src: l2tp.MAC{2, 0, 0, 0, 0, 1}, Dst: l2tp.MAC{2, 0, 0, 0, 0, 2}, Tags: c.hopTags,
	}))
	s.Tunnel = id
	must(table.AddSession(s))(t)
	return table
}

func TestWire(t *testing.T) {
	for _, c := range append(wireCases(t), markCases(t)...) {
		t.Run(c.name, func(t *testing.T) {
			frame, packet, back := wire(t, c.frame...), wire(t, c.packet...), wire(t, c.back...)
			if c.back == nil {
				back = frame
			}
			near, far := newRig(t, newWireBox(t, &c, false)), newRig(t, newWireBox(t, &c, true))
			// Several of each: the first go the long way, later ones in a row.
			for i := range 5 {
				out, got := near.one(1, frame)
				if out != 0 || !bytes.Equal(withoutRandom(got), withoutRandom(packet)) {
					t.Fatalf("encap %d: port %d\n got %x\nwant %x\ndrops %v", i, out, withoutRandom(got), packet, dropsAt(near.table, 1))
				}
				out, got = far.one(0, packet)
				if out != 1 || !bytes.Equal(got, back) {
					t.Fatalf("decap %d: port %d\n got %x\nwant %x\ndrops %v", i, out, got, back, dropsAt(far.table, 0))
				}
			}
			assertNoAllocs(t, near, 1, 256, frame)
			assertNoAllocs(t, far, 0, 256, packet)
		})
	}
}

// assertNoAllocs sends a frame by itself and many in a batch.
func assertNoAllocs(t *testing.T, r *rig, port uint16, room int, frame []byte) {
	t.Helper()
	f := r.table.Forwarder(0)
	in := make([]Frame, 100)
	n := testing.AllocsPerRun(50, func() {
		for i := range in {
			in[i] = Frame{Addr: uint64(i*minChunk + room), Len: uint32(len(frame)), In: port}
			copy(r.mem[in[i].Addr:], frame)
		}
		r.out = f.Process(r.mem, in[:1], 1, r.out[:0])
		r.out = f.Process(r.mem, in[1:], 1, r.out[:0])
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// The IPv4 header's checksum must hold whatever the identification is.
func TestIPv4IdentificationsAndChecksums(t *testing.T) {
	c := wireCases(t)[0]
	r := newRig(t, newWireBox(t, &c, false))
	frame := wire(t, c.frame...)
	seen := make(map[uint16]bool)
	for range 1 << 16 {
		_, got := r.one(1, frame)
		ip := l2tp.IPv4(got[14:])
		if refSum(ip[:20]) != 0xffff {
			t.Fatalf("identification %#x: checksum %#x is wrong", ip.ID(), ip.Checksum())
		}
		if ip.Flags() != 0 || ip.TOS() != 0 || ip.TTL() != 64 {
			t.Fatalf("flags %#x, TOS %d, TTL %d; the kernel sends 0, 0, 64", ip.Flags(), ip.TOS(), ip.TTL())
		}
		if seen[ip.ID()] {
			t.Fatalf("identification %#x twice in 65536 packets", ip.ID())
		}
		seen[ip.ID()] = true
	}
}

func TestIPv4IdentificationsOfWorkersDiffer(t *testing.T) {
	c := wireCases(t)[0]
	const workers = 3
	table := NewTable(workers)
	id := must(table.AddTunnel(c.tunnel))(t)
	table.SetTunnelNextHop(id, table.AddNextHop(NextHop{}))
	c.session.Tunnel = id
	must(table.AddSession(c.session))(t)
	r := newRig(t, table)
	frame := wire(t, c.frame...)
	owner := make(map[uint16]int)
	for w := range workers {
		for range 1 << 14 {
			out := table.Forwarder(w).Process(r.mem, []Frame{r.put(0, 1, 256, frame)}, 1, r.out[:0])
			ip := l2tp.IPv4(r.bytes(out[0])[14:])
			if o, ok := owner[ip.ID()]; ok && o != w {
				t.Fatalf("identification %#x from workers %d and %d", ip.ID(), o, w)
			}
			owner[ip.ID()] = w
		}
	}
}

func TestIPv6FlowLabelIsConstantAndNotZero(t *testing.T) {
	for _, c := range wireCases(t) {
		if !c.tunnel.Local.Addr().Is6() {
			continue
		}
		r := newRig(t, newWireBox(t, &c, false))
		_, first := r.one(1, wire(t, c.frame...))
		label := l2tp.IPv6(first[14:]).FlowLabel()
		if label == 0 {
			t.Error("flow label is 0")
		}
		for range 10 {
			if _, got := r.one(1, wire(t, c.frame...)); l2tp.IPv6(got[14:]).FlowLabel() != label {
				t.Errorf("flow label changed from %#x to %#x", label, l2tp.IPv6(got[14:]).FlowLabel())
			}
		}
	}
}
