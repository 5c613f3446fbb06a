package rings

// queue is a queue of a port: its fill and completion rings, and what the kernel holds of our
// frames. It belongs to one worker, which alone uses it while it runs.
type queue struct {
	port       *Port
	number     uint32
	worker     int
	slot       uint16
	spread     bool // frames received go to the workers that the handler names
	mute       bool // the interface does not send on it; the kernel would leave its TX ring alone for ever
	fill       *fillRing
	completion *completionRing
	sockets    []*socket
	stock      []uint32 // the frames in the fill ring when the queue was bound

	// Frames entrusted to the kernel and not come back. Neither exceeds the largest quota that it had, which
	// is not above the ring size: RX and completion rings cannot overflow.
	receiving, sending          uint32
	receiveQuota, transmitQuota uint32
	usualQuota, deepQuota       uint32 // one of these is the receiveQuota
	receiveOwner, transmitOwner owner
}

// allow sets the quotas of one of a port's queues.
func (q *queue) allow(c PortConfig) {
	each := uint32(c.Quota / len(c.Queues))
	q.transmitQuota = min(c.RingSize, each/2)
	q.usualQuota, q.deepQuota = q.transmitQuota, min(c.Deep, each-q.transmitQuota)
	q.receiveQuota = q.usualQuota
}

// socket is an AF_XDP socket on a queue. rx is nil for one that only sends.
type socket struct {
	queue  *queue
	kernel kernel
	fd     int // for poll; -1 if there is nothing to poll
	rx     *rxRing
	tx     *txRing

	busyPoll bool
	jumbo    bool      // takes and gives frames of several descriptors
	gathered gathering // the one that is on its way out of the RX ring

	queued  uint32 // put into the TX ring since the last kick
	backlog bool   // the kernel left frames in the TX ring at the last kick
	dirty   bool   // on the worker's list of sockets to kick
	refused uint32 // frames in a row that the driver refused
	stuck   bool   // the kernel took nothing in this round; no more kicks until its end
}

// refill gives the kernel empty frames up to the quota. It tells whether the pool ran dry.
func (q *queue) refill(c *cache, owners []owner, shift uint) (dry bool) {
	if q.receiving >= q.receiveQuota {
		return false
	}
	want := q.receiveQuota - q.receiving
	want = min(want, q.fill.room(want))
	n := uint32(0)
	for ; n < want; n++ {
		frame, ok := c.get()
		if !ok {
			dry = true
			break
		}
		owners[frame] = q.receiveOwner
		q.fill.put(uint64(frame) << shift)
	}
	if n > 0 {
		q.fill.publish()
		q.receiving += n
	}
	return dry
}

// reap takes sent frames back into the cache. It returns the number of frames that came back
// without having been entrusted.
func (q *queue) reap(c *cache, owners []owner, shift uint, spans *spanCache) (foreign int) {
	for q.sending > 0 {
		n := q.completion.available(q.sending)
		if n == 0 {
			break
		}
		for range n {
			frame := q.completion.get() >> shift
			if frame >= spans.first || owners[frame] != q.transmitOwner {
				if frame >= uint64(len(owners)) || owners[frame] != q.transmitOwner {
					foreign++
				} else {
					spans.sent(uint32(frame))
				}
				continue
			}
			owners[frame] = ownerPool
			c.put(uint32(frame))
		}
		q.completion.release()
		q.sending -= n
	}
	return foreign
}
