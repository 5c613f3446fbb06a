package veth

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"xwire/bench/traffic"
	"xwire/bench/xsk"
)

// copier forwards between two sockets of asavie/xdp. Each has a UMEM of its own, so every frame is
// copied. It spins while there are frames, and sleeps in poll(2) else.
type copier struct {
	always
	programs [2]*traffic.Taker
	sockets  [2]*xsk.Socket
	stop     atomic.Bool
	done     chan error
}

const (
	copierRing  = 1024 // a larger one makes GetDescs, which looks at every frame, slower
	copierBatch = 64
	copierIdle  = 20 // milliseconds of poll(2) until stop is looked at
)

func (c *copier) mode() string { return "copy" }

// startAsavie takes the library as it is; startAsavieBudget sets the send budget that rings sets, by
// hand, on its socket.
func startAsavie(_ context.Context, p *place) (running, error) { return startCopier(p, 0) }
func startAsavieBudget(_ context.Context, p *place) (running, error) {
	return startCopier(p, copierRing)
}

func startCopier(p *place, budget int) (running, error) {
	c := &copier{done: make(chan error, 1)}
	err := p.box.Run(func() (err error) {
		for i, ifindex := range []int{p.in, p.out} {
			// A port that only sends has a program too, as some drivers want it.
			if c.programs[i], err = traffic.AttachTaker(ifindex); err != nil {
				return err
			}
			if c.sockets[i], err = xsk.Open(xsk.Config{Ifindex: ifindex, Ring: copierRing, Budget: budget}); err != nil {
				return err
			}
		}
		return c.programs[0].Register(0, c.sockets[0].FD())
	})
	if err != nil {
		c.done <- nil
		return nil, errors.Join(err, c.close())
	}
	go func() { c.done <- c.run(p.config.Worker) }()
	return c, nil
}

// run forwards until it is told to stop.
func (c *copier) run(cpu int) error {
	runtime.LockOSThread() // the thread ends with the goroutine
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to CPU %d: %w", cpu, err)
	}
	in, out := c.sockets[0], c.sockets[1]
	in.Refill()
	wait := []unix.PollFd{{Fd: int32(in.FD()), Events: unix.POLLIN}}
	for !c.stop.Load() {
		out.Reap()
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
			if _, err := out.Send(free); err != nil {
				return err
			}
		}
		in.Refill()
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
