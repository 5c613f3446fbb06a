package rings

import (
	"fmt"
	"slices"
	"time"
)

// leave gives up the worker's share of a port. Frames for it are dropped from now on.
func (w *worker) leave(p *Port) {
	w.egress[p.index] = egress{}
	for _, s := range w.sockets {
		if s.queue.port == p {
			w.forget(s)
		}
	}
	w.queues = slices.DeleteFunc(w.queues, func(q *queue) bool { return q.port == p })
	w.sockets = slices.DeleteFunc(w.sockets, func(s *socket) bool { return s.queue.port == p })
	w.listPolled()
}

// RemovePort closes a port and takes all its frames back, also those that the kernel had. The
// interface may be gone already. Where the kernel does not say in time that a driver has let go of
// its frames, these go into quarantine, and the error tells so; the port is closed all the same.
func (f *Fabric) RemovePort(p *Port) error {
	f.control.Lock()
	defer f.control.Unlock()
	if !slices.Contains(f.ports, p) {
		return fmt.Errorf("close port %s: it is not open", p.config.Name)
	}
	for _, w := range f.workers {
		w.do(func() { w.leave(p) })
	}
	p.drain()
	f.mu.Lock()
	f.ports = slices.DeleteFunc(f.ports, func(other *Port) bool { return other == p })
	a := f.account(p.index)
	for _, q := range p.queues {
		for _, s := range q.sockets {
			if stats, err := s.kernel.statistics(); err == nil {
				addStatistics(&a.closed, stats)
			}
		}
	}
	underway := slices.ContainsFunc(p.queues, func(q *queue) bool { return q.underway() > 0 })
	p.closeAll()
	if p.line != nil {
		p.line.close()
	}
	f.mu.Unlock()
	var stuck []*queue
	var err error
	if p.mode == ModeZeroCopy || underway {
		stuck, err = p.unreleased()
	}
	kept := 0
	f.atBoundary(func() { kept = f.reclaim(p, stuck) })
	if err != nil {
		return fmt.Errorf("close port %s: %d frames stay out of use until the driver lets go of %d queues: %w", p.config.Name, kept, len(stuck), err)
	}
	return nil
}

// drain waits until the kernel has completed what it took off the TX rings: packets under way may
// refer to the frame itself, in copy mode too (virtio_net), and outlive the socket.
func (p *Port) drain() {
	deadline := time.Now().Add(bindPatience)
	for _, q := range p.queues {
		for q.underway() > 0 && p.state.Load() == stateUp && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
	}
}

// underway tells how many frames the kernel took off the TX rings and has not completed.
func (q *queue) underway() int {
	n := int(q.sending) - q.completion.count()
	for _, s := range q.sockets {
		n -= int(s.tx.pending())
	}
	return n
}

// takeBack puts a chunk that a driver has let go of into the pool. A span goes there with the last of
// its chunks.
func (f *Fabric) takeBack(frame uint32) {
	if uint64(frame) >= f.spans.first {
		f.spans.sent(frame)
		return
	}
	f.owners[frame] = ownerPool
	f.spare.put(frame)
}

// reclaim gives the frames of a closed port back to the pool, but for those of queues that are stuck:
// these it counts, in quarantine. The workers stand still.
func (f *Fabric) reclaim(p *Port, stuck []*queue) (kept int) {
	mine := map[owner]*quarantine{}
	for _, q := range p.queues {
		var k *quarantine
		if slices.Contains(stuck, q) {
			k = &quarantine{kernel: q.sockets[0].kernel}
		}
		mine[q.receiveOwner], mine[q.transmitOwner] = k, k
		f.slots = append(f.slots, q.slot)
	}
	for frame, who := range f.owners {
		if who < ownerQueue {
			continue
		}
		k, ok := mine[who]
		switch {
		case !ok:
		case k == nil:
			f.takeBack(uint32(frame))
		default:
			f.owners[frame] = ownerKept
			k.frames = append(k.frames, uint32(frame))
		}
	}
	for _, q := range stuck {
		k := mine[q.receiveOwner]
		f.kept = append(f.kept, k)
		kept += len(k.frames)
	}
	return kept
}
