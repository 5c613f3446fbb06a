package pw

// session returns a record's description; its counts are the first worker's alone.
func (t *Table) session(record uint32) *session { return t.workers[0].sessions.at(record) }

// newRecord gives every worker a copy of d, which nobody can find yet.
func (t *Table) newRecord(d *session) uint32 {
	record := t.sessions.take()
	d.seal()
	for _, f := range t.workers {
		f.sessions.reach(record)
		*f.sessions.at(record) = *d
	}
	return record
}

// retire has a record go that new frames do not find any more.
func (t *Table) retire(record uint32) {
	t.retired[t.session(record).slot]++
	t.grace.retire(retiredSession, record)
}

// freeRecord keeps what was counted by a record for its session, or for its tunnel if that has gone.
func (t *Table) freeRecord(record uint32) {
	id := t.session(record).slot
	slot := t.slots.at(id)
	if t.retired[id]--; t.retired[id] == 0 {
		delete(t.retired, id)
	}
	past := &t.tunnelIDs.at(uint32(slot.tunnel)).past
	if slot.record != 0 {
		t.past.reach(id)
		past = t.past.at(id)
	}
	t.addRecord(record, past)
	t.sessions.give(record)
}

// addRecord sums what all workers counted by a record into c.
func (t *Table) addRecord(record uint32, c *Counters) {
	for _, f := range t.workers {
		f.sessions.at(record).addTo(c)
	}
}

// slotCounters sums a slot's counts, but for those of its present record and of those retired.
func (t *Table) slotCounters(slot uint32) (sum Counters) {
	t.rare.at(slot).addTo(&sum)
	if t.past.has(slot) {
		sum.add(t.past.at(slot))
	}
	for _, f := range t.workers {
		f.addExtra(slot, &sum)
	}
	return sum
}

// retiredCounters sums into c what was counted by retired records whose sessions are wanted.
func (t *Table) retiredCounters(c *Counters, wanted func(slot uint32) bool) {
	for _, list := range [2][]retired{t.grace.waiting, t.grace.fresh} {
		for _, r := range list {
			if r.what == retiredSession && wanted(t.session(r.index).slot) {
				t.addRecord(r.index, c)
			}
		}
	}
}

// SessionCounters returns a session's counts since it was added.
func (t *Table) SessionCounters(id SessionID) Counters {
	t.mu.Lock()
	defer t.mu.Unlock()
	slot, err := t.sessionSlot(id)
	if err != nil {
		return Counters{}
	}
	if t.retired[uint32(id)] > 0 {
		t.grace.collect(t.free)
	}
	sum := t.slotCounters(uint32(id))
	t.addRecord(slot.record, &sum)
	if t.retired[uint32(id)] > 0 {
		t.retiredCounters(&sum, func(s uint32) bool { return s == uint32(id) })
	}
	return sum
}

// Suspicion returns what the latest odd frame of a session told of the peer's settings, or 0 if none came
// or a frame after it told that they agree.
func (t *Table) Suspicion(id SessionID) Suspicion {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := t.sessionSlot(id); err != nil {
		return 0
	}
	return Suspicion(t.rare.at(uint32(id)).suspicion.Load() & 0xffff)
}
