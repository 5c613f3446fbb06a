package pw

import (
	"fmt"
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
