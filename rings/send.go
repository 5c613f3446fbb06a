package rings

import (
	"golang.org/x/sys/unix"
)

// kickTries bounds the system calls of one kick. What the kernel leaves is tried again in the next
// round.
const kickTries = 128

// dispatch passes on what the handler gave out.
func (w *worker) dispatch(out []Frame) {
	for _, f := range out {
		frame := f.Addr >> w.shift
		if frame >= w.spans.first || w.owners[frame] != ownerHeld {
			switch frame = w.spans.home(frame); {
			case frame < uint64(len(w.owners)) && w.owners[frame] == ownerHeld:
			case frame < uint64(len(w.owners)) && w.owners[frame] == ownerSpare:
				w.made(f)
			default:
				w.fabric.alarm(errNotHeld)
				continue
			}
		}
		w.account(f.In).given.add(1)
		w.forward(f, true)
	}
}

// forward passes one frame on that the worker owns: to the pool, a TX ring, or, if handOver allows
// it, another worker.
func (w *worker) forward(f Frame, handOver bool) {
	c := w.account(f.In)
	frame := uint32(f.Addr >> w.shift)
	if f.Out == NoPort {
		c.returned.add(1)
		w.free(frame)
		return
	}
	if f.Out >= maxPorts {
		w.drop(c, f, DropTxNoPort)
		return
	}
	pieces := uint32(1)
	if f.Addr&(1<<w.shift-1)+uint64(f.Len) > 1<<w.shift || f.Len == 0 {
		if pieces = w.pieces(f); pieces == 0 {
			w.drop(c, f, DropFrameTooLong)
			return
		}
	}
	e := &w.egress[f.Out]
	s := e.socket
	if s == nil {
		w.pass(c, e, f, handOver)
		return
	}
	q := s.queue
	if q.port.state.Load() != stateUp {
		w.drop(c, f, DropTxPortDown)
		return
	}
	if q.sending+pieces > q.transmitQuota || s.tx.room(pieces) < pieces {
		if !s.stuck { // or each further frame would cost system calls, and the other ports time
			w.kick(s)
			s.stuck = s.backlog
		}
		w.reap(q)
		if q.sending+pieces > q.transmitQuota || s.tx.room(pieces) < pieces {
			w.drop(c, f, DropTxRingFull)
			return
		}
	}
	if uint64(frame) < w.spans.first {
		w.owners[frame] = q.transmitOwner
		s.tx.put(f.Addr, f.Len)
	} else if pieces == 1 || s.jumbo {
		w.putSpan(s, f, pieces)
	} else {
		w.drop(c, f, DropFrameTooLong)
		return
	}
	q.sending += pieces
	s.queued++
	c.sent.add(1)
	if !s.dirty {
		s.dirty = true
		w.unsent = append(w.unsent, s)
	}
}

// pass hands a frame to the worker that owns the output queue.
func (w *worker) pass(c *portCounters, e *egress, f Frame, handOver bool) {
	if e.via == nil || !handOver {
		w.drop(c, f, DropTxNoPort)
		return
	}
	w.give(c, e.via, e.target, f)
}

// give puts a frame that the worker owns into another's inbox.
func (w *worker) give(c *portCounters, via *inbox, target *worker, f Frame) {
	frame := w.spans.home(f.Addr >> w.shift)
	// The other worker may have the frame as soon as it is put.
	w.owners[frame] = ownerInbox
	if !via.put(f) {
		w.drop(c, f, DropInboxFull)
		return
	}
	if via.pressing() { // do not wait for the round's end, or there is no room for the rest of it
		via.publish()
		target.wake()
	} else if !w.posted[target.index] {
		w.posted[target.index] = true
		w.unposted = append(w.unposted, target)
	}
}

func (w *worker) drop(c *portCounters, f Frame, reason Drop) {
	c.drops[reason].add(1)
	if w.watcher != nil {
		w.watcher.Unsent(w.memory, f, reason)
	}
	w.free(uint32(f.Addr >> w.shift))
}

func (w *worker) free(frame uint32) {
	if uint64(frame) >= w.spans.first {
		w.spans.free(frame)
		return
	}
	w.owners[frame] = ownerPool
	w.cache.put(frame)
}

// send tells the kernel and the other workers of everything that the round has for them.
func (w *worker) send() {
	for _, target := range w.unposted {
		w.posted[target.index] = false
		w.outboxes[target.index].publish()
		target.wake()
	}
	w.unposted = w.unposted[:0]
	for _, s := range w.sockets {
		if s.backlog && !s.dirty {
			w.unsent = append(w.unsent, s)
		}
	}
	for _, s := range w.unsent {
		s.dirty, s.stuck = false, false
		w.kick(s)
	}
	w.unsent = w.unsent[:0]
}

// kick publishes a socket's descriptors and has the kernel send as many as it takes.
func (w *worker) kick(s *socket) {
	q := s.queue
	s.tx.publish()
	w.ports[q.port.index].transmitted.add(uint64(s.queued))
	s.queued = 0
	s.backlog = false
	if q.port.state.Load() != stateUp {
		return
	}
	if !s.tx.needWakeup() {
		w.counters.suppressed.add(1)
		return
	}
	stuck := false
	for range kickTries {
		before := s.tx.pending()
		if before == 0 {
			return
		}
		w.counters.kicks.add(1)
		errno := s.kernel.wakeTX()
		switch errno {
		case 0:
			s.refused = 0
			return
		case unix.EINTR:
		case unix.EBUSY:
			// The driver refused the frame; it completes unsent.
			w.ports[q.port.index].busy.add(1)
			w.reap(q)
			if s.refused++; s.refused >= refusals {
				s.refused = 0
				q.port.refuse()
				if q.port.state.Load() != stateUp {
					return
				}
			}
		case unix.EAGAIN, unix.ENOBUFS:
			// The call's budget or the send buffer is used up. Give up for now if taking completions
			// back does not help.
			w.reap(q)
			if s.tx.pending() < before {
				stuck = false
			} else if stuck {
				s.backlog = true
				return
			} else {
				stuck = true
			}
		default:
			q.port.failSend(errno)
			return
		}
	}
	s.backlog = true
}

func (w *worker) reap(q *queue) {
	if q.reap(&w.cache, w.owners, w.shift, &w.spans) > 0 {
		q.port.complain(errForeignFrame)
	}
}
