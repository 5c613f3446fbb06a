package scenarios

import (
	"fmt"
	"maps"
	"net/netip"
	"testing"

	"xwire/appliance/api"
)

// bare is the frame inside hand-made packets, untagged.
func bare() []byte { return tagged(1) }

// TestStrict sends each wire the packet it expects and then one with a single thing wrong.
func TestStrict(t *testing.T) {
	w := pair(t, shape{})
	none := [2]string{"none", "none"}
	cookies := [2]string{"1112131415161718", "2122232425262728"}
	ip4 := &wire{name: "ip4", sid: [2]uint32{10, 20}, cookie: cookies, vlan: vlanOf(0), pwVLAN: none}
	ip6 := &wire{name: "ip6", six: true, sid: [2]uint32{11, 21}, cookie: cookies, vlan: vlanOf(1), pwVLAN: none, sublayer: "default"}
	udp4 := &wire{name: "udp4", udp: true, sid: [2]uint32{12, 22}, cookie: cookies, vlan: vlanOf(2), pwVLAN: none, port: [2]uint16{1701, 1702}}
	udp6 := &wire{name: "udp6", udp: true, six: true, sid: [2]uint32{13, 23}, cookie: cookies, vlan: vlanOf(3), pwVLAN: none}
	must(t, w.hosts[0].AddAddr("core0", netip.MustParsePrefix("192.0.2.11/24")))
	must(t, w.hosts[0].AddAddr("core0", netip.MustParsePrefix("2001:db8::11/64")))
	// A second tunnel of each family and encapsulation, to addresses that are xwire's as well.
	other := `
[tunnel.other4]
encap = "ip"
local = "192.0.2.11"
peer = "192.0.2.2"
tid = 900
ptid = 900
[tunnel.other4.session.s]
sid = 900
psid = 900
l2spec_type = "none"
attach = "ac0"
vlan = 900
pw_vlan = "none"
[tunnel.other6]
encap = "udp"
local = "[2001:db8::11]:1701"
peer = "[2001:db8::2]:1701"
tid = 901
ptid = 901
[tunnel.other6.session.s]
sid = 901
psid = 901
l2spec_type = "none"
attach = "ac0"
vlan = 901
pw_vlan = "none"
`
	w.start(t, 0, config(0, ip4, ip6, udp4, udp6)+other)

	for _, c := range []struct {
		name   string
		wire   *wire
		change func(*packet)
		drop   string // "" with nothing counted: the kernel's, xwire does not take it
		taken  bool
	}{
		{"source", ip4, func(p *packet) { p.src = netip.MustParseAddr("192.0.2.3") }, "unknown_peer", true},
		{"source", ip6, func(p *packet) { p.src = netip.MustParseAddr("2001:db8::3") }, "unknown_peer", true},
		{"source", udp4, func(p *packet) { p.src = netip.MustParseAddr("192.0.2.3") }, "unknown_peer", true},
		{"source", udp6, func(p *packet) { p.src = netip.MustParseAddr("2001:db8::3") }, "unknown_peer", true},
		{"other tunnel's destination", ip4, func(p *packet) { p.dst = netip.MustParseAddr("192.0.2.11") }, "unknown_session", true},
		{"other tunnel's destination", udp6, func(p *packet) { p.dst = netip.MustParseAddr("2001:db8::11") }, "unknown_session", true},
		{"destination of nobody", ip4, func(p *packet) { p.dst = netip.MustParseAddr("192.0.2.12") }, "", false},
		{"destination of nobody", udp6, func(p *packet) { p.dst = netip.MustParseAddr("2001:db8::12") }, "", false},
		{"source port", udp4, func(p *packet) { p.srcPort++ }, "wrong_port", true},
		{"source port", udp6, func(p *packet) { p.srcPort++ }, "wrong_port", true},
		{"destination port", udp4, func(p *packet) { p.dstPort = 1703 }, "", false},
		{"encap", ip4, func(p *packet) { p.srcPort, p.dstPort = 1702, 1701 }, "unknown_session", true},
		{"encap", udp4, func(p *packet) { p.srcPort, p.dstPort = 0, 0 }, "unknown_session", true},
		{"family", ip4, func(p *packet) { p.src, p.dst = core6[1], core6[0] }, "unknown_session", true},
		{"family", ip6, func(p *packet) { p.src, p.dst = core4[1], core4[0] }, "unknown_session", true},
		{"session id", ip4, func(p *packet) { p.sid = 99 }, "unknown_session", true},
		{"session id", udp6, func(p *packet) { p.sid = 99 }, "unknown_session", true},
		{"the peer's session id", ip4, func(p *packet) { p.sid = 20 }, "unknown_session", true},
		{"cookie", ip4, func(p *packet) { p.cookie = "1112131415161719" }, "cookie_mismatch", true},
		{"cookie", ip6, func(p *packet) { p.cookie = "0112131415161718" }, "cookie_mismatch", true},
		{"cookie", udp4, func(p *packet) { p.cookie = "2122232425262728" }, "cookie_mismatch", true},
		{"cookie", udp6, func(p *packet) { p.cookie = "0000000000000000" }, "cookie_mismatch", true},
		{"version", udp4, func(p *packet) { p.flags = 2 }, "version", true},
		{"shorter than its header", ip4, func(p *packet) { p.cookie, p.inner = "11121314", nil }, "short", true},
		{"runt inside", ip4, func(p *packet) { p.inner = []byte{1, 2, 3} }, "runt_inner", true},
	} {
		t.Run(c.name+" "+c.wire.name, func(t *testing.T) {
			right := c.wire.to(bare())
			delivered, drops, gained, _ := w.verdict(t, c.wire, right, 3)
			if delivered != 3 || len(drops) != 0 || gained.RxPackets != 3 || gained.RxErrors != 0 {
				t.Fatalf("of 3 right packets %d were delivered, drops %v, counters %+v", delivered, drops, gained)
			}
			c.change(&right)
			right.passes = !c.taken
			delivered, drops, gained, _ = w.verdict(t, c.wire, right, 3)
			want := map[string]uint64{}
			if c.taken {
				want[c.drop] = 3
			}
			if delivered != 0 || !maps.Equal(drops, want) {
				t.Errorf("delivered %d of 3 wrong packets, drops %v, want %v", delivered, drops, want)
			}
			var counters api.Session
			switch c.drop {
			case "cookie_mismatch":
				counters.RxErrors, counters.RxCookieDiscards = 3, 3
			case "runt_inner":
				counters.RxPackets, counters.RxErrors = 3, 3
			}
			gained.Suspect = 0
			if fmt.Sprint(gained) != fmt.Sprint(counters) {
				t.Errorf("the session counts %+v, want %+v", gained, counters)
			}
		})
	}
	var invalid uint64
	tunnels, err := api.NewClient(w.boxes[0].Control).Tunnels(t.Context())
	must(t, err)
	for _, x := range tunnels {
		invalid += x.RxInvalid
	}
	if invalid != 6 {
		t.Errorf("tunnels count %d invalid packets, want 3 of a wrong version and 3 too short", invalid)
	}
}

// TestWrongEncap: where a tunnel of that kind ends at the address, but the addresses are those
// of a tunnel of the other kind.
func TestWrongEncap(t *testing.T) {
	w := pair(t, shape{})
	none := [2]string{"none", "none"}
	ip := &wire{name: "ip", sid: [2]uint32{10, 20}, vlan: vlanOf(0), pwVLAN: none}
	elsewhere := `
[tunnel.elsewhere]
encap = "udp"
local = "192.0.2.1:1701"
peer = "192.0.2.3:1701"
tid = 900
ptid = 900
[tunnel.elsewhere.session.s]
sid = 900
psid = 900
l2spec_type = "none"
attach = "ac0"
vlan = 900
pw_vlan = "none"
`
	// The peer of the second tunnel must answer for its address.
	must(t, w.hosts[1].AddAddr("core0", netip.MustParsePrefix("192.0.2.3/24")))
	w.start(t, 0, config(0, ip)+elsewhere)
	p := ip.to(bare())
	p.srcPort, p.dstPort = 1701, 1701
	if delivered, drops, _, _ := w.verdict(t, ip, p, 3); delivered != 0 || drops["wrong_encap"] != 3 {
		t.Errorf("UDP from an IP tunnel's peer: delivered %d, drops %v", delivered, drops)
	}
}
