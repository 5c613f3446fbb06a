package rings

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBusyPoll carries frames between two real ports whose worker runs the drivers, and looks that it
// still sleeps when nothing comes.
func TestBusyPoll(t *testing.T) {
	newNetns(t)
	newPair(t, "p0", "g0", 1)
	newPair(t, "p1", "g1", 1)
	f := newKernelFabric(t, ArenaConfig{Chunks: 8192}, &relay{})
	a, _ := addKernelPort(t, f, PortConfig{Index: 0, Interface: "p0", RingSize: 256, BusyPoll: true})
	b, _ := addKernelPort(t, f, PortConfig{Index: 1, Interface: "p1", RingSize: 256, BusyPoll: true})
	for _, s := range append(a.Sockets(), b.Sockets()...) {
		if v, err := unix.GetsockoptInt(s.FD, unix.SOL_SOCKET, unix.SO_PREFER_BUSY_POLL); v != 1 || err != nil {
			t.Errorf("SO_PREFER_BUSY_POLL is %d, %v", v, err)
		}
	}
	stop := start(t, f)
	receiver := newReceiver(t, "g1")
	sender := newSender(t, "g0")
	defer unix.Close(sender)
	got := make([]byte, 2048)
	for n := range 200 {
		want := frameTo(1, uint64(n))
		if _, err := unix.Write(sender, want); err != nil {
			t.Fatal(err)
		}
		if n, err := receive(receiver, got); err != nil || !bytes.Equal(got[:n], want) {
			t.Fatalf("received %x (%v), want %x", got[:max(n, 0)], err, want)
		}
	}
	eventually(t, "the worker sleeps", func() bool { return f.WorkerStatus()[0].Parked })
	stop()
	checkAudit(t, f)
	checkEquation(t, a, b)
}
