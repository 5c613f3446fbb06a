package nexthop

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// round asks the kernel about keys that wait for it, computes their hops and reports what became
// different. more means that keys are left for another round.
func (w *Watcher) round() (more bool, err error) {
	w.mu.Lock()
	if w.lost {
		if err := w.readTables(); err != nil {
			w.mu.Unlock()
			return true, err
		}
	}
	if w.sweeping {
		w.sweep()
	}
	batch := w.take()
	questions, vrfs := w.questions(batch)
	w.lookups += uint64(len(batch))
	w.mu.Unlock()

	err = w.ask(batch, questions, vrfs)

	w.mu.Lock()
	if err != nil { // nothing was learnt
		for _, e := range batch {
			w.soon(e)
		}
		w.mu.Unlock()
		return true, err
	}
	now := time.Now()
	var changed []Hop
	update := func(e *entry) {
		if e.gone || !e.asked {
			return
		}
		hop := w.hop(e)
		if e.told && hop.same(&e.hop) {
			return
		}
		hop.Since = now
		e.hop, e.told = hop, true
		changed = append(changed, hop)
	}
	for _, e := range batch {
		delete(w.compute, e)
		update(e)
	}
	for e := range w.compute {
		update(e)
	}
	clear(w.compute)
	errands := w.errands(now)
	more = len(w.urgent)+len(w.lazy) > 0
	vlans := w.vlansMoved()
	w.mu.Unlock()

	w.run(errands)
	if vlans && w.config.OnVLANs != nil {
		w.config.OnVLANs() // first: a hop through a new device brings answers back the same way
	}
	if len(changed) > 0 && w.config.OnChange != nil {
		w.config.OnChange(changed)
	}
	return more, nil
}

// readTables reads links and neighbours whole and queues every key. The lock is held meanwhile, so
// that notifications wait and are applied on top.
func (w *Watcher) readTables() error {
	byIndex, neighbours := map[int]link{}, map[neighKey]neighbour{}
	err := w.conn.dump(unix.RTM_GETLINK, make([]byte, sizeofIfInfo), func(m message) {
		if l, ok := parseLink(m.body); ok {
			byIndex[l.index] = l
		}
	})
	if err != nil {
		return fmt.Errorf("read links: %w", err)
	}
	err = w.conn.dump(unix.RTM_GETNEIGH, make([]byte, sizeofNdMsg), func(m message) {
		if k, n, ok := parseNeighbour(m.body); ok {
			neighbours[k] = n
		}
	})
	if err != nil {
		return fmt.Errorf("read neighbours: %w", err)
	}
	w.links.byIndex, w.neighbours, w.lost, w.relinked = byIndex, neighbours, false, true
	w.syncs++
	for k := range w.wants {
		w.restless[k] = struct{}{}
	}
	w.sweep()
	return nil
}

func (w *Watcher) take() []*entry {
	n := min(len(w.urgent), roundKeys)
	batch := slices.Clone(w.urgent[:n])
	w.urgent = slices.Delete(w.urgent, 0, n)
	n = min(len(w.lazy), roundKeys-n)
	batch = append(batch, w.lazy[:n]...)
	w.lazy = slices.Delete(w.lazy, 0, n)
	batch = slices.DeleteFunc(batch, func(e *entry) bool { return e.gone })
	for _, e := range batch {
		e.dirty = false
	}
	return batch
}

// questions prepares what to ask; vrfs[i] is false when the VRF of batch[i] does not exist.
func (w *Watcher) questions(batch []*entry) (qs []question, vrfs []bool) {
	qs, vrfs = make([]question, len(batch)), make([]bool, len(batch))
	known := map[string]int{"": 0}
	for i, e := range batch {
		oif, ok := known[e.key.VRF]
		if !ok {
			oif = w.links.vrf(e.key.VRF)
			known[e.key.VRF] = oif
		}
		vrfs[i] = e.key.VRF == "" || oif != 0
		if zone := e.peer.Zone(); zone != "" {
			for index, l := range w.links.byIndex {
				if l.name == zone {
					oif = index
				}
			}
		}
		qs[i] = question{peer: e.peer, local: e.local, oif: oif}
	}
	return qs, vrfs
}

// ask fills the entries with the kernel's answers. Only Run's goroutine touches these fields.
func (w *Watcher) ask(batch []*entry, qs []question, vrfs []bool) error {
	type source struct {
		addr netip.Addr
		oif  int
	}
	number := map[source]int{}
	var localQuestions []question
	for _, q := range qs {
		if s := (source{q.local, q.oif}); q.local.IsValid() {
			if _, ok := number[s]; !ok {
				number[s] = len(localQuestions)
				localQuestions = append(localQuestions, question{peer: q.local, oif: q.oif})
			}
		}
	}
	localRoutes, err := askRoutes(w.conn, localQuestions)
	if err != nil {
		return err
	}
	routes, err := askRouteMTUs(w.conn, qs)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, e := range batch {
		e.vrfGone, e.route, e.asked, e.isLocal = !vrfs[i], routes[i], true, true
		if q := qs[i]; q.local.IsValid() {
			r := localRoutes[number[source{q.local, q.oif}]]
			e.isLocal = r.errno == 0 && r.typ == unix.RTN_LOCAL
		}
	}
	return nil
}

// hop computes the answer for a key out of the kernel's route and the tables. The caller holds the lock.
func (w *Watcher) hop(e *entry) Hop {
	h := Hop{Key: e.key}
	var devs []int
	var needs neighKey
	defer func() { w.through(e, devs); w.need(e, needs) }()
	fail := func(s State, format string, args ...any) Hop {
		h.State, h.Reason = s, fmt.Sprintf(format, args...)
		return h
	}
	r := e.route
	switch {
	case !e.peer.IsValid():
		return fail(NoRoute, "the peer has no address")
	case e.local.IsValid() && e.local.Is4() != e.peer.Is4():
		return fail(NoRoute, "%v and %v are not of one family", e.local, e.peer)
	case e.vrfGone:
		return fail(NoRoute, "vrf %s does not exist", e.key.VRF)
	case !e.isLocal && e.key.VRF != "":
		return fail(NoAddress, "%v is no address of this box in vrf %s, or not usable yet", e.local, e.key.VRF)
	case !e.isLocal:
		return fail(NoAddress, "%v is no address of this box, or not usable yet", e.local)
	case r.errno != 0:
		return fail(NoRoute, "no route to %v: %v", e.peer, r.errno)
	case reject(r.typ) != "":
		return fail(NoRoute, "route to %v %s", e.peer, reject(r.typ))
	case r.typ == unix.RTN_LOCAL:
		return fail(NotAPort, "%v is an address of this box", e.peer)
	case r.typ != unix.RTN_UNICAST:
		return fail(NotAPort, "%v is a broadcast or multicast address", e.peer)
	}
	s := w.links.resolve(r.dev, e.peer, salt(e.key))
	devs = s.devs
	dev := w.links.byIndex[r.dev]
	h.Ifindex, h.Tags, h.MTU, h.Src = s.port, s.tags, s.mtu, dev.addr
	if r.mtu > 0 {
		h.MTU = min(h.MTU, r.mtu)
	}
	switch {
	case s.state != Resolved:
		h.State, h.Reason = s.state, s.reason
		return h
	case dev.arphrd != arphrdEther:
		return fail(NotAPort, "route to %v leaves by %s, which is no Ethernet device", e.peer, dev.name)
	}
	// What the kernel puts into frames of devices that resolve nothing.
	if dev.flags&unix.IFF_NOARP != 0 {
		h.Dst = dev.addr
		return h
	}
	if dev.flags&unix.IFF_POINTOPOINT != 0 && e.peer.Is4() {
		h.Dst = dev.bcast
		return h
	}
	target := r.gateway
	if !target.IsValid() || target.IsUnspecified() {
		target = e.peer
	}
	needs = neighKey{dev: r.dev, addr: target.WithZone("")}
	n, known := w.neighbours[needs]
	switch {
	case n.valid():
		h.Dst = n.mac
		return h
	case known && n.state&unix.NUD_FAILED != 0:
		return fail(NoNeighbour, "%v does not answer on %s", needs.addr, dev.name)
	}
	h.Pending = true
	return fail(NoNeighbour, "%v is being resolved on %s", needs.addr, dev.name)
}
