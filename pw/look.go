package pw

// Way is which way a frame goes.
type Way uint8

const (
	WayNone  Way = iota // no session's
	WayEncap            // from an attachment circuit into a session
	WayDecap            // out of a session
)

func (w Way) String() string {
	switch w {
	case WayEncap:
		return "encap"
	case WayDecap:
		return "decap"
	}
	return "none"
}

// Seen is what Look tells of a frame.
type Seen struct {
	Session SessionID // 0: none
	Other   SessionID // that with which Session is joined, 0: none
	Way     Way
	Outer   bool // the frame has the outer headers, or came where only such frames come
}

// Look tells whose a frame is, as it was received. It belongs to the worker's goroutine, between two
// calls of Process, and changes nothing. A fragment of a packet is nobody's.
func (f *Forwarder) Look(mem []byte, fr Frame) (s Seen) {
	t := f.table
	f.epoch.enter()
	defer f.epoch.leave()
	record, way := f.find(bytesOf(mem, &fr), fr.In)
	if record == 0 {
		s.Outer = f.OuterPort(fr.In)
		return s
	}
	d := f.sessions.at(record)
	s.Session, s.Way, s.Outer = SessionID(d.slot), way, way == WayDecap
	if (d.encapOp|d.decapOp)&opExtra != 0 {
		s.Other = SessionID(t.extraOf(d.slot).joined)
	}
	return s
}

// OuterPort tells whether what a port sends has outer headers, as far as the port tells.
func (f *Forwarder) OuterPort(p uint16) bool {
	return f.table.ports[p%MaxPorts].state.Load()&portAttached == 0
}

// Alone is Process for one frame. It also tells why the last frame that it dropped was dropped; false:
// it dropped none.
func (f *Forwarder) Alone(mem []byte, fr Frame, now int64, out []Frame) ([]Frame, Drop, bool) {
	f.why = dropNone
	f.alone[0] = fr
	out = f.Process(mem, f.alone[:], now, out)
	return out, f.why, f.why != dropNone
}
