package rings

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestArena(t *testing.T) {
	for _, tt := range []struct{ chunk, chunks int }{{0, 1}, {2048, 3}, {2048, 1000}, {4096, 1000}} {
		a := newTestArena(t, ArenaConfig{ChunkSize: tt.chunk, Chunks: tt.chunks, HugePages: true})
		if a.Chunks() < tt.chunks || a.Chunks()*a.ChunkSize() != len(a.Memory()) {
			t.Errorf("%+v: %d chunks of %d in %d bytes", tt, a.Chunks(), a.ChunkSize(), len(a.Memory()))
		}
		// Huge or not, the arena can be mapped again by whoever has the descriptor.
		again, err := unix.Mmap(a.FD(), 0, len(a.Memory()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		again[len(again)-1] = 42
		if a.Memory()[len(again)-1] != 42 {
			t.Errorf("%+v: a second mapping shows other memory", tt)
		}
		if err := unix.Munmap(again); err != nil {
			t.Error(err)
		}
		if !a.HugePages() {
			t.Errorf("%+v: no huge pages: Linux 6.1 or newer is needed, with transparent huge pages and two free MiB in one piece", tt)
		}
	}
}

func TestArenaRefused(t *testing.T) {
	for _, tt := range []struct {
		cfg  ArenaConfig
		want string
	}{
		{ArenaConfig{ChunkSize: 1024, Chunks: 1}, "chunk size 1024"},
		{ArenaConfig{}, "0 chunks"},
		{ArenaConfig{Chunks: 1 << 30}, "chunks"},
	} {
		if a, err := NewArena(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("NewArena(%+v) = %v, %v, want an error that has %q", tt.cfg, a, err, tt.want)
		}
	}
}

// TestSizing opens exactly the ports an arena was sized for, and no more.
func TestSizing(t *testing.T) {
	for workers := 1; workers <= 9; workers += 4 {
		s := Sizing{Workers: workers, Queues: []uint32{128, 128, 512}}
		f := newFakeFabric(t, workers, FabricConfig{Arena: newTestArena(t, ArenaConfig{Chunks: s.Chunks()})})
		f.port(PortConfig{Index: 0, Queues: []uint32{0, 1}, RingSize: 128}, nil)
		f.port(PortConfig{Index: 1, RingSize: 512}, nil)
		if _, err := f.AddFake(PortConfig{Index: 2, RingSize: 64}, nil); err == nil {
			t.Errorf("%d workers: a port more than the arena is for", workers)
		}
		if a := checkAudit(t, f.Fabric); a.Fill != 768 {
			t.Errorf("%d workers: %d frames in fill rings, want 768: %+v", workers, a.Fill, a)
		}
	}
}
