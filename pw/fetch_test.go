package pw

import "testing"

// foldToMark is what tagOf makes 1 of: the tag of the mark of a removal.
const foldToMark = 0x9937_733d_9937_733d

// seedsFor makes 1 the tag of a key that has these two words.
func seedsFor(first, second uint64) (s seeds) {
	for i := range s {
		s[i] = second ^ foldToMark
	}
	s[0] = first ^ 1
	return s
}

// markedPlace removes an entry that stands where tag 1 begins, once add has made its own behind it.
func markedPlace(x *index, add func()) {
	const other, record = 2, 1 << 30
	x.insert(other, record)
	add()
	x.remove(other, record)
}

// A session is found behind the mark of a removed one even if its tag is the mark's.
func TestFetchGoesOnBehindAMark(t *testing.T) {
	qinq := Attachment{Port: 1, VLAN: VLANMatch{Kind: VLANQinQ, Lo: 7, C: 3}}
	frame := customer(0x0800, tag(0x88a8, 7), tag(0x8100, 3))

	h := newHostile(t)
	h.table.seeds = seedsFor(1<<32|7<<16|3, 0)
	h.table.seeds[1] = foldToMark
	if got := h.table.seeds.acTag(acKey{1, 7, 3, 0}); got != 1 {
		t.Fatalf("tag %d", got)
	}
	markedPlace(h.table.ac.Load(), func() {
		h.session(2, qinq)
		h.session(1, Attachment{Port: 1, VLAN: VLANMatch{Kind: VLANSingle, Lo: 7}})
	})
	if out, got := h.one(1, frame); out != 0 || u32(got[34:]) != 2 {
		t.Errorf("encap: out of %d as %x", out, got)
	}

	h = newHostile(t)
	f := h.table.tunnels.at(h.table.tunnelIDs.at(uint32(h.tunnel)).record).flow()
	h.table.seeds = seedsFor(f.key[0], uint64(f.ports)<<32|2)
	if got := h.table.seeds.tag(&f, 2); got != 1 {
		t.Fatalf("tag %d", got)
	}
	markedPlace(h.table.decap.Load(), func() { h.session(2, qinq) })
	if out, _ := h.one(0, h.packet(2, frame, nil)); out != 1 {
		t.Errorf("decap: out of %d, %v", out, dropsAt(h.table, 0))
	}
}

// A port whose sessions without a VLAN went while a worker looked leads to no other session, not
// even one whose tag is 0, as is that of a lookup without a key.
func TestFetchOfASessionThatHasJustGone(t *testing.T) {
	for _, state := range []uint64{portUntagged, portAll, portUntagged | portAll} {
		h := newHostile(t)
		h.table.seeds = seedsFor(1<<32|7<<16|anyVID, 0)
		h.table.seeds[1] = 0
		if got := h.table.seeds.acTag(acKey{1, 7, anyVID, 0}); got != 0 {
			t.Fatalf("tag %d", got)
		}
		h.session(1, Attachment{Port: 1, VLAN: VLANMatch{Kind: VLANSingle, Lo: 7}})
		p := &h.table.ports[1]
		p.state.Store(p.state.Load() | state) // catch is empty already
		if out, got := h.one(1, customer(0x0800)); out != NoPort {
			t.Errorf("state %x: out of %d as %x", state, out, got)
		}
	}
}
