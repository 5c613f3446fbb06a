package rings

import "sync/atomic"

// fillRing gives empty frames to the kernel. We produce, the kernel consumes. It belongs to one
// worker; nothing here may be called by two goroutines at once.
type fillRing struct {
	producer *uint32  // only we write it
	consumer *uint32  // only the kernel writes it; it may lag behind what the kernel has taken
	flags    *uint32  // the kernel's need-wakeup flag
	entries  []uint64 // a power of two of them
	mask     uint32

	next uint32 // where we write next; runs ahead of *producer until publish
	seen uint32 // *consumer when last read
}

// room tells how many entries may be written, reading the kernel's cursor only if the last known
// one leaves fewer than want.
func (r *fillRing) room(want uint32) uint32 {
	size := r.mask + 1
	if free := size - (r.next - r.seen); free >= want {
		return free
	}
	// The acquire keeps the entries from being overwritten before the kernel has read them.
	r.seen = atomic.LoadUint32(r.consumer)
	return size - (r.next - r.seen)
}

// put writes one entry. The caller has made sure that there is room. The kernel does not see it
// until publish.
func (r *fillRing) put(addr uint64) {
	r.entries[r.next&r.mask] = addr
	r.next++
}

// publish hands all entries put so far to the kernel: a release, so the kernel sees the entries
// before it sees the cursor.
func (r *fillRing) publish() { atomic.StoreUint32(r.producer, r.next) }

// needWakeup tells whether the kernel sleeps until it is told of new entries.
func (r *fillRing) needWakeup() bool { return atomic.LoadUint32(r.flags)&ringNeedWakeup != 0 }

// visit calls fn for each entry that the kernel has not been seen to take.
func (r *fillRing) visit(fn func(addr uint64)) {
	for i := atomic.LoadUint32(r.consumer); i != r.next; i++ {
		fn(r.entries[i&r.mask])
	}
}
