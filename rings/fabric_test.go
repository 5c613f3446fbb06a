package rings

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"
	"sync"
	"testing"
	"time"
)

// soon is how long a busy machine may take for what is done at once on an idle one.
const soon = 30 * time.Second

// relay sends each frame out of the port that its sixth byte names, and holds those whose seventh
// byte is not zero for that many tenths of a second.
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
			r.heldUntil = now + int64(wait)*int64(time.Second/10)
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
	for deadline := time.Now().Add(soon); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
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

func TestHeldFramesExpire(t *testing.T) {
	f := newFakeFabric(t, 1, FabricConfig{Held: 8})
	sent := make(chan uint64, 64)
	a := f.port(PortConfig{Index: 0}, nil)
	f.port(PortConfig{Index: 1}, func(_ uint32, frame []byte) { sent <- binary.BigEndian.Uint64(frame[14:]) })
	start(t, f.Fabric)
	frame := frameTo(1, 1)
	frame[6] = 20
	began := time.Now()
	a.Receive(0, frame)
	eventually(t, "a held frame", func() bool { return a.Status().Held == 1 })
	checkEquation(t, a.Port)
	if got := checkAudit(t, f.Fabric).Held; got != 1 {
		t.Errorf("audit: held = %d", got)
	}
	<-sent
	if d := time.Since(began); d < 2*time.Second || d > soon {
		t.Errorf("held for %v, want 2s", d)
	}
	frame[6] = 255
	began = time.Now()
	for range 9 { // one more than may be held
		a.Receive(0, frame)
	}
	for range 9 {
		<-sent
	}
	if d := time.Since(began); d > 20*time.Second { // of 25.5
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
		{"deep ring size", PortConfig{RingSize: 256, Deep: 1000}, "deep ring size 1000"},
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
