package pw

import "fmt"

// hopSlot is the control plane's side of a NextHopID.
type hopSlot struct {
	inUse, removed bool
	tunnels        int // that send by it
}

func (t *Table) takeHopID() uint32 {
	id := t.hopIDs.take()
	t.hopNow.reach(id)
	return id
}

// setHop makes spec the present state of a next hop.
func (t *Table) setHop(id NextHopID, spec *NextHop) {
	if len(spec.Tags) > 2 {
		panic(fmt.Sprintf("pw: next hop with %d tags, at most 2", len(spec.Tags)))
	}
	record := t.hops.take()
	t.hops.at(record).describe(spec)
	if old := t.hopNow.at(uint32(id)).Swap(record); old != 0 {
		t.grace.retire(retiredHop, old)
	}
}

// AddNextHop returns a new next hop, or 0 if there are too many.
func (t *Table) AddNextHop(spec NextHop) NextHopID {
	t.begin()
	defer t.end()
	if t.hopIDs.full() {
		return 0
	}
	id := NextHopID(t.takeHopID())
	t.hopIDs.at(uint32(id)).inUse = true
	t.setHop(id, &spec)
	return id
}

// SetNextHop changes a next hop for all tunnels that use it, in one store.
func (t *Table) SetNextHop(id NextHopID, spec NextHop) {
	t.begin()
	defer t.end()
	if t.hopIDs.given(uint32(id)) && t.hopIDs.at(uint32(id)).inUse {
		t.setHop(id, &spec)
	}
}

// NextHop returns a next hop as it was set last.
func (t *Table) NextHop(id NextHopID) (NextHop, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.hopIDs.given(uint32(id)) || !t.hopIDs.at(uint32(id)).inUse {
		return NextHop{}, false
	}
	return t.hops.at(t.hopNow.at(uint32(id)).Load()).spec(), true
}

// RemoveNextHop removes a next hop. Tunnels that still use it drop what they would send.
func (t *Table) RemoveNextHop(id NextHopID) {
	t.begin()
	defer t.end()
	if !t.hopIDs.given(uint32(id)) || !t.hopIDs.at(uint32(id)).inUse {
		return
	}
	t.setHop(id, &NextHop{Port: NoPort})
	slot := t.hopIDs.at(uint32(id))
	slot.inUse, slot.removed = false, true
	t.dropHop(id)
}

// dropHop lets a removed next hop go when no tunnel uses it.
func (t *Table) dropHop(id NextHopID) {
	if id == 0 {
		return
	}
	if s := t.hopIDs.at(uint32(id)); s.removed && s.tunnels == 0 {
		s.removed = false
		t.grace.retire(retiredHopID, uint32(id))
	}
}

// useHop moves a tunnel's use from one next hop to another; 0 is none.
func (t *Table) useHop(from, to NextHopID) {
	if to != 0 {
		t.hopIDs.at(uint32(to)).tunnels++
	}
	if from != 0 {
		t.hopIDs.at(uint32(from)).tunnels--
		t.dropHop(from)
	}
}
