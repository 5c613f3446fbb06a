package rings

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// jumboTo is a frame of n bytes for a port, every part of it unlike the others.
func jumboTo(out byte, n int) []byte {
	f := make([]byte, n)
	for i := range f {
		f[i] = byte(i) ^ byte(i>>8)*7
	}
	f[5], f[6] = out, 0
	return f
}

func jumboArena(t *testing.T, chunk, spans int) *Arena {
	return newTestArena(t, ArenaConfig{ChunkSize: chunk, Chunks: 8192, Spans: spans})
}

// allBack wants every chunk in the pool, and those of spans.
func allBack(t *testing.T, f *Fabric) {
	t.Helper()
	_, spans := f.arena.Spans()
	tails := spans * (SpanSize/f.arena.chunk - 1)
	if a := checkAudit(t, f); a.Pool != a.Frames-tails || a.Tails != tails {
		t.Errorf("not all frames came back: %+v", a)
	}
}

// TestJumboFrames takes frames of all sizes from one port to another, by one worker and by two.
func TestJumboFrames(t *testing.T) {
	for _, chunk := range []int{2048, 4096} {
		for workers := 1; workers <= 2; workers++ {
			t.Run(fmt.Sprintf("%d-byte chunks, %d workers", chunk, workers), func(t *testing.T) {
				f := newFakeFabric(t, workers, FabricConfig{Arena: jumboArena(t, chunk, 300), Batch: 3})
				sent := make(chan []byte, 64)
				a := f.port(PortConfig{Index: 0, Jumbo: true, Workers: []int{0}}, nil)
				b := f.port(PortConfig{Index: 1, Jumbo: true, Workers: []int{workers - 1}}, func(_ uint32, frame []byte) { sent <- bytes.Clone(frame) })
				start(t, f.Fabric)
				for round := range 20 {
					for _, n := range []int{64, chunk - headroom, chunk - headroom + 1, chunk, 1500, 9018, SpanSize - headroom, 64} {
						want := jumboTo(1, n)
						eventually(t, "room", func() bool { return a.Receive(0, want) })
						if got := <-sent; !bytes.Equal(got, want) {
							t.Fatalf("round %d: %d bytes came as %d, or others", round, n, len(got))
						}
					}
				}
				settle(t, f.Fabric, a.Port, b.Port)
				checkEquation(t, a.Port, b.Port)
				for _, p := range []*Fake{a, b} {
					if err := f.RemovePort(p.Port); err != nil {
						t.Error(err)
					}
				}
				allBack(t, f.Fabric)
			})
		}
	}
}

// skipper moves the start of each frame onward by what the seventh byte says, in units of 256 bytes.
type skipper struct{ relay }

func (s *skipper) Process(mem []byte, in []Frame, now int64, out []Frame) []Frame {
	for _, f := range in {
		skip := uint32(mem[f.Addr+6]) * 256
		f.Out = uint16(mem[f.Addr+5])
		f.Addr, f.Len = f.Addr+uint64(skip), f.Len-skip
		out = append(out, f)
	}
	return out
}

// TestJumboStartMoves: what is sent may begin, and end, in any chunk of the span.
func TestJumboStartMoves(t *testing.T) {
	for workers := 1; workers <= 2; workers++ {
		cfg := FabricConfig{Arena: jumboArena(t, 2048, 300)}
		for range workers {
			cfg.Workers = append(cfg.Workers, WorkerConfig{CPU: -1, Handler: &skipper{}})
		}
		f := newFakeFabric(t, 0, cfg)
		sent := make(chan []byte, 1)
		a := f.port(PortConfig{Index: 0, Jumbo: true, Workers: []int{0}}, nil)
		f.port(PortConfig{Index: 1, Jumbo: true, Workers: []int{workers - 1}}, func(_ uint32, frame []byte) { sent <- bytes.Clone(frame) })
		start(t, f.Fabric)
		for skip := range byte(35) {
			for _, n := range []int{9000, int(skip)*256 + 10} {
				want := jumboTo(1, max(n, 64))
				want[6] = skip
				a.Receive(0, want)
				if got := <-sent; !bytes.Equal(got, want[int(skip)*256:]) {
					t.Fatalf("%d bytes without the first %d: came as %d, or others", len(want), int(skip)*256, len(got))
				}
			}
			checkAudit(t, f.Fabric)
		}
	}
}

func TestJumboDrops(t *testing.T) {
	tests := []struct {
		name     string
		spans    int
		plain    bool // the output port is for frames of one descriptor
		frame    []byte
		errno    unix.Errno
		times    int
		want     string
		drops    uint64
		returned uint64
	}{
		{"given back", 200, false, jumboTo(0xff, 9000), 0, 500, "", 0, 500},
		{"no such port", 200, false, jumboTo(9, 9000), 0, 500, "tx_no_port", 500, 0},
		{"longer than a span", 200, false, jumboTo(1, SpanSize-headroom+1), 0, 500, "frame_too_long", 500, 0},
		{"port without jumbo frames", 200, true, jumboTo(1, 9000), 0, 500, "frame_too_long", 500, 0},
		{"port down", 200, false, jumboTo(1, 9000), unix.ENETDOWN, 10, "tx_port_down", 9, 0},
		{"ring full", 200, false, jumboTo(1, 9000), unix.EAGAIN, 30, "tx_ring_full", 5, 0}, // 128 descriptors, 5 a frame
		{"no span left", 3, false, jumboTo(1, 9000), unix.EAGAIN, 10, "jumbo_room", 7, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeFabric(t, 1, FabricConfig{Arena: jumboArena(t, 2048, tt.spans)})
			a := f.port(PortConfig{Index: 0, Jumbo: true}, nil)
			b := f.port(PortConfig{Index: 1, Jumbo: !tt.plain}, nil)
			b.Answer(tt.errno)
			for range tt.times {
				if !a.Receive(0, tt.frame) {
					t.Fatal("no room")
				}
				f.workers[0].round(1)
			}
			s := a.Status()
			if s.Received != uint64(tt.times) || s.Returned != tt.returned || tt.want != "" && s.Drops[tt.want] != tt.drops {
				t.Errorf("%+v", s)
			}
			checkEquation(t, a.Port, b.Port)
			checkAudit(t, f.Fabric)
			for _, p := range []*Fake{a, b} {
				if err := f.RemovePort(p.Port); err != nil {
					t.Error(err)
				}
			}
			allBack(t, f.Fabric)
		})
	}
}

// TestJumboHalfReceived closes a port between two descriptors of a frame.
func TestJumboHalfReceived(t *testing.T) {
	f := newFakeFabric(t, 1, FabricConfig{Arena: jumboArena(t, 2048, 200), Batch: 2})
	a := f.port(PortConfig{Index: 0, Jumbo: true}, nil)
	b := f.port(PortConfig{Index: 1, Jumbo: true}, nil)
	a.Receive(0, jumboTo(1, 9000)) // six descriptors
	f.workers[0].round(1)
	if got := checkAudit(t, f.Fabric); got.Gathering != 1 || got.RX != 4 {
		t.Errorf("after two descriptors: %+v", got)
	}
	for _, p := range []*Fake{a, b} {
		if err := f.RemovePort(p.Port); err != nil {
			t.Error(err)
		}
	}
	allBack(t, f.Fabric)
	checkEquation(t, a.Port, b.Port)
}

// TestJumboRetained: a span goes back when the driver has let go of the last of its chunks.
func TestJumboRetained(t *testing.T) {
	f := newFakeFabric(t, 1, FabricConfig{Arena: jumboArena(t, 4096, 200)})
	a := f.port(PortConfig{Index: 0, Jumbo: true}, nil)
	b := f.port(PortConfig{Index: 1, Jumbo: true}, nil)
	b.Answer(unix.EAGAIN)
	for range 5 {
		a.Receive(0, jumboTo(1, 9000))
		f.workers[0].round(1)
	}
	b.mode = ModeZeroCopy
	b.Retain(true)
	if err := f.RemovePort(b.Port); err == nil {
		t.Error("no word on frames that are retained")
	}
	if got := checkAudit(t, f.Fabric); got.Quarantine < 15 || f.Quarantined() != got.Quarantine {
		t.Errorf("%d chunks in quarantine, want three of each frame: %+v", f.Quarantined(), got)
	}
	b.Retain(false)
	if err := f.RemovePort(a.Port); err != nil {
		t.Error(err)
	}
	a = f.port(PortConfig{Index: 0}, nil) // asks again
	if err := f.RemovePort(a.Port); err != nil {
		t.Error(err)
	}
	allBack(t, f.Fabric)
}

// TestJumboUnderTraffic has three workers exchange frames of two sizes while their output comes and goes.
func TestJumboUnderTraffic(t *testing.T) {
	f := newFakeFabric(t, 3, FabricConfig{Arena: newTestArena(t, ArenaConfig{Chunks: 16384, Spans: 600})})
	a := f.port(PortConfig{Index: 0, Jumbo: true, Queues: []uint32{0, 1, 2}}, nil)
	var torn atomic.Uint64
	long, short := jumboTo(1, 9000), jumboTo(1, 900)
	sent := func(_ uint32, frame []byte) {
		if !bytes.Equal(frame, long) && !bytes.Equal(frame, short) {
			torn.Add(1)
		}
	}
	b := f.port(PortConfig{Index: 1, Jumbo: true}, sent)
	start(t, f.Fabric)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if !a.Receive(i%3, [][]byte{long, short}[i&1]) {
				time.Sleep(10 * time.Microsecond)
			}
		}
	}()
	for range 10 {
		time.Sleep(5 * time.Millisecond)
		if err := f.RemovePort(b.Port); err != nil {
			t.Error(err)
		}
		checkAudit(t, f.Fabric)
		b = f.port(PortConfig{Index: 1, Jumbo: true}, sent)
		checkAudit(t, f.Fabric)
	}
	close(stop)
	<-stopped
	settle(t, f.Fabric, a.Port, b.Port)
	for _, p := range []*Fake{a, b} {
		if err := f.RemovePort(p.Port); err != nil {
			t.Error(err)
		}
	}
	allBack(t, f.Fabric)
	checkEquation(t, a.Port, b.Port)
	if s := a.Status(); torn.Load() != 0 || s.Sent == 0 || s.Drops["frame_too_long"] != 0 {
		t.Errorf("%d frames torn: %+v", torn.Load(), s)
	}
}

// widener sends what it gets from spans, five times as long, one frame later.
type widener struct {
	doubler
	free []uint64
	kept []Frame
}

func (w *widener) SpareSpans() int           { return len(w.free) }
func (w *widener) SupplySpans(free []uint64) { w.free = append(w.free, free...) }
func (w *widener) Held() int                 { return len(w.kept) }

func (w *widener) Process(mem []byte, in []Frame, now int64, out []Frame) []Frame {
	for _, f := range in {
		f.Out = NoPort
		out = append(out, f)
		if len(w.free) == 0 {
			w.lacked++
			continue
		}
		out = append(out, w.kept...)
		wide := Frame{Addr: w.free[len(w.free)-1], Len: 5 * f.Len, In: f.In, Out: uint16(mem[f.Addr+5])}
		w.free = w.free[:len(w.free)-1]
		for i := range uint64(5) {
			copy(mem[wide.Addr+i*uint64(f.Len):], mem[f.Addr:f.Addr+uint64(f.Len)])
		}
		w.kept = append(w.kept[:0], wide)
	}
	return out
}

// TestSpanMaker: handlers make frames in spans too.
func TestSpanMaker(t *testing.T) {
	for workers := 1; workers <= 2; workers++ {
		cfg := FabricConfig{Arena: jumboArena(t, 2048, 500), Batch: 16}
		var makers []*widener
		for range workers {
			makers = append(makers, &widener{})
			cfg.Workers = append(cfg.Workers, WorkerConfig{CPU: -1, Handler: makers[len(makers)-1]})
		}
		f := newFakeFabric(t, 0, cfg)
		sent := 0
		want := bytes.Repeat(jumboTo(1, 1700), 5)
		a := f.port(PortConfig{Index: 0, Workers: []int{0}}, nil)
		b := f.port(PortConfig{Index: 1, Jumbo: true, Workers: []int{workers - 1}}, func(_ uint32, frame []byte) {
			if sent++; !bytes.Equal(frame, want) {
				t.Errorf("%d bytes sent, or others", len(frame))
			}
		})
		stop := start(t, f.Fabric)
		const frames = 1000
		for i := range frames {
			eventually(t, "room in the fill ring", func() bool { return a.Receive(0, jumboTo(1, 1700)) })
			if i%100 == 0 {
				checkAudit(t, f.Fabric)
			}
		}
		eventually(t, "all are processed", func() bool { return a.Status().Returned == frames })
		settle(t, f.Fabric, a.Port, b.Port)
		if got := checkAudit(t, f.Fabric); got.Held != 0 || got.Spare != len(makers[0].spares)+len(makers[0].free)+1 {
			t.Errorf("%d spare by the audit, the handler has %d, %d and one that it holds", got.Spare, len(makers[0].spares), len(makers[0].free))
		}
		stop()
		if s := a.Status(); s.Sent+1 != frames || makers[0].lacked != 0 || s.Injected != s.Sent || s.Returned != frames || sent != int(s.Sent) {
			t.Errorf("%d lacked, %d sent: %+v", makers[0].lacked, sent, s)
		}
		checkEquation(t, a.Port, b.Port)
		f.workers[0].do(func() { makers[0].free = makers[0].free[1:] })
		if got := f.Audit(); len(got.Violations) == 0 {
			t.Error("the audit is content though the handler lost a spare span")
		}
	}
}
