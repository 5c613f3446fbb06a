package rings

import (
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// The tests in this file are the kernel: they move the cursors that only it moves.

func newWords(n int) []*uint32 {
	words := make([]*uint32, n)
	for i := range words {
		words[i] = new(uint32)
	}
	return words
}

// ringStarts are cursor values at which rings are tried: the start, and just before they wrap.
var ringStarts = []uint32{0, ^uint32(0) - 2}

func TestFillRing(t *testing.T) {
	for _, start := range ringStarts {
		w := newWords(3)
		*w[0], *w[1] = start, start
		r := &fillRing{producer: w[0], consumer: w[1], flags: w[2], entries: make([]uint64, 4), mask: 3, next: start, seen: start}
		if got := r.room(4); got != 4 {
			t.Fatalf("start %d: room(4) = %d in an empty ring of 4", start, got)
		}
		for i := range uint64(4) {
			r.put(i * 2048)
		}
		if got := atomic.LoadUint32(r.producer); got != start {
			t.Errorf("start %d: producer moved by %d before publish", start, got-start)
		}
		r.publish()
		if got := atomic.LoadUint32(r.producer) - start; got != 4 {
			t.Errorf("start %d: producer moved by %d after publish, want 4", start, got)
		}
		if got := r.room(1); got != 0 {
			t.Errorf("start %d: room(1) = %d in a full ring", start, got)
		}
		atomic.StoreUint32(r.consumer, start+3) // the kernel takes three
		if got := r.room(1); got != 3 {
			t.Errorf("start %d: room(1) = %d after the kernel took 3", start, got)
		}
		var left []uint64
		r.visit(func(addr uint64) { left = append(left, addr) })
		if !slices.Equal(left, []uint64{3 * 2048}) {
			t.Errorf("start %d: visit gives %v, want the last entry", start, left)
		}
		if r.needWakeup() {
			t.Error("needWakeup without the flag")
		}
		atomic.StoreUint32(r.flags, ringNeedWakeup)
		if !r.needWakeup() {
			t.Error("no needWakeup with the flag")
		}
	}
}

func TestCompletionRing(t *testing.T) {
	for _, start := range ringStarts {
		w := newWords(2)
		*w[0], *w[1] = start, start
		r := &completionRing{producer: w[0], consumer: w[1], entries: make([]uint64, 4), mask: 3, next: start, seen: start}
		if got := r.available(4); got != 0 {
			t.Fatalf("start %d: available = %d in an empty ring", start, got)
		}
		for i := range uint32(3) { // the kernel completes three
			r.entries[(start+i)&3] = uint64(i) + 7
		}
		atomic.StoreUint32(r.producer, start+3)
		if got := r.available(2); got != 2 {
			t.Errorf("start %d: available(2) = %d of 3", start, got)
		}
		if a, b := r.get(), r.get(); a != 7 || b != 8 {
			t.Errorf("start %d: got %d, %d, want 7, 8", start, a, b)
		}
		if got := atomic.LoadUint32(r.consumer); got != start {
			t.Errorf("start %d: consumer moved by %d before release", start, got-start)
		}
		r.release()
		if got := atomic.LoadUint32(r.consumer) - start; got != 2 {
			t.Errorf("start %d: consumer moved by %d after release, want 2", start, got)
		}
		if got := r.available(4); got != 1 {
			t.Errorf("start %d: available = %d, want the one left", start, got)
		}
	}
}

func TestRXRing(t *testing.T) {
	for _, start := range ringStarts {
		w := newWords(2)
		*w[0], *w[1] = start, start
		r := &rxRing{producer: w[0], consumer: w[1], entries: make([]unix.XDPDesc, 4), mask: 3, next: start, seen: start}
		for i := range uint32(4) { // the kernel receives four
			r.entries[(start+i)&3] = unix.XDPDesc{Addr: uint64(i)*2048 + 256, Len: 60 + i}
		}
		if got := r.available(4); got != 0 {
			t.Fatalf("start %d: available = %d before the kernel published", start, got)
		}
		atomic.StoreUint32(r.producer, start+4)
		if got := r.available(8); got != 4 {
			t.Fatalf("start %d: available(8) = %d, want 4", start, got)
		}
		for i := range uint32(4) {
			if d := r.get(); d.Addr != uint64(i)*2048+256 || d.Len != 60+i {
				t.Errorf("start %d: descriptor %d is %+v", start, i, d)
			}
		}
		r.release()
		if got := atomic.LoadUint32(r.consumer) - start; got != 4 {
			t.Errorf("start %d: consumer moved by %d, want 4", start, got)
		}
	}
}

func TestTXRing(t *testing.T) {
	for _, start := range ringStarts {
		w := newWords(3)
		*w[0], *w[1] = start, start
		r := &txRing{producer: w[0], consumer: w[1], flags: w[2], entries: make([]unix.XDPDesc, 4), mask: 3, next: start, seen: start}
		for i := range uint32(3) {
			r.put(uint64(i), 60+i)
		}
		if got := atomic.LoadUint32(r.producer); got != start {
			t.Errorf("start %d: producer moved before publish", start)
		}
		r.publish()
		if got := r.pending(); got != 3 {
			t.Errorf("start %d: pending = %d, want 3", start, got)
		}
		if got := r.room(2); got != 1 {
			t.Errorf("start %d: room(2) = %d, want 1", start, got)
		}
		for i := range uint32(2) { // the kernel reads two
			if d := r.entries[(start+i)&3]; d.Addr != uint64(i) || d.Len != 60+i || d.Options != 0 {
				t.Errorf("start %d: descriptor %d is %+v", start, i, d)
			}
		}
		atomic.StoreUint32(r.consumer, start+2)
		if got := r.room(2); got != 3 {
			t.Errorf("start %d: room(2) = %d after the kernel took 2, want 3", start, got)
		}
	}
}

func TestInbox(t *testing.T) {
	b := newInbox(4)
	dst := make([]Frame, 8)
	for round := range uint64(5) {
		for i := range uint64(4) {
			if !b.put(Frame{Addr: round*4 + i}) {
				t.Fatalf("round %d: put %d refused", round, i)
			}
		}
		if b.put(Frame{}) {
			t.Fatal("a fifth frame went into an inbox of 4")
		}
		if n := b.take(dst); n != 0 || !b.empty() {
			t.Fatalf("took %d frames before publish", n)
		}
		b.publish()
		if b.empty() {
			t.Fatal("empty after publish")
		}
		if n := b.take(dst[:3]); n != 3 {
			t.Fatalf("take = %d, want 3", n)
		}
		if n := b.take(dst[3:]); n != 1 {
			t.Fatalf("take = %d, want 1", n)
		}
		for i, f := range dst[:4] {
			if f.Addr != round*4+uint64(i) {
				t.Errorf("round %d: frame %d is %d", round, i, f.Addr)
			}
		}
	}
}

func TestInboxConcurrent(t *testing.T) {
	b := newInbox(64)
	const frames = 200_000
	go func() {
		for i := uint64(0); i < frames; {
			for ; i < frames && b.put(Frame{Addr: i}); i++ {
				if i%7 == 0 {
					b.publish()
				}
			}
			b.publish()
			runtime.Gosched() // with one CPU the other side has to run
		}
	}()
	dst := make([]Frame, 16)
	for want := uint64(0); want < frames; {
		n := b.take(dst)
		for _, f := range dst[:n] {
			if f.Addr != want {
				t.Fatalf("took frame %d, want %d", f.Addr, want)
			}
			want++
		}
		if n == 0 {
			runtime.Gosched()
		}
	}
}
