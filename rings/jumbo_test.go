package rings

import (
	"bytes"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// TestKernelJumbo carries frames through two real ports of MTU 9000.
func TestKernelJumbo(t *testing.T) {
	for _, mode := range []Mode{ModeAuto, ModeSKB} {
		for _, chunk := range []int{2048, 4096} {
			t.Run(fmt.Sprintf("%v, %d", mode, chunk), func(t *testing.T) {
				newNetns(t)
				newPair(t, "p0", "g0", 1)
				newPair(t, "p1", "g1", 1)
				for _, name := range []string{"p0", "g0", "p1", "g1"} {
					run(t, "ip link set %s mtu 9000", name)
				}
				f := newKernelFabric(t, ArenaConfig{ChunkSize: chunk, Chunks: 8192, Spans: 300}, &relay{})
				a, _ := addKernelPort(t, f, PortConfig{Index: 0, Interface: "p0", RingSize: 256, Mode: mode, Jumbo: true})
				b, _ := addKernelPort(t, f, PortConfig{Index: 1, Interface: "p1", RingSize: 256, Mode: mode, Jumbo: true})
				start(t, f)
				receiver, sender := newReceiver(t, "g1"), newSender(t, "g0")
				defer unix.Close(sender)
				got := make([]byte, 16384)
				for round := range 60 { // more than the rings take
					for _, n := range []int{60, 1791, 1792, 1793, 2048, 3839, 3840, 3841, 4096, 9014} {
						want := jumboTo(1, n)
						if _, err := unix.Write(sender, want); err != nil {
							t.Fatal(err)
						}
						if m, err := receive(receiver, got); err != nil || !bytes.Equal(got[:m], want) {
							t.Fatalf("round %d: %d bytes came as %d, or others (%v): %+v", round, n, m, err, a.Status())
						}
					}
				}
				for _, p := range []*Port{a, b} {
					if s := p.Status(); !s.Jumbo || s.Longest != SpanSize-headroom {
						t.Errorf("%s: frames up to %d, jumbo %v", s.Name, s.Longest, s.Jumbo)
					}
				}
				settle(t, f, a, b)
				checkAudit(t, f)
				checkEquation(t, a, b)
				for _, p := range []*Port{a, b} {
					if err := f.RemovePort(p); err != nil {
						t.Error(err)
					}
				}
				allBack(t, f)
			})
		}
	}
}

// TestKernelWithoutJumbo opens a port where bind knows no frames of several descriptors, as before Linux 6.6.
// Frames of one go on, longer ones are counted.
func TestKernelWithoutJumbo(t *testing.T) {
	for _, mode := range []Mode{ModeAuto, ModeCopy} {
		t.Run(mode.String(), func(t *testing.T) {
			newNetns(t)
			newPair(t, "p0", "g0", 1)
			newPair(t, "p1", "g1", 1)
			for _, name := range []string{"p0", "g0", "p1", "g1"} {
				run(t, "ip link set %s mtu 9000", name)
			}
			f := newKernelFabric(t, ArenaConfig{ChunkSize: 4096, Chunks: 8192, Spans: 300}, &relay{})
			// EINVAL is the answer to chunks of this size, and of old kernels to the flag.
			f.kinds[1].copied = &registration{arena: &Arena{mem: f.arena.mem, chunk: 1000, fd: -1}, jumbo: true}
			a, _ := addKernelPort(t, f, PortConfig{Index: 0, Interface: "p0", RingSize: 256, Mode: mode, Jumbo: true})
			b, _ := addKernelPort(t, f, PortConfig{Index: 1, Interface: "p1", RingSize: 256, Mode: mode, Jumbo: true})
			for _, p := range []*Port{a, b} {
				if p.Jumbo() || p.Longest() != 4096-headroom || p.Mode() != ModeCopy {
					t.Errorf("%s: jumbo %v, frames up to %d, mode %v", p.config.Interface, p.Jumbo(), p.Longest(), p.Mode())
				}
			}
			start(t, f)
			receiver, sender := newReceiver(t, "g1"), newSender(t, "g0")
			defer unix.Close(sender)
			got := make([]byte, 16384)
			lost := uint64(0)
			for range 300 { // more than the rings take
				for _, n := range []int{60, 9014, 4096 - headroom} {
					want := jumboTo(1, n)
					if _, err := unix.Write(sender, want); err != nil {
						t.Fatal(err)
					}
					if n > a.Longest() {
						lost++
						continue
					}
					if m, err := receive(receiver, got); err != nil || !bytes.Equal(got[:m], want) {
						t.Fatalf("%d bytes came as %d, or others (%v): %+v", n, m, err, a.Status())
					}
				}
			}
			eventually(t, "count of lost frames", func() bool { return a.Status().Drops["rx_dropped"] == lost })
			settle(t, f, a, b)
			checkAudit(t, f)
			checkEquation(t, a, b)
		})
	}
}

func TestJumboAllocations(t *testing.T) {
	for _, out := range []byte{1, 2, 9, 0xff} {
		f := newFakeFabric(t, 2, FabricConfig{Arena: jumboArena(t, 4096, 600)})
		a := f.port(PortConfig{Index: 0, Workers: []int{0}, Jumbo: true}, nil)
		f.port(PortConfig{Index: 1, Workers: []int{0}, Jumbo: true}, nil)
		f.port(PortConfig{Index: 2, Workers: []int{1}, Jumbo: true}, nil)
		frame := jumboTo(out, 9014)
		turn := func() {
			for range 20 {
				a.Receive(0, frame)
			}
			f.workers[0].round(1)
			f.workers[1].parked.Store(1) // so that it is woken
			f.workers[1].round(1)
		}
		for range 10 {
			turn()
		}
		if n := testing.AllocsPerRun(100, turn); n != 0 {
			t.Errorf("to port %d: %v allocations", out, n)
		}
	}
}
