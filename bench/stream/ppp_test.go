package stream

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"xwire/bench/traffic"
	"xwire/l2tp"
)

const pppSessions = `
[port.core0]
interface = "core0"
[port.ac0]
interface = "ac0"

[tunnel.two]
version = "l2tpv2"
local = "192.0.2.1"
peer = "192.0.2.2"
tid = 11
ptid = 22
[tunnel.two.session.untagged]
pseudowire = "pppac"
sid = 33
psid = 44
attach = "ac0"
pppoe_session_id = 4660
pppoe_peer_mac = "02:00:00:00:0c:01"
[tunnel.two.session.numbered]
pseudowire = "pppac"
sid = 34
psid = 45
seqnum = true
attach = "ac0"
vlan = 100
pppoe_session_id = 4660
pppoe_peer_mac = "02:00:00:00:0c:02"

[tunnel.three]
encap = "udp"
local = "[2001:db8::1]:1701"
peer = "[2001:db8::2]:1702"
tid = 2
ptid = 2
[tunnel.three.session.double]
pseudowire = "ppp"
sid = 100
psid = 200
tx_cookie = "0102030405060708"
rx_cookie = "1112131415161718"
l2spec_type = "default"
recv_seq = true
attach = "ac0"
vlan = "200.20"
pppoe_session_id = 1
pppoe_peer_mac = "02:00:00:00:0c:03"
`

// TestBuildAndParsePPP reads back what the builder makes of every PPP session, size and flow, on both
// sides, and then with bits turned.
func TestBuildAndParsePPP(t *testing.T) {
	cfg := parseSessions(t, pppSessions)
	macs := MACs{Src: l2tp.MAC{2, 0, 0, 0, 0, 1}, Dst: l2tp.MAC{2, 0, 0, 0, 0, 2}}
	for _, side := range []Side{Access, Core} {
		for _, send := range []bool{true, false} {
			plan, err := NewPlan(cfg, side, send, macs)
			if err != nil {
				t.Fatal(err)
			}
			if n := plan.Sessions(); n != 3 {
				t.Fatalf("%d sessions, want 3", n)
			}
			// Addresses and two tags, PPPoE, protocol, IPv4, UDP, stamp, FCS.
			if n := plan.Smallest(); n != 14+8+6+2+20+8+36+4 {
				t.Errorf("%s: the smallest frame of all has %d bytes", side, n)
			}
			b := newBuilder(plan, macs, 2, traffic.IMIX, 7)
			for i := range 200 {
				frame := b.next(nil, int64(i))
				var a arrival
				a.parse(frame)
				if a.verdict != whole || !a.ppp || a.run != 7 || a.session != uint32(i%3) || a.flow != uint16(i/3%2) || a.number != uint64(i/6) || a.time != int64(i) {
					t.Fatalf("%s frame %d: %+v", side, i, a)
				}
				if plan.misdelivered(&a) {
					t.Fatalf("%s frame %d is misdelivered: %+v", side, i, a)
				}
				before := 14 + 4*(i%3) + 6 // of a customer's frame, up to PPP
				size := max(traffic.IMIX[(i%6+i/6)%len(traffic.IMIX)]-traffic.FCS, before+66)
				behind := before // of this frame
				if side == Core {
					behind = plan.lanes[i%3].outer.Overhead() + 2
					size += behind - before
				}
				if len(frame) != size {
					t.Fatalf("%s frame %d has %d bytes, want %d", side, i, len(frame), size)
				}
				other := a
				if other.session = (a.session + 1) % 3; !plan.misdelivered(&other) {
					t.Fatalf("%s frame %d would do for another session", side, i)
				}
				torn := bytes.Clone(frame)
				torn[len(torn)-1-i%20] ^= 1 << (i % 8)
				if a.parse(torn); a.verdict != corrupt {
					t.Fatalf("%s frame %d with a bit turned: verdict %d", side, i, a.verdict)
				}
				torn = bytes.Clone(frame)
				torn[behind+i%22] ^= 1 << (i % 8)
				if a.parse(torn); a.verdict != foreign {
					t.Fatalf("%s frame %d with a bit of protocol or IPv4 turned: verdict %d", side, i, a.verdict)
				}
			}
		}
	}
}

// TestHeadersOfPPP compares the bytes before the IPv4 packet of each session's second frame.
func TestHeadersOfPPP(t *testing.T) {
	cfg := parseSessions(t, pppSessions)
	macs := MACs{Src: l2tp.MAC{2, 0, 0, 0, 0, 1}, Dst: l2tp.MAC{2, 0, 0, 0, 0, 2}}
	for _, c := range []struct {
		side Side
		send bool
		want [3]string // from the L2TP header on; of an access frame all
	}{
		{Core, true, [3]string{"0002000b0021ff030021", "0802000b002200010000ff030021", "00030000000000641112131415161718" + "40000001ff030021"}},
		{Core, false, [3]string{"00020016002cff030021", "00020016002dff030021", "00030000000000c80102030405060708" + "00000000ff030021"}},
		{Access, true, [3]string{"02000000000202000000" + "0c01" + "8864" + "11001234" + "01f00021", "02000000000202000000" + "0c02" + "81000064" + "8864" + "11001234" + "01ec0021",
			"02000000000202000000" + "0c03" + "88a800c8" + "81000014" + "8864" + "11000001" + "01e80021"}},
		{Access, false, [3]string{"020000000c01020000000001" + "8864" + "11001234" + "01f00021", "020000000c02020000000001" + "81000064" + "8864" + "11001234" + "01ec0021",
			"020000000c03020000000001" + "88a800c8" + "81000014" + "8864" + "11000001" + "01e80021"}},
	} {
		plan, err := NewPlan(cfg, c.side, c.send, macs)
		if err != nil {
			t.Fatal(err)
		}
		b := newBuilder(plan, macs, 1, traffic.Mix{520}, 7)
		for i := range 6 {
			frame := b.next(nil, 0)
			if i < 3 {
				continue
			}
			l := &plan.lanes[i-3]
			at := 0
			if l.outer != nil {
				at = map[bool]int{false: 14 + 20 + 8, true: 14 + 40 + 8}[l.outer.Peer.Addr().Is6()]
			}
			if got := hex.EncodeToString(frame[at:]); !strings.HasPrefix(got, c.want[i-3]+"4500") {
				t.Errorf("%s, send %v, %s: %.100s, want %s", c.side, c.send, l.name, got, c.want[i-3])
			}
		}
	}
}

// TestMisdeliveredPPP changes what tells one PPP session's frame from another's.
func TestMisdeliveredPPP(t *testing.T) {
	cfg := parseSessions(t, pppSessions)
	for _, c := range []struct {
		name   string
		side   Side
		send   bool
		change func(a *arrival)
		want   bool
	}{
		{"PPPoE session", Access, false, func(a *arrival) { a.pppoe.id++ }, true},
		{"customer", Access, false, func(a *arrival) { a.pppoe.dst[5]++ }, true},
		{"the box's address", Access, false, func(a *arrival) { a.pppoe.src[5]++ }, false},
		{"from the customer", Access, true, func(a *arrival) { a.pppoe.src[5]++ }, true},
		{"VLAN", Access, false, func(a *arrival) { a.ntags = 1 }, true},
		{"session", Core, false, func(a *arrival) { a.id++ }, true},
		{"tunnel", Core, false, func(a *arrival) { a.id += 1 << 16 }, true},
		{"version", Core, false, func(a *arrival) { a.v2 = false }, true},
		{"payload", Core, false, func(a *arrival) { a.ppp = false }, true},
		{"none", Core, false, func(*arrival) {}, false},
	} {
		plan, err := NewPlan(cfg, c.side, c.send, MACs{})
		if err != nil {
			t.Fatal(err)
		}
		var a arrival
		a.parse(newBuilder(plan, MACs{}, 1, traffic.Mix{200}, 7).next(nil, 0))
		if a.verdict != whole {
			t.Fatalf("%s: %+v", c.name, a)
		}
		if c.change(&a); plan.misdelivered(&a) != c.want {
			t.Errorf("%s: misdelivered is %v", c.name, !c.want)
		}
	}
}

// TestFormsOfV2 reads L2TPv2 as others than xwire send it.
func TestFormsOfV2(t *testing.T) {
	plan, err := NewPlan(parseSessions(t, pppSessions), Core, false, MACs{}, "two/untagged")
	if err != nil {
		t.Fatal(err)
	}
	frame := newBuilder(plan, MACs{}, 1, traffic.Mix{200}, 7).next(nil, 0)
	ppp := frame[14+20+8+6:]
	for _, c := range []struct {
		name, header string
		skip         int // of the PPP frame
		want         verdict
	}{
		{"plain", "00020016002c", 0, whole},
		{"without address and control", "00020016002c", 2, whole},
		{"length", "400200ff0016002c", 0, whole},
		{"numbered", "08020016002c00070000", 0, whole},
		{"everything", "4a0200ff0016002c000700000003aabbcc", 2, whole},
		{"offset past the end", "02020016002c0fff", 0, foreign},
		{"control", "c80200ff0016002c00000000", 0, foreign},
	} {
		header, err := hex.DecodeString(c.header)
		if err != nil {
			t.Fatal(err)
		}
		message := append(header, ppp[c.skip:]...)
		b := bytes.Clone(frame[:14+20+8])
		b = append(b, message...)
		l2tp.IPv4(b[14:]).Encode(&l2tp.IPv4Fields{TotalLen: uint16(len(b) - 14), TTL: 64, Protocol: l2tp.ProtoUDP})
		var a arrival
		if a.parse(b); a.verdict != c.want {
			t.Errorf("%s: verdict %d, want %d", c.name, a.verdict, c.want)
		} else if c.want == whole && plan.misdelivered(&a) {
			t.Errorf("%s: misdelivered: %+v", c.name, a)
		}
	}
}

// TestPPPoEAddresses: frames to a port need its address; a local interface's go to the one that xwire has there.
func TestPPPoEAddresses(t *testing.T) {
	const local = `
[tunnel.two.session.local]
pseudowire = "ppp"
sid = 35
psid = 46
pppoe_session_id = 5
pppoe_peer_mac = "02:00:00:00:0c:04"
`
	cfg := parseSessions(t, pppSessions+local)
	customer := l2tp.MAC{2, 0, 0, 0, 0xc, 4}
	for _, send := range []bool{true, false} {
		plan, err := NewPlan(cfg, Access, send, MACs{}, "two/local")
		if err != nil {
			t.Fatal(err)
		}
		want := pppoe{id: 5, src: customer}
		if send {
			want = pppoe{id: 5, dst: customer}
		}
		if got := *plan.lanes[0].pppoe; got != want {
			t.Errorf("send %v: %+v, want %+v", send, got, want)
		}
		if name := plan.ToPort(); send && name != "" {
			t.Errorf("session %s needs a port's address", name)
		}
		if plan.First() != "" {
			t.Errorf("%s carries Ethernet", plan.First())
		}
	}
	plan, err := NewPlan(cfg, Access, true, MACs{})
	if err != nil {
		t.Fatal(err)
	}
	if name := plan.ToPort(); name != "two/untagged" {
		t.Errorf("the first session that needs a port's address is %q", name)
	}
}
