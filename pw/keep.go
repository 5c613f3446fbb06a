package pw

import "xwire/l2tp"

// ordered tells whether what the session has is state that one worker must have for itself, each
// direction by its own.
func (e *extra) ordered() bool { return e.seq != nil }

// countOrdered keeps the number of sessions with such state.
func (t *Table) countOrdered(e *extra, by int32) {
	if e.ordered() {
		t.ordered.Add(by)
	}
}

// Keeps tells whether some session's frames must all be one worker's, so that Keep is to be asked
// on ports whose frames need not be spread.
func (f *Forwarder) Keeps() bool { return f.table.ordered.Load() > 0 }

// Keep is Spread for ports whose frames may stay where they are: it answers a worker for frames of
// sessions with sequence numbers only, and 255 for all others.
func (f *Forwarder) Keep(mem []byte, in []Frame, workers int, to []uint8) {
	f.Spread(mem, in, workers, to)
	f.epoch.enter()
	for i := range in {
		if int(to[i]) != f.worker && to[i] != stay && !f.kept(bytesOf(mem, &in[i]), in[i].In) {
			to[i] = stay
		}
	}
	f.epoch.leave()
}

// kept tells whether a frame is of a session with ordered state, or will be of one with which its
// session is joined.
func (f *Forwarder) kept(b []byte, in uint16) bool {
	record, _ := f.find(b, in)
	if record == 0 {
		return f.keptFragment(b, in)
	}
	return f.ordered(record)
}

// ordered is kept for a session's record; of 0 it is false.
func (f *Forwarder) ordered(record uint32) bool {
	t := f.table
	d := f.sessions.at(record)
	if (d.encapOp|d.decapOp)&opExtra == 0 {
		return false
	}
	e := t.extraOf(d.slot)
	return e.ordered() || e.joined != 0 && t.extraOf(e.joined).ordered()
}

// find returns the record of the session that a frame is of, or 0, and which way it goes.
func (f *Forwarder) find(b []byte, in uint16) (record uint32, way Way) {
	t := f.table
	if len(b) < l2tp.EthernetLen {
		return 0, WayNone
	}
	state := t.ports[in%MaxPorts].state.Load()
	l := &f.toEncap[0] // free between two bursts, as toDecap is
	if state&portAttached != 0 && f.attachment(in, state, b, l) {
		record = l.record
		if l.outer != 0 {
			x := t.ac.Load()
			l.record, _ = x.first(l.tag)
			record = f.resolveAC(in, l, x)
		}
		if record != 0 {
			return record, WayEncap
		}
	}
	if state&portCore == 0 {
		return 0, WayNone
	}
	if record = f.findDecap(b); record == 0 {
		return 0, WayNone
	}
	return record, WayDecap
}

// findDecap is find for a packet that is no attachment's.
func (f *Forwarder) findDecap(b []byte) uint32 {
	t := f.table
	l := &f.toDecap[0]
	if !quickOuter6(b, l, &t.seeds) {
		if parseOuter(b, l) != dropNone {
			return 0
		}
		fl := flowOf(b, l)
		l.ports = fl.ports
		l.tag = t.seeds.tag(&fl, l.sid)
	}
	x := t.decap.Load()
	l.record, _ = x.first(l.tag)
	return f.resolve(b, l, x)
}
