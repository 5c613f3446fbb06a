package pw

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"xwire/l2tp"
)

// dropBox has a core port 0, an attachment port 1 and a port 2 that is neither, and three tunnels
// with a session each.
func dropBox(t testing.TB) *Table {
	table := NewTable(1)
	table.SetPort(0, PortSpec{Core: true})
	table.SetPort(1, PortSpec{MTU: 100})
	hop := table.AddNextHop(NextHop{Port: 0, MTU: 200})
	for i, tun := range []TunnelSpec{ip4, udp4, udp6} {
		id := must(table.AddTunnel(tun))(t)
		table.SetTunnelNextHop(id, hop)
		s := SessionSpec{
			Tunnel: id, SID: uint32(100 + i), PSID: uint32(200 + i), Type: l2tp.PWEth,
			AC: Attachment{Port: 1, VLAN: VLANMatch{Kind: VLANSingle, Lo: uint16(100 + i)}},
		}
		if i == 0 {
			s.Sublayer = l2tp.SublayerDefault
			s.RxCookieCount = 2
			s.RxCookies = [2]l2tp.Cookie{cookie(t, "0102030405060708"), cookie(t, "1112131415161718")}
		}
		must(table.AddSession(s))(t)
	}
	return table
}

var (
	dropInner = []string{
		"02 00 00 00 0a 0b",
		"02 00 00 00 0a 0a",
		"81 00 00 64", // VLAN 100
		"08 00",
		"45 00 00 16 aa bb cc dd",
	}
	dropIP4 = lines(linkHeader, []string{
		"08 00",
		"45 00 003e 0000 0000 40 73 8e 11",
		"c6 33 64 07", "c0 00 02 01",
		"00000064", "0102030405060708", "00000000",
	}, dropInner)
	dropUDP4 = lines(linkHeader, []string{
		"08 00",
		"45 00 003e 0000 0000 40 11 8e 73",
		"c6 33 64 07", "c0 00 02 01",
		"06a6 06a5 002a 0000",
		"00030000", "00000065",
	}, dropInner)
	dropUDP6 = lines(linkHeader, []string{
		"86 dd",
		"60000000 002a 11 40",
		"2001 0db8 0001 0000 0000 0000 0000 0002",
		"2001 0db8 0000 0000 0000 0000 0000 0001",
		"06a6 06a5 002a 0000",
		"00030000", "00000066",
	}, dropInner)
)

// patch overwrites bytes at an offset and puts the IPv4 checksum right.
func patch(b []byte, at int, with ...byte) []byte {
	b = slices.Clone(b)
	copy(b[at:], with)
	fixIPv4(b)
	return b
}

type dropCase struct {
	why    Drop
	name   string
	port   uint16
	room   int // before the frame, 256 if 0
	frame  []byte
	change func(*Table) // before the frame
}

func dropCases(t testing.TB) []dropCase {
	a, u4, u6 := wire(t, dropIP4...), wire(t, dropUDP4...), wire(t, dropUDP6...)
	inner := wire(t, dropInner...)
	const sublayer = 14 + 20 + 4 + 8
	longInner := join(a[:14], patch(join(a, make([]byte, 93))[14:], 2, 0, byte(0x3e+93)))
	fixIPv4(longInner)
	return append(pppDropCases(t), []dropCase{
		{why: DropRunt, name: "of 13 bytes on the core", port: 0, frame: a[:13]},
		{why: DropRunt, name: "of 13 bytes from a customer", port: 1, frame: inner[:13]},
		{why: DropRunt, name: "empty", port: 1, frame: nil},
		{why: DropNoAttachment, name: "port without anything", port: 2, frame: inner},
		{why: DropNoAttachment, name: "VLAN of nobody", port: 1, frame: patch(inner, 14, 0, 99)},
		{why: DropHeadroom, name: "frame at the chunk's begin", port: 1, room: encapRoom - 1, frame: inner},
		{why: DropNoNextHop, name: "unresolved", port: 1, frame: inner, change: func(x *Table) { x.SetNextHop(1, NextHop{Port: NoPort}) }},
		{why: DropNoNextHop, name: "removed", port: 1, frame: inner, change: func(x *Table) { x.RemoveNextHop(1) }},
		{why: DropOversize, name: "one byte over the path's MTU", port: 1, frame: join(inner, make([]byte, 200-20-8-len(inner)+1))},
		{why: DropNotIP, name: "ARP", port: 0, frame: patch(a, 12, 8, 6)},
		{why: DropNotIP, name: "three tags", port: 0, frame: join(a[:12], tag(0x88a8, 1), tag(0x8100, 1), tag(0x8100, 1), a[12:])},
		{why: DropIPHeader, name: "version 5", port: 0, frame: patch(a, 14, 0x55)},
		{why: DropIPHeader, name: "header of 16 bytes", port: 0, frame: patch(a, 14, 0x44)},
		{why: DropIPHeader, name: "IPv6 with version 4", port: 0, frame: patch(u6, 14, 0x40)},
		{why: DropIPOptions, name: "RFC791 options", port: 0, frame: patch(a, 14, 0x46)},
		{why: DropIPOptions, name: "RFC8200 hop-by-hop", port: 0, frame: patch(u6, 20, 0)},
		{why: DropIPLength, name: "longer than the frame", port: 0, frame: patch(a, 16, 0, 0x3f)},
		{why: DropIPLength, name: "shorter than the header", port: 0, frame: patch(a, 16, 0, 19)},
		{why: DropIPLength, name: "cut in the header", port: 0, frame: a[:33]},
		{why: DropIPLength, name: "IPv6 longer than the frame", port: 0, frame: patch(u6, 18, 0, 0x2b)},
		{why: DropIPChecksum, name: "a bit of the TTL", port: 0, frame: func() []byte { b := slices.Clone(a); b[22] ^= 1; return b }()},
		{why: DropIPFragment, name: "first", port: 0, frame: patch(a, 20, 0x20)},
		{why: DropIPFragment, name: "last", port: 0, frame: patch(a, 20, 0, 8)},
		{why: DropIPFragment, name: "RFC8200 fragment header", port: 0, frame: patch(u6, 20, 44)},
		{why: DropNotL2TP, name: "TCP", port: 0, frame: patch(a, 23, 6)},
		{why: DropNotL2TP, name: "IPv6 ICMP", port: 0, frame: patch(u6, 20, 58)},
		{why: DropUDPLength, name: "of 7", port: 0, frame: patch(u4, 38, 0, 7)},
		{why: DropUDPLength, name: "IP packet too short for it", port: 0, frame: patch(u4, 16, 0, 24)},
		{why: DropUDPLength, name: "beyond the packet", port: 0, frame: patch(u4, 38, 0, 0x2b)},
		{why: DropUDPChecksum, name: "IPv4", port: 0, frame: patch(u4, 40, 0x12, 0x34)},
		{why: DropUDPChecksum, name: "IPv6", port: 0, frame: patch(u6, 60, 0x12, 0x34)},
		{why: DropUDPChecksum, name: "of no session", port: 0, frame: patch(patch(u4, 40, 0x12, 0x34), 46, 9)},
		{why: DropUDPZeroChecksum, name: "RFC8200-8.1", port: 0, frame: u6},
		{why: DropControl, name: "RFC3931-3.2.2 T bit", port: 0, frame: patch(u4, 42, 0xc8, 3)},
		{why: DropControl, name: "RFC3931-4.1.1.2 session id 0", port: 0, frame: patch(a, 34, 0, 0, 0, 0)},
		{why: DropVersion, name: "L2TPv2", port: 0, frame: patch(u4, 42, 0, 2)},
		{why: DropVersion, name: "1", port: 0, frame: patch(u4, 42, 0, 1)},
		{why: DropWrongFamily, name: "no tunnel over IPv6", port: 0, frame: u6, change: func(x *Table) {
			x.RemoveSession(3)
			x.RemoveTunnel(3)
		}},
		{why: DropWrongEncap, name: "IP for a UDP tunnel", port: 0, frame: patch(u6, 20, 115)},
		{why: DropWrongDestination, name: "not our address", port: 0, frame: patch(a, 33, 2)},
		{why: DropWrongPort, name: "source", port: 0, frame: patch(u4, 35, 0xa7)},
		{why: DropWrongPort, name: "destination", port: 0, frame: patch(u4, 37, 0xa6)},
		{why: DropUnknownPeer, name: "IP", port: 0, frame: patch(a, 29, 8)},
		{why: DropUnknownPeer, name: "UDP", port: 0, frame: patch(u4, 29, 8)},
		{why: DropUnknownSession, name: "IP", port: 0, frame: patch(a, 37, 99)},
		{why: DropUnknownSession, name: "of the other tunnel", port: 0, frame: patch(a, 37, 101)},
		{why: DropUnknownSession, name: "UDP, id 0", port: 0, frame: patch(u4, 46, 0, 0, 0, 0)},
		{why: DropShort, name: "session id cut", port: 0, frame: patch(a[:37], 16, 0, 23)},
		{why: DropShort, name: "cookie cut", port: 0, frame: patch(a[:45], 16, 0, 31)},
		{why: DropShort, name: "sublayer cut", port: 0, frame: patch(a[:49], 16, 0, 35)},
		{why: DropShort, name: "UDP without flags", port: 0, frame: patch(patch(u4[:43], 16, 0, 29), 38, 0, 9)},
		{why: DropCookieMismatch, name: "last byte", port: 0, frame: patch(a, 45, 9)},
		{why: DropOAM, name: "RFC5085 V bit", port: 0, frame: patch(a, sublayer, 0x80)},
		{why: DropFragment, name: "RFC4623 B bit", port: 0, frame: patch(a, sublayer, 0x20)},
		{why: DropFragment, name: "RFC4623 E bit", port: 0, frame: patch(a, sublayer, 0x50)},
		{why: DropUnnumbered, name: "RFC3931-4.6.1 S bit 0", port: 0, frame: a, change: func(x *Table) {
			s, _ := x.Session(1)
			s.Sequence = Sequence{Require: true}
			x.SetSession(1, s)
		}},
		{why: DropOld, name: "RFC3931-C behind the first", port: 0, frame: patch(a, sublayer, 0x40, 0, 0, 7), change: func(x *Table) {
			s, _ := x.Session(1)
			s.Sequence = Sequence{Send: true}
			x.SetSession(1, s)
			x.extraOf(1).seq.accept(0, 8, inTurn)
		}},
		{why: DropECN, name: "RFC6040-4.2 CE over not-ECT", port: 0, frame: patch(join(a, make([]byte, 12)), 15, 3, 0, 0x3e+12), change: func(x *Table) {
			s, _ := x.Session(1)
			s.Marking.ECN = true
			x.SetSession(1, s)
		}},
		{why: DropPoliced, name: "from a customer", port: 1, frame: inner, change: func(x *Table) {
			s, _ := x.Session(1)
			s.Limits.Tx = Rate{Bits: 1, Burst: 1}
			x.SetSession(1, s)
		}},
		{why: DropPoliced, name: "to a customer", port: 0, frame: a, change: func(x *Table) {
			s, _ := x.Session(1)
			s.Limits.Rx = Rate{Bits: 1, Burst: 1}
			x.SetSession(1, s)
		}},
		{why: DropStorm, name: "broadcast", port: 0, frame: patch(a, sublayer+4, 255, 255, 255, 255, 255, 255), change: func(x *Table) {
			s, _ := x.Session(1)
			s.Limits.Broadcast = 1
			x.SetSession(1, s)
			x.extraOf(1).limits.broadcast.admits(1, 1)
		}},
		{why: DropRuntInner, name: "of 13 bytes", port: 0, frame: patch(a[:sublayer+4+13], 16, 0, 20+16+13)},
		{why: DropNoAC, name: "detached", port: 0, frame: a, change: func(x *Table) {
			s, _ := x.Session(1)
			s.AC.Port = NoPort
			x.SetSession(1, s)
		}},
		{why: DropVLANMissing, name: "untagged", port: 0, frame: patch(a, sublayer+4+12, 8, 0)},
		{why: DropVLANMissing, name: "tag cut off by the length", port: 0, frame: patch(a, 16, 0, 20+16+16)},
		{why: DropVLANMismatch, name: "another VLAN", port: 0, frame: patch(a, sublayer+4+15, 99)},
		{why: DropVLANMismatch, name: "another session's pair", port: 0, frame: patch(a, sublayer+4+16, 0x81, 0, 0, 20), change: func(x *Table) {
			s, _ := x.Session(2)
			s.SID, s.AC.VLAN = 300, VLANMatch{Kind: VLANQinQ, Lo: 100, C: 20}
			x.AddSession(s)
		}},
		{why: DropVLANMismatch, name: "another session's VLAN", port: 0, frame: patch(a, sublayer+4+15, 101), change: func(x *Table) {
			s, _ := x.Session(1)
			s.AC.VLAN = VLANMatch{}
			x.SetSession(1, s)
		}},
		{why: DropOversizeAC, name: "one byte too long for the port", port: 0, frame: longInner},
	}...)
}

// Every drop counts one reason, at its port, gives the frame back and allocates nothing.
func TestDrops(t *testing.T) {
	met := make(map[Drop]bool)
	for _, c := range dropCases(t) {
		met[c.why] = true
		t.Run(c.why.String()+"/"+strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			table := dropBox(t)
			r := newRig(t, table)
			if c.change != nil {
				c.change(table)
			}
			room := c.room
			if room == 0 {
				room = 256
			}
			send := func(n int) {
				var in []Frame
				for i := range n {
					in = append(in, r.put(i, c.port, room, c.frame))
				}
				for _, o := range table.Forwarder(0).Process(r.mem, in, 1, r.out[:0]) {
					if o.Out != NoPort {
						t.Fatalf("forwarded to port %d", o.Out)
					}
				}
			}
			for i, n := range []int{1, 1, 100} {
				before := dropsAt(table, c.port)[c.why.String()]
				send(n)
				if got := dropsAt(table, c.port); got[c.why.String()] != before+uint64(n) || len(got) != 1 {
					t.Fatalf("sending %d: %v", i, got)
				}
			}
			assertNoAllocs(t, r, c.port, room, c.frame)
			if n := table.PortForwarded(c.port); n != 0 {
				t.Errorf("%d counted as forwarded", n)
			}
		})
	}
	for _, d := range AllDrops() {
		if !met[d] && !ofReassembly(d) && d != DropSessionGone { // see TestSequenceGivesBackHeldFrames
			t.Errorf("no case for %v", d)
		}
	}
}

// The packets that the cases spoil are good.
func TestDropCasesBeginWithGoodPackets(t *testing.T) {
	r := newRig(t, dropBox(t))
	for name, p := range map[string][]byte{"ip4": wire(t, dropIP4...), "udp4": patch(wire(t, dropUDP4...), 14+20+8+8+15, 101)} {
		if out, _ := r.one(0, p); out != 1 {
			t.Errorf("%s: out of %d, %v", name, out, dropsAt(r.table, 0))
		}
	}
}

// A bad packet in the middle of a row of good ones is dropped for the same reason as alone, and
// costs the others nothing.
func TestDropsInRows(t *testing.T) {
	u4 := patch(wire(t, dropUDP4...), 14+20+8+8+15, 101)
	sum := ^refSum(join(u4[26:34], []byte{0, 17}, u4[38:40], u4[34:]))
	good := []struct {
		name  string
		port  uint16
		frame []byte
	}{
		{"ip4", 0, wire(t, dropIP4...)}, {"udp4", 0, u4},
		{"udp4 with checksum", 0, patch(u4, 40, byte(sum>>8), byte(sum))}, {"customer", 1, wire(t, dropInner...)},
	}
	for _, g := range good {
		for _, c := range dropCases(t) {
			if c.change != nil || c.port != g.port {
				continue
			}
			t.Run(g.name+"/"+c.why.String()+"/"+strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
				table := dropBox(t)
				r := newRig(t, table)
				const n = 30
				for round := range uint64(3) {
					var in []Frame
					for i := range n {
						frame, room := g.frame, 256
						if i == n/2 {
							frame = c.frame
							if c.room != 0 {
								room = c.room
							}
						}
						in = append(in, r.put(i, g.port, room, frame))
					}
					for i, o := range table.Forwarder(0).Process(r.mem, in, 1, r.out[:0]) {
						if (o.Out == NoPort) != (i == n/2) {
							t.Fatalf("frame %d: out of %d; %v", i, o.Out, dropsAt(table, g.port))
						}
					}
					if got := dropsAt(table, g.port); len(got) != 1 || got[c.why.String()] != round+1 {
						t.Fatalf("round %d: %v", round, got)
					}
				}
			})
		}
	}
}

func TestDropNames(t *testing.T) {
	seen := make(map[string]bool)
	for _, d := range AllDrops() {
		name, help := d.String(), d.Help()
		if name == "" || strings.ToLower(name) != name || strings.ContainsAny(name, " -") || seen[name] {
			t.Errorf("name %q of %d: must be snake_case and its own", name, d)
		}
		if !strings.HasSuffix(help, ".") || strings.Count(help, ".") != 1 {
			t.Errorf("help of %v: %q is no sentence", d, help)
		}
		seen[name] = true
	}
	if got := Drop(NumDrops).String(); got != fmt.Sprintf("drop(%d)", NumDrops) || Drop(NumDrops).Help() != "" {
		t.Errorf("name of no drop: %q", got)
	}
}
