package pw

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Table holds the tunnels, sessions, next hops and ports of an appliance. Its methods may be
// called from any goroutine, while the workers' Forwarders run; they exclude each other by a lock
// that no worker takes.
type Table struct {
	mu      sync.Mutex
	grace   grace
	workers []*Forwarder

	// What workers read.
	gen              atomic.Uint64 // up by one before and after every change: odd while there is one
	seeds            seeds
	ports            [MaxPorts]port
	decap, ac, marks atomic.Pointer[index]
	rare             array[rareCounters] // by SessionID
	tunnels          store[tunnel]
	hops             store[nextHop]
	hopNow           array[atomic.Uint32] // by NextHopID: its present state
	extras           extras
	ordered          atomic.Int32 // sessions with ordered state
	keyed            atomic.Int32 // keyed tunnels
	scattered        atomic.Bool  // so many tunnels that their records do not stay in the cache

	// What they do not.
	attached  [MaxPorts]attachments
	sessions  numbers // of records, of which every worker has an array
	slots     store[sessionSlot]
	retired   map[uint32]int  // by SessionID: records that workers may still have
	past      array[Counters] // by SessionID; there are chunks only where a session was changed
	tunnelIDs store[tunnelSlot]
	hopIDs    store[hopSlot]
	markRefs  map[uint64]int // by hash: tunnels that have the part in common
}

// NewTable returns an empty table for a number of workers, each with a Forwarder of its own.
func NewTable(workers int) *Table {
	t := &Table{seeds: newSeeds(), markRefs: make(map[uint64]int), retired: make(map[uint32]int)}
	t.decap.Store(newIndex(0))
	t.ac.Store(newIndex(0))
	t.marks.Store(newIndex(0))
	for i := range workers {
		f := newForwarder(t, i, workers)
		t.workers = append(t.workers, f)
		t.grace.epochs = append(t.grace.epochs, &f.epoch)
	}
	t.grace.seen = make([]uint64, workers)
	for i := range t.attached {
		t.attached[i].publish(&t.ports[i])
	}
	// Index 0 of every store stands for "none" and is never given out; that of the next hops is
	// one that sends nowhere.
	t.newRecord(&session{})
	t.tunnels.take()
	t.takeSlot()
	t.takeTunnelID()
	t.takeHopID()
	t.hops.at(t.hops.take()).describe(&NextHop{Port: NoPort})
	return t
}

// Forwarder returns the one of a worker, which alone may call its methods.
func (t *Table) Forwarder(worker int) *Forwarder { return t.workers[worker] }

// begin locks the table for a change and collects what earlier ones left. Workers learn nothing
// new until end.
func (t *Table) begin() {
	t.mu.Lock()
	t.gen.Add(1)
	t.grace.collect(t.free)
}

// end makes workers forget what they remember of the state before the change.
func (t *Table) end() {
	t.gen.Add(1)
	t.mu.Unlock()
}

func (t *Table) free(r retired) {
	switch r.what {
	case retiredSession:
		t.freeRecord(r.index)
	case retiredSlot:
		t.freeSlot(r.index)
	case retiredTunnel:
		t.tunnels.give(r.index)
	case retiredTunnelID:
		t.freeTunnelID(r.index)
	case retiredHop:
		t.hops.give(r.index)
	case retiredHopID:
		*t.hopIDs.at(r.index) = hopSlot{}
		t.hopIDs.give(r.index)
	}
}

// put adds an entry to an index, which may be replaced by a larger one.
func put(p *atomic.Pointer[index], tag, record uint32) {
	x := p.Load()
	if x.full() {
		x = x.grown()
		x.insert(tag, record)
		p.Store(x)
		return
	}
	x.insert(tag, record)
}

// SetPort tells what a port is. A port that was never set is no core port and has no limit.
func (t *Table) SetPort(p uint16, spec PortSpec) {
	if p >= MaxPorts {
		panic(fmt.Sprintf("pw: port %d of %d", p, MaxPorts))
	}
	t.begin()
	defer t.end()
	t.attached[p].spec = spec
	t.attached[p].publish(&t.ports[p])
}

// PortDrops returns the frames that the port received and that were dropped, by reason.
func (t *Table) PortDrops(p uint16) (sum [NumDrops]uint64) {
	if p >= MaxPorts {
		return sum
	}
	for _, f := range t.workers {
		for i := range sum {
			sum[i] += f.portCounters[p].drops[i].load()
		}
	}
	return sum
}

// PortForwarded returns the frames that the port received and that were given out to a port.
func (t *Table) PortForwarded(p uint16) (sum uint64) {
	if p >= MaxPorts {
		return 0
	}
	for _, f := range t.workers {
		sum += f.portCounters[p].forwarded.load()
	}
	return sum
}
