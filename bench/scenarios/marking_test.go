package scenarios

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"testing"

	"xwire/bench/lab"
)

// datagram is a frame from site `from` with an IPv4 or IPv6 packet of UDP inside, of this TOS and source
// port, that received knows again.
func datagram(from int, six bool, tos byte, port uint16, tags ...lab.Tag) []byte {
	frame := tagged(from, tags...)
	frame = frame[:len(frame)-66]
	payload := append([]byte{0x88, 0xb6}, bytes.Repeat([]byte{0xa5}, 40)...)
	udp := append([]byte{byte(port >> 8), byte(port), 0, 9, 0, byte(8 + len(payload)), 0, 0}, payload...)
	if six {
		ip := []byte{0x60 | tos>>4, tos << 4, 0, 0, 0, byte(len(udp)), 17, 64}
		ip = append(append(append(ip, make([]byte, 15)...), 1), append(make([]byte, 15), 2)...)
		return append(append(append(frame, 0x86, 0xdd), ip...), udp...)
	}
	ip := []byte{0x45, tos, 0, byte(20 + len(udp)), 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
	binary.BigEndian.PutUint16(ip[10:], onesSum(ip))
	return append(append(append(frame, 8, 0), ip...), udp...)
}

// outerFields are those of a packet's outer headers that a configuration can choose.
type outerFields struct {
	tos, ttl byte
	df       bool
	label    uint32
	port     uint16 // UDP source
}

func outerOf(t *testing.T, frame []byte) (o outerFields) {
	t.Helper()
	ip := frame[14:]
	if ip[0]>>4 == 6 {
		w := binary.BigEndian.Uint32(ip)
		o = outerFields{tos: byte(w >> 20), ttl: ip[7], label: w & 0xfffff}
		ip = ip[:40+binary.BigEndian.Uint16(ip[4:])]
		if ip[6] == 17 {
			o.port = binary.BigEndian.Uint16(ip[40:])
			if s := onesSum(append(append(append([]byte{}, ip[8:40]...), 0, 17, ip[44], ip[45]), ip[40:]...)); s != 0 {
				t.Errorf("UDP checksum of %x is wrong by %#x", frame, s)
			}
		}
		return o
	}
	o = outerFields{tos: ip[1], ttl: ip[8], df: ip[6]&0x40 != 0}
	if onesSum(ip[:20]) != 0 {
		t.Errorf("header checksum of %x is wrong", frame)
	}
	if ip[9] == 17 {
		o.port = binary.BigEndian.Uint16(ip[20:])
	}
	return o
}

// TestMarking looks at the outer headers of what leaves.
func TestMarking(t *testing.T) {
	w := pair(t, shape{})
	none := [2]string{"none", "none"}
	wires := []*wire{
		{name: "plain"},
		{name: "tunnel", more: "ttl = 200\ntos = 0x48\ndf = true\n"},
		{name: "session", more: "ttl = 200\ntos = 0x48\ndf = true\n", ofSession: "ttl = 9\ntos = 0xb8\ndf = false\n"},
		{name: "inherit", ofSession: "tos = \"inherit\"\necn = \"rfc6040\"\ndf = true\n"},
		{name: "priority", ofSession: "pcp_to_dscp = true\n"},
		{name: "mapped", udp: true, ofSession: "tos = \"inherit\"\npcp_to_dscp = [0, 0, 0, 0, 0, 46, 0, 0]\n"},
		{name: "flow4", udp: true, ofSession: "source_port = \"flow\"\n"},
		{name: "plain6", six: true},
		{name: "flow6", six: true, udp: true, more: "ttl = 3\n", ofSession: "flow_label = \"flow\"\nsource_port = \"flow\"\ntos = \"inherit\"\n"},
		{name: "inside", more: "ttl = 200\ndf = true\n", ofSession: "ttl = \"inherit\"\ndf = \"inherit\"\n"},
	}
	for n, x := range wires {
		x.sid, x.vlan, x.pwVLAN = [2]uint32{uint32(10 + n), uint32(40 + n)}, vlanOf(n), none
	}
	box := w.start(t, 0, config(0, wires...))
	capture, err := w.hosts[1].Capture("core0")
	must(t, err)
	defer capture.Close()
	seen := 0
	send := func(n int, frame []byte) outerFields {
		t.Helper()
		must(t, w.sites[0].SendFrames("eth0", frame))
		seen++
		got := received(capture, seen)
		if len(got) != seen {
			t.Fatalf("%s: %d packets left, want %d", wires[n].name, len(got), seen)
		}
		return outerOf(t, got[seen-1])
	}
	vlan := func(n int, pcp uint16) lab.Tag { return lab.Tag{TPID: 0x8100, TCI: uint16(100+n) | pcp<<13} }
	const inside = 0x2a // AF11 with ECT(0)
	for n, want := range []outerFields{
		{ttl: 64}, {tos: 0x48, ttl: 200, df: true}, {tos: 0xb8, ttl: 9}, {tos: inside, ttl: 64, df: true},
		{tos: 0xa0, ttl: 64}, {tos: 0xb8, ttl: 64, port: 1701},
	} {
		for _, six := range []bool{false, true} {
			if got := send(n, datagram(0, six, inside, 7, vlan(n, 5))); got != want {
				t.Errorf("%s, IPv6 inside %v: %+v, want %+v", wires[n].name, six, got, want)
			}
		}
	}
	for _, six := range []bool{false, true} {
		if got := send(9, datagram(0, six, inside, 7, vlan(9, 5))); got != (outerFields{ttl: 64, df: six}) {
			t.Errorf("TTL and DF of the packet inside, IPv6 %v: %+v", six, got)
		}
	}
	if got := send(9, tagged(0, vlan(9, 5))); got != (outerFields{ttl: 200, df: true}) {
		t.Errorf("TTL and DF of no packet inside: %+v", got)
	}
	// What is not IP says nothing; its tag still does.
	if got := send(3, tagged(0, vlan(3, 5))); got != (outerFields{ttl: 64, df: true}) {
		t.Errorf("no IP inside: %+v", got)
	}
	if got := send(5, tagged(0, vlan(5, 5))); got.tos != 0xb8 {
		t.Errorf("no IP inside, by priority: %+v", got)
	}
	if a, b := send(7, datagram(0, false, 0, 1, vlan(7, 0))), send(7, datagram(0, false, 0, 2, vlan(7, 0))); a != b || a.label == 0 {
		t.Errorf("a fixed flow label is %#x and %#x", a.label, b.label)
	}
	for _, n := range []int{6, 8} {
		marks := map[outerFields]bool{}
		for port := range uint16(20) {
			a, b := send(n, datagram(0, true, 0x28, port, vlan(n, 0))), send(n, datagram(0, true, 0x28, port, vlan(n, 0)))
			if a != b || a.port < 49152 {
				t.Errorf("%s: one flow is sent as %+v and %+v", wires[n].name, a, b)
			}
			if n == 8 && (a.label == 0 || a.tos != 0x28 || a.ttl != 3) {
				t.Errorf("%s: %+v", wires[n].name, a)
			}
			marks[a] = true
		}
		if len(marks) < 18 {
			t.Errorf("%s: 20 flows have %d marks", wires[n].name, len(marks))
		}
	}
	if s := sessionOf(t, box, "mapped/s"); s.TOS != "inherit" || len(s.PCPToDSCP) != 8 || s.PCPToDSCP[5] != 46 || s.TTL != 64 || s.ECN != "none" {
		t.Errorf("show session: %+v", s.Marking)
	}
	if s := sessionOf(t, box, "session/s"); s.TOS != "0xb8" || s.TTL != 9 || s.DF {
		t.Errorf("show session: %+v", s.Marking)
	}
	if v := tunnelOf(t, box, "session"); v.TOS != "0x48" || v.TTL != 200 || !v.DF {
		t.Errorf("show tunnels: %+v", v)
	}
}

// TestMarkingOfLocalInterface: the tag that a local interface has on the trunk is not the customer's.
func TestMarkingOfLocalInterface(t *testing.T) {
	w := pair(t, shape{})
	w.start(t, 0, corePort+`
[tunnel.x]
encap = "ip"
local = "192.0.2.1"
peer = "192.0.2.2"
tid = 1
ptid = 1
[tunnel.x.session.s]
sid = 10
psid = 20
l2spec_type = "none"
interface_name = "cust"
tos = "inherit"
pcp_to_dscp = true
`)
	if out, err := w.hosts[0].Command("ip", "link", "set", "cust", "up"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	capture, err := w.hosts[1].Capture("core0")
	must(t, err)
	defer capture.Close()
	for n, c := range []struct {
		frame []byte
		tos   byte
	}{
		{datagram(0, false, 0x28, 7), 0x28},
		{datagram(0, true, 0x28, 7, lab.Tag{TPID: 0x8100, TCI: 6<<13 | 9}), 0xc0},
		{datagram(0, false, 0x28, 7, lab.Tag{TPID: 0x88a8, TCI: 2<<13 | 9}, lab.Tag{TPID: 0x8100, TCI: 6<<13 | 9}), 0x40},
	} {
		must(t, w.hosts[0].SendFrames("cust", c.frame))
		got := received(capture, n+1)
		if len(got) != n+1 {
			t.Fatalf("%d packets left, want %d", len(got), n+1)
		}
		if o := outerOf(t, got[n]); o.tos != c.tos || !bytes.HasSuffix(got[n], c.frame) {
			t.Errorf("TOS %#x of %x, want %#x", o.tos, got[n], c.tos)
		}
	}
}

// TestFlowPorts: two boxes that send from the port of the flow and take any carry frames both ways; one
// that does not takes none.
func TestFlowPorts(t *testing.T) {
	w := pair(t, shape{})
	flow := "source_port = \"flow\"\nflow_label = \"flow\"\n"
	any := &wire{name: "any", udp: true, six: true, sid: [2]uint32{10, 20}, vlan: vlanOf(0), pwVLAN: [2]string{"none", "none"},
		more: "any_peer_port = true\n", ofSession: flow}
	strict := &wire{name: "strict", udp: true, sid: [2]uint32{11, 21}, vlan: vlanOf(1), pwVLAN: [2]string{"none", "none"}, ofSession: flow}
	w.start(t, 0, config(0, any, strict))
	box := w.start(t, 1, config(1, any, strict))
	w.carry(t, 0, vids(100), "600")
	w.carry(t, 1, vids(600), "100")
	w.refuse(t, 0, vids(101))
	until(t, "20 are dropped as wrong_port, and no others", func() (bool, string) {
		drops := portOf(t, box, "core0").Drops
		return drops["wrong_port"] == 20 && len(drops) == 1, fmt.Sprint(drops)
	})
}

// TestCongestion has packets come with the four values of the outer field.
func TestCongestion(t *testing.T) {
	w := pair(t, shape{})
	x := &wire{name: "x", sid: [2]uint32{10, 20}, vlan: vlanOf(0), pwVLAN: [2]string{"none", "none"}, ofSession: "ecn = \"rfc6040\"\n"}
	box := w.start(t, 0, config(0, x))
	const dropped = 9
	seen := 0
	for _, six := range []bool{false, true} {
		for inner, row := range [4][4]byte{{0, 0, 0, dropped}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}} {
			for outer, want := range row {
				p := x.to(datagram(1, six, 0x28|byte(inner), 7))
				p.tos = 0x88 | byte(outer)
				delivered, drops, gained, _ := w.verdict(t, x, p, 1)
				if want == dropped {
					if delivered != 0 || !maps.Equal(drops, map[string]uint64{"ecn": 1}) || gained.RxErrors != 1 {
						t.Errorf("inner %d, outer %d: delivered %d, drops %v", inner, outer, delivered, drops)
					}
					continue
				}
				seen++
				got := received(w.seen, seen)
				if delivered != 1 || len(got) != seen {
					t.Fatalf("inner %d, outer %d: delivered %d, drops %v", inner, outer, delivered, drops)
				}
				if f := datagram(1, six, 0x28|want, 7, vids(100)...); !bytes.Equal(got[seen-1], f) {
					t.Errorf("inner %d, outer %d: %x, want %x", inner, outer, got[seen-1], f)
				}
			}
		}
	}
	if s := sessionOf(t, box, x.session()); s.ECNDiscards != 2 || s.ECN != "rfc6040" {
		t.Errorf("rx_ecn_discards %d, want 2; ecn %q", s.ECNDiscards, s.ECN)
	}
}
