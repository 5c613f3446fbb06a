package pw

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// What comes out of a pseudowire with the tags of another session of the port goes nowhere, alone,
// in the middle of a row, and where a row begins with it; what is nobody else's does, in rows too.
func TestNoFrameWithTheTagsOfAnother(t *testing.T) {
	all, untagged := VLANMatch{}, VLANMatch{Kind: VLANUntagged}
	single := func(v uint16) VLANMatch { return VLANMatch{Kind: VLANSingle, Lo: v} }
	some := VLANMatch{Kind: VLANRange, Lo: 5, Hi: 9}
	pair := func(s, c uint16) VLANMatch { return VLANMatch{Kind: VLANQinQ, Lo: s, C: c} }
	frame := func(vids ...uint16) []byte {
		var tags []byte
		for i, v := range vids {
			tags = join(tags, tag([]uint16{0x88a8, 0x8100, 0x9100}[(len(vids)+i)%3], v|uint16(i)<<13))
		}
		return customer(0x0800, tags)
	}
	for _, tt := range []struct {
		name      string
		own       VLANMatch
		pw        PWTags
		others    []VLANMatch
		good, bad [][]byte
	}{
		{"all and single", all, PWTags{}, []VLANMatch{single(7)},
			[][]byte{frame(), frame(0), frame(6), frame(6, 7), frame(0, 7)}, [][]byte{frame(7), frame(7, 3)}},
		{"all and range", all, PWTags{}, []VLANMatch{some},
			[][]byte{frame(), frame(4), frame(10, 5)}, [][]byte{frame(5), frame(9), frame(7, 4)}},
		{"all and QinQ", all, PWTags{}, []VLANMatch{pair(7, 3)},
			[][]byte{frame(), frame(7), frame(7, 4), frame(3, 7), frame(7, 0, 3)}, [][]byte{frame(7, 3), frame(7, 3, 4)}},
		{"all and untagged", all, PWTags{}, []VLANMatch{untagged},
			[][]byte{frame(7), frame(7, 0)}, [][]byte{frame(), frame(0), frame(0, 7)}},
		{"single and QinQ", single(7), PWTags{}, []VLANMatch{pair(7, 3), pair(6, 4)},
			[][]byte{frame(7), frame(7, 4), frame(7, 0)}, [][]byte{frame(7, 3), frame(7, 3, 4)}},
		{"range and QinQ", some, PWTags{}, []VLANMatch{pair(7, 3), pair(4, 4)},
			[][]byte{frame(7), frame(7, 4), frame(6, 3), frame(9)}, [][]byte{frame(7, 3)}},
		{"tag pushed", single(7), PWTags{Kind: PWNone}, []VLANMatch{pair(7, 3)},
			[][]byte{frame(), frame(4), frame(7), frame(4, 3)}, [][]byte{frame(3), frame(3, 7)}},
		{"tag replaced", single(7), PWTags{Kind: PWVID, VID: 2}, []VLANMatch{pair(7, 3)},
			[][]byte{frame(2), frame(2, 4), frame(2, 7, 3)}, [][]byte{frame(2, 3)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHostile(t)
			id := h.session(1, Attachment{Port: 1, VLAN: tt.own, PW: tt.pw})
			for i, v := range tt.others {
				h.session(uint32(2+i), Attachment{Port: 1, VLAN: v})
			}
			h.session(9, Attachment{Port: 2}) // in the same rows
			f := h.table.Forwarder(0)
			for i, good := range tt.good {
				for _, bad := range tt.bad {
					for _, row := range [][]byte{
						[]byte("b"), []byte("bb"), []byte("bbb"), []byte("gggg"), []byte("ggggbgg"), []byte("xgxbxgx"), []byte("bggggbbbgggg"),
					} {
						in := make([]Frame, len(row))
						for j, k := range row {
							inner, sid := good, uint32(1)
							switch k {
							case 'b':
								inner = bad
							case 'x':
								sid = 9
							}
							in[j] = h.put(j, 0, 256, h.packet(sid, inner, nil))
						}
						before, drops := h.table.SessionCounters(id), h.table.PortDrops(0)[DropVLANMismatch]
						for j, o := range f.Process(h.mem, in, 1, h.out[:0]) {
							if want := map[byte]uint16{'g': 1, 'b': NoPort, 'x': 2}[row[j]]; o.Out != want {
								t.Fatalf("good %d, row %s: frame %d left port %d as %x; %v", i, row, j, o.Out, h.bytes(o)[:24], dropsAt(h.table, 0))
							}
						}
						n, own := uint64(bytes.Count(row, []byte("b"))), uint64(len(row)-bytes.Count(row, []byte("x")))
						c := h.table.SessionCounters(id)
						if c.RxErrors-before.RxErrors != n || c.RxPackets-before.RxPackets != own || h.table.PortDrops(0)[DropVLANMismatch]-drops != n {
							t.Fatalf("row %s: %+v, before %+v; %v", row, c, before, dropsAt(h.table, 0))
						}
					}
					if f.decapStreak.in != 0 {
						t.Error("good frames make no row")
					}
				}
			}
		})
	}
}

// Where no session can have another's frames nothing is asked, and a row of a whole port looks at no
// tags.
func TestWholePortLooksAtNoTags(t *testing.T) {
	h := newHostile(t)
	h.session(1, Attachment{Port: 1})
	h.session(2, Attachment{Port: 2, VLAN: VLANMatch{Kind: VLANSingle, Lo: 7}})
	h.session(3, Attachment{Port: 2, VLAN: VLANMatch{Kind: VLANQinQ, Lo: 8, C: 3}})
	for range 3 {
		h.one(0, h.packet(1, customer(0x0800, tag(0x8100, 7)), nil))
	}
	if m := &h.table.Forwarder(0).decapStreak; m.in != 0 || m.check || m.tagMask != 0 {
		t.Errorf("streak of port %d, check %v, mask %x", m.in, m.check, m.tagMask)
	}
	for p := range uint16(3) {
		if h.table.ports[p].state.Load()&portOverlaps != 0 {
			t.Errorf("port %d is mixed", p)
		}
	}
}

// A port is mixed exactly while two of its sessions overlap, whatever came and went before.
func TestPortIsMixedWhileSessionsOverlap(t *testing.T) {
	overlap := func(a, b VLANMatch) bool {
		if a.Kind == VLANAll || b.Kind == VLANAll {
			return true
		}
		if a.Kind == VLANQinQ {
			a, b = b, a
		}
		if b.Kind != VLANQinQ || a.Kind == VLANQinQ || a.Kind == VLANUntagged {
			return false
		}
		return a.Lo == b.Lo || a.Kind == VLANRange && a.Lo <= b.Lo && b.Lo <= a.Hi
	}
	for seed := range uint64(60) {
		w := newWorld(t, rand.New(rand.NewPCG(seed, 13)), 1)
		for range 100 {
			w.change()
			var want [worldPorts]bool
			for a, s := range w.ref.sessions {
				for b, o := range w.ref.sessions {
					if p := s.AC.Port; a != b && p != NoPort && p == o.AC.Port && !isPPP(s.Type) && !isPPP(o.Type) {
						want[p] = want[p] || overlap(s.AC.VLAN, o.AC.VLAN)
					}
				}
			}
			for p, want := range want {
				if got := w.table.ports[p].state.Load()&portOverlaps != 0; got != want {
					t.Fatalf("seed %d: port %d mixed: %v, want %v: %+v", seed, p, got, want, w.ref.sessions)
				}
			}
		}
	}
}
