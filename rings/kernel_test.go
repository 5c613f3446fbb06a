package rings

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newKernelFabric(t *testing.T, arena ArenaConfig, handlers ...Handler) *Fabric {
	t.Helper()
	cfg := FabricConfig{Arena: newTestArena(t, arena)}
	for i, h := range handlers {
		cfg.Workers = append(cfg.Workers, WorkerConfig{CPU: i % runtime.NumCPU(), Handler: h})
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
	return f
}

// observer is a relay that remembers the addresses it saw.
type observer struct {
	relay
	addresses chan uint64
}

func (o *observer) Process(mem []byte, in []Frame, now int64, out []Frame) []Frame {
	for _, f := range in {
		o.addresses <- f.Addr
	}
	return o.relay.Process(mem, in, now, out)
}

// TestKernelForwardInPlace sends a frame through two real ports and looks for it, after it has
// left, in the chunk where it arrived, and for that chunk's address in the TX ring.
func TestKernelForwardInPlace(t *testing.T) {
	for _, mode := range []Mode{ModeAuto, ModeCopy, ModeSKB} {
		t.Run(mode.String(), func(t *testing.T) {
			newNetns(t)
			newPair(t, "p0", "g0", 1)
			newPair(t, "p1", "g1", 1)
			o := &observer{addresses: make(chan uint64, 16)}
			f := newKernelFabric(t, ArenaConfig{Chunks: 8192}, o)
			a, _ := addKernelPort(t, f, PortConfig{Index: 0, Interface: "p0", Mode: mode, RingSize: 256})
			b, _ := addKernelPort(t, f, PortConfig{Index: 1, Interface: "p1", Mode: mode, RingSize: 256})
			granted := mode
			if mode == ModeAuto {
				granted = ModeCopy // veth has no zero-copy
			}
			if a.Mode() != granted || b.Mode() != granted {
				t.Errorf("granted modes %v and %v, want %v", a.Mode(), b.Mode(), granted)
			}
			stop := start(t, f)
			receiver := newReceiver(t, "g1")
			sender := newSender(t, "g0")
			defer unix.Close(sender)
			want := frameTo(1, 4711)
			if _, err := unix.Write(sender, want); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 2048)
			n, err := receive(receiver, got)
			if err != nil || !bytes.Equal(got[:n], want) {
				t.Fatalf("received %x (%v), want %x", got[:max(n, 0)], err, want)
			}
			addr := <-o.addresses
			stop()
			if sent := f.workers[0].egress[1].socket.tx.entries[0]; sent.Addr != addr || int(sent.Len) != len(want) {
				t.Errorf("sent %d bytes from %#x, received at %#x", sent.Len, sent.Addr, addr)
			}
			if addr%2048 != headroom {
				t.Errorf("received at %#x, want %d bytes of headroom", addr, headroom)
			}
			if !bytes.Equal(f.arena.Memory()[addr:][:len(want)], want) {
				t.Error("the frame is not where it was received")
			}
			checkAudit(t, f)
			checkEquation(t, a, b)
		})
	}
}

// TestKernelTwoRegistrations joins two ports through two registrations of the same memory.
func TestKernelTwoRegistrations(t *testing.T) {
	newNetns(t)
	newPair(t, "p0", "g0", 1)
	newPair(t, "p1", "g1", 1)
	f := newKernelFabric(t, ArenaConfig{Chunks: 8192}, &relay{})
	kinds := &f.kinds[0]
	kinds.zeroCopied.zeroCopy = false // veth grants copy only; what matters is that there are two
	a, _ := addKernelPort(t, f, PortConfig{Index: 0, Interface: "p0", RingSize: 256, Mode: ModeZeroCopy})
	b, _ := addKernelPort(t, f, PortConfig{Index: 1, Interface: "p1", RingSize: 256, Mode: ModeCopy})
	if len(kinds.zeroCopied.members) != 1 || len(kinds.copied.members) != 1 {
		t.Fatalf("%d and %d members, want one each", len(kinds.zeroCopied.members), len(kinds.copied.members))
	}
	start(t, f)
	for i, way := range [][2]string{{"g0", "g1"}, {"g1", "g0"}} {
		receiver, sender := newReceiver(t, way[1]), newSender(t, way[0])
		want := frameTo(byte(1-i), 9)
		if _, err := unix.Write(sender, want); err != nil {
			t.Fatal(err)
		}
		unix.Close(sender)
		got := make([]byte, 2048)
		if n, err := receive(receiver, got); err != nil || !bytes.Equal(got[:n], want) {
			t.Errorf("%s to %s: %x (%v)", way[0], way[1], got[:max(n, 0)], err)
		}
	}
	checkAudit(t, f)
	checkEquation(t, a, b)
}

// TestKernelRegistrationOutlivesMembers joins through a member whose interface is gone, then
// through none at all.
func TestKernelRegistrationOutlivesMembers(t *testing.T) {
	newNetns(t)
	for _, pair := range []string{"0", "1", "2"} {
		newPair(t, "p"+pair, "g"+pair, 1)
	}
	f := newKernelFabric(t, ArenaConfig{Chunks: 8192}, &relay{})
	open := func(index uint16, name string) *Port {
		t.Helper()
		var p *Port
		eventually(t, "a queue of "+name+" that was closed can be bound", func() bool {
			var err error
			p, err = f.AddPort(PortConfig{Index: index, Name: name, Interface: name, RingSize: 64})
			if err != nil && !errors.Is(err, unix.EBUSY) {
				t.Fatal(err)
			}
			return err == nil
		})
		return p
	}
	remove := func(p *Port) {
		t.Helper()
		if err := f.RemovePort(p); err != nil {
			t.Fatal(err)
		}
	}
	a := open(0, "p0")
	run(t, "ip link del p0")
	b := open(1, "p1") // the only member is not bound any more
	c := open(2, "p2")
	remove(a)
	remove(b)
	b = open(1, "p1") // through c, and the queue may still be busy
	remove(b)
	remove(c)
	c = open(2, "p2") // anew
	remove(c)
	if got := checkAudit(t, f); got.Pool != got.Frames {
		t.Errorf("not all frames came back: %+v", got)
	}
}

func TestKernelRefusals(t *testing.T) {
	newNetns(t)
	newPair(t, "p0", "g0", 1)
	f := newKernelFabric(t, ArenaConfig{Chunks: 8192}, &relay{})
	tests := []struct {
		name string
		cfg  PortConfig
		want string
	}{
		{"zero-copy on veth", PortConfig{Interface: "p0", Mode: ModeZeroCopy}, `set mode to "copy" or "auto"`},
		{"no interface", PortConfig{Interface: "nosuch", Queues: []uint32{0}}, "find interface"},
		{"no queue", PortConfig{Interface: "p0", Queues: []uint32{7}}, "bind queue 7"},
	}
	for _, tt := range tests {
		// Not as a subtest, which would run on another thread, in another namespace.
		tt.cfg.RingSize = 64
		if _, err := f.AddPort(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one that has %q", tt.name, err, tt.want)
		}
	}
	if _, err := f.AddPort(PortConfig{Interface: "p0", RingSize: 64}); err != nil {
		t.Fatal(err)
	}
	_, err := f.AddPort(PortConfig{Index: 1, Interface: "p0", RingSize: 64})
	if !errors.Is(err, unix.EBUSY) {
		t.Errorf("queue bound twice: %v, want EBUSY", err)
	}
	checkAudit(t, f)
}

// TestKernelPortEvents takes an interface down, up and away.
func TestKernelPortEvents(t *testing.T) {
	newNetns(t)
	newPair(t, "p0", "g0", 1)
	f := newKernelFabric(t, ArenaConfig{Chunks: 8192}, &relay{})
	p, _ := addKernelPort(t, f, PortConfig{Interface: "p0", RingSize: 64})
	start(t, f)
	for _, step := range []struct {
		command string
		want    EventKind
	}{{"ip link set p0 down", PortDown}, {"ip link set p0 up", PortUp}, {"ip link del p0", PortGone}} {
		run(t, "%s", step.command)
		select {
		case e := <-f.Events():
			if e.Port != p || e.Kind != step.want {
				t.Errorf("%s: event %v (%v), want %v", step.command, e.Kind, e.Err, step.want)
			}
		case <-time.After(soon):
			t.Errorf("%s: no event", step.command)
		}
	}
	if err := f.RemovePort(p); err != nil {
		t.Error(err)
	}
}

// TestKernelIdle wants workers at rest to sleep.
func TestKernelIdle(t *testing.T) {
	newNetns(t)
	newPair(t, "p0", "g0", 4)
	f := newKernelFabric(t, ArenaConfig{Chunks: 16384}, &relay{}, &relay{}, &relay{}, &relay{})
	addKernelPort(t, f, PortConfig{Interface: "p0", RingSize: 64})
	start(t, f)
	polls := func() (n uint64, parked bool) {
		parked = true
		for _, w := range f.WorkerStatus() {
			parked = parked && w.Parked
			n += w.Polls
		}
		return n, parked
	}
	cpu := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	// What was begun before is done in the first of these seconds on a busy machine.
	eventually(t, "a second of rest, with little CPU time and few polls", func() bool {
		first, parked := polls()
		before := cpu()
		time.Sleep(time.Second)
		used := cpu() - before
		last, still := polls()
		t.Logf("%v of CPU time and %d polls in a second of rest; parked: %v, %v", used, last-first, parked, still)
		return parked && still && used <= 20*time.Millisecond && last-first <= 4
	})
}

// TestKernelAllocatesNothing counts what the whole process allocates while frames pass.
func TestKernelAllocatesNothing(t *testing.T) {
	newNetns(t)
	newPair(t, "p0", "g0", 1)
	newPair(t, "p1", "g1", 1)
	f := newKernelFabric(t, ArenaConfig{Chunks: 8192}, &relay{}, &relay{})
	a, _ := addKernelPort(t, f, PortConfig{Index: 0, Interface: "p0", RingSize: 512, Workers: []int{0}})
	b, _ := addKernelPort(t, f, PortConfig{Index: 1, Interface: "p1", RingSize: 512, Workers: []int{1}})
	start(t, f)
	sender := newSender(t, "g0")
	defer unix.Close(sender)
	frame := frameTo(1, 0)
	burst := func(n int) {
		for range n {
			_, _ = unix.Write(sender, frame)
		}
	}
	burst(1000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	bursts := uint64(0)
	for end := time.Now().Add(soon); time.Now().Before(end); {
		burst(20_000)
		if bursts++; a.Status().Sent > 50_000 {
			break
		}
	}
	runtime.ReadMemStats(&after)
	n, sent := after.Mallocs-before.Mallocs, a.Status().Sent
	t.Logf("%d allocations in the process while %d frames passed", n, sent)
	// Asking for the status, the watcher and the runtime may allocate a little; a frame may not.
	if n > 1000+50*bursts || sent < 50_000 {
		t.Errorf("%d allocations while %d frames passed: %+v", n, sent, a.Status())
	}
	settle(t, f, a, b)
	checkAudit(t, f)
	checkEquation(t, a, b)
}
