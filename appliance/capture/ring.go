package capture

import "sync/atomic"

// ringLen is how many records of one worker may wait for the reader.
const ringLen = 4096

// ring takes records from one worker to one reader. Neither waits for the other.
type ring struct {
	slots []slot
	_     [64]byte
	head  atomic.Uint64 // records put; the worker's
	lost  atomic.Uint64
	_     [48]byte
	tail  atomic.Uint64 // records taken; the reader's
}

type slot struct {
	record Record
	data   []byte
}

func newRing(snap int) *ring {
	r := &ring{slots: make([]slot, ringLen)}
	data := make([]byte, ringLen*snap)
	for i := range r.slots {
		r.slots[i].data = data[i*snap : (i+1)*snap : (i+1)*snap]
	}
	return r
}

// put copies a record, or counts it as lost.
func (r *ring) put(rec *Record, data []byte) {
	head := r.head.Load()
	if head-r.tail.Load() == ringLen {
		r.lost.Add(1)
		return
	}
	s := &r.slots[head%ringLen]
	s.record = *rec
	s.record.Length = len(data)
	s.record.Data = s.data[:copy(s.data, data)]
	r.head.Store(head + 1)
}

// next is the oldest record; it stays until done. nil: there is none.
func (r *ring) next() *Record {
	if tail := r.tail.Load(); tail != r.head.Load() {
		return &r.slots[tail%ringLen].record
	}
	return nil
}

func (r *ring) done() { r.tail.Add(1) }
