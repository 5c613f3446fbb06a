package pw

import (
	"errors"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"xwire/l2tp"
)

func TestTunnelSpecs(t *testing.T) {
	for _, c := range []struct {
		name string
		spec TunnelSpec
		err  string // "" is none
	}{
		{"ip over IPv4", ip4, ""},
		{"udp over IPv6", udp6, ""},
		{"version 4", with(ip4, func(s *TunnelSpec) { s.Version = 4 }), "must be 2 or 3"},
		{"version 2", v2udp4, ""},
		{"version 2 over ip", with(ip4, func(s *TunnelSpec) { s.Version, s.TID, s.PTID = 2, 1, 1 }), "over udp"},
		{"version 2 without ids", with(udp4, func(s *TunnelSpec) { s.Version, s.TID = 2, 1 }), "control messages"},
		{"version 3 with ids", with(udp4, func(s *TunnelSpec) { s.TID = 1 }), "only L2TPv2"},
		{"families", with(ip4, func(s *TunnelSpec) { s.Peer = ip6.Peer }), "one family"},
		{"mapped", with(ip6, func(s *TunnelSpec) { s.Peer = addrPort("::ffff:192.0.2.1") }), "one family"},
		{"no peer", with(ip4, func(s *TunnelSpec) { s.Peer = netip.AddrPort{} }), "must be given"},
		{"any address", with(ip4, func(s *TunnelSpec) { s.Local = addrPort("0.0.0.0") }), "must be given"},
		{"multicast", with(ip4, func(s *TunnelSpec) { s.Peer = addrPort("224.0.0.1") }), "multicast"},
		{"port over ip", with(ip4, func(s *TunnelSpec) { s.Peer = addrPort("192.0.2.9:1701") }), "no meaning"},
		{"no port over udp", with(udp4, func(s *TunnelSpec) { s.Peer = addrPort("192.0.2.9") }), "must be given"},
		{"encapsulation", with(ip4, func(s *TunnelSpec) { s.Encap = 7 }), "udp or ip"},
	} {
		table := NewTable(1)
		id, err := table.AddTunnel(c.spec)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
		if err != nil {
			continue
		}
		want := c.spec
		want.Version = max(want.Version, 3)
		if want.TID != 0 {
			want.Version = 2
		}
		if got, _, ok := table.Tunnel(id); !ok || got != want {
			t.Errorf("%s: reads back as %+v, want %+v", c.name, got, want)
		}
	}
}

func TestSessionSpecs(t *testing.T) {
	good := SessionSpec{SID: 1, PSID: 2, Type: l2tp.PWEth, AC: Attachment{Port: 3, STPID: 0x88a8}}
	change := func(f func(*SessionSpec)) SessionSpec { s := good; f(&s); return s }
	vlan := func(v VLANMatch, p PWTags) SessionSpec {
		return change(func(s *SessionSpec) { s.AC.VLAN, s.AC.PW = v, p })
	}
	for _, c := range []struct {
		name string
		spec SessionSpec
		err  string
	}{
		{"plain", good, ""},
		{"everything", change(func(s *SessionSpec) {
			s.TxCookie, s.RxCookieCount, s.Sublayer, s.Type = cookie(t, "01020304"), 2, l2tp.SublayerDefault, l2tp.PWEthVLAN
			s.RxCookies = [2]l2tp.Cookie{cookie(t, "0102030405060708"), cookie(t, "1112131415161718")}
			s.AC.VLAN, s.AC.PW, s.AC.STPID = VLANMatch{Kind: VLANQinQ, Lo: 100, C: 4094}, PWTags{Kind: PWVID, VID: 4000}, 0x9100
		}), ""},
		{"range", vlan(VLANMatch{Kind: VLANRange, Lo: 100, Hi: 199}, PWTags{}), ""},
		{"untagged", vlan(VLANMatch{Kind: VLANUntagged}, PWTags{Kind: PWNone}), ""},
		{"single", vlan(VLANMatch{Kind: VLANSingle, Lo: 9}, PWTags{Kind: PWNone}), ""},
		{"detached", change(func(s *SessionSpec) { s.AC.Port = NoPort }), ""},
		{"sid 0", change(func(s *SessionSpec) { s.SID = 0 }), "control"},
		{"psid 0", change(func(s *SessionSpec) { s.PSID = 0 }), "control"},
		{"cookies of two lengths", change(func(s *SessionSpec) {
			s.RxCookieCount, s.RxCookies = 2, [2]l2tp.Cookie{cookie(t, "01020304"), cookie(t, "0102030405060708")}
		}), "one length"},
		{"three cookies", change(func(s *SessionSpec) { s.RxCookieCount = 3 }), "0 to 2"},
		{"HDLC", change(func(s *SessionSpec) { s.Type = 6 }), "eth, vlan"},
		{"sublayer", change(func(s *SessionSpec) { s.Sublayer = 2 }), "none or default"},
		{"port", change(func(s *SessionSpec) { s.AC.Port = MaxPorts }), "below 1024"},
		{"VLAN 0", vlan(VLANMatch{Kind: VLANSingle}, PWTags{}), "1 to 4094"},
		{"VLAN 4095", vlan(VLANMatch{Kind: VLANSingle, Lo: 4095}, PWTags{}), "1 to 4094"},
		{"range backwards", vlan(VLANMatch{Kind: VLANRange, Lo: 9, Hi: 8}, PWTags{}), "in order"},
		{"inner VLAN 0", vlan(VLANMatch{Kind: VLANQinQ, Lo: 9}, PWTags{}), "1 to 4094"},
		{"VLAN kind", vlan(VLANMatch{Kind: 9}, PWTags{}), "1 to 4094"},
		{"all, none", vlan(VLANMatch{}, PWTags{Kind: PWNone}), "only be kept"},
		{"range, VID", vlan(VLANMatch{Kind: VLANRange, Lo: 1, Hi: 2}, PWTags{Kind: PWVID, VID: 2}), "only be kept"},
		{"VID 0", vlan(VLANMatch{Kind: VLANSingle, Lo: 1}, PWTags{Kind: PWVID}), "1 to 4094"},
		{"PW kind", vlan(VLANMatch{Kind: VLANSingle, Lo: 1}, PWTags{Kind: 9}), "keep, none or a VLAN"},
		{"no tunnel", change(func(s *SessionSpec) { s.Tunnel = 99 }), "there is none"},
	} {
		table := NewTable(1)
		tun := must(table.AddTunnel(ip4))(t)
		if c.spec.Tunnel == 0 {
			c.spec.Tunnel = tun
		}
		id, err := table.AddSession(c.spec)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
		if err != nil {
			continue
		}
		if got, ok := table.Session(id); !ok || got != c.spec {
			t.Errorf("%s: reads back as\n%+v, want\n%+v", c.name, got, c.spec)
		}
	}
}

func TestNextHopReadsBack(t *testing.T) {
	table := NewTable(1)
	for _, want := range []NextHop{
		{Port: 1, Src: l2tp.MAC{1, 2, 3, 4, 5, 6}, Dst: l2tp.MAC{6, 5, 4, 3, 2, 1}, MTU: 1600},
		{Port: NoPort, Tags: []l2tp.Tag{{TPID: 0x88a8, TCI: 7}, {TPID: 0x8100, TCI: 8}}},
	} {
		if got, ok := table.NextHop(table.AddNextHop(want)); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// Sessions may share everything but what tells their frames apart.
func TestClashes(t *testing.T) {
	table := NewTable(1)
	a, b := must(table.AddTunnel(ip4))(t), must(table.AddTunnel(ip4))(t) // the same addresses
	other := must(table.AddTunnel(with(ip4, func(s *TunnelSpec) { s.Peer = addrPort("198.51.100.8") })))(t)
	session := func(tun TunnelID, sid uint32, v VLANMatch) SessionSpec {
		return SessionSpec{Tunnel: tun, SID: sid, PSID: 1, Type: l2tp.PWEth, AC: Attachment{Port: 1, VLAN: v}}
	}
	single := func(v uint16) VLANMatch { return VLANMatch{Kind: VLANSingle, Lo: v} }
	first := must(table.AddSession(session(a, 1, single(100))))(t)
	for _, c := range []struct {
		name string
		spec SessionSpec
		ok   bool
	}{
		{"the same session id under the same addresses", session(b, 1, single(101)), false},
		{"the same session id from another peer", session(other, 1, single(101)), true},
		{"the same VLAN", session(a, 2, single(100)), false},
		{"a range with it", session(a, 2, VLANMatch{Kind: VLANRange, Lo: 90, Hi: 110}), false},
		{"a pair in it", session(a, 2, VLANMatch{Kind: VLANQinQ, Lo: 100, C: 1}), true},
		{"the same pair", session(a, 3, VLANMatch{Kind: VLANQinQ, Lo: 100, C: 1}), false},
		{"all the rest", session(a, 3, VLANMatch{}), true},
		{"all the rest again", session(a, 4, VLANMatch{}), false},
		{"untagged", session(a, 4, VLANMatch{Kind: VLANUntagged}), true},
		{"untagged again", session(a, 5, VLANMatch{Kind: VLANUntagged}), false},
	} {
		_, err := table.AddSession(c.spec)
		var clash *ClashError
		if (err == nil) != c.ok || !c.ok && !errors.As(err, &clash) {
			t.Errorf("%s: %v, ok %t", c.name, err, c.ok)
		}
		if clash != nil && (clash.Session == 0 || !strings.Contains(err.Error(), clash.What)) {
			t.Errorf("%s: %v does not name the other", c.name, err)
		}
	}
	if err := table.SetTunnel(other, ip4); err == nil {
		t.Error("two tunnels became one with a session id twice")
	}
	if err := table.SetSession(first, session(other, 9, single(100))); err == nil {
		t.Error("a session moved to another tunnel")
	}
	if err := table.RemoveTunnel(a); err == nil {
		t.Error("a tunnel with sessions was removed")
	}
	if table.RemoveSession(99) == nil || table.RemoveTunnel(99) == nil || table.SetSession(99, session(a, 9, single(1))) == nil || table.SetTunnel(99, ip4) == nil {
		t.Error("something was done to what is not there")
	}
}

func TestCounters(t *testing.T) {
	table := dropBox(t)
	r := newRig(t, table)
	a, inner := wire(t, dropIP4...), wire(t, dropInner...)
	const sublayer = 14 + 20 + 4 + 8
	second := patch(a, 38, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18)
	for _, p := range [][]byte{a, a, second, patch(a, 45, 0), patch(a, sublayer, 0x80), patch(a, sublayer, 0x20), patch(a, sublayer, 0x0f),
		patch(a[:sublayer+4+13], 16, 0, 20+16+13), patch(a, sublayer+4+15, 99), patch(a, sublayer, 0x40)} {
		r.one(0, p)
	}
	r.one(1, inner)
	r.one(1, join(inner, make([]byte, 500)))
	message := uint64(16 + len(inner))
	want := Counters{
		TxPackets: 1, TxBytes: uint64(4+4) + uint64(len(inner)), TxErrors: 1, // no tx cookie
		RxPackets: 7, RxBytes: 6*message + 16 + 13, RxErrors: 5, RxCookieDiscards: 1,
		RxCookie: [2]uint64{8, 1}, RxOAM: 1, RxFragments: 1, SublayerBits: 1,
	}
	got := table.SessionCounters(1)
	got.Suspect = 0
	if got != want {
		t.Errorf("session\ngot  %+v\nwant %+v", got, want)
	}
	// As in the kernel: a wrong version and a message that is too short are the tunnel's.
	r.one(0, patch(wire(t, dropUDP4...), 42, 0, 2))
	if c := table.TunnelCounters(2); c.RxInvalid != 1 {
		t.Errorf("tunnel over UDP: %+v", c)
	}
	r.one(0, patch(a[:45], 16, 0, 31))
	c := table.TunnelCounters(1)
	if c.RxInvalid != 1 || c.RxPackets != want.RxPackets {
		t.Errorf("tunnel over IP: %+v", c)
	}
	if n := table.PortForwarded(0); n != 5 {
		t.Errorf("PortForwarded = %d", n)
	}
}

// The budget: 256 bytes a session with one worker, 128 more for each further one.
func TestMemoryPerSession(t *testing.T) {
	const n = 200_000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	fill := func(workers int) float64 {
		before := heap()
		table := NewTable(workers)
		tun := must(table.AddTunnel(ip4))(t)
		for i := range uint32(n) {
			must(table.AddSession(SessionSpec{
				Tunnel: tun, SID: i + 1, PSID: i + 1, Type: l2tp.PWEth,
				AC: Attachment{Port: 1, VLAN: VLANMatch{Kind: VLANQinQ, Lo: uint16(1 + i/4000), C: uint16(1 + i%4000)}},
			}))(t)
		}
		used := float64(heap()-before) / n
		runtime.KeepAlive(table)
		return used
	}
	one, three := fill(1), fill(3)
	t.Logf("%.1f bytes a session with one worker, %.1f more for each further one", one, (three-one)/2)
	if one > 256 {
		t.Errorf("%.1f bytes a session with one worker, budget 256", one)
	}
	if (three-one)/2 > 132 { // 128 and the worker itself
		t.Errorf("%.1f bytes a session for a further worker, budget 128", (three-one)/2)
	}
}

// An index finds what is in it, through growth and removals.
func TestIndex(t *testing.T) {
	// An index at most three quarters full, of tags without an order, takes 2.5 (Knuth, linear
	// probing), and somewhat more where searches begin at groups. No seed may do worse.
	for range 32 {
		if mean := indexProbes(t); mean > 4 {
			t.Errorf("%.2f entries looked at on average", mean)
		}
	}
}

// indexProbes fills an index of fresh seeds, holds it against a map, and tells how many entries a
// search looks at on average.
func indexProbes(t *testing.T) float64 {
	x := newIndex(0)
	const n = 20000
	in := make(map[uint32]uint32)
	s := newSeeds()
	tagOf := func(i uint32) uint32 { return s.acTag(acKey{uint16(i), uint16(i >> 16), 1, 0}) }
	for i := uint32(1); i <= n; i++ {
		if x.full() {
			x = x.grown()
		}
		x.insert(tagOf(i), i)
		in[i] = tagOf(i)
		if i%3 == 0 {
			x.remove(in[i/3], i/3)
			delete(in, i/3)
		}
	}
	find := func(tag, record uint32) bool {
		got, place := x.first(tag)
		for got != 0 && got != record {
			got, place = x.next(tag, place)
		}
		return got == record
	}
	for i := uint32(1); i <= n; i++ {
		if tag, ok := in[i]; ok != find(tagOf(i), i) {
			t.Fatalf("record %d, tag %#x: there %t", i, tag, ok)
		}
	}
	if x.live != len(in) {
		t.Errorf("%d live, want %d", x.live, len(in))
	}
	// Tag 1 with record 0 is the mark of removal.
	if r, _ := x.first(1); r != 0 && x.place(1, r) < 0 {
		t.Errorf("tag 1 leads to %d", r)
	}
	probes := 0
	for _, tag := range in {
		_, place := x.first(tag)
		probes += int(place-x.start(tag)+uint32(len(x.entries)))%len(x.entries) + 1
	}
	return float64(probes) / float64(len(in))
}

func TestSuspicions(t *testing.T) {
	body := wire(t, dropInner...)
	const c4, c8 = "01020304", "0102030405060708"
	type setting struct {
		cookie   string
		sublayer l2tp.Sublayer
	}
	for _, c := range []struct {
		name       string
		peer, ours setting
		want       string
	}{
		{"the same", setting{c8, 1}, setting{c8, 1}, ""},
		{"sublayer sent", setting{"", 1}, setting{"", 0}, "peer seems to send a 4-byte sublayer; l2spec_type is none"},
		{"sublayer not sent", setting{"", 0}, setting{"", 1}, "peer seems to send no sublayer; l2spec_type is default"},
		{"sublayer sent behind a cookie", setting{c8, 1}, setting{c8, 0}, "peer seems to send a 4-byte sublayer; l2spec_type is none"},
		{"sublayer not sent behind a cookie", setting{c4, 0}, setting{c4, 1}, "peer seems to send no sublayer; l2spec_type is default"},
		{"cookie sent", setting{c8, 0}, setting{"", 0}, "peer seems to send a cookie of 8 bytes; rx_cookie is not set"},
		{"cookie not sent", setting{"", 0}, setting{c8, 0}, "peer seems to send no cookie; rx_cookie has 8"},
		{"shorter cookie", setting{c4, 0}, setting{c8, 0}, "peer seems to send a cookie of 4 bytes; rx_cookie has 8"},
		{"longer cookie", setting{c8, 0}, setting{c4, 0}, "peer seems to send a cookie of 8 bytes; rx_cookie has 4"},
		{"other cookie", setting{"0a0b0c0d", 0}, setting{c4, 0}, "peer seems to send another cookie than rx_cookie, of the same length"},
		{"both", setting{"", 1}, setting{c8, 0}, "peer seems to send a 4-byte sublayer; l2spec_type is none; and peer seems to send no cookie; rx_cookie has 8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := NewTable(1)
			table.SetPort(0, PortSpec{Core: true})
			tun := must(table.AddTunnel(ip4))(t)
			spec := SessionSpec{Tunnel: tun, SID: 1, PSID: 1, Type: l2tp.PWEth, Sublayer: c.ours.sublayer, AC: Attachment{Port: 1}}
			if c.ours.cookie != "" {
				spec.RxCookies[0], spec.RxCookieCount = cookie(t, c.ours.cookie), 1
			}
			id := must(table.AddSession(spec))(t)
			far := newReference()
			far.hops[1] = NextHop{}
			far.tunnels[1] = refTunnel{TunnelSpec{Encap: ip4.Encap, Local: ip4.Peer, Peer: ip4.Local}, 1}
			o := far.encap(1, &SessionSpec{Tunnel: 1, PSID: 1, TxCookie: cookie(t, c.peer.cookie), Sublayer: c.peer.sublayer}, 256, body)
			r := newRig(t, table)
			r.one(0, o.bytes)
			if got := table.Suspicion(id).String(); got != c.want {
				t.Errorf("Suspicion = %q, want %q", got, c.want)
			}
			if n := table.SessionCounters(id).Suspect; (n > 0) != (c.want != "") {
				t.Errorf("Suspect = %d", n)
			}
		})
	}
}
