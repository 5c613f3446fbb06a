package pw

import (
	"sync/atomic"

	"xwire/l2tp"
)

// reorderLen is how many packets of a session may wait at most: what a path with several links, or
// a NIC with several queues, swaps lies closer together.
const reorderLen = 64

// queue has a session's packets that wait for others, in the order of their numbers. It is the worker's whose
// packets they are; while there are none it is nobody's.
type queue struct {
	owner atomic.Int32 // worker and one; 0: nobody
	n     int
	held  [reorderLen]heldFrame
}

// heldFrame is a frame inside a packet that waits. It is ours until it is released.
type heldFrame struct {
	Frame
	due    int64 // when it is released whatever is missing before it
	number uint32
	bytes  uint32 // of its L2TP message
	part   part
}

// waiting names a session's queue that is not empty.
type waiting struct {
	slot  uint32
	queue *queue
}

// claim tells whether the queue is the worker's, or has become so.
func (q *queue) claim(worker int) bool {
	w := int32(worker + 1)
	return q.owner.Load() == w || q.owner.CompareAndSwap(0, w)
}

// due is when a queue, which is not empty, has a packet that has waited long enough.
func (q *queue) due() int64 {
	first := q.held[0].due
	for i := range q.held[1:q.n] {
		first = min(first, q.held[1+i].due)
	}
	return first
}

// place is where a number belongs in a queue of those behind next. False: it is there.
func (q *queue) place(number, next, mask uint32) (int, bool) {
	i := q.n
	for i > 0 && (q.held[i-1].number-next)&mask >= (number-next)&mask {
		i--
	}
	return i, i == q.n || q.held[i].number != number
}

func (q *queue) insert(i int, h heldFrame) {
	copy(q.held[i+1:q.n+1], q.held[i:q.n])
	q.held[i] = h
	q.n++
}

func (q *queue) shift() heldFrame {
	h := q.held[0]
	copy(q.held[:], q.held[1:q.n])
	q.n--
	return h
}

// turn reads a packet's sequence number, if it has one, and tells its rank. Of ranks it returns
// inTurn and, where packets may wait, ahead.
func (f *Forwarder) turn(b []byte, l *lookup, d *session, s *sequence) (rank, Drop) {
	var word uint32
	numbered := false
	if d.v2() {
		ns, ok := l2tp.V2(b[l.at:l.end]).Ns()
		word, numbered = uint32(ns), ok
	} else {
		word = l2tp.Data(b[l.at:l.end]).Sublayer(int(d.rxCookieLen))
		numbered = word&l2tp.SublayerS != 0
	}
	if s.Follow && numbered != s.tx.on.Load() && (numbered || !s.Require) {
		s.tx.on.Store(numbered)
	}
	if !numbered {
		if s.Require {
			return past, DropUnnumbered
		}
		return inTurn, dropNone
	}
	l.number = word & s.mask
	r := &s.rx[f.worker]
	how := r.judge(l.number, s.mask, s.Resync)
	switch {
	case how == past:
		f.extraCounters.at(d.slot).rxOOSPackets.add(1)
		return past, DropOld
	case how == inTurn || s.queue == nil || !s.queue.claim(f.worker):
	case how == anew && s.queue.n > 0:
		return ahead, dropNone // of what waits, which was sent before it
	case how == ahead && (s.Reorder != 0 || s.queue.n > 0):
		if _, isNew := s.queue.place(l.number, r.next.Load(), s.mask); !isNew {
			return past, DropOld
		}
		return ahead, dropNone
	}
	s.accept(f.worker, l.number, how)
	return inTurn, dropNone
}

// hold keeps a packet that came too early. Where there is no room the first in the queue need not
// wait any longer, and none need where the peer began anew, or packets are not to wait any more.
func (f *Forwarder) hold(mem []byte, fr *Frame, l *lookup, d *session, e *extra, bytes uint32, now int64) {
	s := e.seq
	q := s.queue
	h := heldFrame{*fr, now + int64(s.Reorder), l.number, bytes, l.part}
	f.leave(fr)
	f.held++
	if r := &s.rx[f.worker]; r.old > s.Resync {
		f.release(mem, d, e, q.n, now)
		f.deliverHeld(mem, h, anew, d, e, now)
		return
	}
	i, _ := q.place(h.number, s.rx[f.worker].next.Load(), s.mask)
	if q.n == len(q.held) {
		if i == 0 {
			f.let(mem, h, d, e, now)
			f.release(mem, d, e, 0, now)
			return
		}
		f.let(mem, q.shift(), d, e, now)
		i--
	}
	if i < q.n {
		f.extraCounters.at(d.slot).rxOOSPackets.add(1)
	}
	if q.n == 0 {
		f.waiting = append(f.waiting, waiting{d.slot, q})
	}
	q.insert(i, h)
	if f.due == 0 || h.due < f.due {
		f.due = h.due
	}
	must := 0
	if s.Reorder == 0 {
		must = q.n
	}
	f.release(mem, d, e, must, now)
}

// let takes a frame that was held onward. Numbers before it that did not come are lost.
func (f *Forwarder) let(mem []byte, h heldFrame, d *session, e *extra, now int64) {
	how := inTurn
	if h.number != e.seq.rx[f.worker].next.Load() {
		how = ahead
	}
	f.deliverHeld(mem, h, how, d, e, now)
}

// deliverHeld is let for a packet whose rank is known.
func (f *Forwarder) deliverHeld(mem []byte, h heldFrame, how rank, d *session, e *extra, now int64) {
	f.held--
	e.seq.accept(f.worker, h.number, how)
	fr := h.Frame
	f.pass(mem, &fr, h.part, d, e, h.bytes, now)
	if fr.Out == NoPort {
		f.emit(fr)
	}
}

// release lets the first must of a session's queue go, and then those whose turn it is.
func (f *Forwarder) release(mem []byte, d *session, e *extra, must int, now int64) {
	s := e.seq
	q := s.queue
	if q.owner.Load() != int32(f.worker+1) {
		return
	}
	if q.n == 0 {
		q.owner.Store(0)
		return
	}
	for q.n > 0 {
		if must <= 0 && q.held[0].number != s.rx[f.worker].next.Load() {
			return
		}
		f.let(mem, q.shift(), d, e, now)
		must--
	}
	for i := range f.waiting {
		if f.waiting[i].queue == q {
			f.waiting[i] = f.waiting[len(f.waiting)-1]
			f.waiting = f.waiting[:len(f.waiting)-1]
			break
		}
	}
	q.owner.Store(0)
}

// forget drops a frame that was held.
func (f *Forwarder) forget(h heldFrame, why Drop) {
	f.held--
	f.drop(&h.Frame, why)
	f.emit(h.Frame)
}

// Held tells how many frames are held: of sessions that put packets in order, and first fragments.
func (f *Forwarder) Held() int { return f.held }

// Deadline tells when Expire is next due, in the time of Process; 0: never.
func (f *Forwarder) Deadline() int64 {
	due := f.due
	if d := f.fragmentsDue(); d != 0 && (due == 0 || d < due) {
		due = d
	}
	if len(f.gathering) > 0 && (due == 0 || f.gathering[0].due < due) {
		due = f.gathering[0].due
	}
	return due
}

// Expire releases or drops the frames that have waited long enough at the time now, and appends them to out as
// Process does.
func (f *Forwarder) Expire(mem []byte, now int64, out []Frame) []Frame {
	f.epoch.enter()
	f.expireFragments(now)
	f.expirePieces(now)
	for i := len(f.waiting) - 1; i >= 0; i-- {
		f.expire(mem, f.waiting[i], now)
	}
	f.due = 0
	for _, w := range f.waiting {
		if due := w.queue.due(); f.due == 0 || due < f.due {
			f.due = due
		}
	}
	out = append(out, f.emitted...)
	f.emitted, f.unsettled = f.emitted[:0], false
	f.epoch.leave()
	return out
}

// expire releases what is due of one queue. The session may be gone, or be another one by now: then nobody
// knows any more where its packets were to go.
func (f *Forwarder) expire(mem []byte, w waiting, now int64) {
	q := w.queue
	e := f.table.extraOf(w.slot)
	if e.record == 0 || e.seq == nil || e.seq.queue != q {
		for q.n > 0 {
			f.forget(q.shift(), DropSessionGone)
		}
		for i := range f.waiting {
			if f.waiting[i].queue == q {
				f.waiting = append(f.waiting[:i], f.waiting[i+1:]...)
				break
			}
		}
		q.owner.Store(0)
		return
	}
	must := 0
	for i := range q.held[:q.n] {
		if q.held[i].due <= now {
			must = i + 1
		}
	}
	if must > 0 {
		f.release(mem, f.sessions.at(e.record), e, must, now)
	}
}
