package pw

import "sync/atomic"

// OAM is a VCCV message (RFC 5085) of a session: its cookie was right and its sublayer has the V bit.
type OAM struct {
	Session SessionID
	Time    int64  // as Process was told when it came
	Message []byte // from the sublayer on
}

// MaxOAM is the longest message that is handed over, in bytes.
const MaxOAM = 512

const oamSlots = 64

// OAMQueue hands one worker's VCCV messages to one reader, as copies: the frames themselves are dropped
// as DropOAM. The worker never waits; what finds no room is lost and counted.
type OAMQueue struct {
	slots [oamSlots]struct {
		session SessionID
		n       uint32
		time    int64
		message [MaxOAM]byte
	}
	put, taken atomic.Uint32
	lost       atomic.Uint64
	came       chan struct{}
}

func newOAMQueue() *OAMQueue { return &OAMQueue{came: make(chan struct{}, 1)} }

// Came receives a value when there is something to Take.
func (q *OAMQueue) Came() <-chan struct{} { return q.came }

// Take gives the oldest message, copied into buf, which should have a capacity of MaxOAM bytes. False:
// there is none. The session may have gone meanwhile.
func (q *OAMQueue) Take(buf []byte) (m OAM, ok bool) {
	at := q.taken.Load()
	if at == q.put.Load() {
		return OAM{}, false
	}
	s := &q.slots[at%oamSlots]
	m = OAM{Session: s.session, Time: s.time, Message: append(buf[:0], s.message[:s.n]...)}
	q.taken.Store(at + 1)
	return m, true
}

// Count returns how many messages were put into the queue, and how many were not: they found it full, or
// were longer than MaxOAM.
func (q *OAMQueue) Count() (handed uint32, lost uint64) { return q.put.Load(), q.lost.Load() }

// add is the worker's.
func (q *OAMQueue) add(session SessionID, message []byte, now int64) {
	at := q.put.Load()
	if at-q.taken.Load() == oamSlots || len(message) > MaxOAM {
		q.lost.Add(1)
		return
	}
	s := &q.slots[at%oamSlots]
	s.session, s.time = session, now
	s.n = uint32(copy(s.message[:], message))
	q.put.Store(at + 1)
	select {
	case q.came <- struct{}{}:
	default:
	}
}

// OAM returns the queue of the worker's VCCV messages, which one goroutine may read.
func (f *Forwarder) OAM() *OAMQueue { return f.oam }
