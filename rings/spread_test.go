package rings

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// spreader is a relay whose frames stay together by a stream's number in bytes 14 to 21, and keep
// count of what each worker processed. Frames of stream 0 are not understood.
type spreader struct {
	relay
	index   int
	streams [64]uint64 // processed here
}

func (s *spreader) Spread(mem []byte, in []Frame, workers int, to []uint8) {
	for i, f := range in {
		stream := binary.BigEndian.Uint64(mem[f.Addr+14:])
		to[i] = Stay
		if stream != 0 {
			to[i] = uint8(stream % uint64(workers))
		}
	}
}

func (s *spreader) Process(mem []byte, in []Frame, now int64, out []Frame) []Frame {
	for _, f := range in {
		s.streams[binary.BigEndian.Uint64(mem[f.Addr+14:])%64]++
	}
	return s.relay.Process(mem, in, now, out)
}

// streamFrame is a frame for a port: number of a stream.
func streamFrame(b []byte, out byte, stream, number uint64) []byte {
	f := b[:64]
	clear(f)
	f[5] = out
	binary.BigEndian.PutUint64(f[14:], stream)
	binary.BigEndian.PutUint64(f[22:], number)
	return f
}

func newSpreadFabric(t *testing.T, workers int, cfg FabricConfig) (*fakeFabric, []*spreader) {
	var spreaders []*spreader
	for i := range workers {
		s := &spreader{index: i}
		spreaders = append(spreaders, s)
		cfg.Workers = append(cfg.Workers, WorkerConfig{CPU: -1, Handler: s})
	}
	return newFakeFabric(t, 0, cfg), spreaders
}

func TestSpreadIsForFewQueues(t *testing.T) {
	for _, tt := range []struct {
		spread  bool
		queues  int
		workers int
		want    bool
	}{
		{true, 1, 1, false}, {true, 1, 2, true}, {true, 3, 4, true}, {true, 4, 4, false}, {true, 8, 4, false}, {false, 1, 4, false},
	} {
		f, _ := newSpreadFabric(t, tt.workers, FabricConfig{Arena: newTestArena(t, ArenaConfig{Chunks: 32768})})
		cfg := PortConfig{Spread: tt.spread}
		for q := range tt.queues {
			cfg.Queues = append(cfg.Queues, uint32(q))
		}
		p := f.port(cfg, nil)
		if got := p.queues[0].spread; got != tt.want {
			t.Errorf("spread %v with %d queues and %d workers: %v", tt.spread, tt.queues, tt.workers, got)
		}
	}
}

// TestSpreadStays: what is not understood, and everything where the port or the handler does not
// spread, is processed by the worker that received it.
func TestSpreadStays(t *testing.T) {
	for _, spread := range []bool{false, true} {
		f, spreaders := newSpreadFabric(t, 4, FabricConfig{})
		var sent atomic.Uint64
		a := f.port(PortConfig{Index: 0, Workers: []int{1}, Spread: spread}, nil)
		f.port(PortConfig{Index: 1}, func(uint32, []byte) { sent.Add(1) })
		stop := start(t, f.Fabric)
		buf := make([]byte, 64)
		for i := range 64 {
			for !a.Receive(0, streamFrame(buf, 1, uint64(i%8), 0)) {
				time.Sleep(10 * time.Microsecond)
			}
		}
		eventually(t, "all frames", func() bool { return sent.Load() == 64 })
		checkAudit(t, f.Fabric)
		checkEquation(t, a.Port)
		stop()
		for w, s := range spreaders {
			for stream, n := range s.streams[:8] {
				want := uint64(0)
				if home := stream % 4; spread && stream != 0 && home == w || (!spread || stream == 0) && w == 1 {
					want = 8
				}
				if n != want {
					t.Errorf("spread %v: worker %d processed %d frames of stream %d, want %d", spread, w, n, stream, want)
				}
			}
		}
	}
}

// TestSpreadNeedsASpreader: a handler that cannot tell keeps its frames.
func TestSpreadNeedsASpreader(t *testing.T) {
	f := newFakeFabric(t, 2, FabricConfig{})
	a := f.port(PortConfig{Index: 0, Spread: true}, nil)
	a.Receive(0, frameTo(0, 1))
	f.workers[0].round(1)
	if s := a.Status(); s.Sent != 1 {
		t.Errorf("%+v", s)
	}
}

// TestSpreadMillion sends a million frames of many streams through four workers. Every stream is
// in order where it leaves, every frame that was received is accounted for, none is owned twice.
func TestSpreadMillion(t *testing.T) {
	const streams = 63
	frames := uint64(1_000_000)
	if raceDetector {
		frames /= 10
	}
	f, spreaders := newSpreadFabric(t, 4, FabricConfig{})
	var last [2][streams + 1]uint64
	var swapped, sent atomic.Uint64
	check := func(port int) func(uint32, []byte) {
		return func(_ uint32, frame []byte) { // by the one worker that has the port's queue
			stream, number := binary.BigEndian.Uint64(frame[14:]), binary.BigEndian.Uint64(frame[22:])
			if number <= last[port][stream] {
				swapped.Add(1)
			}
			last[port][stream] = number
			sent.Add(1)
		}
	}
	a := f.port(PortConfig{Index: 0, RingSize: 512, Spread: true, Workers: []int{0}}, check(0))
	b := f.port(PortConfig{Index: 1, RingSize: 512, Spread: true, Workers: []int{2}}, check(1))
	stop := start(t, f.Fabric)
	var feeding sync.WaitGroup
	for i, p := range []*Fake{a, b} {
		feeding.Go(func() {
			buf := make([]byte, 64)
			for n := uint64(1); n <= frames/2; {
				if p.Receive(0, streamFrame(buf, byte(1-i), n%(streams+1), n)) {
					n++
				} else {
					time.Sleep(20 * time.Microsecond)
				}
				if n == frames/4 {
					checkAudit(t, f.Fabric)
				}
			}
		})
	}
	feeding.Wait()
	settle(t, f.Fabric, a.Port, b.Port)
	checkAudit(t, f.Fabric)
	checkEquation(t, a.Port, b.Port)
	stop()
	lost := a.Status().Drops["inbox_full"] + b.Status().Drops["inbox_full"] + a.Status().Drops["tx_ring_full"] + b.Status().Drops["tx_ring_full"]
	if swapped.Load() != 0 || sent.Load()+lost != frames || sent.Load() < frames/10 {
		t.Errorf("%d frames sent, %d dropped of %d, %d out of order", sent.Load(), lost, frames, swapped.Load())
	}
	for w, s := range spreaders {
		n := uint64(0)
		for _, k := range s.streams {
			n += k
		}
		if n == 0 {
			t.Errorf("worker %d processed nothing", w)
		}
	}
	t.Logf("%d sent, %d dropped on the way", sent.Load(), lost)
}

// TestSpreadFullInbox: frames for a worker that takes none are dropped, and counted.
func TestSpreadFullInbox(t *testing.T) {
	f, _ := newSpreadFabric(t, 2, FabricConfig{Inbox: 16})
	a := f.port(PortConfig{Index: 0, Spread: true}, nil)
	buf := make([]byte, 64)
	for range 20 {
		a.Receive(0, streamFrame(buf, 0, 1, 1))
	}
	f.workers[0].round(1)
	if s := a.Status(); s.Drops["inbox_full"] != 4 || s.Held != 0 {
		t.Errorf("%+v", s)
	}
	checkAudit(t, f.Fabric)
	f.workers[1].round(1)
	f.workers[0].round(1)
	checkAudit(t, f.Fabric)
	checkEquation(t, a.Port)
	if s := a.Status(); s.Sent != 16 {
		t.Errorf("%+v", s)
	}
}

// TestSpreadWakesOnce: a parked worker is woken once for all frames of a round.
func TestSpreadWakesOnce(t *testing.T) {
	f, _ := newSpreadFabric(t, 2, FabricConfig{})
	a := f.port(PortConfig{Index: 0, Spread: true}, nil)
	buf := make([]byte, 64)
	for range 32 {
		a.Receive(0, streamFrame(buf, 0, 1, 1))
	}
	target := f.workers[1]
	target.parked.Store(1)
	f.workers[0].round(1)
	var count [8]byte
	if n, err := unix.Read(target.eventfd, count[:]); n != 8 || err != nil {
		t.Fatalf("the worker was not woken: %v", err)
	}
	if count != target.bell {
		t.Errorf("woken %x times its bell %x", count, target.bell)
	}
	f.workers[1].round(1)
	f.workers[0].round(1)
	checkAudit(t, f.Fabric)
}

func TestSpreadAllocatesNothing(t *testing.T) {
	f, _ := newSpreadFabric(t, 4, FabricConfig{})
	a := f.port(PortConfig{Index: 0, Spread: true}, nil)
	buf := make([]byte, 64)
	n := testing.AllocsPerRun(100, func() {
		for i := range 64 {
			a.Receive(0, streamFrame(buf, 0, uint64(i), 1))
		}
		for range 2 {
			for _, w := range f.workers {
				w.round(1)
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations a round", n)
	}
	checkAudit(t, f.Fabric)
}

// keeper keeps stream 1 on worker 1 and stream 3 on worker 3 while it keeps anything.
type keeper struct {
	spreader
	keeps *atomic.Bool
}

func (k *keeper) Keeps() bool { return k.keeps.Load() }

func (k *keeper) Keep(mem []byte, in []Frame, workers int, to []uint8) {
	k.Spread(mem, in, workers, to)
	for i, f := range in {
		if stream := binary.BigEndian.Uint64(mem[f.Addr+14:]); stream != 1 && stream != 3 {
			to[i] = Stay
		}
	}
}

// TestKeep: on a port that does not spread, frames go to other workers only while the handler keeps
// some, and only those; injected ones too.
func TestKeep(t *testing.T) {
	const workers, perStream = 4, 50
	for _, keeps := range []bool{false, true} {
		var on atomic.Bool
		on.Store(keeps)
		cfg := FabricConfig{}
		var keepers []*keeper
		for i := range workers {
			k := &keeper{spreader{index: i}, &on}
			keepers = append(keepers, k)
			cfg.Workers = append(cfg.Workers, WorkerConfig{CPU: -1, Handler: k})
		}
		f := newFakeFabric(t, 0, cfg)
		var sent atomic.Uint64
		a := f.port(PortConfig{Index: 0, Workers: []int{2}}, nil)
		f.port(PortConfig{Index: 1}, func(uint32, []byte) { sent.Add(1) })
		stop := start(t, f.Fabric)
		buf := make([]byte, 64)
		for i := range perStream * 4 {
			for !a.Receive(0, streamFrame(buf, 1, uint64(i%4), 0)) {
				time.Sleep(10 * time.Microsecond)
			}
		}
		eventually(t, "all frames", func() bool { return sent.Load() == perStream*4 })
		checkAudit(t, f.Fabric)
		checkEquation(t, a.Port)
		stop()
		for w, k := range keepers {
			for stream, n := range k.streams[:4] {
				home := 2
				if keeps && stream&1 == 1 {
					home = stream
				}
				if want := map[bool]uint64{true: perStream}[w == home]; n != want {
					t.Errorf("keeps %v: worker %d processed %d frames of stream %d, want %d", keeps, w, n, stream, want)
				}
			}
		}
	}
}
