package pw

import (
	"bytes"
	"strings"
	"testing"

	"xwire/l2tp"
)

var (
	v2udp4 = with(udp4, func(s *TunnelSpec) { s.Version, s.TID, s.PTID = 2, 11, 22 })

	// A PPPoE client and the port's own address, as bytes 0 to 12 of a frame.
	fromClient = []string{
		"02 00 00 00 0c 01", // the access concentrator: our port
		"02 00 00 00 0c 02", // the client
	}
	toClient = []string{
		"02 00 00 00 0c 02",
		"02 00 00 00 0c 01",
	}
	lcpOverPPPoE = []string{
		"88 64",                // PPPoE session
		"11 00 04d2 0006",      // version 1, type 1, session data, session 1234, 6 bytes
		"c0 21", "09 01 00 04", // LCP echo request
	}
)

func pppoeSession(sid, psid uint32) SessionSpec {
	return SessionSpec{SID: sid, PSID: psid, Type: l2tp.PWPPPAC, PPPoE: PPPoE{
		SessionID: 1234, Own: l2tp.MAC{2, 0, 0, 0, 0xc, 1}, Peer: l2tp.MAC{2, 0, 0, 0, 0xc, 2},
	}, AC: Attachment{Port: 1, VLAN: VLANMatch{Kind: VLANUntagged}}}
}

// pppBox has one tunnel with one session of an untagged PPPoE session on port 1.
func pppBox(t testing.TB, tun TunnelSpec, s SessionSpec) *rig {
	table := NewTable(1)
	table.SetPort(0, PortSpec{Core: true})
	id := must(table.AddTunnel(tun))(t)
	table.SetTunnelNextHop(id, table.AddNextHop(NextHop{Port: 0, Src: l2tp.MAC{2, 0, 0, 0, 0, 1}, Dst: l2tp.MAC{2, 0, 0, 0, 0, 2}}))
	s.Tunnel = id
	must(table.AddSession(s))(t)
	return newRig(t, table)
}

// A LAC's data path byte by byte, in both versions and VLANs.
func TestPPPoEWire(t *testing.T) {
	ipv4 := func(length, sum string) []string {
		return lines(linkHeader, []string{"08 00", "45 00 " + length + " 0000 0000 40 11" + sum}, addresses4)
	}
	single, pair := pppoeSession(44, 33), pppoeSession(44, 33)
	single.AC.VLAN = VLANMatch{Kind: VLANSingle, Lo: 100}
	pair.AC.VLAN = VLANMatch{Kind: VLANQinQ, Lo: 100, C: 20}
	full := pppoeSession(0x11223344, 0x55667788)
	full.TxCookie, full.Sublayer = cookie(t, "0102030405060708"), l2tp.SublayerDefault
	full.RxCookies[0], full.RxCookieCount = full.TxCookie, 1
	const ppp = "ff03 c021 09010004"
	for _, c := range []struct {
		name    string
		tunnel  TunnelSpec
		session SessionSpec
		client  []string // tags of the client's frames
		packet  []string // that we send
		answer  []string // its L2TP header and payload as the peer sends them
	}{
		{
			"RFC2661-3.1", v2udp4, pppoeSession(44, 33), nil,
			lines(ipv4("002a", "8e87"), []string{
				"06a5 06a6 0016 0000",
				"0002 0016 0021", // flags, the peer's tunnel id and session id
			}, []string{ppp}),
			[]string{"0002 000b 002c", ppp},
		}, {
			"RFC2661-3.1-all-fields", v2udp4, pppoeSession(44, 33), nil, nil,
			[]string{"4b02 0016 000b 002c 0007 0000 0002 ffff", ppp},
		}, {
			"without-address-and-control", v2udp4, pppoeSession(44, 33), nil, nil,
			[]string{"0002 000b 002c", ppp[5:]},
		}, {
			"802.1Q", v2udp4, single, []string{"8100 0064"}, nil, []string{"0002 000b 002c", ppp},
		}, {
			"802.1ad", v2udp4, pair, []string{"88a8 0064 8100 0014"}, nil, []string{"0002 000b 002c", ppp},
		}, {
			"RFC3931-over-UDP", udp4, full, nil,
			lines(ipv4("0038", "8e79"), []string{
				"06a5 06a6 0024 0000",
				"00030000", "55667788", "0102030405060708", "00000000",
			}, []string{ppp}),
			[]string{"00030000", "11223344", "0102030405060708", "00000000", ppp},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := pppBox(t, c.tunnel, c.session)
			in := wire(t, lines(fromClient, c.client, lcpOverPPPoE, []string{"0000000000"})...) // padded
			want := wire(t, lines(toClient, c.client, lcpOverPPPoE)...)
			message := wire(t, c.answer...)
			n := uint16(8 + len(message))
			udp := join([]byte{6, 0xa6, 6, 0xa5, byte(n >> 8), byte(n), 0, 0}, message)
			ip := make([]byte, 20)
			l2tp.IPv4(ip).Encode(&l2tp.IPv4Fields{TotalLen: 20 + n, TTL: 64, Protocol: 17, Src: [4]byte{198, 51, 100, 7}, Dst: [4]byte{192, 0, 2, 1}})
			answer := join(wire(t, linkHeader...), []byte{8, 0}, ip, udp)
			for i := range 3 {
				out, got := r.one(1, in)
				if packet := wire(t, c.packet...); out != 0 || len(packet) > 0 && !bytes.Equal(withoutRandom(got), packet) {
					t.Fatalf("encap %d: out of %d, drops %v\n got %x\nwant %x", i, out, dropsAt(r.table, 1), withoutRandom(got), packet)
				}
				out, got = r.one(0, answer)
				if out != 1 || !bytes.Equal(got, want) {
					t.Fatalf("decap %d: out of %d, drops %v\n got %x\nwant %x", i, out, dropsAt(r.table, 0), got, want)
				}
			}
			k := r.table.SessionCounters(1)
			if k.TxPackets != 3 || k.RxPackets != 3 || k.RxBytes != 3*uint64(len(message)) || k.TxErrors+k.RxErrors+k.Suspect != 0 {
				t.Errorf("counters %+v", k)
			}
			assertNoAllocs(t, r, 1, 256, in)
			assertNoAllocs(t, r, 0, 256, answer)
		})
	}
}

// pppDropCases are those of L2TPv2 and PPP, in the box of dropCases.
func pppDropCases(t testing.TB) []dropCase {
	// The port's other session of that PPPoE session id is another client's.
	add := func(table *Table) {
		spec := v2udp4
		spec.Local, spec.Peer = addrPort("192.0.2.1:5000"), addrPort("198.51.100.7:5001")
		s := pppoeSession(44, 33)
		s.Tunnel = must(table.AddTunnel(spec))(t)
		table.SetTunnelNextHop(s.Tunnel, 1)
		must(table.AddSession(s))(t)
		s.SID, s.PPPoE.Peer[5] = 45, 3
		must(table.AddSession(s))(t)
		s.SID, s.AC.Port, s.PPPoE = 46, NoPort, PPPoE{}
		must(table.AddSession(s))(t)
	}
	v2 := func(message string) []byte {
		m := wire(t, message)
		b := wire(t, lines(linkHeader, []string{"08 00", "45 00 0000 0000 0000 40 11 0000", "c6 33 64 07", "c0 00 02 01", "1389 1388 0000 0000"})...)
		b = join(b, m)
		b[17], b[39] = byte(28+len(m)), byte(8+len(m))
		fixIPv4(b)
		return b
	}
	client := wire(t, lines(fromClient, lcpOverPPPoE)...)
	return []dropCase{
		{why: DropOffset, name: "one byte past the end", port: 0, frame: v2("0202 000b 002c 0003 0000"), change: add},
		{why: DropOffset, name: "RFC2661-3.1 Nr cut", port: 0, frame: v2("0802 000b 002c 0003 00"), change: add},
		{why: DropShort, name: "L2TPv2 ids cut by Length", port: 0, frame: v2("4002 000b 002c"), change: add},
		{why: DropUnknownSession, name: "L2TPv2 tunnel id", port: 0, frame: v2("0002 000c 002c ff03 c021"), change: add},
		{why: DropVersion, name: "L2TPv3 for an L2TPv2 tunnel", port: 0, frame: v2("0003 0000 000b 002c"), change: add},
		{why: DropRuntInner, name: "PPP without protocol", port: 0, frame: v2("0002 000b 002c ff03"), change: add},
		{why: DropNoAC, name: "PPP without circuit", port: 0, frame: v2("0002 000b 002e ff03 c021"), change: add},
		{why: DropOversizeAC, name: "PPP frame too long for the port", port: 0, frame: v2("0002 000b 002c ff03 c021" + strings.Repeat("00", 93)), change: add},
		{why: DropPPPoEAddress, name: "of another client", port: 1, frame: patch(client, 11, 9), change: add},
		{why: DropPPPoEAddress, name: "to another concentrator", port: 1, frame: patch(client, 5, 9), change: add},
		{why: DropPPPoEHeader, name: "RFC2516 PADT", port: 1, frame: patch(client, 15, 0xa7), change: add},
		{why: DropPPPoEHeader, name: "type 2", port: 1, frame: patch(client, 14, 0x12), change: add},
		{why: DropPPPoEHeader, name: "longer than the frame", port: 1, frame: patch(client, 19, 7), change: add},
		{why: DropPPPoEHeader, name: "empty", port: 1, frame: patch(client, 19, 0), change: add},
		{why: DropNoAttachment, name: "PPPoE session of nobody", port: 1, frame: patch(client, 17, 0xd3), change: add},
		{why: DropNoAttachment, name: "PPPoE discovery", port: 1, frame: patch(client, 13, 0x63), change: add},
		{why: DropNoAttachment, name: "PPPoE header cut", port: 1, frame: client[:19], change: add},
	}
}

// Sessions of one port are told apart by VLAN, PPPoE session id and client.
func TestPPPoESessionsOfOnePort(t *testing.T) {
	r := pppBox(t, v2udp4, pppoeSession(1, 1))
	sid := uint32(1)
	add := func(change func(*SessionSpec)) error {
		s := pppoeSession(0, 0)
		change(&s)
		sid++
		s.Tunnel, s.SID, s.PSID = 1, sid, sid
		_, err := r.table.AddSession(s)
		return err
	}
	for i, change := range []func(*SessionSpec){
		func(s *SessionSpec) { s.PPPoE.SessionID = 1235 },
		func(s *SessionSpec) { s.PPPoE.Peer[5] = 3 },
		func(s *SessionSpec) { s.AC.VLAN = VLANMatch{Kind: VLANSingle, Lo: 100} },
		func(s *SessionSpec) { s.AC.VLAN = VLANMatch{Kind: VLANQinQ, Lo: 100, C: 20} },
		func(s *SessionSpec) { s.AC.VLAN = VLANMatch{Kind: VLANQinQ, Lo: 101, C: 20} },
		func(s *SessionSpec) { s.AC.Port = 2 },
		func(s *SessionSpec) { // Ethernet beside them is no matter in another VLAN; in v3
			s.Type, s.PPPoE, s.AC.VLAN = l2tp.PWEth, PPPoE{}, VLANMatch{Kind: VLANSingle, Lo: 200}
		},
	} {
		err := add(change)
		if (err != nil) != (i == 6) { // L2TPv2 carries no Ethernet
			t.Errorf("session %d: %v", i, err)
		}
	}
	for _, change := range []func(*SessionSpec){
		func(*SessionSpec) {},
		func(s *SessionSpec) { s.PPPoE.Own[5] = 7 }, // the same client's
	} {
		if err := add(change); err == nil || !strings.Contains(err.Error(), "has it") {
			t.Errorf("a clash: %v", err)
		}
	}
	eth := must(r.table.AddTunnel(ip4))(t)
	for _, c := range []struct {
		vlan VLANMatch
		port uint16
		ok   bool
	}{
		{VLANMatch{}, 1, false},
		{VLANMatch{Kind: VLANUntagged}, 1, false},
		{VLANMatch{Kind: VLANSingle, Lo: 101}, 1, false},
		{VLANMatch{Kind: VLANRange, Lo: 90, Hi: 110}, 1, false},
		{VLANMatch{Kind: VLANQinQ, Lo: 101, C: 20}, 1, false},
		{VLANMatch{Kind: VLANQinQ, Lo: 101, C: 21}, 1, true},
		{VLANMatch{Kind: VLANSingle, Lo: 102}, 1, true},
		{VLANMatch{}, 3, true},
	} {
		sid++
		_, err := r.table.AddSession(SessionSpec{Tunnel: eth, SID: sid, PSID: sid, Type: l2tp.PWEth, AC: Attachment{Port: c.port, VLAN: c.vlan}})
		if (err == nil) != c.ok {
			t.Errorf("Ethernet beside PPPoE in VLAN %v of port %d: %v", c.vlan, c.port, err)
		}
	}
	if err := add(func(s *SessionSpec) { s.AC.VLAN = VLANMatch{Kind: VLANSingle, Lo: 102} }); err == nil {
		t.Error("PPPoE beside Ethernet in one VLAN was allowed")
	}
	if err := add(func(s *SessionSpec) { s.AC.Port = 3 }); err == nil {
		t.Error("PPPoE on a port that is Ethernet's as a whole was allowed")
	}

	frame := func(tags string, change func([]byte)) []byte {
		b := wire(t, lines(fromClient, []string{tags}, lcpOverPPPoE)...)
		if change != nil {
			change(b)
		}
		return b
	}
	for want, f := range map[uint16][]byte{
		1: frame("", nil),
		2: frame("", func(b []byte) { b[17]++ }),
		3: frame("", func(b []byte) { b[11] = 3 }),
		4: frame("8100 e064", nil),
		5: frame("88a8 0064 9100 0014", nil),
		6: frame("88a8 0065 8100 0014", nil),
	} {
		if out, got := r.one(1, f); out != 0 || u16(got[46:]) != want {
			t.Errorf("frame of session %d: out of %d, for %d; %v", want, out, u16(got[46:]), dropsAt(r.table, 1))
		}
	}
	if out, got := r.one(1, frame("8100 0000", nil)); out != 0 || u16(got[46:]) != 1 {
		t.Errorf("a priority tag: out of %d, for %d; %v", out, u16(got[46:]), dropsAt(r.table, 1))
	}
}

// PPP goes from version to version, as Ethernet does from encapsulation to encapsulation.
func TestJoinPPP(t *testing.T) {
	r := pppBox(t, v2udp4, SessionSpec{SID: 44, PSID: 33, Type: l2tp.PWPPP, AC: Attachment{Port: NoPort}})
	far := must(r.table.AddTunnel(ip6))(t)
	r.table.SetTunnelNextHop(far, 1)
	s := SessionSpec{Tunnel: far, SID: 1, PSID: 2, Type: l2tp.PWPPPAC, Sublayer: l2tp.SublayerDefault, TxCookie: cookie(t, "01020304"), AC: Attachment{Port: NoPort}}
	b := must(r.table.AddSession(s))(t)
	s.SID, s.Type = 3, l2tp.PWEth
	eth := must(r.table.AddSession(s))(t)
	if err := r.table.Join(1, eth); err == nil {
		t.Error("PPP was joined with Ethernet")
	}
	if err := r.table.Join(1, b); err != nil {
		t.Fatal(err)
	}
	for _, ppp := range []string{"ff03 c021 09010004", "c021 09010004"} {
		message := wire(t, "0002 000b 002c", ppp)
		p := join(wire(t, lines(linkHeader, []string{"0800 4500 0000 0000 0000 4011 0000", "c6 33 64 07", "c0 00 02 01", "06a6 06a5 0000 0000"})...), message)
		p[17], p[39] = byte(28+len(message)), byte(8+len(message))
		fixIPv4(p)
		out, got := r.one(0, p)
		if want := wire(t, "00000002 01020304 00000000", "ff03 c021 09010004"); out != 0 || !bytes.HasSuffix(got, want) || u16(got[12:]) != 0x86dd {
			t.Errorf("to L2TPv3: out of %d, %v\n%x", out, dropsAt(r.table, 0), got)
		}
		assertNoAllocs(t, r, 0, 256, p)
	}
	back := wire(t, lines(linkHeader, []string{"86dd 60000000 0010 73 40"}, []string{addresses6[1], addresses6[0]}, []string{"00000001 00000000", "ff03 c021 09010004"})...)
	out, got := r.one(0, back)
	if want := wire(t, "0002 0016 0021", "ff03 c021 09010004"); out != 0 || !bytes.HasSuffix(got, want) {
		t.Errorf("to L2TPv2: out of %d, %v\n%x", out, dropsAt(r.table, 0), got)
	}
}

// Sessions keep their ids when their tunnel gets others.
func TestSetTunnelV2(t *testing.T) {
	r := pppBox(t, v2udp4, pppoeSession(44, 33))
	if err := r.table.SetTunnel(1, udp4); err == nil {
		t.Error("a tunnel with sessions became one of L2TPv3")
	}
	other := must(r.table.AddTunnel(with(v2udp4, func(s *TunnelSpec) { s.TID = 12 })))(t)
	s := SessionSpec{Tunnel: other, SID: 44, PSID: 1, Type: l2tp.PWPPP, AC: Attachment{Port: NoPort}}
	id := must(r.table.AddSession(s))(t) // the same session id in another tunnel
	moved := with(v2udp4, func(s *TunnelSpec) { s.TID, s.PTID = 12, 99 })
	if err := r.table.SetTunnel(1, moved); err == nil || !strings.Contains(err.Error(), "session id 44") {
		t.Errorf("a tunnel got another's sessions: %v", err)
	}
	if err := r.table.RemoveSession(id); err != nil {
		t.Fatal(err)
	}
	if err := r.table.SetTunnel(1, moved); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := r.table.Tunnel(1); got != moved {
		t.Errorf("reads back as %+v", got)
	}
	if got, _ := r.table.Session(1); got.SID != 44 || got.PSID != 33 || got.Type != l2tp.PWPPPAC || got.PPPoE != pppoeSession(0, 0).PPPoE {
		t.Errorf("session reads back as %+v", got)
	}
	if _, got := r.one(1, wire(t, lines(fromClient, lcpOverPPPoE)...)); u32(got[44:]) != 99<<16|33 {
		t.Errorf("sent %x", got)
	}
}

func TestPPPSpecs(t *testing.T) {
	for _, c := range []struct {
		name   string
		tunnel TunnelSpec
		change func(*SessionSpec)
		err    string
	}{
		{"good", v2udp4, func(*SessionSpec) {}, ""},
		{"detached", v2udp4, func(s *SessionSpec) { s.AC.Port = NoPort }, ""},
		{"v3", udp4, func(s *SessionSpec) { s.SID = 0x10000; s.Sublayer = l2tp.SublayerDefault }, ""},
		{"sid", v2udp4, func(s *SessionSpec) { s.SID = 0x10000 }, "16 bits"},
		{"psid", v2udp4, func(s *SessionSpec) { s.PSID = 0x10000 }, "16 bits"},
		{"cookie", v2udp4, func(s *SessionSpec) { s.TxCookie = cookie(t, "01020304") }, "neither"},
		{"sublayer", v2udp4, func(s *SessionSpec) { s.Sublayer = l2tp.SublayerDefault }, "neither"},
		{"Ethernet", v2udp4, func(s *SessionSpec) { s.Type, s.PPPoE = l2tp.PWEth, PPPoE{} }, "ppp only"},
		{"Ethernet with PPPoE", udp4, func(s *SessionSpec) { s.Type = l2tp.PWEth }, "must be ppp"},
		{"PPPoE session 0", v2udp4, func(s *SessionSpec) { s.PPPoE.SessionID = 0 }, "1 to 65534"},
		{"PPPoE session 65535", v2udp4, func(s *SessionSpec) { s.PPPoE.SessionID = 0xffff }, "1 to 65534"},
		{"the port's own address", v2udp4, func(s *SessionSpec) { s.PPPoE.Own = l2tp.MAC{} }, ""},
		{"no peer", v2udp4, func(s *SessionSpec) { s.PPPoE.Peer = l2tp.MAC{} }, "two stations"},
		{"multicast", v2udp4, func(s *SessionSpec) { s.PPPoE.Own[0] = 3 }, "two stations"},
		{"all VLANs", v2udp4, func(s *SessionSpec) { s.AC.VLAN = VLANMatch{} }, "one VLAN"},
		{"carried tags", v2udp4, func(s *SessionSpec) { s.AC.PW.Kind = PWNone }, "one VLAN"},
	} {
		table := NewTable(1)
		s := pppoeSession(44, 33)
		s.Tunnel = must(table.AddTunnel(c.tunnel))(t)
		c.change(&s)
		_, err := table.AddSession(s)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
	}
}

// The MSS of a PPP session's TCP is lowered both ways, whether protocols have one byte or two.
func TestClampPPP(t *testing.T) {
	syn := func(protocol string, mss uint16) []byte {
		tcp := join(wire(t, "c000 0050 00000000 00000000 6002 ffff 0000 0000", "0204"), []byte{byte(mss >> 8), byte(mss)})
		ip := wire(t, "45 00 002c 0000 4000 40 06 0000", "0a000001", "0a000002")
		l2tp.IPv4(ip).SetChecksum()
		return join(wire(t, protocol), ip, tcp)
	}
	for _, c := range []struct {
		protocol  string
		mtu, mss  int
		was, want uint16
	}{
		{"0021", 1454, 0, 1460, 1454 - 2 - 40},
		{"21", 1454, 0, 1460, 1454 - 1 - 40},
		{"0021", 1454, 0, 1000, 1000},
		{"0021", 0, 900, 1460, 900},
		{"0057", 1454, 0, 1460, 1460}, // what is inside says IPv4
		{"c021", 1454, 0, 1460, 1460},
	} {
		b := syn(c.protocol, c.was)
		clampPPP(b, c.mtu, c.mss)
		if got := u16(b[len(b)-2:]); got != c.want {
			t.Errorf("protocol %s, MTU %d, MSS %d: %d became %d, want %d", c.protocol, c.mtu, c.mss, c.was, got, c.want)
		}
	}
	clampPPP([]byte{0x21}, 1500, 0)
	clampPPP(nil, 1500, 0)

	for _, send := range []bool{false, true} {
		s := pppoeSession(44, 33)
		s.MSS, s.Sequence.Send = MSSByPath, send
		want := uint16(1500 - 20 - 8 - 6 - 4 - 40)
		if send {
			want -= 4 // Ns and Nr
		}
		r := pppBox(t, v2udp4, s)
		r.table.SetNextHop(1, NextHop{Port: 0, MTU: 1500})
		ppp := syn("0021", 1460)
		frame := s.refToPPPoE(ppp)
		frame = join(frame[6:12], frame[:6], frame[12:])
		if out, got := r.one(1, frame); out != 0 || u16(got[len(got)-2:]) != want {
			t.Errorf("numbered %v: out of %d with MSS %d, want %d; %v", send, out, u16(got[len(got)-2:]), want, dropsAt(r.table, 1))
		}
	}
}

// Without an address of its own a circuit has the port's, which may change.
func TestPPPoEOfThePort(t *testing.T) {
	s := pppoeSession(44, 33)
	mac := s.PPPoE.Own
	s.PPPoE.Own = l2tp.MAC{}
	r := pppBox(t, v2udp4, s)
	frame := wire(t, lines(fromClient, lcpOverPPPoE)...)
	answer := wire(t, lines(linkHeader, []string{"0800 4500 002a 0000 0000 4011 8e87", "c6 33 64 07", "c0 00 02 01", "06a6 06a5 0016 0000", "0002 000b 002c ff03 c021 09010004"})...)
	fixIPv4(answer)
	if out, _ := r.one(1, frame); out != NoPort {
		t.Errorf("taken without an address: out of %d", out)
	}
	for _, m := range []l2tp.MAC{mac, {2, 0, 0, 0, 0xc, 7}} {
		r.table.SetPort(1, PortSpec{MAC: m})
		copy(frame, m[:])
		if out, _ := r.one(1, frame); out != 0 {
			t.Errorf("to %x: out of %d, %v", m, out, dropsAt(r.table, 1))
		}
		if out, got := r.one(0, answer); out != 1 || l2tp.MAC(got[6:]) != m {
			t.Errorf("from %x: out of %d as %x, %v", m, out, got, dropsAt(r.table, 0))
		}
	}
}

// A circuit that nobody else is on follows its peer's address.
func TestPPPoELearnsItsPeer(t *testing.T) {
	s := pppoeSession(44, 33)
	s.PPPoE.Learn = true
	r := pppBox(t, v2udp4, s)
	frame := wire(t, lines(fromClient, lcpOverPPPoE)...)
	answer := wire(t, lines(linkHeader, []string{"0800 4500 002a 0000 0000 4011 8e87", "c6 33 64 07", "c0 00 02 01", "06a6 06a5 0016 0000", "0002 000b 002c ff03 c021 09010004"})...)
	fixIPv4(answer)
	want := s.PPPoE.Peer
	for i, from := range []l2tp.MAC{{}, {2, 5: 7}, {2, 5: 8}, {3, 5: 9}} {
		if i > 0 {
			copy(frame[6:], from[:])
			out, _ := r.one(1, frame)
			if group := from[0]&1 != 0; group != (out == NoPort) {
				t.Errorf("from %x: out of %d, %v", from, out, dropsAt(r.table, 1))
			} else if !group {
				want = from
			}
		}
		if out, got := r.one(0, answer); out != 1 || l2tp.MAC(got) != want || l2tp.MAC(got[6:]) != s.PPPoE.Own {
			t.Errorf("after %x: out of %d as %x, want it to %x", from, out, got[:12], want)
		}
	}
	// A change of something else does not make it forget, nor does a look at what would become of a frame.
	x, _ := r.table.Session(1)
	x.PSID++
	must(0, r.table.SetSession(1, x))(t)
	if out, got := r.one(0, answer); out != 1 || l2tp.MAC(got) != want {
		t.Errorf("after a change: out of %d as %x, want it to %x", out, got[:12], want)
	}
	if e := r.table.Explain(answer, 0, testNames{}); len(e.Out) != 1 || l2tp.MAC(e.Out[0].Frame) != want {
		t.Errorf("explained as %+v, want it to %x", e, want)
	}
	x.PPPoE.Peer[5]++
	must(0, r.table.SetSession(1, x))(t)
	if out, got := r.one(0, answer); out != 1 || l2tp.MAC(got) != x.PPPoE.Peer {
		t.Errorf("after another address was given: out of %d as %x, want it to %x", out, got[:12], x.PPPoE.Peer)
	}
	assertNoAllocs(t, r, 1, 256, wire(t, lines(fromClient, lcpOverPPPoE)...))
}
