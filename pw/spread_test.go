package pw

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"xwire/l2tp"
)

// spreadCircuits are attachment circuits of every kind: on a port with single VLANs only, on one
// where sessions take several, and on one that is a core port too.
func spreadCircuits() (acs []Attachment) {
	add := func(port uint16, v VLANMatch) { acs = append(acs, Attachment{Port: port, VLAN: v}) }
	for i := range uint16(20) {
		add(1, VLANMatch{Kind: VLANSingle, Lo: 100 + i})
		add(2, VLANMatch{Kind: VLANSingle, Lo: 100 + i})
		add(2, VLANMatch{Kind: VLANQinQ, Lo: 130 + i/4, C: 100 + i%4})
		add(2, VLANMatch{Kind: VLANRange, Lo: 200 + 10*i, Hi: 205 + 10*i})
		add(3, VLANMatch{Kind: VLANSingle, Lo: 110 + i})
	}
	add(1, VLANMatch{Kind: VLANUntagged})
	add(2, VLANMatch{Kind: VLANSingle, Lo: 130}) // what the pairs leave of its frames
	add(2, VLANMatch{Kind: VLANUntagged})
	add(2, VLANMatch{Kind: VLANAll})
	add(4, VLANMatch{Kind: VLANAll})
	for i := range uint16(8) {
		add(5, VLANMatch{Kind: VLANQinQ, Lo: 100, C: 90 + 10*i})
	}
	return acs
}

// spreadTable has a session for each circuit, in tunnels of all kinds in turn; the peer's table has
// their other ends on one port, by pairs of VLANs from 1.1 on.
func spreadTable(t testing.TB, acs []Attachment, workers int) (table, peer *Table, ids []SessionID) {
	table, peer = NewTable(workers), NewTable(1)
	var tunnels [4]TunnelID // the same in both
	for _, x := range []*Table{table, peer} {
		for _, port := range []uint16{0, 3} {
			x.SetPort(port, PortSpec{Core: true})
		}
		hop := x.AddNextHop(NextHop{Port: 0, MTU: 1600})
		for i, e := range []string{"ip4", "udp4", "ip6", "udp6"} {
			near, far := "192.0.2.1", "198.51.100.7"
			if e[len(e)-1] == '6' {
				near, far = "2001:db8::1", "2001:db8:1::2"
			}
			if x == peer {
				near, far = far, near
			}
			spec := TunnelSpec{Encap: l2tp.EncapIP, Local: addrPort(near), Peer: addrPort(far), UDPZeroChecksumRx: true}
			if e[:3] == "udp" {
				spec.Encap = l2tp.EncapUDP
				port := func(a string) string {
					if e == "udp6" {
						return "[" + a + "]:1701"
					}
					return a + ":1701"
				}
				spec.Local, spec.Peer = addrPort(port(near)), addrPort(port(far))
			}
			tunnels[i] = must(x.AddTunnel(spec))(t)
			x.SetTunnelNextHop(tunnels[i], hop)
		}
	}
	for i, ac := range acs {
		sid := uint32(i + 1)
		ids = append(ids, must(table.AddSession(SessionSpec{Tunnel: tunnels[i%4], SID: sid, PSID: sid, Type: l2tp.PWEth, AC: ac}))(t))
		must(peer.AddSession(SessionSpec{Tunnel: tunnels[i%4], SID: sid, PSID: sid, Type: l2tp.PWEth,
			AC: Attachment{Port: 1, VLAN: VLANMatch{Kind: VLANQinQ, Lo: uint16(1 + i/1000), C: uint16(1 + i%1000)}, PW: PWTags{Kind: PWNone}}}))(t)
	}
	return table, peer, ids
}

// packetFor is what the peer sends for its i-th session, with inner tags.
func packetFor(peer *rig, i int, tags ...[]byte) []byte {
	pair := [][]byte{tag(0x88a8, uint16(1+i/1000)), tag(0x8100, uint16(1+i%1000))}
	out, b := peer.one(1, customer(0x0800, append(pair, tags...)...))
	if out != 0 {
		peer.t.Fatalf("the peer dropped a frame of session %d: %v", i, dropsAt(peer.table, 1))
	}
	return b
}

// TestSpreadKeepsSessionsTogether: whatever Process takes for a session's frame had the same answer
// as every other frame of it, from every worker's forwarder, whichever way it was found.
func TestSpreadKeepsSessionsTogether(t *testing.T) {
	const workers = 8
	acs := spreadCircuits()
	table, peer, ids := spreadTable(t, acs, workers)
	r, p := newRig(t, table), newRig(t, peer)
	rng := rand.New(rand.NewPCG(3, 4))
	type direction struct {
		session SessionID
		encap   bool
	}
	home := map[direction]uint8{}
	var before [2][]uint64
	count := func() (c [2][]uint64) {
		for _, id := range ids {
			k := table.SessionCounters(id)
			c[0], c[1] = append(c[0], k.RxPackets+k.RxErrors), append(c[1], k.TxPackets+k.TxErrors)
		}
		return c
	}
	before = count()
	vid := func() []byte {
		return tag(0x8100, uint16(rng.IntN(16))<<12|uint16([]int{0, 90, 100, 200}[rng.IntN(4)]+rng.IntN(60)))
	}
	found := 0
	for n := range 4000 {
		port, frame := uint16(rng.IntN(6)), []byte(nil)
		if rng.IntN(3) == 0 {
			frame = packetFor(p, rng.IntN(len(acs)), [][][]byte{nil, {vid()}, {vid(), vid()}}[rng.IntN(3)]...)
			port = uint16(3 * rng.IntN(2))
			if rng.IntN(3) == 0 { // on a VLAN of the core
				frame = join(frame[:12], tag(0x8100, 4000), frame[12:])
			}
		} else {
			frame = customer(uint16(rng.Uint32()), [][][]byte{nil, {vid()}, {vid(), vid()}, {vid(), vid(), vid()}}[rng.IntN(4)]...)
		}
		in := []Frame{r.put(0, port, 256, frame)}
		var to, again [1]uint8
		table.Forwarder(n%workers).Spread(r.mem, in, workers, to[:])
		table.Forwarder((n+3)%workers).Spread(r.mem, in, workers, again[:])
		if to != again || to[0] >= workers && to[0] != stay {
			t.Fatalf("frame %x at port %d: workers %d and %d", frame, port, to, again)
		}
		table.Forwarder(n%workers).Process(r.mem, in, 1, r.out[:0])
		after := count()
		for i, id := range ids {
			for way := range 2 {
				if after[way][i] == before[way][i] {
					continue
				}
				found++
				d := direction{id, way == 1}
				if first, ok := home[d]; ok && first != to[0] || to[0] == stay {
					t.Fatalf("session %d, encap %v: frame %x at port %d goes to worker %d, one before to %d", id, way == 1, frame, port, to[0], first)
				}
				home[d] = to[0]
			}
		}
		before = after
	}
	if found < 2000 || len(home) < len(acs) {
		t.Errorf("only %d frames were a session's, of %d directions", found, len(home))
	}
}

// TestSpreadIsEven: of 1,000 sessions every worker has about as many, both ways.
func TestSpreadIsEven(t *testing.T) {
	var acs []Attachment
	for i := range 500 {
		acs = append(acs, Attachment{Port: 1, VLAN: VLANMatch{Kind: VLANSingle, Lo: uint16(1 + i)}},
			Attachment{Port: 2, VLAN: VLANMatch{Kind: VLANQinQ, Lo: 7, C: uint16(1 + i)}})
	}
	table, peer, _ := spreadTable(t, acs, 1)
	r, p := newRig(t, table), newRig(t, peer)
	for _, workers := range []int{2, 3, 4, 8} {
		encap, decap := make([]int, workers), make([]int, workers)
		for i, ac := range acs {
			tags := [][]byte{tag(0x8100, ac.VLAN.Lo)}
			if ac.VLAN.Kind == VLANQinQ {
				tags = append(tags, tag(0x8100, ac.VLAN.C))
			}
			in := []Frame{r.put(0, ac.Port, 256, customer(0x0800, tags...)), r.put(1, 0, 256, packetFor(p, i))}
			var to [2]uint8
			table.Forwarder(0).Spread(r.mem, in, workers, to[:])
			encap[to[0]]++
			decap[to[1]]++
		}
		for w := range workers {
			for _, n := range []int{encap[w], decap[w]} {
				if mean := len(acs) / workers; n < mean*2/3 || n > mean*4/3 {
					t.Errorf("%d workers: worker %d has %d sessions of %d", workers, w, n, len(acs))
				}
			}
		}
		t.Logf("%d workers: encap %v, decap %v", workers, encap, decap)
	}
}

// TestSpreadLeaves: what is not understood stays.
func TestSpreadLeaves(t *testing.T) {
	acs := []Attachment{{Port: 1, VLAN: VLANMatch{Kind: VLANSingle, Lo: 5}}, {Port: 3, VLAN: VLANMatch{Kind: VLANSingle, Lo: 5}}}
	table, peer, _ := spreadTable(t, acs, 1)
	r, p := newRig(t, table), newRig(t, peer)
	packet := packetFor(p, 0)
	zero := append([]byte(nil), packet...)
	binary.BigEndian.PutUint32(zero[34:], 0)
	tcp := append([]byte(nil), packet...)
	tcp[23] = 6
	for _, tt := range []struct {
		name  string
		port  uint16
		frame []byte
	}{
		{"runt", 0, packet[:13]},
		{"empty", 1, nil},
		{"ARP", 0, customer(0x0806)},
		{"cut off", 0, packet[:36]},
		{"session 0", 0, zero},
		{"TCP", 0, tcp},
		{"untagged, and no session is", 1, customer(0x0800)},
		{"other VLAN of a core port", 3, customer(0x0800, tag(0x8100, 6))},
		{"port that nobody has", 9, packet},
	} {
		to := [1]uint8{1}
		table.Forwarder(0).Spread(r.mem, []Frame{r.put(0, tt.port, 256, tt.frame)}, 4, to[:])
		if to[0] != stay {
			t.Errorf("%s: worker %d", tt.name, to[0])
		}
	}
}

func TestSpreadAllocatesNothing(t *testing.T) {
	table, peer, _ := spreadTable(t, spreadCircuits(), 1)
	r, p := newRig(t, table), newRig(t, peer)
	var in []Frame
	for i := range 32 {
		in = append(in, r.put(2*i, 0, 256, packetFor(p, i)), r.put(2*i+1, uint16(1+i%3), 256, customer(0x0800, tag(0x8100, uint16(100+i)))))
	}
	to := make([]uint8, len(in))
	if n := testing.AllocsPerRun(100, func() { table.Forwarder(0).Spread(r.mem, in, 8, to) }); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

// BenchmarkSpread is what the worker that receives pays for each frame to find its worker.
func BenchmarkSpread(b *testing.B) {
	for _, c := range []benchCase{
		{encap: "ip4", size: 60, sessions: 1, frames: 4096, cookie: 8},
		{encap: "ip4", size: 60, sessions: 100_000, frames: 4096, cookie: 8},
		{encap: "udp4", size: 60, sessions: 100_000, frames: 4096, cookie: 8},
		{encap: "ip6", size: 60, sessions: 100_000, frames: 4096, cookie: 8},
	} {
		box := newBenchBox(b, c, true, true)
		for _, way := range []string{"encap", "decap"} {
			frames := box.customer
			if way == "decap" {
				frames = box.packets
			}
			b.Run(fmt.Sprintf("%s/%v", way, c), func(b *testing.B) {
				f := box.table.Forwarder(0)
				to := make([]uint8, benchBatch)
				for i := 0; i < len(frames); i += benchBatch { // at random, but the same from now on
					if way == "encap" {
						box.aimCustomers(frames[i : i+benchBatch])
					} else {
						box.aimPackets(frames[i : i+benchBatch])
					}
				}
				b.ReportAllocs()
				b.ResetTimer()
				for n := 0; n < b.N; n += benchBatch {
					at := n % len(frames)
					f.Spread(box.mem, frames[at:at+benchBatch], 8, to)
				}
			})
		}
	}
}
