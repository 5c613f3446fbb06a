package stream

// window is how far behind the highest number of its flow a frame is still told from a duplicate.
const window = 4096

// track follows the numbers of one flow.
type track struct {
	highest   uint64 // plus one; 0: none yet
	count     uint64 // frames the flow had, once its end mark came
	ended     bool
	seen      [window / 64]uint64 // bits of numbers below highest
	unique    uint64
	duplicate uint64
	reordered uint64 // behind a higher number
	late      uint64 // of these: too far behind to tell from a duplicate
}

// take enters a number.
func (t *track) take(n uint64) {
	if n >= t.highest {
		for i := t.highest; i < n && i < t.highest+window; i++ {
			t.clear(i)
		}
		if n >= t.highest+window {
			clear(t.seen[:])
		}
		t.set(n)
		t.highest = n + 1
		t.unique++
		return
	}
	if t.highest-n > window {
		t.late++
		t.reordered++
		t.unique++
		return
	}
	if t.seen[n%window/64]>>(n%64)&1 != 0 {
		t.duplicate++
		return
	}
	t.set(n)
	t.reordered++
	t.unique++
}

func (t *track) set(n uint64)   { t.seen[n%window/64] |= 1 << (n % 64) }
func (t *track) clear(n uint64) { t.seen[n%window/64] &^= 1 << (n % 64) }

// expected is how many frames should have come: all, when the end mark told, else up to the highest.
func (t *track) expected() uint64 { return max(t.count, t.highest) }

func (t *track) lost() uint64 {
	if e := t.expected(); e > t.unique {
		return e - t.unique
	}
	return 0
}
