package veth

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/asavie/xdp"
	"golang.org/x/sys/unix"
)

// copier forwards between two sockets of asavie/xdp. Each has a UMEM of its own, so every frame is
// copied. It spins while there are frames, and sleeps in poll(2) else.
type copier struct {
	always
	programs [2]*xdp.Program
	sockets  [2]*xdp.Socket
	stop     atomic.Bool
	done     chan error
}

const (
	copierRing  = 1024 // a larger one makes GetDescs, which looks at every frame, slower
	copierBatch = 64
	copierIdle  = 20 // milliseconds of poll(2) until stop is looked at
)

// The library keeps its bind and attach flags in variables of the package.
var setCopyMode = sync.OnceFunc(func() {
	xdp.DefaultSocketFlags = unix.XDP_COPY
	xdp.DefaultXdpFlags = unix.XDP_FLAGS_DRV_MODE
})

func (c *copier) mode() string { return "copy" }

func startAsavie(_ context.Context, p *place) (running, error) {
	setCopyMode()
	c := &copier{done: make(chan error, 1)}
	err := p.box.Run(func() error {
		for i, ifindex := range []int{p.in, p.out} {
			program, err := xdp.NewProgram(1)
			if err != nil {
				return fmt.Errorf("load the program of asavie/xdp: %w", err)
			}
			c.programs[i] = program
			if err := program.Attach(ifindex); err != nil {
				return fmt.Errorf("attach the program of asavie/xdp: %w", err)
			}
			c.sockets[i], err = xdp.NewSocket(ifindex, 0, &xdp.SocketOptions{
				NumFrames: 2 * copierRing, FrameSize: 2048,
				FillRingNumDescs: copierRing, CompletionRingNumDescs: copierRing, RxRingNumDescs: copierRing, TxRingNumDescs: copierRing,
			})
			if err != nil {
				return fmt.Errorf("open a socket of asavie/xdp: %w", err)
			}
			if err := program.Register(0, c.sockets[i].FD()); err != nil {
				return fmt.Errorf("register a socket of asavie/xdp: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		c.stop.Store(true)
		c.done <- nil
		return nil, errors.Join(err, c.close())
	}
	go func() { c.done <- c.run(p.config.Worker) }()
	return c, nil
}

// run forwards until it is told to stop. The library panics where the kernel surprises it.
func (c *copier) run(cpu int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("asavie/xdp panicked: %v", r)
		}
	}()
	runtime.LockOSThread() // the thread ends with the goroutine
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to CPU %d: %w", cpu, err)
	}
	in, out := c.sockets[0], c.sockets[1]
	// As rings does: by default the kernel sends 32 frames a call. Kernels before 6.18 have no choice.
	_ = unix.SetsockoptInt(out.FD(), unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, copierBatch)
	in.Fill(in.GetDescs(in.NumFreeFillSlots(), true))
	wait := []unix.PollFd{{Fd: int32(in.FD()), Events: unix.POLLIN}}
	for !c.stop.Load() {
		if n := out.NumCompleted(); n > 0 {
			out.Complete(n)
		}
		n := min(in.NumReceived(), copierBatch)
		if n == 0 {
			if _, err := unix.Poll(wait, copierIdle); err != nil && err != unix.EINTR {
				return fmt.Errorf("poll: %w", err)
			}
			continue
		}
		received := in.Receive(n)
		free := out.GetDescs(min(n, out.NumFreeTxSlots()), false)
		for i := range free {
			free[i].Len = uint32(copy(out.GetFrame(free[i]), in.GetFrame(received[i])))
		}
		if len(free) > 0 {
			out.Transmit(free)
		}
		in.Fill(in.GetDescs(in.NumFreeFillSlots(), true))
	}
	return nil
}

func (c *copier) close() error {
	c.stop.Store(true)
	errs := []error{<-c.done}
	for i := range c.sockets {
		if c.sockets[i] != nil {
			errs = append(errs, c.sockets[i].Close())
		}
		if c.programs[i] != nil {
			errs = append(errs, c.programs[i].Close())
		}
	}
	return errors.Join(errs...)
}
