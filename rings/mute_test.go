package rings

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// An interface may receive on more queues than it sends on. The kernel takes a TX ring there and
// never looks at it.
func TestKernelMoreQueuesToReceiveThanToSend(t *testing.T) {
	newNetns(t)
	newPair(t, "p0", "g0", 1)
	run(t, "ip link add p1 numtxqueues 1 numrxqueues 2 type veth peer name g1 numtxqueues 2 numrxqueues 1")
	run(t, "ip link set p1 up")
	run(t, "ip link set g1 up")
	f := newKernelFabric(t, ArenaConfig{Chunks: 8192}, &relay{}, &relay{})
	a, _ := addKernelPort(t, f, PortConfig{Index: 0, Interface: "p0", RingSize: 256, Workers: []int{1}})
	b, _ := addKernelPort(t, f, PortConfig{Index: 1, Interface: "p1", RingSize: 256, Workers: []int{0, 1}})
	start(t, f)
	receiver, sender := newReceiver(t, "g1"), newSender(t, "g0")
	defer unix.Close(sender)
	want := frameTo(1, 9)
	if _, err := unix.Write(sender, want); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2048)
	if n, err := receive(receiver, got); err != nil || !bytes.Equal(got[:n], want) {
		t.Errorf("received %x (%v), want %x; %+v", got[:max(n, 0)], err, want, b.Status())
	}
	checkAudit(t, f)
	checkEquation(t, a, b)
	if err := f.RemovePort(b); err != nil {
		t.Fatal(err)
	}
	if _, err := f.AddPort(PortConfig{Index: 1, Interface: "p1", RingSize: 256, Queues: []uint32{1}}); err == nil || !strings.Contains(err.Error(), "cannot send") {
		t.Errorf("a port that cannot send: %v", err)
	}
	checkAudit(t, f)
}
