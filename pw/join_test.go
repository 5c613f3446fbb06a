package pw

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"xwire/l2tp"
)

// joinBox has a session with a cookie and a sublayer over IPv4 joined with one of neither over UDP
// and IPv6, both on core port 0, and a plain one (id 3) of the first tunnel on port 1.
func joinBox(t testing.TB) (table *Table, a, b SessionID) {
	table = NewTable(1)
	table.SetPort(0, PortSpec{Core: true})
	hop := table.AddNextHop(NextHop{Port: 0, Src: l2tp.MAC{2, 0, 0, 0, 0, 1}, Dst: l2tp.MAC{2, 0, 0, 0, 0, 2}})
	near, far := must(table.AddTunnel(ip4))(t), must(table.AddTunnel(with(udp6, func(x *TunnelSpec) { x.UDPZeroChecksumRx = true })))(t)
	table.SetTunnelNextHop(near, hop)
	table.SetTunnelNextHop(far, hop)
	a = must(table.AddSession(SessionSpec{
		Tunnel: near, SID: 100, PSID: 200, Sublayer: l2tp.SublayerDefault, Type: l2tp.PWEth,
		RxCookieCount: 1, RxCookies: [2]l2tp.Cookie{cookie(t, "0102030405060708")}, AC: Attachment{Port: NoPort},
	}))(t)
	b = must(table.AddSession(SessionSpec{Tunnel: far, SID: 102, PSID: 202, Type: l2tp.PWEth, AC: Attachment{Port: NoPort}}))(t)
	must(table.AddSession(SessionSpec{Tunnel: near, SID: 7, PSID: 207, Type: l2tp.PWEth, AC: Attachment{Port: 1}}))(t)
	if err := table.Join(a, b); err != nil {
		t.Fatal(err)
	}
	return table, a, b
}

func TestJoin(t *testing.T) {
	table, a, b := joinBox(t)
	r := newRig(t, table)
	inner := wire(t, dropInner...)
	for round := range 3 { // streaks begin at the second of a row
		out, got := r.one(0, wire(t, dropIP4...))
		if want := join(wire(t, "06a5 06a6 002a 0000", "00030000", "000000ca"), inner); out != 0 || !bytes.HasSuffix(got, want) || u16(got[12:]) != 0x86dd {
			t.Fatalf("round %d, to UDP over IPv6: out of %d as %x", round, out, got)
		}
		out, got = r.one(0, wire(t, dropUDP6...))
		if want := join(wire(t, "000000c8 00000000"), inner); out != 0 || !bytes.HasSuffix(got, want) || u16(got[12:]) != 0x0800 || got[23] != 115 {
			t.Fatalf("round %d, to IPv4: out of %d as %x", round, out, got)
		}
	}
	for _, id := range []SessionID{a, b} {
		c := table.SessionCounters(id)
		if c.RxPackets != 3 || c.TxPackets != 3 || c.RxErrors != 0 || c.TxErrors != 0 {
			t.Errorf("session %d counts %+v", id, c)
		}
	}
	if n := table.PortForwarded(0); n != 6 {
		t.Errorf("%d forwarded, want 6", n)
	}
	assertNoAllocs(t, r, 0, 256, wire(t, dropIP4...))
}

// A frame that goes from session to session leaves with its neighbours in the batch, none lost, none
// twice.
func TestJoinAmongOthers(t *testing.T) {
	table, _, _ := joinBox(t)
	r := newRig(t, table)
	plain := wire(t, dropInner...)
	var in []Frame
	for i := range 90 {
		switch i % 3 {
		case 0:
			in = append(in, r.put(i, 0, 256, wire(t, dropIP4...)))
		case 1:
			in = append(in, r.put(i, 1, 256, plain))
		default:
			in = append(in, r.put(i, 0, 256, wire(t, dropIP4...)[:60])) // cut off
		}
	}
	first := Frame{Addr: 1, Out: 9}
	out := table.Forwarder(0).Process(r.mem, in, 1, append(r.out[:0], first))
	if out[0] != first {
		t.Errorf("the frame before became %+v", out[0])
	}
	kinds, chunks := map[uint16]int{}, map[uint64]bool{}
	last := uint64(0)
	for _, o := range out[1:] {
		chunk := o.Addr / minChunk
		if chunks[chunk] {
			t.Errorf("chunk %d came back twice", chunk)
		}
		chunks[chunk] = true
		kinds[o.Out]++
		if o.Out == 0 && o.In == 0 {
			if chunk < last {
				t.Errorf("chunk %d behind %d", chunk, last)
			}
			last = chunk
		}
	}
	if len(out) != 91 || kinds[0] != 60 || kinds[NoPort] != 30 {
		t.Errorf("%d came back, by port %v", len(out), kinds)
	}
}

func TestJoinEnds(t *testing.T) {
	refused := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s was allowed", what)
		}
	}
	table, a, b := joinBox(t)
	refused("a session joined with itself", table.Join(a, a))
	refused("a session with a port", table.Join(a, 3))
	refused("a session that is not there", table.Join(a, 99))
	if table.Joined(a) != b || table.Joined(b) != a || table.Joined(3) != 0 {
		t.Errorf("joined: %d with %d, %d with %d, 3 with %d", a, table.Joined(a), b, table.Joined(b), table.Joined(3))
	}
	for _, c := range []struct {
		name string
		end  func(table *Table, a, b SessionID) error
	}{
		{"parted", func(table *Table, a, _ SessionID) error { return table.Part(a) }},
		{"the other removed", func(table *Table, _, b SessionID) error { return table.RemoveSession(b) }},
		{"the other attached", func(table *Table, _, b SessionID) error {
			s, _ := table.Session(b)
			s.AC.Port = 5
			return table.SetSession(b, s)
		}},
	} {
		table, a, b := joinBox(t)
		r := newRig(t, table)
		r.one(0, wire(t, dropIP4...))
		if err := c.end(table, a, b); err != nil {
			t.Fatal(err)
		}
		if out, _ := r.one(0, wire(t, dropIP4...)); out != NoPort || dropsAt(table, 0)["no_ac"] != 1 {
			t.Errorf("%s: out of %d, drops %v", c.name, out, dropsAt(table, 0))
		}
		if j := table.Joined(a); j != 0 {
			t.Errorf("%s: still joined with %d", c.name, j)
		}
		if c.name == "parted" {
			if err := table.Join(b, a); err != nil {
				t.Error(err)
			}
			if out, _ := r.one(0, wire(t, dropIP4...)); out != 0 {
				t.Errorf("joined again: out of %d, drops %v", out, dropsAt(table, 0))
			}
		}
	}

	// A change of the session or of its tunnel leaves it joined.
	table, a, _ = joinBox(t)
	r := newRig(t, table)
	s, _ := table.Session(a)
	s.PSID = 300
	if err := table.SetSession(a, s); err != nil {
		t.Fatal(err)
	}
	if err := table.SetTunnel(s.Tunnel, with(ip4, func(x *TunnelSpec) { x.Peer = addrPort("198.51.100.8") })); err != nil {
		t.Fatal(err)
	}
	if out, got := r.one(0, wire(t, dropUDP6...)); out != 0 || u32(got[34:]) != 300 || got[33] != 8 {
		t.Errorf("after changes: out of %d as %x", out, got)
	}
}

// switchWorld has two sessions, of tunnels with nothing in common, as random as those of a world: joined
// in one table, and with a circuit each in the other.
func switchWorld(t testing.TB, seed uint64) (w *world, joined, apart *rig) {
	w = &world{t: t, rng: rand.New(rand.NewPCG(seed, 6)), ref: newReference(), table: NewTable(1)}
	split := NewTable(1)
	tunnels := [2]TunnelSpec{w.randomTunnel(), w.randomTunnel()}
	for tunnels[1].Local.Addr() == tunnels[0].Local.Addr() {
		tunnels[1] = w.randomTunnel()
	}
	ppp := tunnels[0].Version == 2 || tunnels[1].Version == 2 || w.rng.IntN(3) == 0
	var ids [2]SessionID
	for i, tun := range tunnels {
		for _, table := range []*Table{w.table, split} {
			table.SetPort(0, PortSpec{Core: true})
			id := must(table.AddTunnel(tun))(t)
			table.SetTunnelNextHop(id, table.AddNextHop(NextHop{Port: 0}))
			w.tunnels = []TunnelID{id}
		}
		w.ref.tunnels[w.tunnels[0]] = refTunnel{tun, 1}
		s := w.randomSession()
		for isPPP(s.Type) != ppp {
			s = w.randomSession()
		}
		if tun.Keyed {
			w.key(&s)
		}
		s.Marking.SourcePort, s.MSS = false, pick(w.rng, 0, MSSByPath, 600)
		if s.Sublayer == l2tp.SublayerDefault || tun.Version == 2 {
			s.Sequence = w.randomSequence()
		}
		if s.AC, s.PPPoE = (Attachment{Port: NoPort}), (PPPoE{}); !ppp {
			s.Type = l2tp.PWEth
		}
		ids[i] = must(w.table.AddSession(s))(t)
		w.ref.sessions[ids[i]] = s
		w.sessions = append(w.sessions, ids[i])
		s.AC.Port = uint16(1 + i)
		if ppp {
			// What one sends the other takes.
			s.AC.VLAN.Kind = VLANUntagged
			macs := [2]l2tp.MAC{{2, 5: 1}, {2, 5: 2}}
			s.PPPoE = PPPoE{SessionID: 7, Own: macs[i], Peer: macs[1-i]}
		}
		must(split.AddSession(s))(t)
	}
	if err := w.table.Join(ids[0], ids[1]); err != nil {
		t.Fatal(err)
	}
	return w, newRig(t, w.table), newRig(t, split)
}

// FuzzSwitch gives arbitrary bytes to a core port of two sessions that are joined: what becomes of them is
// what the one's decapsulation and the other's encapsulation make of them, counters included.
func FuzzSwitch(f *testing.F) {
	for seed := range uint64(40) {
		w, _, _ := switchWorld(f, seed)
		for range 4 {
			f.Add(seed, w.packet(pick(w.rng, w.sessions...), w.rng.IntN(4) == 0))
		}
	}
	f.Fuzz(func(t *testing.T, seed uint64, frame []byte) {
		if len(frame) > minChunk-512 {
			return
		}
		w, joined, apart := switchWorld(t, seed)
		for round := range 3 {
			out, got := joined.one(0, frame)
			wantOut, want := apart.one(0, frame)
			if wantOut != NoPort {
				wantOut, want = apart.one(3-wantOut, want)
			}
			if out != wantOut || out != NoPort && !bytes.Equal(withoutRandom(got), withoutRandom(want)) {
				t.Fatalf("round %d: %x\nout of %d as %x, %v\nwant   %d as %x, %v %v %v", round, frame, out, got, dropsAt(joined.table, 0),
					wantOut, want, dropsAt(apart.table, 0), dropsAt(apart.table, 1), dropsAt(apart.table, 2))
			}
			drops := joined.table.PortDrops(0)
			for i, n := range drops {
				if sum := apart.table.PortDrops(0)[i] + apart.table.PortDrops(1)[i] + apart.table.PortDrops(2)[i]; n != sum {
					t.Errorf("round %d: %x: %v: %d, want %d", round, frame, Drop(i), n, sum)
				}
			}
			for _, id := range w.sessions {
				if got, want := joined.table.SessionCounters(id), apart.table.SessionCounters(id); got != want {
					t.Errorf("round %d: %x: session %d counts\n%+v, want\n%+v", round, frame, id, got, want)
				}
			}
		}
	})
}

// What comes cut up inside the pseudowire, or in outer fragments, is whole when it crosses to the other
// session, and leaves as that session's path and its oversize have it; PPP as Ethernet.
func TestJoinOfFragments(t *testing.T) {
	for _, ppp := range []bool{false, true} {
		for _, from := range []Oversize{OversizeFragment, OversizePW} {
			for _, to := range []Oversize{OversizeFragment, OversizePW, OversizeDrop} {
				t.Run(fmt.Sprintf("ppp %v/%d to %d", ppp, from, to), func(t *testing.T) {
					session := func(o Oversize, sid, psid uint32, port uint16) SessionSpec {
						s := SessionSpec{SID: sid, PSID: psid, Sublayer: l2tp.SublayerDefault, Type: l2tp.PWEth, Oversize: o, AC: Attachment{Port: port}}
						s.Sequence.Send = o == OversizePW
						if ppp {
							s.Type = l2tp.PWPPP
						}
						if ppp && port != NoPort {
							s.AC.VLAN.Kind = VLANUntagged
							s.PPPoE = PPPoE{SessionID: 7, Own: l2tp.MAC{2, 5: 1}, Peer: l2tp.MAC{2, 5: 2}}
						}
						return s
					}
					box := func(tunnels []TunnelSpec, sessions ...SessionSpec) *rig {
						table := NewTable(1)
						table.SetPort(0, PortSpec{Core: true})
						table.Reassemble(Layout{Chunk: minChunk})
						var ids []SessionID
						for i, tun := range tunnels {
							id := must(table.AddTunnel(tun))(t)
							table.SetTunnelNextHop(id, table.AddNextHop(NextHop{Port: 0, MTU: 600}))
							sessions[i].Tunnel = id
							ids = append(ids, must(table.AddSession(sessions[i]))(t))
						}
						if len(ids) == 2 {
							must(0, table.Join(ids[0], ids[1]))(t)
						}
						r := newRig(t, table)
						r.supply()
						return r
					}
					swap := func(s *TunnelSpec) { s.Local, s.Peer = s.Peer, s.Local }
					six := with(udp6, func(s *TunnelSpec) { s.UDPChecksumTx = true })
					near := box([]TunnelSpec{ip4}, session(from, 1, 2, 1))
					middle := box([]TunnelSpec{with(ip4, swap), six}, session(from, 2, 1, NoPort), session(to, 3, 4, NoPort))
					far := box([]TunnelSpec{with(six, swap)}, session(to, 4, 3, 1))
					for round := range 3 {
						frame := payload(1400+round, 9)
						want := frame
						if ppp {
							s := session(from, 1, 2, 1)
							want = s.refToPPPoE(frame[12:])
							frame = join(want[6:12], want[:6], want[12:])
						}
						packets := fragmentsOf(t, near, frame)
						if len(packets) != 3 {
							t.Fatalf("%d packets from the near box, want 3", len(packets))
						}
						middle.supply()
						out := middle.give(0, 1, packets...)
						var onward [][]byte
						for _, fr := range out {
							if fr.Out == 0 {
								onward = append(onward, bytes.Clone(middle.bytes(fr)))
							}
						}
						if to == OversizeDrop {
							if d := dropsAt(middle.table, 0); len(onward) != 0 || d["oversize"] != uint64(round+1) || len(d) != 1 || len(out) != 3 {
								t.Fatalf("%d packets onward, %d frames back, drops %v", len(onward), len(out), d)
							}
							continue
						}
						if len(onward) != 3 {
							t.Fatalf("%d packets onward, want 3; drops %v", len(onward), dropsAt(middle.table, 0))
						}
						if got := far.delivered(far.give(0, 1, onward...)); len(got) != 1 || !bytes.Equal(got[0], want) {
							t.Fatalf("%d frames at the far end; drops %v\n%x\n%x", len(got), dropsAt(far.table, 0), got, want)
						}
					}
					if f := middle.table.Forwarder(0); f.Held() != 0 {
						t.Errorf("%d held", f.Held())
					}
				})
			}
		}
	}
}
