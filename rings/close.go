package rings

import (
	"fmt"
	"slices"
	"time"
)

// leave gives up the worker's share of a port. Frames for it are dropped from now on.
func (w *worker) leave(p *Port) {
	w.egress[p.index] = egress{}
	w.queues = slices.DeleteFunc(w.queues, func(q *queue) bool { return q.port == p })
	w.sockets = slices.DeleteFunc(w.sockets, func(s *socket) bool { return s.queue.port == p })
	w.listPolled()
}

// RemovePort closes a port and takes all its frames back, also those that the kernel had. The
// interface may be gone already.
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
	p.closeAll()
	f.mu.Unlock()
	var err error
	if p.mode == ModeZeroCopy {
		err = p.awaitRelease()
	}
	f.atBoundary(func() { f.reclaim(p) })
	if err != nil {
		return fmt.Errorf("close port %s: %w", p.config.Name, err)
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

func (p *Port) awaitRelease() error {
	for _, q := range p.queues {
		if err := awaitRelease(p.ifindex, q.number); err != nil {
			return fmt.Errorf("queue %d is not released: %w", q.number, err)
		}
	}
	return nil
}

// underway tells how many frames the kernel took off the TX rings and has not completed.
func (q *queue) underway() int {
	n := int(q.sending) - q.completion.count()
	for _, s := range q.sockets {
		n -= int(s.tx.pending())
	}
	return n
}

// reclaim gives the frames of a closed port back to the pool. The workers stand still.
func (f *Fabric) reclaim(p *Port) {
	mine := map[owner]bool{}
	for _, q := range p.queues {
		mine[q.receiveOwner], mine[q.transmitOwner] = true, true
		f.slots = append(f.slots, q.slot)
	}
	for frame, who := range f.owners {
		if who >= ownerQueue && mine[who] {
			f.owners[frame] = ownerPool
			f.spare.put(uint32(frame))
		}
	}
}
