package rings

import (
	"testing"
	"time"
)

// TestBrace has a fill ring become deep when told to, stay so while the worker runs, and become usual again.
func TestBrace(t *testing.T) {
	f := newFakeFabric(t, 1, FabricConfig{})
	in := f.port(PortConfig{Index: 0, RingSize: 128, Deep: 1024}, nil)
	out := f.port(PortConfig{Index: 1, RingSize: 128}, nil)
	w := f.workers[0]
	fill := func(want int) {
		t.Helper()
		if a := checkAudit(t, f.Fabric); a.Fill != want {
			t.Errorf("%d frames in fill rings, want %d: %+v", a.Fill, want, a)
		}
	}
	frames := func(n int) (taken int) {
		for i := range n {
			if in.Receive(0, frameTo(1, uint64(i))) {
				taken++
			}
		}
		return taken
	}
	rounds := func(now int64) {
		for range 64 {
			w.steady(now, 0)
			w.round(now)
		}
	}
	fill(256)
	if n := frames(2000); n != 128 {
		t.Errorf("a usual ring took %d frames, want 128", n)
	}
	now := w.clock.now()
	rounds(now)
	f.Brace()
	rounds(now)
	fill(128 + 1024)
	if n := frames(2000); n != 1024 {
		t.Errorf("a deep ring took %d frames, want 1024", n)
	}
	rounds(now)
	fill(128 + 1024)
	rounds(now + 2*int64(bracedFor))
	frames(2000)
	rounds(now + 2*int64(bracedFor))
	fill(256)
	settle(t, f.Fabric, in.Port, out.Port)
	checkEquation(t, in.Port, out.Port)
}

// TestBraceOfItself has a worker notice that it was without a CPU.
func TestBraceOfItself(t *testing.T) {
	for _, tt := range []struct {
		name   string
		took   time.Duration
		frames int // waiting after a sleep
		want   bool
	}{
		{"short round", stalled / 2, 0, false},
		{"long round", stalled + 1, 0, true},
		{"woken early", 0, lateFrames - 1, false},
		{"woken late", 0, lateFrames, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeFabric(t, 1, FabricConfig{})
			in := f.port(PortConfig{Index: 0, RingSize: 1024, Deep: 2048}, nil)
			w := f.workers[0]
			for i := range tt.frames {
				if !in.Receive(0, frameTo(0, uint64(i))) {
					t.Fatalf("no room for frame %d", i)
				}
			}
			now := w.clock.now()
			w.steady(now, int64(tt.took))
			w.late(now)
			if got := w.braced != 0; got != tt.want {
				t.Errorf("braced: %v, want %v", got, tt.want)
			}
			if want := map[bool]uint32{false: 1024, true: 2048}[tt.want]; w.queues[0].receiveQuota != want {
				t.Errorf("%d frames wanted in the fill ring, want %d", w.queues[0].receiveQuota, want)
			}
		})
	}
}

// TestDeepRing keeps the memory of deep rings the same however many queues there are.
func TestDeepRing(t *testing.T) {
	for queues := 1; queues <= 1024; queues++ {
		size, beyond := DeepRing(queues)
		if size < defaultRingSize || size > 16384 || size&(size-1) != 0 || beyond != int(size)-defaultRingSize || beyond*queues > 32768 {
			t.Errorf("DeepRing(%d) = %d, %d", queues, size, beyond)
		}
	}
	if size, _ := DeepRing(2); size != 16384 {
		t.Errorf("two queues have rings of %d, want 16384", size)
	}
}

// TestSizingDeep opens the deep ports that an arena was sized for.
func TestSizingDeep(t *testing.T) {
	s := Sizing{Workers: 1, Queues: []uint32{128, 128}, Deep: 2 * (1024 - 128)}
	f := newFakeFabric(t, 1, FabricConfig{Arena: newTestArena(t, ArenaConfig{Chunks: s.Chunks()})})
	f.port(PortConfig{Index: 0, Deep: 1024}, nil)
	f.port(PortConfig{Index: 1, Deep: 1024}, nil)
	if _, err := f.AddFake(PortConfig{Index: 2, RingSize: 64}, nil); err == nil {
		t.Error("a port more than the arena is for")
	}
	f.Brace()
	f.workers[0].round(f.workers[0].clock.now())
	if a := checkAudit(t, f.Fabric); a.Fill != 2048 || f.workers[0].starved {
		t.Errorf("%d frames in fill rings, want 2048: %+v", a.Fill, a)
	}
}
