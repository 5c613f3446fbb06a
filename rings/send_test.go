package rings

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

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
		case <-time.After(soon):
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
	before, began := f.WorkerStatus()[0].Polls, time.Now()
	time.Sleep(600 * time.Millisecond)
	n, slept := f.WorkerStatus()[0].Polls-before, time.Since(began)
	if most := 20 * slept / (600 * time.Millisecond); n > uint64(most) {
		t.Errorf("%d polls in %v", n, slept)
	}
	w.do(func() { w.sockets[0].fd = -1; w.listPolled() })
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
		s := a.Status()
		return checkAudit(t, f.Fabric).Inbox == 0 && s.Received-s.Drops["rx_dropped"] == 4*frames && s.Received == s.Sent+drops(a.Port)
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
