package rings

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A port whose ring is full and whose kernel takes nothing costs its worker's other ports a few
// system calls a round, not some for each frame.
func TestStuckPortIsNotKickedForEachFrame(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EAGAIN, unix.ENOBUFS} {
		f := newFakeFabric(t, 1, FabricConfig{})
		a := f.port(PortConfig{Index: 0}, nil)
		b := f.port(PortConfig{Index: 1}, nil)
		w := f.workers[0]
		b.Answer(errno)
		full := func() {
			for range 64 {
				if !a.Receive(0, frameTo(1, 0)) {
					t.Fatal("no room")
				}
			}
			w.round(1)
		}
		full()
		full()
		before := w.counters.kicks.load()
		full()
		if n := w.counters.kicks.load() - before; n > 8 {
			t.Errorf("%v: %d kicks for 64 frames", errno, n)
		}
		if n := a.Status().Drops[DropTxRingFull.String()]; n != 64 {
			t.Errorf("%v: %d frames dropped, want 64", errno, n)
		}
		b.Answer(0)
		full()
		full()
		if s := a.Status(); s.Sent != s.Received-s.Drops[DropTxRingFull.String()] || s.Sent < 128+64 {
			t.Errorf("%v: %+v", errno, s)
		}
		checkEquation(t, a.Port, b.Port)
		checkAudit(t, f.Fabric)
	}
}

// A frame may be injected at any worker, whoever has the queues of its port.
func TestInjectForAnothersPort(t *testing.T) {
	f := newFakeFabric(t, 2, FabricConfig{})
	sent := make(chan uint64, 1)
	a := f.port(PortConfig{Index: 1, Workers: []int{0}}, func(_ uint32, frame []byte) { sent <- binary.BigEndian.Uint64(frame[14:]) })
	start(t, f.Fabric)
	if err := f.Inject(1, frameTo(0xff, 7), 1, 1); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-sent:
		if got != 7 {
			t.Errorf("sent %d, want 7", got)
		}
	case <-time.After(soon):
		t.Errorf("not sent: %+v", a.Status())
	}
	checkAudit(t, f.Fabric)
	checkEquation(t, a.Port)
}
