package pw

import "fmt"

// sessionSlot is the control plane's side of a SessionID.
type sessionSlot struct {
	record     uint32 // 0: free
	next, prev uint32 // SessionIDs of the same tunnel
	tunnel     TunnelID
}

// ClashError tells that what a session wants is another session's.
type ClashError struct {
	Session SessionID // the one that is there
	What    string
}

func (e *ClashError) Error() string { return fmt.Sprintf("%s: session %d has it", e.What, e.Session) }

func (t *Table) takeSlot() uint32 {
	id := t.slots.take()
	t.rare.reach(id)
	return id
}

// freeSlot keeps a removed session's counts for its tunnel. Those of its records are there already.
func (t *Table) freeSlot(id uint32) {
	slot := t.slots.at(id)
	c := t.slotCounters(id)
	t.tunnelIDs.at(uint32(slot.tunnel)).past.add(&c)
	for _, f := range t.workers {
		f.zeroExtra(id)
	}
	t.rare.at(id).zero()
	if t.past.has(id) {
		*t.past.at(id) = Counters{}
	}
	t.clearExtra(id)
	*slot = sessionSlot{}
	t.slots.give(id)
}

func (t *Table) sessionSlot(id SessionID) (*sessionSlot, error) {
	if t.slots.given(uint32(id)) {
		if s := t.slots.at(uint32(id)); s.record != 0 {
			return s, nil
		}
	}
	return nil, fmt.Errorf("session %d: there is none", id)
}

// clashDecap finds another session than own that packets of the flow with this session id are for.
func (t *Table) clashDecap(f *flow, sid uint32, own SessionID) error {
	tag := t.seeds.tag(f, sid)
	x := t.decap.Load()
	record, i := x.first(tag)
	for record != 0 {
		d := t.session(record)
		if d.sid == sid && d.slot != uint32(own) {
			if r := t.tunnels.at(d.tunnel); r.matches(f) {
				s := r.spec()
				if d.v2() {
					sid &= 0xffff
				}
				return &ClashError{SessionID(d.slot), fmt.Sprintf("session id %d from %v to %v (%v)", sid, s.Peer, s.Local, s.Encap)}
			}
		}
		record, i = x.next(tag, i)
	}
	return nil
}

// clashAC finds another session than d's that has a part of d's attachment circuit.
func (t *Table) clashAC(d *session, e *extra) (err error) {
	if d.port == NoPort {
		return nil
	}
	if d.ppp() {
		return t.clashPPPoE(d, e)
	}
	if err := t.attached[d.port].pppoe.clash(d, t.session(t.slots.at(d.slot).record)); err != nil {
		return err
	}
	clash := func(record uint32, what string) {
		if record != 0 && t.session(record).slot != d.slot {
			err = &ClashError{SessionID(t.session(record).slot), fmt.Sprintf("port %d %s", d.port, what)}
		}
	}
	switch a := &t.attached[d.port]; d.vlanKind() {
	case VLANAll:
		clash(a.all, "without VLAN")
	case VLANUntagged:
		clash(a.untagged, "untagged")
	}
	d.acKeys(func(k acKey) bool {
		tag := t.seeds.acTag(k)
		x := t.ac.Load()
		record, i := x.first(tag)
		for record != 0 && err == nil {
			if t.session(record).hasAC(k) {
				clash(record, "VLAN "+VLANMatch{Kind: d.vlanKind(), Lo: k.outer, Hi: k.outer, C: k.inner}.String())
			}
			record, i = x.next(tag, i)
		}
		return err == nil
	})
	return err
}

// attach and detach keep the port's summary; what workers see changes by publish.
func (t *Table) attach(record uint32, d *session, by int) {
	if d.port == NoPort {
		return
	}
	a := &t.attached[d.port]
	if d.ppp() {
		if a.pppoe == nil {
			a.pppoe = make(pppoeVLANs)
		}
		vlan := [2]uint16{d.lo, d.c}
		if a.pppoe[vlan] += by; a.pppoe[vlan] == 0 {
			delete(a.pppoe, vlan)
		}
		return
	}
	a.sharing.count(d, by)
	switch d.vlanKind() {
	case VLANAll:
		a.all = record
	case VLANUntagged:
		a.untagged = record
	case VLANQinQ:
		a.qinq += by
		a.vlans += by
	case VLANRange:
		a.ranges += by
		a.vlans += by
	default:
		a.vlans += by
	}
}

func (t *Table) publishPort(p uint16) {
	if p != NoPort {
		t.attached[p].publish(&t.ports[p])
	}
}

// AddSession returns a new session. It fails with a ClashError where its packets or its frames
// are another session's already.
func (t *Table) AddSession(spec SessionSpec) (SessionID, error) {
	if err := spec.check(); err != nil {
		return 0, fmt.Errorf("add session: %w", err)
	}
	t.begin()
	defer t.end()
	tun, err := t.tunnelSlot(spec.Tunnel)
	if err != nil {
		return 0, fmt.Errorf("add session: %w", err)
	}
	r := t.tunnels.at(tun.record)
	if err := spec.checkIn(r); err != nil {
		return 0, fmt.Errorf("add session: %w", err)
	}
	var d session
	d.describe(&spec, r, tun.record, 0)
	e := extra{}.with(&spec, r, len(t.workers))
	f := r.flow()
	if err := t.clashDecap(&f, d.sid, 0); err != nil {
		return 0, fmt.Errorf("add session: %w", err)
	}
	if err := t.clashAC(&d, &e); err != nil {
		return 0, fmt.Errorf("add session: %w", err)
	}

	if t.slots.full() {
		return 0, fmt.Errorf("add session: there are %d", maxIDs)
	}
	id := t.takeSlot()
	d.slot = id
	record := t.newSession(&d, e)
	*t.slots.at(id) = sessionSlot{record: record, next: tun.first, tunnel: spec.Tunnel}
	if tun.first != 0 {
		t.slots.at(tun.first).prev = id
	}
	tun.first = id

	put(&t.decap, t.seeds.tag(&f, d.sid), record)
	d.acKeys(func(k acKey) bool { put(&t.ac, t.seeds.acTag(k), record); return true })
	t.attach(record, &d, 1)
	t.publishPort(d.port)
	return SessionID(id), nil
}

// newSession writes a session's record, not yet to be found by anyone.
func (t *Table) newSession(d *session, e extra) uint32 {
	d.flag(&e)
	t.countOrdered(&e, 1)
	record := t.newRecord(d)
	t.setExtra(d, record, e)
	return record
}

// SetSession changes a session in place; frames under way meet the old or the new description,
// and counters go on. The tunnel may not change.
func (t *Table) SetSession(id SessionID, spec SessionSpec) error {
	if err := spec.check(); err != nil {
		return fmt.Errorf("set session %d: %w", id, err)
	}
	t.begin()
	defer t.end()
	slot, err := t.sessionSlot(id)
	if err != nil {
		return fmt.Errorf("set session: %w", err)
	}
	if slot.tunnel != spec.Tunnel {
		return fmt.Errorf("set session %d: its tunnel is %d, not %d", id, slot.tunnel, spec.Tunnel)
	}
	tun := t.tunnelIDs.at(uint32(slot.tunnel)).record
	r := t.tunnels.at(tun)
	if err := spec.checkIn(r); err != nil {
		return fmt.Errorf("set session %d: %w", id, err)
	}
	if old := t.session(slot.record); old.ppp() != isPPP(spec.Type) && t.extraNow(old).joined != 0 {
		return fmt.Errorf("set session %d: pseudowire type %v: it is joined with a session of another", id, spec.Type)
	}
	var d session
	d.describe(&spec, r, tun, id)
	e := t.extraNow(t.session(slot.record)).with(&spec, r, len(t.workers))
	f := r.flow()
	if err := t.clashDecap(&f, d.sid, id); err != nil {
		return fmt.Errorf("set session %d: %w", id, err)
	}
	if err := t.clashAC(&d, &e); err != nil {
		return fmt.Errorf("set session %d: %w", id, err)
	}
	if e.joined != 0 && d.port != NoPort {
		t.part(id)
		e.joined = 0
	}
	t.replace(id, &d, e)
	return nil
}

// replace makes d the session's description: new entries first, the old ones' removal last, and
// one store where an entry stays.
func (t *Table) replace(id SessionID, d *session, e extra) {
	slot := t.slots.at(uint32(id))
	oldRecord := slot.record
	old := t.session(oldRecord).description()
	had := t.extraNow(&old)
	t.countOrdered(&had, -1)
	record := t.newSession(d, e)
	slot.record = record

	of, nf := t.tunnels.at(old.tunnel).flow(), t.tunnels.at(d.tunnel).flow()
	oldTag, newTag := t.seeds.tag(&of, old.sid), t.seeds.tag(&nf, d.sid)
	same := of == nf && old.sid == d.sid
	if same {
		t.decap.Load().swap(newTag, oldRecord, record)
	} else {
		put(&t.decap, newTag, record)
	}
	d.acKeys(func(k acKey) bool {
		if tag := t.seeds.acTag(k); old.hasAC(k) {
			t.ac.Load().swap(tag, oldRecord, record)
		} else {
			put(&t.ac, tag, record)
		}
		return true
	})
	t.attach(0, &old, -1)
	t.attach(record, d, 1)
	t.publishPort(d.port)
	if old.port != d.port {
		t.publishPort(old.port)
	}
	old.acKeys(func(k acKey) bool {
		if !d.hasAC(k) {
			t.ac.Load().remove(t.seeds.acTag(k), oldRecord)
		}
		return true
	})
	if !same {
		t.decap.Load().remove(oldTag, oldRecord)
	}
	t.retire(oldRecord)
}

// RemoveSession removes a session. Its id and its counters are used again once every worker has
// finished the batch in which it might still use them.
func (t *Table) RemoveSession(id SessionID) error {
	t.begin()
	defer t.end()
	slot, err := t.sessionSlot(id)
	if err != nil {
		return fmt.Errorf("remove session: %w", err)
	}
	t.part(id)
	record := slot.record
	d := t.session(record)
	t.attach(0, d, -1)
	t.publishPort(d.port)
	d.acKeys(func(k acKey) bool { t.ac.Load().remove(t.seeds.acTag(k), record); return true })
	f := t.tunnels.at(d.tunnel).flow()
	t.decap.Load().remove(t.seeds.tag(&f, d.sid), record)

	if slot.prev != 0 {
		t.slots.at(slot.prev).next = slot.next
	} else {
		t.tunnelIDs.at(uint32(slot.tunnel)).first = slot.next
	}
	if slot.next != 0 {
		t.slots.at(slot.next).prev = slot.prev
	}
	slot.record = 0
	had := t.extraNow(d)
	t.countOrdered(&had, -1)
	t.dismiss(uint32(id))
	t.retire(record)
	t.grace.retire(retiredSlot, uint32(id))
	return nil
}

// Session returns a session as it was set last.
func (t *Table) Session(id SessionID) (SessionSpec, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slot, err := t.sessionSlot(id)
	if err != nil {
		return SessionSpec{}, false
	}
	s := t.session(slot.record).spec()
	s.Tunnel = slot.tunnel
	e := t.extraNow(t.session(slot.record))
	e.addTo(&s)
	return s, true
}
