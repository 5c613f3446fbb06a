package rings

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// rxRing gives received frames to us. The kernel produces, we consume. It belongs to one worker;
// nothing here may be called by two goroutines at once.
type rxRing struct {
	producer *uint32        // only the kernel writes it
	consumer *uint32        // only we write it
	entries  []unix.XDPDesc // a power of two of them
	mask     uint32

	next uint32 // what we read next; runs ahead of *consumer until release
	seen uint32 // *producer when last read
}

// available tells how many frames may be read, at most max, reading the kernel's cursor only if
// none are known.
func (r *rxRing) available(max uint32) uint32 {
	if r.seen == r.next {
		// The acquire keeps frames from being read before the kernel has written them.
		r.seen = atomic.LoadUint32(r.producer)
	}
	return min(r.seen-r.next, max)
}

// get reads one descriptor. The caller has made sure that there is one.
func (r *rxRing) get() unix.XDPDesc {
	desc := r.entries[r.next&r.mask]
	r.next++
	return desc
}

// release lets the kernel write over all descriptors read so far. The frames stay ours.
func (r *rxRing) release() { atomic.StoreUint32(r.consumer, r.next) }

// visit calls fn for each descriptor not read yet.
func (r *rxRing) visit(fn func(addr uint64)) {
	end := atomic.LoadUint32(r.producer)
	for i := r.next; i != end; i++ {
		fn(r.entries[i&r.mask].Addr)
	}
}
