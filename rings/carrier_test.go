package rings

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func expectEvent(t *testing.T, f *Fabric, p *Port, kind EventKind, cause error) {
	t.Helper()
	select {
	case e := <-f.Events():
		if e.Port != p || e.Kind != kind || !errors.Is(e.Err, cause) {
			t.Fatalf("event %v (%v), want %v (%v)", e.Kind, e.Err, kind, cause)
		}
	case <-time.After(soon):
		t.Fatalf("no event %v", kind)
	}
}

// A port without carrier costs a system call for a few frames, and none for those after.
func TestNoCarrierCostsNoCalls(t *testing.T) {
	f := newFakeFabric(t, 1, FabricConfig{})
	a := f.port(PortConfig{Index: 0}, nil)
	sent := make(chan struct{}, 256)
	b := f.port(PortConfig{Index: 1}, func(uint32, []byte) { sent <- struct{}{} })
	start(t, f.Fabric)
	send := func(n int) {
		t.Helper()
		want := a.Status().Received + uint64(n)
		for range n {
			if !a.Receive(0, frameTo(1, 0)) {
				t.Fatal("no room")
			}
		}
		eventually(t, "frames taken", func() bool { return a.Status().Received == want })
	}
	b.Answer(unix.EBUSY)
	send(64)
	expectEvent(t, f.Fabric, b.Port, PortDown, errNoCarrier)
	before := f.WorkerStatus()[0].Kicks
	for range 8 {
		send(64)
	}
	if n := f.WorkerStatus()[0].Kicks - before; n > 2 {
		t.Errorf("%d system calls for 512 frames without carrier", n)
	}
	if n := a.Status().Drops[DropTxPortDown.String()]; n < 512 {
		t.Errorf("%d frames dropped, want 512 or more", n)
	}
	b.Answer(0)
	expectEvent(t, f.Fabric, b.Port, PortUp, nil)
	send(1)
	select {
	case <-sent:
	case <-time.After(soon):
		t.Error("nothing is sent with carrier")
	}
	checkEquation(t, a.Port, b.Port)
	checkAudit(t, f.Fabric)
}

// fullDriver refuses frames although there is a carrier, as a driver does whose ring is full.
type fullDriver struct{ kernel }

func (fullDriver) running() bool { return true }

func TestFullDriverIsNotDown(t *testing.T) {
	f := newFakeFabric(t, 1, FabricConfig{})
	a := f.port(PortConfig{Index: 0}, nil)
	b := f.port(PortConfig{Index: 1}, nil)
	s := b.queues[0].sockets[0]
	s.kernel = fullDriver{s.kernel}
	b.Answer(unix.EBUSY)
	for range 64 {
		a.Receive(0, frameTo(1, 0))
	}
	f.workers[0].round(1)
	if !b.refuses.Load() {
		t.Error("the watcher is not asked")
	}
	b.probe()
	if state := b.Status().State; state != "up" {
		t.Errorf("the port is %s", state)
	}
	checkEquation(t, a.Port, b.Port)
	checkAudit(t, f.Fabric)
}

func TestKernelCarrierLostAndBack(t *testing.T) {
	newNetns(t)
	newPair(t, "p0", "g0", 1)
	f := newKernelFabric(t, ArenaConfig{Chunks: 8192}, &relay{})
	p, _ := addKernelPort(t, f, PortConfig{Index: 1, Interface: "p0", RingSize: 64})
	start(t, f)
	run(t, "ip link set g0 down")
	for range 2 * refusals {
		if err := f.Inject(0, frameTo(1, 0), 1, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	expectEvent(t, f, p, PortDown, errNoCarrier)
	run(t, "ip link set g0 up")
	expectEvent(t, f, p, PortUp, nil)
	checkAudit(t, f)
	checkEquation(t, p)
}
