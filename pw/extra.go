package pw

import "sync/atomic"

// opExtra in encapOp and decapOp sends a session's frames the long way, one by one, past extra. All
// other sessions do not even ask.
const opExtra = 1 << 7

// extra is what only some sessions have. It is published by one store and immutable from then on;
// what it points to is state, which outlives a change of the session and belongs to the worker
// that has its frames.
type extra struct {
	record uint32 // of the session, as published
	joined uint32 // SessionID of the other session of a switched pair; 0: none
	mss    int    // as SessionSpec.MSS
}

// wanted tells whether there is anything in it.
func (e *extra) wanted() bool { return e.joined != 0 || e.mss != 0 }

var noExtra extra

// with is what a session has that is set to spec: e is what it had, and what state it points to
// goes on.
func (e extra) with(spec *SessionSpec) extra {
	e.mss = spec.MSS
	return e
}

// addTo writes to a session's spec what with read of it.
func (e *extra) addTo(spec *SessionSpec) {
	spec.MSS = e.mss
}

// extraOf returns a session's extra; one that has none, or has just gone, has an empty one.
func (t *Table) extraOf(slot uint32) *extra {
	if c := t.extras[slot>>chunkBits%maxChunks].Load(); c != nil {
		if e := c[slot%chunkLen].Load(); e != nil {
			return e
		}
	}
	return &noExtra
}

// setExtra publishes what a session is to have, before anyone can find its record. A session without
// any costs nothing; what it had before stays until its slot is free, for workers may still be on
// their way there.
func (t *Table) setExtra(d *session, record uint32, e extra) {
	if !e.wanted() {
		return
	}
	e.record = record
	t.extras.reach(d.slot)
	t.extras.at(d.slot).Store(&e)
}

// flag tells workers whether the session has any.
func (d *session) flag(e *extra) {
	d.encapOp &^= opExtra
	d.decapOp &^= opExtra
	if e.wanted() {
		d.encapOp |= opExtra
		d.decapOp |= opExtra
	}
}

// extraNow is what a session has as it was set last.
func (t *Table) extraNow(d *session) extra {
	if d.decapOp&opExtra == 0 {
		return extra{}
	}
	return *t.extraOf(d.slot)
}

func (t *Table) clearExtra(slot uint32) {
	if t.extras[slot>>chunkBits%maxChunks].Load() != nil {
		t.extras.at(slot).Store(nil)
	}
}

// extras are looked up by SessionID; there are chunks only where one is.
type extras = array[atomic.Pointer[extra]]

// gone as Out is a frame's that has left its place in the batch: it was emitted, or is held.
const gone = NoPort - 1

// emit gives a frame out behind all that were emitted before. Frames of sessions with an extra
// leave no other way, so that held, made and other ones keep their order.
func (f *Forwarder) emit(fr Frame) { f.emitted = append(f.emitted, fr) }

// move emits a frame of the batch that is to leave, once.
func (f *Forwarder) move(fr *Frame) {
	if fr.Out >= gone {
		return
	}
	f.emit(*fr)
	f.emitMade(fr.Addr)
	fr.Out = gone
}

// settle closes the gaps that frames left in out[n:], and appends those emitted.
func (f *Forwarder) settle(out []Frame, n int) []Frame {
	kept := out[:n]
	for _, fr := range out[n:] {
		if fr.Out != gone {
			kept = append(kept, fr)
		}
	}
	kept = append(kept, f.emitted...)
	f.emitted = f.emitted[:0]
	return kept
}

// encapExtra encapsulates a frame of a session with an extra.
func (f *Forwarder) encapExtra(mem []byte, fr *Frame, d *session, now int64) {
	e := f.table.extraOf(d.slot)
	if e.mss != 0 {
		f.clampFor(bytesOf(mem, fr), d, e)
	}
	f.encap(mem, fr, d, e)
	f.move(fr)
}

// decapExtra decapsulates a packet of a session with an extra.
func (f *Forwarder) decapExtra(mem, b []byte, fr *Frame, l *lookup, d *session, t *tunnel, now int64) {
	e := f.table.extraOf(d.slot)
	c := f.counters.at(d.slot)
	// Before tags are changed: that writes over cookie and sublayer.
	s := suspect(messageOf(b, l), d, true)
	why := f.authentic(b, l, d, t, c)
	if why == dropNone {
		why = f.sublayer(b, l, d, c)
	}
	if why == dropNone {
		f.countRx(l, d, t, c)
		fr.Addr += uint64(l.at) + uint64(d.rxLen)
		fr.Len = uint32(l.end) - uint32(l.at) - uint32(d.rxLen)
		why = f.onward(mem, fr, d, e, now)
	}
	if why != dropNone {
		f.refuse(b, fr, l, d, t, c, why, now)
		return
	}
	c.note(s, now)
	f.move(fr)
}

// onward takes a frame that came for the session, and is in its turn, to where it is to go.
func (f *Forwarder) onward(mem []byte, fr *Frame, d *session, e *extra, now int64) Drop {
	if e.mss != 0 {
		f.clampFor(bytesOf(mem, fr), d, e)
	}
	if e.joined != 0 {
		return f.cross(mem, fr, e, now)
	}
	return f.deliver(mem, fr, d)
}
