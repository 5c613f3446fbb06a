package pw

import (
	"sync/atomic"

	"xwire/l2tp"
)

// part tells which piece of a payload a packet carries: the B and E bits of the default sublayer, RFC 4623
// section 4.1.
type part uint8

const (
	partWhole part = iota
	partFirst
	partLast
	partMiddle

	// partCE beside partLast or partMiddle: its packet met congestion.
	partCE
)

// partOf reads the sublayer.
func partOf(sublayer uint32) part {
	var p part
	if sublayer&l2tp.SublayerE != 0 {
		p = partFirst
	}
	if sublayer&l2tp.SublayerB != 0 {
		p |= partLast
	}
	return p
}

// bits are those that the sublayer has for it.
func (p part) bits() (w uint32) {
	if p&partFirst != 0 {
		w = l2tp.SublayerE
	}
	if p&partLast != 0 {
		w |= l2tp.SublayerB
	}
	return w
}

const (
	// piecesTime is how long, in nanoseconds, the pieces of a payload may take: the peer sends them at once.
	piecesTime = 1_000_000_000
	// mostPieces is how many sessions of one worker have pieces held at a time.
	mostPieces = 128
	// leastPiece is the shortest that is worth a packet of its own.
	leastPiece = 32
)

// pieces is a session's payload of which some are missing. The room of the first takes all, or a span. It is
// the worker's that has it; while there is none it is nobody's.
type pieces struct {
	owner atomic.Int32 // worker and one; 0: nobody
	held  bool
	slot  uint32
	frame Frame
	next  uint32 // sequence number
	due   int64  // when it is given up
	ce    bool   // another packet than the first met congestion, and the payload is to tell it
}

// cutUp encapsulates a frame of which n bytes stand at addr in several packets, each of which fits the MTU.
// The first leaves in the frame's place.
func (f *Forwarder) cutUp(mem []byte, fr *Frame, addr uint64, n uint32, d *session, e *extra, t *tunnel, h *nextHop) bool {
	overhead := uint32(t.hdrLen) - 2 + uint32(d.partLen)
	room := h.mtu - min(h.mtu, overhead)
	if room = min(room, fragmentRoom); room < leastPiece || e.seq == nil || !e.seq.sends() || d.v2() || int((n-1)/room) > len(f.spare) {
		return false
	}
	in := fr.In
	f.envelop(mem, fr, addr, room, d, e, t, h, partFirst)
	f.sent(fr, room, d, t, h)
	for at := room; at < n; at += room {
		size, what := min(room, n-at), partMiddle
		if at+size == n {
			what = partLast
		}
		made := Frame{Addr: f.spare[len(f.spare)-1], In: in}
		f.spare = f.spare[:len(f.spare)-1]
		copy(mem[made.Addr:], mem[addr+uint64(at):addr+uint64(at+size)])
		f.envelop(mem, &made, made.Addr, size, d, e, t, h, what)
		f.sent(&made, size, d, t, h)
		f.made = append(f.made, madeFrame{fr.Addr, made})
	}
	return true
}

// gather takes a packet whose turn it is. whole means that fr is a whole payload, and met that one of its
// pieces met congestion; otherwise it is held, or goes back. bytes are those of its message.
func (f *Forwarder) gather(mem []byte, fr *Frame, what part, d *session, e *extra, bytes uint32, now int64) (whole, met bool) {
	p := e.pieces
	if w := int32(f.worker + 1); p.owner.Load() != w && !p.owner.CompareAndSwap(0, w) {
		// Another worker has one: this one is about to have the session's packets, or had them.
		if what == partWhole {
			return true, false
		}
		f.rare(d).rxFragments.add(1)
		f.lose(fr, d, bytes, DropFragment)
		return false, false
	}
	if whole = f.piece(mem, fr, what, d, e, bytes, now); whole {
		met, p.ce = p.ce, false
	}
	if !p.held {
		p.owner.Store(0)
	}
	return whole, met
}

// piece is gather for the worker whose payload it is.
func (f *Forwarder) piece(mem []byte, fr *Frame, what part, d *session, e *extra, bytes uint32, now int64) bool {
	p := e.pieces
	met := what&partCE != 0
	what &^= partCE
	number := (e.seq.rx[f.worker].next.Load() - 1) & e.seq.mask
	if p.held && (what == partWhole || what == partFirst || number != p.next) {
		f.scatter(p) // what is missing of it will not come any more
	}
	if what == partWhole {
		return true
	}
	if what == partFirst {
		if len(f.gathering) == cap(f.gathering) {
			f.giveUpPieces(f.gathering[0])
		}
		p.held, p.slot, p.frame = true, d.slot, *fr
		p.next, p.due, p.ce = (number+1)&e.seq.mask, now+piecesTime, false
		f.gathering = append(f.gathering, p)
		f.held++
		f.leave(fr)
	} else {
		if !p.held || !f.widen(mem, &p.frame, p.frame.Len+fr.Len) {
			if p.held {
				f.scatter(p)
			}
			f.rare(d).rxFragments.add(1)
			f.lose(fr, d, bytes, DropFragment)
			return false
		}
		copy(mem[p.frame.Addr+uint64(p.frame.Len):], bytesOf(mem, fr))
		p.frame.Len += fr.Len
		p.next = (number + 1) & e.seq.mask
		p.ce = p.ce || met
		f.merged(fr)
		if what == partLast {
			f.emit(*fr)
			f.unsettled = true
			*fr = p.frame
			f.ungather(p)
			return true
		}
	}
	d.rxPackets.add(1)
	d.rxBytes.add(uint64(bytes))
	return false
}

// giveUpPieces is scatter for a payload that is nobody's then.
func (f *Forwarder) giveUpPieces(p *pieces) {
	f.scatter(p)
	p.owner.Store(0)
}

// scatter drops the pieces that are held of a payload.
func (f *Forwarder) scatter(p *pieces) {
	p.ce = false
	if f.table.extraOf(p.slot).pieces == p { // else the slot may be another session's by now
		c := f.table.rare.at(p.slot)
		c.rxErrors.add(1)
		c.rxFragments.add(1)
	}
	f.drop(&p.frame, DropFragment)
	f.emit(p.frame)
	f.unsettled = true
	f.ungather(p)
}

// ungather ends the holding of a payload.
func (f *Forwarder) ungather(p *pieces) {
	p.held = false
	f.held--
	for i, q := range f.gathering {
		if q == p {
			f.gathering = append(f.gathering[:i], f.gathering[i+1:]...)
			return
		}
	}
}

// expirePieces gives up the payloads whose time is over.
func (f *Forwarder) expirePieces(now int64) {
	for len(f.gathering) > 0 && f.gathering[0].due <= now {
		f.giveUpPieces(f.gathering[0])
	}
}
