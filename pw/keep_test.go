package pw

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"xwire/l2tp"
)

// Keep answers what Spread does for frames of sessions with sequence numbers, in both directions, and
// leaves all others where they are.
func TestKeepOrderedSessions(t *testing.T) {
	const workers = 8
	acs := spreadCircuits()
	table, peer, ids := spreadTable(t, acs, workers)
	far, near := newRig(t, peer), newRig(t, table)
	f := table.Forwarder(3)
	if f.Keeps() {
		t.Error("keeps something without any session with numbers")
	}
	ordered := make(map[SessionID]bool)
	for i, id := range ids {
		if i%3 != 0 {
			continue
		}
		s, _ := table.Session(id)
		s.Sublayer, s.Sequence = l2tp.SublayerDefault, Sequence{Send: true}
		if err := table.SetSession(id, s); err != nil {
			t.Fatal(err)
		}
		ordered[id] = true
	}
	if !f.Keeps() {
		t.Fatal("keeps nothing")
	}
	others := 0
	for i, id := range ids {
		ac := acs[i]
		var tags [][]byte
		switch ac.VLAN.Kind {
		case VLANSingle, VLANRange:
			tags = [][]byte{tag(0x8100, ac.VLAN.Lo)}
		case VLANQinQ:
			tags = [][]byte{tag(0x88a8, ac.VLAN.Lo), tag(0x8100, ac.VLAN.C)}
		case VLANAll:
			tags = [][]byte{tag(0x8100, 4000)}
		}
		in := []Frame{near.put(0, ac.Port, 256, customer(0x0800, tags...)), near.put(1, 0, 256, packetFor(far, i))}
		spread, keep := make([]uint8, 2), make([]uint8, 2)
		f.Spread(near.mem, in, workers, spread)
		f.Keep(near.mem, in, workers, keep)
		for j, way := range []string{"encap", "decap"} {
			want := spread[j]
			if !ordered[id] && want != 3 {
				want = stay
			}
			if keep[j] != want {
				t.Errorf("%s of session %d (%v): kept at %d, want %d", way, id, ac, keep[j], want)
			}
			if ordered[id] && want != 3 {
				others++
			}
		}
	}
	if others < 10 {
		t.Errorf("%d frames were another worker's", others)
	}
	if n := testing.AllocsPerRun(100, func() {
		in := [1]Frame{{Addr: 256, Len: 60, In: 1}}
		var to [1]uint8
		f.Keep(near.mem, in[:], workers, to[:])
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	for id := range ordered {
		if err := table.RemoveSession(id); err != nil {
			t.Fatal(err)
		}
	}
	if f.Keeps() {
		t.Error("keeps something after the last session with numbers")
	}
}

// A session that is joined with one that numbers is kept too: its frames are numbered by the worker
// that decapsulates them.
func TestKeepJoined(t *testing.T) {
	table, a, b := joinBox(t)
	s, _ := table.Session(a)
	s.Sequence = Sequence{Send: true}
	if err := table.SetSession(a, s); err != nil {
		t.Fatal(err)
	}
	f := table.Forwarder(0)
	for id, frame := range map[SessionID][]byte{a: wire(t, dropIP4...)} {
		if !f.kept(frame, 0) {
			t.Errorf("session %d is not kept", id)
		}
	}
	if got := table.extraOf(uint32(b)); got.ordered() || !table.extraOf(got.joined).ordered() {
		t.Error(fmt.Sprint("session b: ", got))
	}
}

// Frames of a PPP session are one worker's in each direction, whatever form their L2TPv2 header has, and
// stay so where ports are not spread but the session is numbered.
func TestKeepPPP(t *testing.T) {
	const workers, sessions = 16, 40
	table := NewTable(workers)
	table.SetPort(0, PortSpec{Core: true})
	tunnel := must(table.AddTunnel(v2udp4))(t)
	for i := range uint16(sessions) {
		s := pppoeSession(uint32(100+i), uint32(100+i))
		s.Tunnel, s.PPPoE.SessionID = tunnel, 1+i/4 // four clients have one
		s.PPPoE.Peer[5] = byte(i)
		s.Sequence.Send = i%2 == 0
		must(table.AddSession(s))(t)
	}
	r, f := newRig(t, table), table.Forwarder(3)
	w := &world{t: t, rng: rand.New(rand.NewPCG(1, 8))}
	seen := [2]map[uint8]bool{{}, {}}
	for i := range uint16(sessions) {
		s, _ := table.Session(SessionID(1 + i))
		up := s.refToPPPoE(wire(t, "0021 45000014"))
		up = join(up[6:12], up[:6], up[12:])
		in := []Frame{r.put(0, 1, 256, up)}
		for k := range 20 {
			m := w.messageV2(v2udp4.TID, uint16(s.SID), wire(t, "ff03 0021 45000014"))
			if k%2 == 0 { // Ns and Nr
				m = join(wire(t, "0802 000b"), []byte{byte(s.SID >> 8), byte(s.SID), 0, byte(k), 0, 0}, m[len(m)-8:])
			}
			p := join(wire(t, lines(linkHeader, []string{"0800 4500 0000 0000 0000 4011 0000", "c6 33 64 07", "c0 00 02 01", "06a6 06a5 0000 0000"})...), m)
			p[17], p[39] = byte(28+len(m)), byte(8+len(m))
			fixIPv4(p)
			in = append(in, r.put(1+k, 0, 256, p))
		}
		spread, keep := make([]uint8, len(in)), make([]uint8, len(in))
		f.Spread(r.mem, in, workers, spread)
		f.Keep(r.mem, in, workers, keep)
		for k := range in {
			first := min(k, 1)
			want := spread[first]
			if seen[first][want] = true; want >= workers || spread[k] != want {
				t.Errorf("session %d, frame %d: spread to %d, want %d", s.SID, k, spread[k], want)
			}
			if !s.Sequence.Send && want != 3 {
				want = stay
			}
			if keep[k] != want {
				t.Errorf("session %d, frame %d: kept at %d, want %d", s.SID, k, keep[k], want)
			}
		}
	}
	if len(seen[0]) < 5 || len(seen[1]) < 8 {
		t.Errorf("encap by %d workers, decap by %d", len(seen[0]), len(seen[1]))
	}
}
