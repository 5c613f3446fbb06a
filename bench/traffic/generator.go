package traffic

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

const (
	liveFrames = 1 << 1 // BPF_F_TEST_XDP_LIVE_FRAMES
	headBytes  = 64
	maxMix     = 16
	maxStampAt = 255
	noEnd      = 1 << 31
	pacedBatch = 16
	fraction   = 16 // bits of the program's times behind the nanosecond
	// patience is how far a paced generator may fall behind and catch up: a burst that any ring takes.
	// What it misses beyond that it does not send.
	patience = 50 * time.Microsecond
)

// Generator sends frames out of an interface from one CPU, by BPF_PROG_RUN with live frames: there
// is no socket, no skb, and no driver but that of the interface.
type Generator struct {
	objects labObjects
	enter   func(f func() error) error
	cpu     int
	thread  atomic.Int64
}

// NewGenerator loads the program. enter, which may be nil, runs a function on a thread of its own
// inside the namespace of the interfaces.
func NewGenerator(cpu int, enter func(func() error) error) (*Generator, error) {
	if enter == nil {
		enter = onThread
	}
	g := &Generator{cpu: cpu, enter: enter}
	if err := loadLabObjects(&g.objects, nil); err != nil {
		return nil, fmt.Errorf("load the generator: %w", err)
	}
	return g, nil
}

// Close lets the programs go.
func (g *Generator) Close() error { return g.objects.Close() }

// Load is what a generator sends: frames of one length, or of several in turn, which may differ in
// length and in their first 64 bytes only.
type Load struct {
	Ifindex int
	Frames  [][]byte
	Rate    float64       // frames a second, evenly spaced; 0: as fast as can be
	StampAt int           // where number and time go in each frame; 0: nowhere
	Count   uint64        // frames, of a load without a rate; 0: until Limit
	Limit   time.Duration // the longest that the run may take
}

// Run generates as fast as the CPU can until the load's count or limit or ctx ends. It takes some
// 30 ms to begin.
func (g *Generator) Run(ctx context.Context, l Load) error {
	if err := g.set(l); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, l.Limit)
	defer cancel()
	return g.send(ctx, l)
}

// send generates what was set.
func (g *Generator) send(ctx context.Context, l Load) error {
	for {
		ended, err := g.once(ctx, l)
		if err != nil {
			return fmt.Errorf("generate: %w", err)
		}
		// One call goes through noEnd frames at most, which takes a paced one some minutes.
		if ended || l.Count > 0 && l.Rate == 0 {
			return nil
		}
	}
}

// once makes one system call and tells whether ctx ended it.
func (g *Generator) once(ctx context.Context, l Load) (ended bool, err error) {
	r, err := g.begin(l)
	if err != nil {
		return false, err
	}
	select {
	case err = <-r.done:
	case <-ctx.Done():
		ended, err = true, r.end()
	}
	return ended, errors.Join(err, r.program.Close())
}

// run is one system call under way.
type run struct {
	program *ebpf.Program
	thread  chan int // its id, once it runs
	done    chan error
}

func (g *Generator) begin(l Load) (*run, error) {
	program, err := g.objects.Generate.Clone()
	if err != nil {
		return nil, err
	}
	longest := l.Frames[0]
	for _, f := range l.Frames {
		if len(f) > len(longest) {
			longest = f
		}
	}
	options := ebpf.RunOptions{Data: longest, Repeat: noEnd, Flags: liveFrames}
	if l.Rate > 0 {
		// Until a frame's time has come the program throws frames away; frames that go leave at the end
		// of a batch, so short batches keep time better.
		options.BatchSize = pacedBatch
	}
	if l.Count > 0 && l.Rate == 0 {
		options.Repeat = uint32(min(l.Count, noEnd))
	}
	r := &run{program: program, thread: make(chan int, 1), done: make(chan error, 1)}
	go func() {
		r.done <- g.enter(func() error {
			return g.onCPU(func() error {
				g.thread.Store(int64(unix.Gettid()))
				r.thread <- unix.Gettid()
				_, err := program.Run(&options)
				return err
			})
		})
	}()
	return r, nil
}

// end interrupts the system call. The library would begin it anew, so what its descriptor stands for
// is replaced before by something that cannot be run.
func (r *run) end() error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	if err := unix.Dup3(int(null.Fd()), r.program.FD(), unix.O_CLOEXEC); err != nil {
		return err
	}
	thread := 0
	for {
		select {
		case thread = <-r.thread:
		case err := <-r.done:
			if errors.Is(err, unix.EINVAL) {
				return nil
			}
			return err
		case <-time.After(time.Millisecond):
		}
		if thread != 0 {
			// The runtime uses this signal itself, and expects to get it without reason.
			_ = unix.Tgkill(os.Getpid(), thread, unix.SIGURG)
		}
	}
}

func (g *Generator) set(l Load) error {
	if l.StampAt < 0 || l.StampAt > maxStampAt {
		return fmt.Errorf("set the generator: stamp at byte %d: not before %d", l.StampAt, maxStampAt)
	}
	if len(l.Frames) == 0 || len(l.Frames) > maxMix {
		return fmt.Errorf("set the generator: %d frames: not from 1 to %d", len(l.Frames), maxMix)
	}
	var lengths [maxMix]uint32
	var heads [maxMix][headBytes / 8]uint64
	mix := uint32(len(l.Frames))
	for i, f := range l.Frames {
		lengths[i] = uint32(len(f))
		var head [headBytes]byte
		copy(head[:], f)
		for j := range heads[i] {
			heads[i][j] = binary.NativeEndian.Uint64(head[8*j:])
		}
	}
	if mix == 1 {
		mix = 0
	}
	interval := uint64(0)
	if l.Rate > 0 {
		interval = uint64(1e9 / l.Rate * (1 << fraction))
	}
	o := &g.objects
	err := errors.Join(o.Interval.Set(interval), o.Patience.Set(uint64(patience)<<fraction), o.StampAt.Set(uint32(l.StampAt)),
		o.Began.Set(uint64(0)), o.Due.Set(uint64(0)), o.Late.Set(uint64(0)),
		o.OutIfindex.Set(uint32(l.Ifindex)), o.Mix.Set(mix), o.MixLen.Set(lengths), o.MixHead.Set(heads),
		o.NextSize.Set(uint32(0)), o.Generated.Set(uint64(0)))
	if err != nil {
		return fmt.Errorf("set the generator: %w", err)
	}
	return nil
}

// Generated is the frames of the running or last run that were given to the interface.
func (g *Generator) Generated() (n uint64, err error) {
	err = g.objects.Generated.Get(&n)
	return n, err
}

// Thread is the id of the thread that generates, or did last.
func (g *Generator) Thread() int { return int(g.thread.Load()) }

// Late is the frames of the last run that its rate wanted and the CPU had no time for.
func (g *Generator) Late() (n uint64, err error) {
	err = g.objects.Late.Get(&n)
	return n, err
}

// onThread calls f with the goroutine locked to its thread.
func onThread(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return f()
}

// onCPU calls f with the calling thread pinned to the generator's CPU.
func (g *Generator) onCPU(f func() error) error {
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read the own CPUs: %w", err)
	}
	set.Set(g.cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to CPU %d: %w", g.cpu, err)
	}
	defer func() { _ = unix.SchedSetaffinity(0, &before) }()
	return f()
}
