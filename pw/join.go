package pw

import (
	"fmt"

	"xwire/l2tp"
)

// Join makes two sessions without an attachment circuit each other's: what one decapsulates the
// other encapsulates (L2TP tunnel switching, or multihop). Both must be of one pseudowire type, of which those
// of PPP are one. It
// lasts until Part, until one is removed or until one is set to have an attachment circuit.
func (t *Table) Join(a, b SessionID) error {
	t.begin()
	defer t.end()
	for _, pair := range [2][2]SessionID{{a, b}, {b, a}} {
		slot, err := t.sessionSlot(pair[0])
		if err != nil {
			return fmt.Errorf("join sessions %d and %d: %w", a, b, err)
		}
		d := t.session(slot.record)
		if d.port != NoPort {
			return fmt.Errorf("join sessions %d and %d: session %d is attached to port %d", a, b, pair[0], d.port)
		}
		if j := t.extraNow(d).joined; j != 0 && SessionID(j) != pair[1] {
			return fmt.Errorf("join sessions %d and %d: session %d is joined with %d", a, b, pair[0], j)
		}
	}
	if a == b {
		return fmt.Errorf("join sessions %d and %d: it takes two", a, b)
	}
	if x, y := t.typeOf(a), t.typeOf(b); x != y {
		return fmt.Errorf("join sessions %d and %d: pseudowire types %v and %v: must be the same", a, b, x, y)
	}
	t.setJoined(a, b)
	t.setJoined(b, a)
	return nil
}

// Part undoes Join; frames of both are then dropped for want of an attachment circuit.
func (t *Table) Part(id SessionID) error {
	t.begin()
	defer t.end()
	if _, err := t.sessionSlot(id); err != nil {
		return fmt.Errorf("part session: %w", err)
	}
	t.part(id)
	return nil
}

// Joined returns the session with which one is joined, or 0.
func (t *Table) Joined(id SessionID) SessionID {
	t.mu.Lock()
	defer t.mu.Unlock()
	slot, err := t.sessionSlot(id)
	if err != nil {
		return 0
	}
	return SessionID(t.extraNow(t.session(slot.record)).joined)
}

func (t *Table) typeOf(id SessionID) l2tp.PWType {
	return t.session(t.slots.at(uint32(id)).record).spec().Type
}

// part takes both sides of a pair apart.
func (t *Table) part(id SessionID) {
	other := SessionID(t.extraNow(t.session(t.slots.at(uint32(id)).record)).joined)
	if other == 0 {
		return
	}
	t.setJoined(id, 0)
	t.setJoined(other, 0)
}

func (t *Table) setJoined(id, other SessionID) {
	d := t.session(t.slots.at(uint32(id)).record).description()
	e := t.extraNow(&d)
	e.joined = uint32(other)
	t.replace(id, &d, e)
}

// cross has a frame that was decapsulated leave through the other session of its pair.
func (f *Forwarder) cross(mem []byte, fr *Frame, e *extra, now int64) Drop {
	if fr.Len < l2tp.EthernetLen && e.ppp == 0 {
		return DropRuntInner
	}
	other := f.table.extraOf(e.joined)
	if other.record == 0 {
		return DropNoAC // it has just gone
	}
	f.encapExtra(mem, fr, f.sessions.at(other.record), now)
	return dropNone
}
