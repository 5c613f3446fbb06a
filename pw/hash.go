package pw

import (
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
)

// index is a hash table from 32-bit tags to record indexes for one writer and many readers
// without locks. An entry is tag<<32 | index in one word, so that a reader sees it whole. A tag's
// place follows from the tag alone: a larger index is built from the entries of the smaller one
// in one sequential pass, without looking at the records. Tags of different keys may be equal;
// whoever reads an index compares the key with the record, and goes on after a wrong one.
//
// A search begins at a group of four entries, which lie in one cache line, and goes on from there entry
// by entry, into the next groups if need be.
//
// Removal leaves a mark, so an entry never moves and a reader never misses one. The marks go when
// an insertion uses them again or the index is rebuilt.
type index struct {
	entries []uint64
	used    int // entries and marks; the writer's
	live    int
}

// removed is an entry that no reader takes: record 0 is never in use.
const removed = 1 << 32

const (
	minIndex = 64
	group    = 4 // entries
)

func newIndex(n int) *index {
	return &index{entries: make([]uint64, (max(n, minIndex)+group-1)/group*group)}
}

// start is where a tag's search begins.
func (x *index) start(tag uint32) uint32 {
	return uint32(uint64(tag)*uint64(len(x.entries)/group)>>32) * group
}

// first returns the first record index of the tag, and where it stands; record 0 is none.
func (x *index) first(tag uint32) (record, place uint32) { return x.search(tag, x.start(tag)) }

// behind goes on behind the record that a search of the tag has found.
func (x *index) behind(tag, record uint32) (next uint32) {
	if i := x.place(tag, record); i >= 0 {
		next, _ = x.next(tag, uint32(i))
	} else {
		next, _ = x.first(tag) // it has just been removed, and may be somewhere else
	}
	return next
}

// next goes on behind a place.
func (x *index) next(tag, place uint32) (record, after uint32) { return x.search(tag, place+1) }

func (x *index) search(tag, i uint32) (record, place uint32) {
	for ; ; i++ {
		if uint64(i) >= uint64(len(x.entries)) {
			i = 0
		}
		e := atomic.LoadUint64(&x.entries[i])
		if uint32(e>>32) == tag && e != removed {
			return uint32(e), i
		}
		if e == 0 {
			return 0, i
		}
	}
}

// place returns where the entry is, or -1.
func (x *index) place(tag, record uint32) int {
	want := uint64(tag)<<32 | uint64(record)
	for i := int(x.start(tag)); ; i++ {
		if i == len(x.entries) {
			i = 0
		}
		switch e := x.entries[i]; e {
		case want:
			return i
		case 0:
			return -1
		}
	}
}

// full tells that one insertion more would make searches long: then grown is due.
func (x *index) full() bool { return (x.used+1)*4 > len(x.entries)*3 }

// grown returns a copy without marks, half full.
func (x *index) grown() *index {
	g := newIndex(2 * (x.live + 1))
	for _, e := range x.entries {
		if e != 0 && e != removed {
			g.insert(uint32(e>>32), uint32(e))
		}
	}
	return g
}

// insert adds an entry that is not there, to an index that is not full.
func (x *index) insert(tag, record uint32) {
	for i := int(x.start(tag)); ; i++ {
		if i == len(x.entries) {
			i = 0
		}
		e := x.entries[i]
		if e != 0 && e != removed {
			continue
		}
		if e == 0 {
			x.used++
		}
		x.live++
		atomic.StoreUint64(&x.entries[i], uint64(tag)<<32|uint64(record))
		return
	}
}

// swap makes an entry lead to another record, in one store.
func (x *index) swap(tag, from, to uint32) {
	if i := x.place(tag, from); i >= 0 {
		atomic.StoreUint64(&x.entries[i], uint64(tag)<<32|uint64(to))
	}
}

// remove takes an entry out.
func (x *index) remove(tag, record uint32) {
	i := x.place(tag, record)
	if i < 0 {
		return
	}
	x.live--
	atomic.StoreUint64(&x.entries[i], removed)
}

// seeds make hashes unforeseeable for those who choose addresses and ids.
type seeds [6]uint64

func newSeeds() (s seeds) {
	for i := range s {
		s[i] = rand.Uint64() | 1
	}
	return s
}

// fold mixes two words into one by a multiplication of full width.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// tagOf makes a tag of a fold. Keys that follow each other come out of one fold evenly or in heaps,
// as the seeds will; the second multiplication leaves no trace of their order.
func tagOf(h uint64) uint32 { return uint32((h ^ h>>32) * 0x9e3779b97f4a7c15 >> 32) }

// tag4 hashes source and destination, ports and session id of a packet over IPv4.
func (s *seeds) tag4(c class, addrs uint64, ports, sid uint32) uint32 {
	return tagOf(fold(addrs^s[0], (uint64(ports)<<32|uint64(sid))^s[1+c&1]))
}

// tag6 hashes the same of a packet over IPv6.
func (s *seeds) tag6(c class, key0, key1, key2, key3 uint64, ports, sid uint32) uint32 {
	a := fold(key0^s[0], key1^s[1]) ^ fold(key2^s[2], key3^s[3])
	return tagOf(fold(a, (uint64(ports)<<32|uint64(sid))^s[4+c&1]))
}

func (s *seeds) tag(f *flow, sid uint32) uint32 {
	if f.class.ip6() {
		return s.tag6(f.class, f.key[0], f.key[1], f.key[2], f.key[3], f.ports, sid)
	}
	return s.tag4(f.class, f.key[0], f.ports, sid)
}

// acKey names the frames of an attachment circuit: port, outer VLAN identifier, inner one or
// anyVID, and PPPoE session id or 0. outer is 0 only with a PPPoE session.
type acKey struct{ port, outer, inner, pppoe uint16 }

func (s *seeds) acTag(k acKey) uint32 {
	w := uint64(k.pppoe)<<48 | uint64(k.port)<<32 | uint64(k.outer)<<16 | uint64(k.inner)
	return tagOf(fold(w^s[0], s[1]))
}
