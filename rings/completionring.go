package rings

import "sync/atomic"

// completionRing gives sent frames back to us. The kernel produces, we consume. It belongs to one
// worker; nothing here may be called by two goroutines at once.
type completionRing struct {
	producer *uint32  // only the kernel writes it
	consumer *uint32  // only we write it
	entries  []uint64 // a power of two of them; the addresses are those of the TX descriptors
	mask     uint32

	next uint32 // what we read next; runs ahead of *consumer until release
	seen uint32 // *producer when last read
}

// available tells how many entries may be read, at most max, reading the kernel's cursor only if
// none are known.
func (r *completionRing) available(max uint32) uint32 {
	if r.seen == r.next {
		// The acquire keeps entries from being read before the kernel has written them.
		r.seen = atomic.LoadUint32(r.producer)
	}
	return min(r.seen-r.next, max)
}

// get reads one entry. The caller has made sure that there is one.
func (r *completionRing) get() uint64 {
	addr := r.entries[r.next&r.mask]
	r.next++
	return addr
}

// release lets the kernel write over all entries read so far: a release, so they are read first.
func (r *completionRing) release() { atomic.StoreUint32(r.consumer, r.next) }

// count tells how many entries are there to be read.
func (r *completionRing) count() int { return int(atomic.LoadUint32(r.producer) - r.next) }

// visit calls fn for each entry not read yet.
func (r *completionRing) visit(fn func(addr uint64)) {
	end := atomic.LoadUint32(r.producer)
	for i := r.next; i != end; i++ {
		fn(r.entries[i&r.mask])
	}
}
