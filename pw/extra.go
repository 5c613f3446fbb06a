package pw

import (
	"sync/atomic"

	"xwire/l2tp"
)

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
	seq    *sequence

	answers bool    // as SessionSpec.AnswerTooBig
	pieces  *pieces // nil: payloads come whole

	marking Marking
	marked  bool // there is anything in marking

	limits *limiter // nil: none

	ppp     l2tp.PWType // as SessionSpec.Type, if it is one of PPP
	circuit *circuit    // nil: Ethernet, or none
}

// wanted tells whether there is anything in it.
func (e *extra) wanted() bool {
	return e.joined != 0 || e.mss != 0 || e.seq != nil || e.marked || e.ppp != 0 || e.limits != nil || e.answers || e.pieces != nil
}

var noExtra extra

// with is what a session of the tunnel has that is set to spec: e is what it had, and what state it points to
// goes on.
func (e extra) with(spec *SessionSpec, t *tunnel, workers int) extra {
	e.mss, e.answers = spec.MSS, spec.AnswerTooBig
	mask := uint32(numberMask)
	if t.class.v2() {
		mask = numberMaskV2
	}
	e.seq = spec.Sequence.numbering(e.seq, mask, workers)
	switch {
	case spec.Oversize != OversizePW:
		e.pieces = nil
	case e.pieces == nil:
		e.pieces = &pieces{}
	}
	e.marking, e.marked = spec.Marking, spec.Marking.wanted()
	e.limits = spec.Limits.limiting(e.limits)
	e.ppp, e.circuit = 0, newCircuit(spec, e.circuit)
	if isPPP(spec.Type) {
		e.ppp = spec.Type
	}
	return e
}

// addTo writes to a session's spec what with read of it.
func (e *extra) addTo(spec *SessionSpec) {
	spec.MSS, spec.AnswerTooBig = e.mss, e.answers
	if e.seq != nil {
		spec.Sequence = e.seq.Sequence
	}
	spec.Marking = e.marking
	if e.limits != nil {
		spec.Limits = e.limits.Limits
	}
	if e.ppp != 0 {
		spec.Type = e.ppp
	}
	if e.circuit != nil {
		spec.PPPoE = e.circuit.PPPoE
	}
}

// extraOf returns a session's extra; one that has none has an empty one. The record of one that has just
// gone is 0.
func (t *Table) extraOf(slot uint32) *extra {
	if c := t.extras[slot>>chunkBits%maxChunks].Load(); c != nil {
		if e := c[slot%chunkLen].Load(); e != nil {
			return e
		}
	}
	return &noExtra
}

// setExtra publishes what a session is to have, before anyone can find its record. A session without
// any costs nothing.
func (t *Table) setExtra(d *session, record uint32, e extra) {
	if !e.wanted() {
		t.dismiss(d.slot)
		return
	}
	e.record = record
	for _, f := range t.workers {
		f.extraCounters.reach(d.slot)
	}
	t.extras.reach(d.slot)
	t.extras.at(d.slot).Store(&e)
}

// dismiss ends what a session has. Workers may still be on their way there by its record; those that
// come by its SessionID find no record any more.
func (t *Table) dismiss(slot uint32) {
	if old := t.extraOf(slot); old != &noExtra {
		e := *old
		e.record = 0
		t.extras.at(slot).Store(&e)
	}
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
	if t.extras.has(slot) {
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
	f.leave(fr)
}

// leave takes a frame out of its place in the batch.
func (f *Forwarder) leave(fr *Frame) {
	fr.Out = gone
	f.unsettled = true
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
	f.unsettled = false
	return kept
}

// encapExtra encapsulates a frame of a session with an extra.
func (f *Forwarder) encapExtra(mem []byte, fr *Frame, d *session, now int64) {
	e := f.table.extraOf(d.slot)
	if e.marked {
		f.marks = e.marking.read(bytesOf(mem, fr), e.ppp != 0 && e.circuit == nil, f.table.tunnels.at(d.tunnel).tos(), &f.table.seeds)
	}
	if e.circuit != nil {
		if why := e.circuit.fromPPPoE(&f.table.ports[fr.In%MaxPorts], bytesOf(mem, fr), fr); why != dropNone {
			if why != DropPPPoEAddress { // which of several sessions of that id was meant nobody knows
				f.rare(d).txErrors.add(1)
			}
			f.drop(fr, why)
			return
		}
	}
	if e.limits != nil {
		b := bytesOf(mem, fr)
		if why := e.limits.admitTx(b, d.innerLen(b), e.ppp == 0, &f.table.seeds, now); why != dropNone {
			f.rare(d).txErrors.add(1)
			f.extraCounters.at(d.slot).txRate.add(1)
			f.drop(fr, why)
			return
		}
	}
	if e.mss != 0 {
		b := bytesOf(mem, fr)
		f.clampFor(b, d.innerLen(b), d, e)
	}
	if e.ppp != 0 {
		padPPP(mem, fr)
	}
	f.encap(mem, fr, d, e)
	f.move(fr)
}

// decapExtra decapsulates a packet of a session with an extra.
func (f *Forwarder) decapExtra(mem, b []byte, fr *Frame, l *lookup, d *session, t *tunnel, now int64) {
	e := f.table.extraOf(d.slot)
	// Before tags are changed: that writes over cookie and sublayer.
	s := suspect(messageOf(b, l), d, true)
	why := f.authentic(b, l, d, t)
	if why == dropNone {
		why = f.sublayer(b, l, d)
	}
	l.part = partWhole
	if why == DropFragment && e.pieces != nil {
		if w := l2tp.Data(b[l.at:l.end]).Sublayer(int(d.rxCookieLen)); w&l2tp.SublayerS != 0 {
			l.part, s, why = partOf(w), 0, dropNone
		}
	}
	header := int(d.rxLen)
	if d.v2() && why == dropNone {
		ok := false
		if header, ok = l2tp.V2(b[l.at:l.end]).HeaderLen(); !ok {
			why = DropOffset
		}
	}
	how := inTurn
	if why == dropNone && e.seq != nil {
		how, why = f.turn(b, l, d, e.seq)
	}
	if why != dropNone {
		f.refuse(b, fr, l, d, t, why, now)
		return
	}
	bytes := l.messageLen()
	fr.Addr += uint64(l.at) + uint64(header)
	fr.Len = uint32(l.end) - uint32(l.at) - uint32(header)
	f.rare(d).note(s, now)
	if e.marking.ECN {
		switch outer := tosOf(b[l.l3:]); {
		case l.part <= partFirst:
			why = congestion(bytesOf(mem, fr), e.ppp != 0, outer)
		case outer&ecnMask == ce:
			l.part |= partCE
		}
	}
	switch {
	case why != dropNone:
		f.lose(fr, d, bytes, why)
	case how == ahead:
		f.hold(mem, fr, l, d, e, bytes, now)
		return
	default:
		f.pass(mem, fr, l.part, d, e, bytes, now)
	}
	if e.seq != nil && e.seq.queue != nil {
		f.release(mem, d, e, 0, now)
	}
}

// pass counts a packet whose turn it is, and takes its frame onward.
func (f *Forwarder) pass(mem []byte, fr *Frame, what part, d *session, e *extra, bytes uint32, now int64) {
	met := false // a piece met congestion
	if e.pieces != nil {
		whole := false
		if whole, met = f.gather(mem, fr, what, d, e, bytes, now); !whole {
			return
		}
	}
	why := dropNone
	if met {
		why = congestion(bytesOf(mem, fr), e.ppp != 0, ce)
	}
	if why == dropNone {
		why = f.onward(mem, fr, d, e, now)
	}
	if why != dropNone {
		f.lose(fr, d, bytes, why)
		return
	}
	d.rxPackets.add(1)
	d.rxBytes.add(uint64(bytes))
	f.move(fr)
}

// lose counts a packet that passed, and drops its frame.
func (f *Forwarder) lose(fr *Frame, d *session, bytes uint32, why Drop) {
	d.rxPackets.add(1)
	d.rxBytes.add(uint64(bytes))
	f.rare(d).rxErrors.add(1)
	switch x := f.extraCounters.at(d.slot); why {
	case DropECN:
		x.rxECN.add(1)
	case DropPoliced:
		x.rxRate.add(1)
	case DropStorm:
		x.rxStorm.add(1)
	}
	f.drop(fr, why)
}

// onward takes a frame that came for the session, and is in its turn, to where it is to go.
func (f *Forwarder) onward(mem []byte, fr *Frame, d *session, e *extra, now int64) Drop {
	if e.ppp != 0 {
		if trimPPP(mem, fr); fr.Len == 0 {
			return DropRuntInner
		}
	}
	if e.limits != nil {
		if why := e.limits.admitRx(bytesOf(mem, fr), e.ppp == 0, &f.table.seeds, now); why != dropNone {
			return why
		}
	}
	if e.mss != 0 {
		f.clampFor(bytesOf(mem, fr), fr.Len, d, e)
	}
	if e.joined != 0 {
		return f.cross(mem, fr, e, now)
	}
	if e.ppp != 0 {
		return f.deliverPPP(mem, fr, d, e)
	}
	return f.deliver(mem, fr, d)
}
