package pw

import "sync/atomic"

// epoch is a worker's sign of where it is: odd inside Process, even outside, up by one at either
// door. A worker that is parked outside cannot hold anything.
type epoch struct {
	_ [64]byte
	n atomic.Uint64
	_ [56]byte
}

func (e *epoch) enter() { e.n.Add(1) }
func (e *epoch) leave() { e.n.Add(1) }

// retired is a record, a next hop's state or a slot that was taken out of the tables.
type retired struct {
	what  retiredKind
	index uint32
}

type retiredKind uint8

const (
	retiredSession retiredKind = iota // record
	retiredSlot                       // SessionID
	retiredTunnel                     // record
	retiredTunnelID
	retiredHop // state
	retiredHopID
)

// grace keeps what was taken out of the tables until no worker can have it any more. It waits for
// nothing: whoever changes the table next collects.
type grace struct {
	epochs  []*epoch
	fresh   []retired // since the last snapshot
	waiting []retired // before it
	seen    []uint64  // the snapshot
}

// retire has r collected when every worker has been outside Process once from now on.
func (g *grace) retire(what retiredKind, index uint32) {
	g.fresh = append(g.fresh, retired{what, index})
}

func (g *grace) passed() bool {
	for i, e := range g.epochs {
		if g.seen[i]&1 != 0 && e.n.Load() == g.seen[i] {
			return false
		}
	}
	return true
}

// collect calls free for what no worker can have, in the order in which it was retired.
func (g *grace) collect(free func(retired)) {
	for range 2 {
		if len(g.waiting) > 0 {
			if !g.passed() {
				return
			}
			for _, r := range g.waiting {
				free(r)
			}
			g.waiting = g.waiting[:0]
		}
		if len(g.fresh) == 0 {
			return
		}
		g.waiting, g.fresh = g.fresh, g.waiting
		for i, e := range g.epochs {
			g.seen[i] = e.n.Load()
		}
	}
}
