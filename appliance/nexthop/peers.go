package nexthop

import (
	"net/netip"
	"slices"
)

// entry is one key under watch.
type entry struct {
	key         Key
	peer, local netip.Addr // without IPv4-mapped form; local invalid: any

	isLocal bool // the local address is on the box
	vrfGone bool
	route   route
	asked   bool // route holds an answer

	hop    Hop
	told   bool // hop was reported
	dirty  bool // it is in a queue: the kernel is to be asked
	devs   []int
	needs  neighKey // zero: no neighbour
	gone   bool     // removed
	sortBy netip.Addr
}

func newEntry(k Key) *entry {
	e := &entry{key: k, peer: k.Peer.Unmap(), local: k.Local.Unmap()}
	if e.local.IsUnspecified() {
		e.local = netip.Addr{}
	}
	e.sortBy = e.peer.WithZone("")
	return e
}

// peers finds the keys whose peer lies in a prefix, by binary search.
type peers struct {
	sorted []*entry // by address
	stale  bool
}

func (p *peers) in(all map[Key]*entry, prefix netip.Prefix) []*entry {
	if p.stale {
		p.sorted = p.sorted[:0]
		for _, e := range all {
			p.sorted = append(p.sorted, e)
		}
		slices.SortFunc(p.sorted, func(a, b *entry) int { return a.sortBy.Compare(b.sortBy) })
		p.stale = false
	}
	prefix = prefix.Masked()
	first, _ := slices.BinarySearchFunc(p.sorted, prefix.Addr(), func(e *entry, a netip.Addr) int { return e.sortBy.Compare(a) })
	last := first
	for last < len(p.sorted) && prefix.Contains(p.sorted[last].sortBy) {
		last++
	}
	return p.sorted[first:last]
}
