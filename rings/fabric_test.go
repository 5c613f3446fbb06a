package rings

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// relay sends each frame out of the port that its sixth byte names, and holds those whose seventh
// byte is not zero for that many milliseconds.
type relay struct {
	heldUntil int64
	held      []Frame
}

func (r *relay) Process(mem []byte, in []Frame, now int64, out []Frame) []Frame {
	for _, f := range in {
		f.Out = uint16(mem[f.Addr+5])
		if f.Out == 0xff {
			f.Out = NoPort
		}
		if wait := mem[f.Addr+6]; wait != 0 {
			r.heldUntil = now + int64(wait)*int64(time.Millisecond)
			r.held = append(r.held, f)
			continue
		}
		out = append(out, f)
	}
	return out
}

func (r *relay) Expire(mem []byte, now int64, out []Frame) []Frame {
	if r.heldUntil <= now {
		out = append(out, r.held...)
		r.held, r.heldUntil = r.held[:0], 0
	}
	return out
}

func (r *relay) Deadline() int64 { return r.heldUntil }

func (r *relay) Held() int { return len(r.held) }

// frameTo is a frame of 64 bytes for a port, with a number.
func frameTo(out byte, number uint64) []byte {
	f := make([]byte, 64)
	f[5] = out
	binary.BigEndian.PutUint64(f[14:], number)
	return f
}

type fakeFabric struct {
	*Fabric
	t     *testing.T
	arena *Arena
}

func newFakeFabric(t *testing.T, workers int, cfg FabricConfig) *fakeFabric {
	t.Helper()
	if cfg.Arena == nil {
		cfg.Arena = newTestArena(t, ArenaConfig{Chunks: 16384})
	}
	for range workers {
		cfg.Workers = append(cfg.Workers, WorkerConfig{CPU: -1, Handler: &relay{}})
	}
	f, err := NewFabric(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return &fakeFabric{f, t, cfg.Arena}
}

func newTestArena(t *testing.T, cfg ArenaConfig) *Arena {
	t.Helper()
	a, err := NewArena(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// start runs a fabric until the function returned is called, or the test ends.
func start(t *testing.T, f *Fabric) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func (f *fakeFabric) port(cfg PortConfig, sent func(uint32, []byte)) *Fake {
	f.t.Helper()
	if cfg.RingSize == 0 {
		cfg.RingSize = 128
	}
	p, err := f.AddFake(cfg, sent)
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// checkEquation fails unless every frame that the ports received went somewhere.
func checkEquation(t *testing.T, ports ...*Port) {
	t.Helper()
	for _, p := range ports {
		s := p.Status()
		sum := s.Sent + s.Held + s.Returned
		for _, n := range s.Drops {
			sum += n
		}
		if s.Received != sum {
			t.Errorf("port %d: received %d, but accounted for %d: %+v", s.Index, s.Received, sum, s)
		}
	}
}

// settle waits until the ports receive nothing any more and no frame is on its way.
func settle(t *testing.T, f *Fabric, ports ...*Port) {
	t.Helper()
	received := func() (n uint64) {
		for _, p := range ports {
			n += p.Status().Received
		}
		return n
	}
	eventually(t, "quiet", func() bool {
		before := received()
		time.Sleep(20 * time.Millisecond)
		a := checkAudit(t, f)
		return received() == before && a.Inbox == 0 && a.RX == 0
	})
}

func checkAudit(t *testing.T, f *Fabric) Audit {
	t.Helper()
	a := f.Audit()
	for _, v := range a.Violations {
		t.Errorf("audit: %s", v)
	}
	if sum := a.Pool + a.Held + a.Inbox + a.Fill + a.RX + a.Receiving + a.TX + a.Completion + a.Sending; sum != a.Frames {
		t.Errorf("audit: %d of %d frames: %+v", sum, a.Frames, a)
	}
	return a
}

func TestForwardInPlace(t *testing.T) {
	f := newFakeFabric(t, 1, FabricConfig{})
	var sent []byte
	a := f.port(PortConfig{Index: 0}, nil)
	b := f.port(PortConfig{Index: 1}, func(_ uint32, frame []byte) { sent = frame })
	want := frameTo(1, 42)
	if !a.Receive(0, want) {
		t.Fatal("no room")
	}
	f.workers[0].round(f.workers[0].clock.now())
	if !bytes.Equal(sent, want) {
		t.Errorf("sent %x, want %x", sent, want)
	}
	if at := bytes.Index(f.arena.Memory(), want); at < 0 || &f.arena.Memory()[at] != &sent[0] {
		t.Error("the frame was copied")
	}
	checkEquation(t, a.Port, b.Port)
	if s := a.Status(); s.Received != 1 || s.Sent != 1 || s.Transmitted != 0 {
		t.Errorf("in port: %+v", s)
	}
	if s := b.Status(); s.Received != 0 || s.Transmitted != 1 {
		t.Errorf("out port: %+v", s)
	}
	checkAudit(t, f.Fabric)
}

func TestDropsAreCounted(t *testing.T) {
	tests := []struct {
		name  string
		frame []byte
		errno unix.Errno
		times int
		want  Drop
		drops uint64
	}{
		{"no such port", frameTo(9, 0), 0, 1, DropTxNoPort, 1},
		{"no length", nil, 0, 1, DropFrameTooLong, 1},
		{"port down", frameTo(1, 0), unix.ENETDOWN, 10, DropTxPortDown, 6},
		{"port gone", frameTo(1, 0), unix.ENXIO, 10, DropTxPortDown, 6},
		{"strange errno", frameTo(1, 0), unix.EMSGSIZE, 10, DropTxPortDown, 6},
		{"ring full", frameTo(1, 0), unix.EAGAIN, 132, DropTxRingFull, 4},
		{"no buffers", frameTo(1, 0), unix.ENOBUFS, 132, DropTxRingFull, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeFabric(t, 1, FabricConfig{Batch: 4})
			a := f.port(PortConfig{Index: 0}, nil)
			b := f.port(PortConfig{Index: 1}, nil)
			b.Answer(tt.errno)
			for range tt.times {
				if !a.Receive(0, tt.frame) {
					t.Fatal("no room")
				}
				if tt.name == "no length" {
					// A frame of length zero would lead to memory of the last one.
					f.arena.Memory()[f.workers[0].queues[0].fill.entries[0]+headroom+5] = 1
				}
				if a.sides[0].rxGiven%4 == 0 {
					f.workers[0].round(1)
				}
			}
			f.workers[0].round(2)
			if got := a.Status().Drops[tt.want.String()]; got != tt.drops {
				t.Errorf("%s = %d, want %d: %+v", tt.want, got, tt.drops, a.Status())
			}
			checkEquation(t, a.Port, b.Port)
			checkAudit(t, f.Fabric)
		})
	}
}

func TestBacklogIsSentLater(t *testing.T) {
	f := newFakeFabric(t, 1, FabricConfig{})
	sent := make(chan uint64, 64)
	a := f.port(PortConfig{Index: 0}, nil)
	b := f.port(PortConfig{Index: 1}, func(_ uint32, frame []byte) { sent <- binary.BigEndian.Uint64(frame[14:]) })
	start(t, f.Fabric)
	b.Answer(unix.EAGAIN)
	for i := range uint64(10) {
		a.Receive(0, frameTo(1, i))
	}
	eventually(t, "frames in the TX ring", func() bool { return b.Status().Transmitted == 10 })
	if len(sent) != 0 {
		t.Error("sent although the kernel said EAGAIN")
	}
	b.Answer(0)
	for want := range uint64(10) {
		if got := <-sent; got != want {
			t.Errorf("sent frame %d, want %d", got, want)
		}
	}
	checkAudit(t, f.Fabric)
}

func TestPortDownAndUp(t *testing.T) {
	f := newFakeFabric(t, 1, FabricConfig{})
	a := f.port(PortConfig{Index: 0}, nil)
	b := f.port(PortConfig{Index: 1}, nil)
	start(t, f.Fabric)
	expect := func(p *Port, kind EventKind) {
		t.Helper()
		select {
		case e := <-f.Events():
			if e.Port != p || e.Kind != kind {
				t.Errorf("event %v of port %v (%v), want %v", e.Kind, e.Port.index, e.Err, kind)
			}
		case <-time.After(3 * time.Second):
			t.Fatalf("no event %v", kind)
		}
	}
	b.Answer(unix.ENETDOWN) // found by sending
	a.Receive(0, frameTo(1, 0))
	expect(b.Port, PortDown)
	b.Answer(0)
	expect(b.Port, PortUp)
	b.Answer(unix.EMSGSIZE)
	a.Receive(0, frameTo(1, 0))
	expect(b.Port, Bug)
	b.Answer(0)
	expect(b.Port, PortUp)
	a.Answer(unix.ENXIO) // found by looking
	expect(a.Port, PortGone)
}

// TestPollErrorDoesNotSpin polls a descriptor that is in error for ever.
func TestPollErrorDoesNotSpin(t *testing.T) {
	f := newFakeFabric(t, 1, FabricConfig{})
	a := f.port(PortConfig{Index: 0}, nil)
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		t.Fatal(err)
	}
	unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	start(t, f.Fabric)
	w := f.workers[0]
	w.do(func() {
		w.sockets[0].fd = pipe[1]
		w.listPolled()
	})
	if e := <-f.Events(); e.Port != a.Port || e.Kind != PortDown {
		t.Errorf("event %v of %v", e.Kind, e.Port)
	}
	before := f.WorkerStatus()[0].Polls
	time.Sleep(600 * time.Millisecond)
	if n := f.WorkerStatus()[0].Polls - before; n > 20 {
		t.Errorf("%d polls in 0.6 s", n)
	}
	w.do(func() { w.sockets[0].fd = -1; w.listPolled() })
}

func TestHeldFramesExpire(t *testing.T) {
	f := newFakeFabric(t, 1, FabricConfig{Held: 8})
	sent := make(chan uint64, 64)
	a := f.port(PortConfig{Index: 0}, nil)
	f.port(PortConfig{Index: 1}, func(_ uint32, frame []byte) { sent <- binary.BigEndian.Uint64(frame[14:]) })
	start(t, f.Fabric)
	frame := frameTo(1, 1)
	frame[6] = 50 // ms
	began := time.Now()
	a.Receive(0, frame)
	eventually(t, "a held frame", func() bool { return a.Status().Held == 1 })
	checkEquation(t, a.Port)
	if got := checkAudit(t, f.Fabric).Held; got != 1 {
		t.Errorf("audit: held = %d", got)
	}
	<-sent
	if d := time.Since(began); d < 50*time.Millisecond || d > time.Second {
		t.Errorf("held for %v, want 50ms", d)
	}
	frame[6] = 255
	began = time.Now()
	for range 9 { // one more than may be held
		a.Receive(0, frame)
	}
	for range 9 {
		<-sent
	}
	if d := time.Since(began); d > 200*time.Millisecond {
		t.Errorf("quota of held frames was enforced after %v", d)
	}
	checkAudit(t, f.Fabric)
}

func TestInject(t *testing.T) {
	f := newFakeFabric(t, 2, FabricConfig{})
	sent := make(chan uint64, 64)
	a := f.port(PortConfig{Index: 0, Workers: []int{0}}, nil)
	b := f.port(PortConfig{Index: 1, Workers: []int{0}}, func(_ uint32, frame []byte) { sent <- binary.BigEndian.Uint64(frame[14:]) })
	start(t, f.Fabric)
	time.Sleep(10 * time.Millisecond) // parked by now
	if err := f.Inject(0, frameTo(1, 5), 0, NoPort); err != nil {
		t.Fatal(err)
	}
	if got := <-sent; got != 5 {
		t.Errorf("sent %d, want 5", got)
	}
	if err := f.Inject(0, frameTo(0xff, 6), 0, 1); err != nil {
		t.Fatal(err)
	}
	if got := <-sent; got != 6 {
		t.Errorf("sent %d, want 6", got)
	}
	if err := f.Inject(1, frameTo(1, 7), 0, NoPort); err != nil { // by way of the other worker
		t.Fatal(err)
	}
	if got := <-sent; got != 7 {
		t.Errorf("sent %d, want 7", got)
	}
	checkAudit(t, f.Fabric)
	checkEquation(t, a.Port, b.Port)
	if s := a.Status(); s.Injected != 3 || s.Received != 3 {
		t.Errorf("injected %d, received %d, want 3: %+v", s.Injected, s.Received, s)
	}
	if err := f.Inject(0, make([]byte, 4096), 0, 1); err == nil {
		t.Error("a frame longer than a chunk was taken")
	}
}

func TestHandOver(t *testing.T) {
	f := newFakeFabric(t, 4, FabricConfig{})
	var mu sync.Mutex
	next := map[uint32]uint64{}
	total := 0
	a := f.port(PortConfig{Index: 0, Queues: []uint32{0, 1, 2, 3}}, nil)
	b := f.port(PortConfig{Index: 1, Queues: []uint32{0}}, func(_ uint32, frame []byte) {
		mu.Lock()
		defer mu.Unlock()
		total++
		queue, number := binary.BigEndian.Uint32(frame[22:]), binary.BigEndian.Uint64(frame[14:])
		if number < next[queue] {
			t.Errorf("queue %d: frame %d after %d", queue, number, next[queue])
		}
		next[queue] = number + 1
	})
	start(t, f.Fabric)
	const frames = 5000
	var wg sync.WaitGroup
	for queue := range 4 {
		wg.Go(func() {
			frame := frameTo(1, 0)
			binary.BigEndian.PutUint32(frame[22:], uint32(queue))
			for i := range uint64(frames) {
				binary.BigEndian.PutUint64(frame[14:], i)
				for !a.Receive(queue, frame) {
					time.Sleep(10 * time.Microsecond)
				}
			}
		})
	}
	wg.Wait()
	quiet := func() bool {
		return checkAudit(t, f.Fabric).Inbox == 0 && a.Status().Received == a.Status().Sent+drops(a.Port)
	}
	eventually(t, "all frames to arrive", quiet)
	checkEquation(t, a.Port, b.Port)
	mu.Lock()
	defer mu.Unlock()
	s := a.Status()
	if uint64(total) != s.Sent || total+int(s.Drops["inbox_full"]+s.Drops["tx_ring_full"]) != 4*frames {
		t.Errorf("%d frames arrived, %d sent, %d received: %+v", total, s.Sent, 4*frames, s)
	}
}

func drops(p *Port) (n uint64) {
	for _, d := range p.Status().Drops {
		n += d
	}
	return n
}

func TestRemoveAndAddUnderTraffic(t *testing.T) {
	f := newFakeFabric(t, 3, FabricConfig{})
	a := f.port(PortConfig{Index: 0, Queues: []uint32{0, 1, 2}}, nil)
	b := f.port(PortConfig{Index: 1}, nil)
	start(t, f.Fabric)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			if !a.Receive(i%3, frameTo(1, 0)) {
				time.Sleep(10 * time.Microsecond)
			}
		}
	})
	for range 20 {
		if err := f.RemovePort(b.Port); err != nil {
			t.Fatal(err)
		}
		if got := checkAudit(t, f.Fabric); got.TX+got.Completion+got.Sending != 0 {
			t.Errorf("a port without output has frames to send: %+v", got)
		}
		b = f.port(PortConfig{Index: 1}, nil)
		checkAudit(t, f.Fabric)
	}
	close(done)
	wg.Wait()
	if err := f.RemovePort(a.Port); err != nil {
		t.Fatal(err)
	}
	if err := f.RemovePort(b.Port); err != nil {
		t.Fatal(err)
	}
	if got := checkAudit(t, f.Fabric); got.Pool != got.Frames {
		t.Errorf("not all frames came back: %+v", got)
	}
	checkEquation(t, a.Port, b.Port)
	if s := a.Status(); s.Sent == 0 || s.Drops["tx_no_port"] == 0 {
		t.Errorf("sent and tx_no_port should both have happened: %+v", s)
	}
}

func TestRoundAllocatesNothing(t *testing.T) {
	tests := []struct {
		name  string
		frame []byte
		errno unix.Errno
	}{
		{"sent", frameTo(1, 0), 0},
		{"handed over", frameTo(2, 0), 0},
		{"given back", frameTo(0xff, 0), 0},
		{"no port", frameTo(9, 0), 0},
		{"port down", frameTo(1, 0), unix.ENETDOWN},
		{"ring full", frameTo(1, 0), unix.EAGAIN},
		{"refused", frameTo(1, 0), unix.EBUSY},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeFabric(t, 2, FabricConfig{})
			a := f.port(PortConfig{Index: 0, Workers: []int{0}}, nil)
			b := f.port(PortConfig{Index: 1, Workers: []int{0}}, nil)
			f.port(PortConfig{Index: 2, Workers: []int{1}}, nil)
			b.Answer(tt.errno)
			var now int64
			turn := func() {
				for range 32 {
					a.Receive(0, tt.frame)
				}
				now++
				f.workers[0].round(now)
				f.workers[1].parked.Store(1) // so that it is woken
				f.workers[1].round(now)
			}
			for range 10 {
				turn()
			}
			if n := testing.AllocsPerRun(100, turn); n != 0 {
				t.Errorf("%v allocations for each 32 frames", n)
			}
		})
	}
}

func TestAuditFindsWrongs(t *testing.T) {
	tests := []struct {
		name string
		harm func(f *fakeFabric)
		want string
	}{
		{"frame free twice", func(f *fakeFabric) {
			c := &f.workers[0].cache
			c.frames[0] = c.frames[1]
		}, "was seen before"},
		{"frame lost", func(f *fakeFabric) { f.workers[0].cache.n-- }, "is lost"},
		{"frame in the fill ring and free", func(f *fakeFabric) {
			q := f.workers[0].queues[0]
			q.fill.entries[0] = uint64(f.workers[0].cache.frames[0]) << f.arena.shift
		}, "belongs to owner 0"},
		{"address outside", func(f *fakeFabric) { f.workers[0].queues[0].fill.entries[0] = math.MaxUint64 }, "outside the arena"},
		{"kernel kept one too many", func(f *fakeFabric) { f.workers[0].queues[0].receiving++ }, "were entrusted"},
		{"held by nobody", func(f *fakeFabric) { f.owners[f.workers[0].cache.frames[0]] = ownerHeld }, "belongs to owner 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeFabric(t, 1, FabricConfig{})
			f.port(PortConfig{Index: 0}, nil)
			f.workers[0].round(1)
			f.workers[0].cache.load()
			checkAudit(t, f.Fabric)
			tt.harm(f)
			if got := strings.Join(f.Audit().Violations, "; "); !strings.Contains(got, tt.want) {
				t.Errorf("violations %q, want one that has %q", got, tt.want)
			}
		})
	}
}

// cheat gives out what it does not have.
type cheat struct{ relay }

func (c *cheat) Process(mem []byte, in []Frame, now int64, out []Frame) []Frame {
	for _, f := range in {
		f.Out = NoPort
		out = append(out, f, f, Frame{Addr: math.MaxUint64, Out: 1})
	}
	return out
}

func TestHandlerThatCheatsIsFound(t *testing.T) {
	arena := newTestArena(t, ArenaConfig{Chunks: 16384})
	fabric, err := NewFabric(FabricConfig{Arena: arena, Workers: []WorkerConfig{{CPU: -1, Handler: &cheat{}}}})
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeFabric{fabric, t, arena}
	a := f.port(PortConfig{Index: 0}, nil)
	start(t, fabric)
	a.Receive(0, frameTo(1, 0))
	select {
	case e := <-f.Events():
		if e.Kind != Bug || !errors.Is(e.Err, errNotHeld) {
			t.Errorf("event %v: %v", e.Kind, e.Err)
		}
	case <-time.After(3 * time.Second):
		t.Error("no event")
	}
	checkAudit(t, fabric)
}

func TestConfigurationsRefused(t *testing.T) {
	f := newFakeFabric(t, 2, FabricConfig{})
	f.port(PortConfig{Index: 3}, nil)
	tests := []struct {
		name string
		cfg  PortConfig
		want string
	}{
		{"index", PortConfig{Index: 1024}, "above 1023"},
		{"index taken", PortConfig{Index: 3}, "is taken"},
		{"ring size", PortConfig{RingSize: 1000}, "power of two"},
		{"queue twice", PortConfig{Queues: []uint32{1, 0, 1}}, "twice"},
		{"worker", PortConfig{Workers: []int{2}}, "worker 2"},
		{"workers", PortConfig{Workers: []int{0, 1}}, "2 workers for 1 queues"},
		{"quota", PortConfig{Quota: 100}, "quota"},
		{"arena", PortConfig{RingSize: 16384}, "too small"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := f.AddFake(tt.cfg, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one that has %q", err, tt.want)
			}
		})
	}
}
