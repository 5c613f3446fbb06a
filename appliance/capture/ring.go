package capture

import "sync/atomic"

// ringLen is how many records of one worker may wait for the reader.
const ringLen = 4096

// ring takes records from one worker to one reader. Neither waits for the other.
type ring struct {
	slots []slot
	put   uint64 // records put, published or not; the worker's
	_     [64]byte
	head  atomic.Uint64 // records published
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

// add copies a record, or counts it as lost. The reader sees it after publish: what became of a frame
// comes together with it.
func (r *ring) add(rec *Record, data []byte) {
	if r.put-r.tail.Load() == ringLen {
		r.lost.Add(1)
		return
	}
	s := &r.slots[r.put%ringLen]
	s.record = *rec
	s.record.Length = len(data)
	s.record.Data = s.data[:copy(s.data, data)]
	r.put++
}

func (r *ring) publish() { r.head.Store(r.put) }

// next is the oldest record; it stays until done. nil: there is none.
func (r *ring) next() *Record {
	if tail := r.tail.Load(); tail != r.head.Load() {
		return &r.slots[tail%ringLen].record
	}
	return nil
}

func (r *ring) done() { r.tail.Add(1) }
