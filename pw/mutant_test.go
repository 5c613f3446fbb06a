package pw

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"xwire/l2tp"
)

// mutant changes a few bits of a frame where headers are, or its lengths, and mostly puts right the
// checksum that would give it away.
func mutant(rng *rand.Rand, frame []byte) []byte {
	b := append([]byte(nil), frame...)
	l3 := 14 + 4*len(tagsOf(b))
	ip4 := len(b) >= l3+20 && u16(b[l3-2:]) == 0x0800
	ip6 := len(b) >= l3+40 && u16(b[l3-2:]) == 0x86dd
	add := func(at, n int) {
		if at+2 <= len(b) {
			binary.BigEndian.PutUint16(b[at:], u16(b[at:])+uint16(n))
		}
	}
	n := pick(rng, -60, -20, -5, -4, -3, -2, -1, 1, 4)
	if rng.IntN(2) == 0 { // to end somewhere in the headers, or among the tags behind them
		n = 32 + rng.IntN(70) - len(b)
	}
	switch rng.IntN(6) {
	case 0: // bits
		for range 1 + rng.IntN(2) {
			if m := min(len(b), 110); m > 0 {
				b[rng.IntN(m)] ^= 1 << rng.IntN(8)
			}
		}
	case 1, 2: // IP and UDP length
		if ip4 {
			add(l3+2, n)
			add(l3+24, n)
		} else if ip6 {
			add(l3+4, n)
			add(l3+44, n)
		}
	case 3: // one of them
		if ip4 {
			add(l3+pick(rng, 2, 24), n)
		} else if ip6 {
			add(l3+pick(rng, 4, 44), n)
		}
	case 4: // shorter or longer frame
		if n > 0 {
			b = join(b, make([]byte, n))
		} else {
			b = b[:max(0, len(b)+n)]
		}
	}
	if ip4 && len(b) >= l3+20 && rng.IntN(8) > 0 {
		l2tp.IPv4(b[l3:]).SetChecksum()
	}
	return b
}

// What the short ways make of a frame is what the long one makes of it, for frames that are nearly
// like those before. Worker 0 remembers, worker 1 is made to forget.
func TestShortWaysAgainstTheLongOne(t *testing.T) {
	rounds := uint64(120)
	for seed := range rounds {
		w := newWorld(t, rand.New(rand.NewPCG(seed, 11)), 2)
		short, long := newRig(t, w.table), newRig(t, w.table)
		f0, f1 := w.table.Forwarder(0), w.table.Forwarder(1)
		for _, id := range w.sessions {
			spec := w.ref.sessions[id]
			port, frame := uint16(w.rng.IntN(2)), w.packet(id, false)
			if spec.AC.Port != NoPort && w.rng.IntN(2) == 0 {
				port, frame = spec.AC.Port, w.customer(id)
			}
			var c [2]Counters
			rare, record := w.table.rare.at(uint32(id)), w.table.slots.at(uint32(id)).record
			for range 12 {
				var frames [][]byte
				for range 3 {
					frames = append(frames, frame)
				}
				for range 1 + w.rng.IntN(5) {
					frames = append(frames, mutant(w.rng, pick(w.rng, frames...)))
				}
				if w.rng.IntN(3) == 0 {
					frames[0] = mutant(w.rng, frame) // to learn from
					frames[1] = frames[0]
				}
				// One by one, then those that follow together.
				for at := 0; at < len(frames); {
					k := 1
					if at >= 2 {
						k = 1 + w.rng.IntN(len(frames)-at)
					}
					var in []Frame
					for i, b := range frames[at : at+k] {
						in = append(in, short.put(i, port, 256, b))
					}
					rare.zero()
					out := backInOrder(t, in, f0.Process(short.mem, in, 1, nil))
					rare.addTo(&c[0])
					for i, b := range frames[at : at+k] {
						f1.encapStreak.in, f1.decapStreak.in, f1.outer.tunnel, f1.lastEncap, f1.lastDecap = noPort, noPort, 0, 0, 0
						rare.zero()
						want := f1.Process(long.mem, []Frame{long.put(0, port, 256, b)}, 1, nil)[0]
						rare.addTo(&c[1])
						got := out[i]
						if got.Out != want.Out {
							t.Fatalf("seed %d session %d %+v: frame %d of %x out of port %d, the long way %d", seed, id, spec, i, frames, got.Out, want.Out)
						}
						if got.Out != NoPort && !bytes.Equal(withoutRandom(short.bytes(got)), withoutRandom(long.bytes(want))) {
							t.Fatalf("seed %d session %d %+v: frame %d of %x\nis       %x\nthe long %x", seed, id, spec, i, frames, short.bytes(got), long.bytes(want))
						}
					}
					at += k
				}
			}
			for worker, f := range []*Forwarder{f0, f1} {
				f.sessions.at(record).addTo(&c[worker])
				f.addExtra(uint32(id), &c[worker])
			}
			c[0].Suspect, c[1].Suspect = 0, 0
			if c[0] != c[1] {
				t.Fatalf("seed %d session %d %+v:\ncounts   %+v\nthe long %+v", seed, id, spec, c[0], c[1])
			}
			for p := range uint16(worldPorts) {
				for i := range NumDrops {
					if a, b := f0.portCounters[p].drops[i].load(), f1.portCounters[p].drops[i].load(); a != b {
						t.Fatalf("seed %d session %d %+v: port %d drops %d for %v, the long way %d", seed, id, spec, p, a, Drop(i), b)
					}
				}
				if a, b := f0.portCounters[p].forwarded.load(), f1.portCounters[p].forwarded.load(); a != b {
					t.Fatalf("seed %d: port %d forwarded %d, the long way %d", seed, p, a, b)
				}
			}
		}
	}
}
