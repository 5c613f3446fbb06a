package pw

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"
)

// refReceiver is what a session does with the numbers that come, by searching and sorting a list: RFC
// 3931 appendix C, with reordering.
type refReceiver struct {
	Sequence
	numbers int64 // how many there are
	sending bool
	started bool
	next    int64
	oldest  int64
	old     int
	waits   []refWaiting

	delivered []int // marks
	dropped   map[Drop]int
}

type refWaiting struct {
	number int64
	due    int64
	mark   int
}

func newRefReceiver(s Sequence, mask int64) *refReceiver {
	if s.Resync == 0 {
		s.Resync = 4
	}
	return &refReceiver{Sequence: s, numbers: mask + 1, sending: s.Send, dropped: map[Drop]int{}}
}

// behind is how far a number lies behind the next one, going round.
func (r *refReceiver) behind(n int64) int64 { return (n - r.next + r.numbers) % r.numbers }

// past tells that a number's turn was.
func (r *refReceiver) past(n int64) bool { return r.behind(n) >= r.numbers/2 }

func (r *refReceiver) deliver(n int64, mark int) {
	r.started, r.old, r.next = true, 0, (n+1)%r.numbers
	r.delivered = append(r.delivered, mark)
}

// come takes a packet with a number, or, below 0, without.
func (r *refReceiver) come(n int64, mark int, now int64) {
	if numbered := n >= 0; r.Follow && (numbered || !r.Require) {
		r.sending = numbered
	}
	switch {
	case n < 0 && r.Require:
		r.dropped[DropUnnumbered]++
	case n < 0:
		r.delivered = append(r.delivered, mark)
	case !r.started || n == r.next:
		r.deliver(n, mark)
	case r.past(n):
		if r.old > 0 && n == (r.oldest+1)%r.numbers {
			r.old++
		} else {
			r.old = 1
		}
		if r.oldest = n; r.old > int(r.Resync) {
			for len(r.waits) > 0 { // they were sent before
				r.first()
			}
			r.deliver(n, mark)
			break
		}
		r.dropped[DropOld]++
	case r.Reorder == 0:
		r.deliver(n, mark)
	case slices.ContainsFunc(r.waits, func(w refWaiting) bool { return w.number == n }):
		r.dropped[DropOld]++
	default:
		r.waits = append(r.waits, refWaiting{n, now + int64(r.Reorder), mark})
		r.sort()
		if len(r.waits) > reorderLen {
			r.first()
		}
	}
	r.release()
}

func (r *refReceiver) sort() {
	slices.SortFunc(r.waits, func(a, b refWaiting) int { return cmp.Compare(r.behind(a.number), r.behind(b.number)) })
}

// first lets the first one go that waits.
func (r *refReceiver) first() {
	w := r.waits[0]
	r.waits = r.waits[1:]
	r.deliver(w.number, w.mark)
}

// release lets go what need not wait any longer for others.
func (r *refReceiver) release() {
	r.sort()
	for len(r.waits) > 0 && r.waits[0].number == r.next {
		r.first()
	}
}

// expire lets go what has waited long enough, and all before it.
func (r *refReceiver) expire(now int64) {
	for i := len(r.waits) - 1; i >= 0; i-- {
		if r.waits[i].due <= now {
			for range i + 1 {
				r.first()
			}
			break
		}
	}
	r.release()
}

// due is when that is to happen; 0: never.
func (r *refReceiver) due() (first int64) {
	for _, w := range r.waits {
		if first == 0 || w.due < first {
			first = w.due
		}
	}
	return first
}

// randomSequence has sessions of both ends take what the other sends.
func (w *world) randomSequence() (s Sequence) {
	rng := w.rng
	if rng.IntN(2) == 0 {
		return s
	}
	s.Send, s.Follow, s.Resync = rng.IntN(3) > 0, rng.IntN(3) == 0, pick[uint8](rng, 0, 0, 1, 9)
	s.Require = s.Send && rng.IntN(2) == 0
	s.Reorder = pick(rng, 0, time.Millisecond)
	return s
}

// numberedV2 is numbered for the session of L2TPv2 of sequenceBoxV2: PPP whose last two bytes are a mark.
func numberedV2(t testing.TB, n int64, mark int) []byte {
	message := "0002 000b 002c"
	if n >= 0 {
		message = fmt.Sprintf("0802 000b 002c %04x 0000", n)
	}
	m := wire(t, message, fmt.Sprintf("ff03 0021 %04x", mark))
	b := join(wire(t, lines(linkHeader, []string{"0800 4500 0000 0000 0000 4011 0000", "c6 33 64 07", "c0 00 02 01", "06a6 06a5 0000 0000"})...), m)
	b[17], b[39] = byte(28+len(m)), byte(8+len(m))
	fixIPv4(b)
	return b
}

func sequenceBoxV2(t testing.TB, s Sequence) *Table {
	spec := pppoeSession(44, 33)
	spec.Sequence = s
	return pppBox(t, v2udp4, spec).table
}

// FuzzSequence plays a script of numbers, pauses and new beginnings: two bytes a step, what and how much.
func FuzzSequence(f *testing.F) {
	f.Add(uint8(0), []byte{0, 0, 0, 0, 1, 2, 0, 0, 2, 0})
	f.Add(uint8(1), []byte{0, 0, 1, 1, 1, 255, 0, 0, 3, 110, 1, 5, 1, 250, 4, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add(uint8(0x13), []byte{5, 0, 0, 0, 1, 1, 1, 254, 0, 0, 3, 200, 4, 255, 1, 1, 0, 0})
	f.Add(uint8(0x0e), []byte{0, 0, 2, 0, 2, 0, 0, 0})
	f.Add(uint8(0x11), slices.Repeat([]byte{0, 0, 1, 1}, 100))
	restart := slices.Concat([]byte{0, 0, 1, 100, 1, 2, 4, 0}, make([]byte, 12), []byte{3, 200})
	far := slices.Concat([]byte{0, 0, 6, 125, 6, 134}, make([]byte, 12)) // what waits would be old when the peer has begun anew
	for _, how := range []uint8{0, 1, 0x10, 0x11, 0x40} {
		f.Add(how, restart)
		f.Add(how, far)
	}
	f.Fuzz(func(t *testing.T, how uint8, script []byte) {
		if len(script) > 2*rigChunks {
			return
		}
		s := Sequence{Send: how&2 == 0, Require: how&4 != 0, Follow: how&8 != 0, Resync: how >> 6}
		if how&1 != 0 {
			s.Reorder = 100 * time.Millisecond
		}
		if !s.wanted() {
			return
		}
		mask := int64(numberMask)
		var table *Table
		if v2 := how&16 != 0; v2 {
			mask, table = numberMaskV2, sequenceBoxV2(t, s)
		} else {
			table, _ = sequenceBox(t, 1, s)
		}
		r, ref := newRig(t, table), newRefReceiver(s, mask)
		fw := table.Forwarder(0)
		now := int64(time.Second)
		var got []int
		back := map[uint64]bool{}
		see := func(out []Frame) {
			for _, o := range out {
				if back[o.Addr/minChunk] {
					t.Fatalf("chunk %d came back twice", o.Addr/minChunk)
				}
				back[o.Addr/minChunk] = true
				if o.Out == 1 {
					b := r.bytes(o)
					got = append(got, int(u16(b[len(b)-2:])))
				}
			}
		}
		next, given := int64(0), 0
		for i := 0; i+1 < len(script); i += 2 {
			n, much := int64(-1), script[i+1]
			switch script[i] % 7 {
			case 0: // in turn
				n, next = next, next+1
			case 1: // near it
				n = next + int64(int8(much))
				next = max(next, n+1)
			case 2: // none
			case 3: // a pause of ms
				end := now + int64(much)*int64(time.Millisecond)
				for due := fw.Deadline(); due != 0 && due <= end; due = fw.Deadline() {
					now = max(now, due) // perhaps too early: what waited may have gone meanwhile
					see(fw.Expire(r.mem, now, nil))
					ref.expire(now)
				}
				if now = end; ref.due() != 0 && ref.due() <= now {
					t.Fatalf("step %d: due at %d, expired until %d", i/2, ref.due(), now)
				}
				continue
			case 4: // a new beginning
				n = int64(much)
				next = n + 1
			case 5: // before the end of the numbers
				n = mask - int64(much)
				next = n + 1
			case 6: // far from it
				if n = next + int64(int8(much))*(mask+1)/256; n < next {
					next = n + 1
				}
			}
			frame := numberedV2
			if mask == numberMask {
				frame = func(t testing.TB, n int64, mark int) []byte { return numbered(t, int(n), mark) }
			}
			if script[i]%7 != 2 {
				n &= mask
			}
			next &= mask
			see(fw.Process(r.mem, []Frame{r.put(given, 0, 256, frame(t, n, i))}, now, nil))
			ref.come(n, i, now)
			given++
			if fw.Held() != len(ref.waits) || len(back)+fw.Held() != given {
				t.Fatalf("step %d: %d of %d came back, %d held, want %d", i/2, len(back), given, fw.Held(), len(ref.waits))
			}
		}
		if !slices.Equal(got, ref.delivered) {
			t.Errorf("delivered %v\nwant %v", got, ref.delivered)
		}
		drops := table.PortDrops(0)
		for _, why := range []Drop{DropOld, DropUnnumbered} {
			if drops[why] != uint64(ref.dropped[why]) {
				t.Errorf("%v: %d, want %d", why, drops[why], ref.dropped[why])
			}
		}
		if n, ok := table.Numbering(1); !ok || n.Sending != ref.sending || ref.started && int64(n.NR) != ref.next {
			t.Errorf("numbers stand at %+v, want sending %v, next %d", n, ref.sending, ref.next)
		}
	})
}
