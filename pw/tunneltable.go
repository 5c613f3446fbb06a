package pw

import "fmt"

// tunnelSlot is the control plane's side of a TunnelID.
type tunnelSlot struct {
	record uint32 // 0: free
	first  uint32 // SessionID: head of the list of its sessions
	past   Counters
}

func (t *Table) takeTunnelID() uint32 {
	id := t.tunnelIDs.take()
	for _, f := range t.workers {
		f.invalid.reach(id)
	}
	return id
}

func (t *Table) freeTunnelID(id uint32) {
	for _, f := range t.workers {
		f.invalid.at(id).store(0)
	}
	*t.tunnelIDs.at(id) = tunnelSlot{}
	t.tunnelIDs.give(id)
}

// newTunnel writes a tunnel's record, not yet to be found by anyone.
func (t *Table) newTunnel(spec *TunnelSpec, id TunnelID, hop NextHopID) uint32 {
	record := t.tunnels.take()
	if record == manyTunnels {
		t.scattered.Store(true)
	}
	r := t.tunnels.at(record)
	r.describe(spec, id, 0)
	f := r.flow()
	if r.class.ip6() {
		r.describe(spec, id, t.seeds.markHash(markFlow, &f))
	}
	r.hop.Store(uint32(hop))
	return record
}

func (t *Table) tunnelSlot(id TunnelID) (*tunnelSlot, error) {
	if t.tunnelIDs.given(uint32(id)) {
		if s := t.tunnelIDs.at(uint32(id)); s.record != 0 {
			return s, nil
		}
	}
	return nil, fmt.Errorf("tunnel %d: there is none", id)
}

// AddTunnel returns a new tunnel, which has no next hop yet. Several tunnels may have the same
// addresses and ports.
func (t *Table) AddTunnel(spec TunnelSpec) (TunnelID, error) {
	if err := spec.check(); err != nil {
		return 0, fmt.Errorf("add tunnel: %w", err)
	}
	t.begin()
	defer t.end()
	if t.tunnelIDs.full() {
		return 0, fmt.Errorf("add tunnel: there are %d", maxIDs)
	}
	if spec.Keyed {
		t.keyed.Add(1)
	}
	id := t.takeTunnelID()
	record := t.newTunnel(&spec, TunnelID(id), 0)
	*t.tunnelIDs.at(id) = tunnelSlot{record: record}
	t.addMarks(record)
	return TunnelID(id), nil
}

// SetTunnel changes a tunnel and what its sessions look for in packets. Sessions are changed one
// by one: for a moment some are found under the new addresses and some under the old.
func (t *Table) SetTunnel(id TunnelID, spec TunnelSpec) error {
	if err := spec.check(); err != nil {
		return fmt.Errorf("set tunnel %d: %w", id, err)
	}
	t.begin()
	defer t.end()
	slot, err := t.tunnelSlot(id)
	if err != nil {
		return fmt.Errorf("set tunnel: %w", err)
	}
	old := slot.record
	if was := t.tunnels.at(old).keyed; was != spec.Keyed {
		if slot.first != 0 {
			return fmt.Errorf("set tunnel %d: session %d is still there, and a keyed tunnel finds sessions otherwise", id, slot.first)
		}
		if spec.Keyed {
			t.keyed.Add(1)
		} else {
			t.keyed.Add(-1)
		}
	}
	hop := NextHopID(t.tunnels.at(old).hop.Load())
	record := t.newTunnel(&spec, id, hop)
	was, is := t.tunnels.at(old), t.tunnels.at(record)
	if was.class.v2() != is.class.v2() && slot.first != 0 {
		t.tunnels.give(record)
		return fmt.Errorf("set tunnel %d: L2TP version %d: it has sessions of another", id, is.spec().Version)
	}
	from, to := was.flow(), is.flow()
	if from != to || was.tid != is.tid {
		for s := slot.first; s != 0; s = t.slots.at(s).next {
			moved := t.session(t.slots.at(s).record).description()
			moved.moveTo(is)
			if err := t.clashDecap(&to, moved.sid, SessionID(s)); err != nil {
				t.tunnels.give(record)
				return fmt.Errorf("set tunnel %d: %w", id, err)
			}
		}
	}
	slot.record = record
	t.addMarks(record)
	for s := slot.first; s != 0; s = t.slots.at(s).next {
		next := t.session(t.slots.at(s).record).description()
		next.tunnel = record
		next.moveTo(is)
		t.replace(SessionID(s), &next, t.extraNow(&next))
	}
	t.removeMarks(old)
	t.grace.retire(retiredTunnel, old)
	return nil
}

// Tunnel returns a tunnel as it was set last, and its next hop.
func (t *Table) Tunnel(id TunnelID) (TunnelSpec, NextHopID, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slot, err := t.tunnelSlot(id)
	if err != nil {
		return TunnelSpec{}, 0, false
	}
	r := t.tunnels.at(slot.record)
	return r.spec(), NextHopID(r.hop.Load()), true
}

// SetTunnelNextHop makes a tunnel send by another next hop, 0 for none, in one store.
func (t *Table) SetTunnelNextHop(id TunnelID, hop NextHopID) {
	t.begin()
	defer t.end()
	slot, err := t.tunnelSlot(id)
	if err != nil {
		return
	}
	if hop != 0 && (!t.hopIDs.given(uint32(hop)) || !t.hopIDs.at(uint32(hop)).inUse) {
		hop = 0
	}
	from := t.tunnels.at(slot.record).hop.Swap(uint32(hop))
	t.useHop(NextHopID(from), hop)
}

// RemoveTunnel removes a tunnel that has no sessions.
func (t *Table) RemoveTunnel(id TunnelID) error {
	t.begin()
	defer t.end()
	slot, err := t.tunnelSlot(id)
	if err != nil {
		return fmt.Errorf("remove tunnel: %w", err)
	}
	if slot.first != 0 {
		return fmt.Errorf("remove tunnel %d: session %d is still there", id, slot.first)
	}
	r := t.tunnels.at(slot.record)
	if r.keyed {
		t.keyed.Add(-1)
	}
	t.removeMarks(slot.record)
	t.useHop(NextHopID(r.hop.Swap(0)), 0)
	t.grace.retire(retiredTunnel, slot.record)
	t.grace.retire(retiredTunnelID, uint32(id))
	slot.record = 0
	return nil
}

// TunnelCounters returns the sums of a tunnel's sessions, those removed included. As in the
// kernel RxInvalid is the tunnel's alone.
func (t *Table) TunnelCounters(id TunnelID) (sum Counters) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.grace.collect(t.free)
	slot, err := t.tunnelSlot(id)
	if err != nil {
		return sum
	}
	sum = slot.past
	for s := slot.first; s != 0; s = t.slots.at(s).next {
		c := t.slotCounters(s)
		sum.add(&c)
		t.addRecord(t.slots.at(s).record, &sum)
	}
	t.retiredCounters(&sum, func(s uint32) bool { return t.slots.at(s).tunnel == id })
	for _, list := range [2][]retired{t.grace.waiting, t.grace.fresh} {
		for _, r := range list {
			if r.what == retiredSlot && t.slots.at(r.index).tunnel == id {
				c := t.slotCounters(r.index)
				sum.add(&c)
			}
		}
	}
	for _, f := range t.workers {
		sum.RxInvalid += f.invalid.at(uint32(id)).load()
	}
	return sum
}
