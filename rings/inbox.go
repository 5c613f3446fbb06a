package rings

import "sync/atomic"

// inbox carries frames from one worker to another: a ring with a single producer and a single
// consumer. Each side's cursors lie on cache lines of their own.
type inbox struct {
	frames []Frame
	mask   uint32
	_      [64]byte

	tail atomic.Uint32 // published by the producer
	next uint32        // producer: where it writes next
	show uint32        // producer: tail when last published
	free uint32        // producer: head when last read
	_    [64]byte

	head atomic.Uint32 // published by the consumer
	read uint32        // consumer: what it reads next
	seen uint32        // consumer: tail when last read
	_    [64]byte
}

// newInbox makes an inbox for size frames, a power of two.
func newInbox(size uint32) *inbox {
	return &inbox{frames: make([]Frame, size), mask: size - 1}
}

// put adds a frame, if there is room. The consumer does not see it until publish.
func (b *inbox) put(f Frame) bool {
	if b.next-b.free > b.mask {
		b.free = b.head.Load()
		if b.next-b.free > b.mask {
			return false
		}
	}
	b.frames[b.next&b.mask] = f
	b.next++
	return true
}

// publish shows the consumer all frames put so far.
func (b *inbox) publish() {
	b.tail.Store(b.next)
	b.show = b.next
}

// pressing tells the producer that frames not published yet fill half of the inbox.
func (b *inbox) pressing() bool { return b.next-b.show > b.mask/2 }

// take moves at most len(dst) frames to dst and tells how many.
func (b *inbox) take(dst []Frame) int {
	if b.seen == b.read {
		b.seen = b.tail.Load()
		if b.seen == b.read {
			return 0
		}
	}
	n := min(int(b.seen-b.read), len(dst))
	for i := range dst[:n] {
		dst[i] = b.frames[b.read&b.mask]
		b.read++
	}
	b.head.Store(b.read)
	return n
}

// empty tells the consumer whether there is nothing to take.
func (b *inbox) empty() bool { return b.read == b.tail.Load() }

// visit calls fn for each frame in the inbox. Neither side may use it meanwhile.
func (b *inbox) visit(fn func(addr uint64)) {
	for i := b.read; i != b.next; i++ {
		fn(b.frames[i&b.mask].Addr)
	}
}
