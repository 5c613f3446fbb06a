package pw

import (
	"fmt"
	"slices"
	"testing"

	"xwire/l2tp"
)

// markCases are packets whose outer headers do not say what the kernel's would.
func markCases(t testing.TB) []wireCase {
	session := func(m Marking) SessionSpec {
		return SessionSpec{SID: 0x11223344, PSID: 0x55667788, Type: l2tp.PWEth, Marking: m, AC: Attachment{Port: 1}}
	}
	af := []string{
		"02 00 00 00 0a 0b", "02 00 00 00 0a 0a", "08 00",
		"45 ba 00 14 00 00 00 00 40 fd 61 3d c0 00 02 09 c0 00 02 0a", // TOS 0xba: EF, ECT(0)
	}
	six := []string{
		"02 00 00 00 0a 0b", "02 00 00 00 0a 0a",
		"81 00 a0 64", // C-tag, PCP 5
		"86 dd",
		"6b b0 00 00 00 00 3b 40", // traffic class 0xbb: EF, CE
		"2001 0db8 0000 0000 0000 0000 0000 0009", "2001 0db8 0000 0000 0000 0000 0000 000a",
	}
	nine := slices.Clone(six)
	nine[4] = "6bb0000000003b09" // hop limit 9
	tagged := lines(customerPlain[:2], []string{"81 00 a0 64"}, customerPlain[2:])
	arp := []string{"ff ff ff ff ff ff", "02 00 00 00 0a 0a", "08 06", "0001 0800 06 04 0001"}
	v4 := func(tos, length, flags, ttl, proto, sum string) []string {
		return lines([]string{"08 00", "45 " + tos + length + "0000" + flags + ttl + proto + sum}, addresses4)
	}
	v6 := func(first, rest string) []string { return lines([]string{"86 dd", first + "0000", rest}, addresses6) }
	head, id := linkHeader, []string{"55667788"}
	all := func(s *TunnelSpec) { s.TTL, s.TOS, s.DF = 255, 0x88, true }
	return []wireCase{
		{
			name: "RFC791-TTL-TOS-and-DF-of-the-tunnel", tunnel: with(ip4, all), session: session(Marking{}), frame: customerPlain,
			packet: lines(head, v4("88", "002e", "4000", "ff", "73", "8e98"), id, customerPlain),
		}, {
			name: "RFC8200-hop-limit-and-class-of-the-tunnel", tunnel: with(ip6, func(s *TunnelSpec) { s.TTL, s.TOS = 1, 0xfc }), session: session(Marking{}), frame: customerPlain,
			packet: lines(head, v6("6fc0", "001a 73 01"), id, customerPlain),
		}, {
			name: "RFC791-TTL-TOS-and-DF-of-the-session", tunnel: ip4, session: session(Marking{TTL: 255, TOS: 0x88, TOSFrom: TOSFixed, DF: DFSet}), frame: customerPlain,
			packet: lines(head, v4("88", "002e", "4000", "ff", "73", "8e98"), id, customerPlain),
		}, {
			name: "RFC791-the-session's-before-the-tunnel's", tunnel: with(ip4, all), session: session(Marking{TTL: 64, TOSFrom: TOSFixed, DF: DFClear}), frame: customerPlain,
			packet: lines(head, v4("00", "002e", "0000", "40", "73", "8e21"), id, customerPlain),
		}, {
			name: "RFC8200-hop-limit-and-class-of-the-session", tunnel: ip6, session: session(Marking{TTL: 9, TOS: 0xb8, TOSFrom: TOSFixed, DF: DFSet}), frame: customerPlain,
			packet: lines(head, v6("6b80", "001a 73 09"), id, customerPlain),
		}, {
			name: "RFC791-TTL-and-DF-of-the-IPv4-inside", tunnel: with(ip4, all), session: session(Marking{TTLInner: true, DF: DFInner}), frame: af,
			packet: lines(head, v4("88", "003a", "0000", "40", "73", "8d8d"), id, af),
		}, {
			name: "RFC791-TTL-and-DF-of-the-IPv6-inside", tunnel: ip4, session: session(Marking{TTLInner: true, DF: DFInner}), frame: nine,
			packet: lines(head, v4("00", "0052", "4000", "09", "73", "84fd"), id, nine),
		}, {
			name: "RFC8200-hop-limit-of-the-IPv6-inside", tunnel: ip6, session: session(Marking{TTLInner: true, DF: DFInner}), frame: nine,
			packet: lines(head, v6("6000", "003e 73 09"), id, nine),
		}, {
			name: "RFC791-neither-inside", tunnel: with(ip4, all), session: session(Marking{TTLInner: true, DF: DFInner}), frame: arp,
			packet: lines(head, v4("88", "002e", "4000", "ff", "73", "8e98"), id, arp),
		}, {
			name: "RFC2983-DSCP-of-the-IPv4-inside", tunnel: ip4, session: session(Marking{TOSFrom: TOSInner}), frame: af,
			packet: lines(head, v4("b8", "003a", "0000", "40", "73", "8d5d"), id, af),
		}, {
			name: "RFC2983-DSCP-of-the-IPv6-inside", tunnel: ip4, session: session(Marking{TOSFrom: TOSInner}), frame: six,
			packet: lines(head, v4("b8", "0052", "0000", "40", "73", "8d45"), id, six),
		}, {
			name: "RFC2983-no-DSCP-inside", tunnel: with(ip4, all), session: session(Marking{TOSFrom: TOSInner, TTL: 64, DF: DFClear}), frame: arp,
			packet: lines(head, v4("00", "002e", "0000", "40", "73", "8e21"), id, arp),
		}, {
			name: "RFC6040-4.1-congestion-inside-is-told-outside", tunnel: ip6, session: session(Marking{ECN: true}), frame: six,
			packet: lines(head, v6("6030", "003e 73 40"), id, six),
		}, {
			name: "RFC6040-4.1-with-the-DSCP", tunnel: ip4, session: session(Marking{ECN: true, TOSFrom: TOSInner}), frame: af,
			packet: lines(head, v4("ba", "003a", "0000", "40", "73", "8d5b"), id, af),
		}, {
			name: "RFC6040-4.1-in-place-of-fixed-bits", tunnel: ip4, session: session(Marking{ECN: true, TOSFrom: TOSFixed, TOS: 0x8b}), frame: customerPlain,
			packet: lines(head, v4("88", "002e", "0000", "40", "73", "8d99"), id, customerPlain),
		}, {
			name: "802.1p-to-class-selector", tunnel: ip4, session: session(Marking{PCP: true, DSCP: ClassSelectors}), frame: tagged,
			packet: lines(head, v4("a0", "0032", "0000", "40", "73", "8d7d"), id, tagged),
		}, {
			name: "802.1p-before-the-DSCP-inside", tunnel: ip4, session: session(Marking{PCP: true, DSCP: [8]uint8{5: 46}, TOSFrom: TOSInner}), frame: customerTagged,
			packet: lines(head, v4("b8", "0032", "0000", "40", "73", "8d65"), id, customerTagged),
		}, {
			name: "802.1p-without-a-tag", tunnel: ip4, session: session(Marking{PCP: true, DSCP: ClassSelectors, TOSFrom: TOSInner}), frame: af,
			packet: lines(head, v4("b8", "003a", "0000", "40", "73", "8d5d"), id, af),
		}, {
			name: "802.1p-of-a-tag-that-is-popped", tunnel: ip4, frame: customerTagged,
			session: func() SessionSpec {
				s := session(Marking{PCP: true, DSCP: ClassSelectors})
				s.AC.VLAN, s.AC.PW = VLANMatch{Kind: VLANSingle, Lo: 100}, PWTags{Kind: PWNone}
				return s
			}(),
			packet: lines(head, v4("a0", "002e", "0000", "40", "73", "8d81"), id, customerPlain),
			back:   lines(customerPlain[:2], []string{"8100 0064"}, customerPlain[2:]),
		}, {
			name: "802.1p-behind-a-tag-that-is-not-the-customer's", tunnel: ip4, frame: customerQinQ,
			session: func() SessionSpec {
				s := session(Marking{PCP: true, DSCP: ClassSelectors, Skip: 1})
				s.AC.VLAN, s.AC.PW = VLANMatch{Kind: VLANSingle, Lo: 100}, PWTags{Kind: PWNone}
				return s
			}(),
			packet: lines(head, v4("a0", "0032", "0000", "40", "73", "8d7d"), id, lines(customerQinQ[:2], customerQinQ[3:])),
			back:   lines(customerQinQ[:2], []string{"8100 0064"}, customerQinQ[3:]),
		},
	}
}

// With fixed ports nothing but the marks differs from a plain session's packets; every fragment has
// them, and its header's checksum is right.
func TestMarksOfFragments(t *testing.T) {
	for name, tun := range map[string]TunnelSpec{"ip4": ip4, "udp4": udp4, "ip6": ip6} {
		t.Run(name, func(t *testing.T) {
			near, far := sizeBox(t, tun, 600, OversizeFragment)
			spec, _ := near.table.Session(1)
			spec.Marking = Marking{TTL: 7, TOS: 0x28, TOSFrom: TOSFixed, DF: DFSet, FlowLabel: true}
			if err := near.table.SetSession(1, spec); err != nil {
				t.Fatal(err)
			}
			in := []Frame{near.put(0, 1, 256, payload(1500, 3))}
			out := near.table.Forwarder(0).Process(near.mem, in, 1, near.out[:0])
			if len(out) != 3 {
				t.Fatalf("%d fragments, want 3", len(out))
			}
			labels := map[uint32]bool{}
			for _, fr := range out {
				p := near.bytes(fr)[14:]
				if tosOf(p) != 0x28 {
					t.Errorf("TOS %#x, want 0x28", tosOf(p))
				}
				if name == "ip6" {
					labels[l2tp.IPv6(p).FlowLabel()] = true
					if p[7] != 7 {
						t.Errorf("hop limit %d, want 7", p[7])
					}
				} else if ip := l2tp.IPv4(p); ip.TTL() != 7 || ip.Flags()&dontFragment == 0 || refSum(p[:20]) != 0xffff {
					t.Errorf("TTL %d, flags %#x, checksum %#x", ip.TTL(), ip.Flags(), refSum(p[:20]))
				}
			}
			if len(labels) > 1 {
				t.Errorf("flow labels %v of one packet", labels)
			}
			_ = far
		})
	}
}

// flowFrame is a UDP datagram in a frame with tags; each argument makes another flow.
func flowFrame(ip6 bool, tags int, host byte, port uint16, fragment bool) []byte {
	b := tcpFrame(ip6, tags, 0)
	ip := b[14+4*tags:]
	if ip6 {
		ip[39] = host
		if fragment {
			ip[6] = nextFragment
		}
		ip = ip[40:]
	} else {
		ip[19] = host
		if fragment {
			ip[6] = moreFragments >> 8
		}
		l2tp.IPv4(ip).SetChecksum()
		ip = ip[20:]
	}
	ip[0], ip[1] = byte(port>>8), byte(port)
	return b
}

// Frames of one flow keep one label and one port, flows spread, and the far end gets what was sent.
func TestFlowMarks(t *testing.T) {
	for name, tun := range map[string]TunnelSpec{
		"ip6": ip6, "udp6": with(udp6, func(s *TunnelSpec) { s.UDPChecksumTx = true }), "udp4": udp4,
		"udp4 with checksum": with(udp4, func(s *TunnelSpec) { s.UDPChecksumTx = true }),
	} {
		t.Run(name, func(t *testing.T) {
			near, far := sizeBox(t, tun, 0, OversizeDrop)
			spec, _ := near.table.Session(1)
			spec.Marking = Marking{FlowLabel: true, SourcePort: true}
			if err := near.table.SetSession(1, spec); err != nil {
				t.Fatal(err)
			}
			if got, _ := near.table.Session(1); got != spec {
				t.Errorf("reads back as %+v, want %+v", got, spec)
			}
			back, _ := far.table.Session(1)
			tunnel, _, _ := far.table.Tunnel(back.Tunnel)
			tunnel.AnyPeerPort = tunnel.Encap == l2tp.EncapUDP
			if err := far.table.SetTunnel(back.Tunnel, tunnel); err != nil {
				t.Fatal(err)
			}
			if got, _, _ := far.table.Tunnel(back.Tunnel); got != tunnel {
				t.Errorf("reads back as %+v, want %+v", got, tunnel)
			}
			marks := func(frame []byte) [2]uint32 {
				t.Helper()
				_, p := near.one(1, frame)
				out, got := far.one(0, p)
				if out != 1 || !slices.Equal(got, frame) {
					t.Fatalf("out of %d as %x, sent %x; %v", out, got, frame, dropsAt(far.table, 0))
				}
				ip, m := p[14:], [2]uint32{}
				l4 := ip[20:]
				if tun.Local.Addr().Is6() {
					m[0], l4 = l2tp.IPv6(ip).FlowLabel(), ip[40:]
					if m[0] == 0 {
						t.Error("flow label 0")
					}
				} else if refSum(ip[:20]) != 0xffff {
					t.Error("wrong IPv4 checksum")
				}
				if tun.Encap == l2tp.EncapUDP {
					m[1] = uint32(u16(l4))
					if m[1] < 49152 || u16(l4[2:]) != tun.Peer.Port() {
						t.Errorf("from port %d to %d", m[1], u16(l4[2:]))
					}
				}
				return m
			}
			for _, ip6 := range []bool{false, true} {
				seen := map[[2]uint32]bool{}
				for i := range 64 {
					frame := flowFrame(ip6, i%3, byte(i%8), uint16(i/8), false)
					m := marks(frame)
					if again := marks(frame); again != m {
						t.Errorf("one flow has %v and %v", m, again)
					}
					seen[m] = true
				}
				if len(seen) < 60 {
					t.Errorf("64 flows have %d marks", len(seen))
				}
				// All fragments of a packet go one way, though only the first has ports.
				if a, b := marks(flowFrame(ip6, 0, 1, 1, true)), marks(flowFrame(ip6, 0, 1, 2, true)); a != b {
					t.Errorf("fragments have %v and %v", a, b)
				}
			}
			assertNoAllocs(t, near, 1, 256, flowFrame(false, 1, 1, 1, false))
			_, p := near.one(1, flowFrame(false, 1, 1, 1, false))
			assertNoAllocs(t, far, 0, 256, p)
		})
	}
}

// RFC 6040 figure 4, in full, for IPv4 and IPv6 inside and outside, alone and in tags.
func TestCombineECN(t *testing.T) {
	const drop = 0xff
	table := map[[2]uint8]uint8{ // inner, outer
		{notECT, notECT}: notECT, {notECT, ect0}: notECT, {notECT, ect1}: notECT, {notECT, ce}: drop,
		{ect0, notECT}: ect0, {ect0, ect0}: ect0, {ect0, ect1}: ect1, {ect0, ce}: ce,
		{ect1, notECT}: ect1, {ect1, ect0}: ect1, {ect1, ect1}: ect1, {ect1, ce}: ce,
		{ce, notECT}: ce, {ce, ect0}: ce, {ce, ect1}: ce, {ce, ce}: ce,
	}
	if len(table) != 16 {
		t.Fatalf("%d rows, want 16", len(table))
	}
	names := []string{"not-ECT", "ECT(1)", "ECT(0)", "CE"}
	for _, outer6 := range []bool{false, true} {
		for _, inner6 := range []bool{false, true} {
			for at, want := range table {
				for tags := range 3 {
					t.Run(fmt.Sprintf("%s in %s/%v in %v/%d tags", names[at[0]], names[at[1]], inner6, outer6, tags), func(t *testing.T) {
						tun := ip4
						if outer6 {
							tun = ip6
						}
						near, far := sizeBox(t, tun, 0, OversizeDrop)
						spec, _ := near.table.Session(1)
						spec.Marking = Marking{TOSFrom: TOSFixed, TOS: 0xb8 | at[1]} // as a router on the way would
						must(0, near.table.SetSession(1, spec))(t)
						spec, _ = far.table.Session(1)
						spec.Marking = Marking{ECN: true}
						must(0, far.table.SetSession(1, spec))(t)
						frame := tcpFrame(inner6, tags, 0)
						setTOS(frame[14+4*tags:], 0x28|at[0])
						_, p := near.one(1, frame)
						out, got := far.one(0, p)
						if want == drop {
							c := far.table.SessionCounters(1)
							if out != NoPort || dropsAt(far.table, 0)["ecn"] != 1 || c.RxECNDiscards != 1 || c.RxErrors != 1 {
								t.Errorf("out of %d, %v, %+v", out, dropsAt(far.table, 0), c)
							}
							assertNoAllocs(t, far, 0, 256, p)
							return
						}
						setTOS(frame[14+4*tags:], 0x28|want)
						if out != 1 || !slices.Equal(got, frame) {
							t.Errorf("out of %d as %x, want %x; %v", out, got, frame, dropsAt(far.table, 0))
						}
						assertNoAllocs(t, far, 0, 256, p)
					})
				}
			}
		}
	}
}

func setTOS(ip []byte, tos uint8) {
	if ip[0]>>4 == 6 {
		ip[0], ip[1] = 0x60|tos>>4, tos<<4
		return
	}
	ip[1] = tos
	l2tp.IPv4(ip).SetChecksum()
}

// What is not IP tells of no congestion, and is not dropped for it.
func TestECNOfOtherFrames(t *testing.T) {
	near, far := sizeBox(t, ip4, 0, OversizeDrop)
	spec, _ := near.table.Session(1)
	spec.Marking = Marking{TOSFrom: TOSFixed, TOS: ce}
	must(0, near.table.SetSession(1, spec))(t)
	spec, _ = far.table.Session(1)
	spec.Marking = Marking{ECN: true}
	must(0, far.table.SetSession(1, spec))(t)
	for _, typ := range []string{"0806", "88cc", "0800", "86dd", "8100", "8864"} {
		frame := wire(t, "02 00 00 00 0a 0b", "02 00 00 00 0a 0a", typ, "00 01 08 00 06 04 00 01 00")
		_, p := near.one(1, frame)
		if out, got := far.one(0, p); out != 1 || !slices.Equal(got, frame) {
			t.Errorf("type %s: out of %d as %x; %v", typ, out, got, dropsAt(far.table, 0))
		}
	}
}

func TestMarkingsThatAreNone(t *testing.T) {
	for name, m := range map[string]Marking{
		"a DSCP of 64": {PCP: true, DSCP: [8]uint8{64}}, "a TOS from nowhere": {TOS: 4}, "three tags": {Skip: 3}, "DF": {DF: 4},
		"a TTL of two": {TTL: 1, TTLInner: true},
	} {
		if m.check() == nil {
			t.Errorf("%s is taken", name)
		}
	}
	table := NewTable(1)
	if _, err := table.AddTunnel(with(ip6, func(s *TunnelSpec) { s.DF = true })); err == nil {
		t.Error("DF over IPv6 is taken")
	}
}

// FuzzInside gives arbitrary frames to whatever looks into them.
func FuzzInside(f *testing.F) {
	f.Add(tcpFrame(true, 2, 2), uint8(1), uint8(3))
	f.Add(wire(f, "02 00 00 00 0a 0b", "02 00 00 00 0a 0a", "8864 1100 0001 0016 0021 45"), uint8(0), uint8(3))
	s := newSeeds()
	f.Fuzz(func(t *testing.T, frame []byte, skip, outer uint8) {
		m := Marking{Skip: skip % 3, PCP: true, ECN: true, TOSFrom: TOSInner, FlowLabel: true}
		k := m.read(frame, false, 0, &s)
		before := slices.Clone(frame)
		congestion(frame, false, outer)
		if again := m.read(frame, false, 0, &s); again.flow != k.flow {
			t.Errorf("flow %#x became %#x", k.flow, again.flow)
		}
		changed := 0
		for i := range frame {
			if frame[i] != before[i] {
				changed++
			}
		}
		if changed > 3 {
			t.Errorf("%d bytes changed, at most a TOS and a checksum may", changed)
		}
	})
}
