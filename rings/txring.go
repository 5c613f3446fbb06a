package rings

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// txRing gives frames to the kernel to be sent. We produce, the kernel consumes. It belongs to one
// worker; nothing here may be called by two goroutines at once.
type txRing struct {
	producer *uint32        // only we write it
	consumer *uint32        // only the kernel writes it; it may lag behind what the kernel has taken
	flags    *uint32        // the kernel's need-wakeup flag
	entries  []unix.XDPDesc // a power of two of them
	mask     uint32

	next uint32 // where we write next; runs ahead of *producer until publish
	seen uint32 // *consumer when last read
}

// room tells how many descriptors may be written, reading the kernel's cursor only if the last
// known one leaves fewer than want.
func (r *txRing) room(want uint32) uint32 {
	size := r.mask + 1
	if free := size - (r.next - r.seen); free >= want {
		return free
	}
	r.pending()
	return size - (r.next - r.seen)
}

// put writes one descriptor. The caller has made sure that there is room. The kernel does not see
// it until publish.
func (r *txRing) put(addr uint64, length uint32) {
	r.entries[r.next&r.mask] = unix.XDPDesc{Addr: addr, Len: length}
	r.next++
}

// putMore is put for a descriptor whose frame goes on in the next one.
func (r *txRing) putMore(addr uint64, length uint32) {
	r.entries[r.next&r.mask] = unix.XDPDesc{Addr: addr, Len: length, Options: unix.XDP_PKT_CONTD}
	r.next++
}

// publish hands all descriptors put so far to the kernel: a release, so the kernel sees frames and
// descriptors before it sees the cursor.
func (r *txRing) publish() { atomic.StoreUint32(r.producer, r.next) }

// pending tells how many descriptors the kernel has not been seen to take.
func (r *txRing) pending() uint32 {
	// The acquire keeps descriptors from being overwritten before the kernel has read them.
	r.seen = atomic.LoadUint32(r.consumer)
	return r.next - r.seen
}

// needWakeup tells whether the kernel sends only when told to. The load cannot pass the store of
// publish (both are sequentially consistent), or a wake-up could be missed.
func (r *txRing) needWakeup() bool { return atomic.LoadUint32(r.flags)&ringNeedWakeup != 0 }

// visit calls fn for each descriptor that the kernel has not been seen to take.
func (r *txRing) visit(fn func(addr uint64)) {
	for i := atomic.LoadUint32(r.consumer); i != r.next; i++ {
		fn(r.entries[i&r.mask].Addr)
	}
}
