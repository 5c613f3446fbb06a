package pw

import (
	"fmt"
	"sync/atomic"
	"time"
)

// Sequence is how a session numbers its packets (RFC 3931 section 4.6.1). A session with any of it
// looks at the numbers that it receives: newer packets are accepted at once, older ones dropped. The
// zero value sends none and ignores those of the peer.
type Sequence struct {
	Send    bool // number what is sent
	Require bool // drop what comes without a number
	Follow  bool // begin and cease to number with the peer, as a LAC does (RFC 2661 section 5.4)

	// Reorder is how long a packet waits for those before it; then it is delivered, and those
	// before it are lost. 0: none waits.
	Reorder time.Duration

	// Resync is after how many old packets in order the peer is taken to have begun anew (RFC 3931
	// appendix C). 0 means 4.
	Resync uint8
}

const defaultResync = 4

// maxReorder is the longest that a packet may wait.
const maxReorder = 10 * time.Second

func (s Sequence) wanted() bool { return s.Send || s.Require || s.Follow || s.Reorder != 0 }

func (s Sequence) check() error {
	switch {
	case !s.wanted():
		return nil
	case s.Reorder < 0 || s.Reorder > maxReorder:
		return fmt.Errorf("reorder for %v: must be 0 to %v", s.Reorder, maxReorder)
	}
	return nil
}

// sequence is a session's numbering. What it points to is state. All frames of one direction are one
// worker's, but for a moment when that changes: when a session gets numbers whose frames were anybody's, or
// when its tunnel gets another address. Then two workers may have frames of it at once. So each worker has
// a receiver of its own, the queue is whose frames are in it, and each number is sent once.
type sequence struct {
	Sequence
	mask  uint32 // the largest number
	tx    *sender
	rx    []receiver     // of each worker
	nr    *atomic.Uint32 // next of the receiver that was the last to accept
	queue *queue         // nil: none has ever waited
}

// numberMask is the largest number of the default sublayer, numberMaskV2 that of L2TPv2.
const (
	numberMask   = 0xffffff
	numberMaskV2 = 0xffff
)

// numbering is how a session that was numbered as old goes on when it is set to s.
func (s Sequence) numbering(old *sequence, mask uint32, workers int) *sequence {
	if !s.wanted() {
		return nil
	}
	if s.Resync == 0 {
		s.Resync = defaultResync
	}
	n := &sequence{Sequence: s, mask: mask}
	if old != nil {
		n.tx, n.rx, n.nr, n.queue = old.tx, old.rx, old.nr, old.queue
	} else {
		n.tx, n.rx, n.nr = &sender{}, make([]receiver, workers), new(atomic.Uint32)
	}
	if old == nil || s.Send != old.Send || s.Follow != old.Follow {
		n.tx.on.Store(s.Send)
	}
	if s.Reorder != 0 && n.queue == nil {
		n.queue = &queue{} // from then on: packets may be in it when none is to wait any more
	}
	return n
}

// sends tells whether packets are numbered now.
func (s *sequence) sends() bool {
	if s.Follow {
		return s.tx.on.Load()
	}
	return s.Send
}

// sender has the number of the next packet to be sent, and above the mask whatever is left over of counting.
type sender struct {
	next atomic.Uint32
	on   atomic.Bool // with Follow
}

// take is the number of the packet that is made next. No other packet gets it, whichever workers have frames
// of the session at the time.
func (s *sender) take(mask uint32) uint32 { return (s.next.Add(1) - 1) & mask }

// giveBack is for a number whose packet will not be sent. If another was taken since, it is missing.
func (s *sender) giveBack(n, mask uint32) {
	if now := s.next.Load(); (now-1)&mask == n {
		s.next.CompareAndSwap(now, now-1)
	}
}

// receiver knows which number is to come next. Only its worker writes to it.
type receiver struct {
	next    atomic.Uint32
	started bool
	oldest  uint32 // number of the last packet that was old
	old     uint8  // how many of those came in order

	lost, resyncs atomic.Uint64
}

// rank is what a packet's number says of its turn.
type rank uint8

const (
	inTurn rank = iota
	ahead       // others are to come before it
	past        // its turn was, or another with its number came
	anew        // the peer began anew with it
)

// judge tells a number's rank. It changes nothing unless the packet is past.
func (r *receiver) judge(n, mask uint32, resync uint8) rank {
	switch d := (n - r.next.Load()) & mask; {
	case !r.started:
		return anew
	case d == 0:
		return inTurn
	case d <= mask/2:
		return ahead
	}
	// That the same packet comes over and over is no new beginning.
	if r.old > 0 && n == (r.oldest+1)&mask {
		r.old++
	} else {
		r.old = 1
	}
	r.oldest = n
	if r.old > resync {
		return anew
	}
	return past
}

// accept has a worker's receiver accept a number.
func (s *sequence) accept(worker int, n uint32, how rank) {
	r := &s.rx[worker]
	r.accept(n, s.mask, how)
	s.nr.Store(r.next.Load())
}

// accept makes the number after n the next. Those between next and n are lost.
func (r *receiver) accept(n, mask uint32, how rank) {
	switch {
	case how == ahead:
		r.lost.Add(uint64((n - r.next.Load()) & mask))
	case how == anew && r.started:
		r.resyncs.Add(1)
	}
	r.started, r.old = true, 0
	r.next.Store((n + 1) & mask)
}

// Numbering is where a session's sequence numbers stand.
type Numbering struct {
	Sending bool   // with numbers
	NS      uint32 // of the next packet sent
	NR      uint32 // expected of the next packet received
	Lost    uint64 // numbers that never came, or came when their turn was over
	Resyncs uint64 // times that the peer began anew
}

// Numbering returns where a session's numbers stand. False: it has none.
func (t *Table) Numbering(id SessionID) (Numbering, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slot, err := t.sessionSlot(id)
	if err != nil {
		return Numbering{}, false
	}
	s := t.extraNow(t.session(slot.record)).seq
	if s == nil {
		return Numbering{}, false
	}
	n := Numbering{Sending: s.sends(), NS: s.tx.next.Load() & s.mask, NR: s.nr.Load()}
	for i := range s.rx {
		n.Lost += s.rx[i].lost.Load()
		n.Resyncs += s.rx[i].resyncs.Load()
	}
	return n, true
}
