package pw

import "sync/atomic"

// Records live in chunks that never move and never go away, so growing copies nothing and disturbs
// no worker.
const (
	chunkBits = 12
	chunkLen  = 1 << chunkBits
	maxChunks = 4096

	maxRecords = maxChunks * chunkLen
	// maxIDs is how many sessions, tunnels or next hops there can be: so many fewer than records
	// that a change always finds one.
	maxIDs = maxRecords / 2
)

// array is a sparse array of records. A chunk's pointer is stored before any index into it is
// published, so workers always find it.
type array[T any] [maxChunks]atomic.Pointer[[chunkLen]T]

// at returns record i, of a chunk that exists.
func (a *array[T]) at(i uint32) *T {
	return &a[i>>chunkBits%maxChunks].Load()[i%chunkLen]
}

// reach makes sure that record i exists.
func (a *array[T]) reach(i uint32) {
	if p := &a[i>>chunkBits%maxChunks]; p.Load() == nil {
		p.Store(new([chunkLen]T))
	}
}

// has tells whether record i's chunk exists.
func (a *array[T]) has(i uint32) bool { return a[i>>chunkBits%maxChunks].Load() != nil }

// numbers gives out indexes; the writer's side. Index 0 is given out first, by whoever makes the
// table, and stands for "none" ever after.
type numbers struct {
	next uint32
	free []uint32
}

// take returns an unused index.
func (s *numbers) take() uint32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i
	}
	i := s.next
	s.next++
	return i
}

// full tells that there are as many as there may be.
func (s *numbers) full() bool { return len(s.free) == 0 && s.next > maxIDs }

func (s *numbers) give(i uint32) { s.free = append(s.free, i) }

// given tells whether i was ever given out.
func (s *numbers) given(i uint32) bool { return i != 0 && i < s.next }

// store is an array with the numbers of its records.
type store[T any] struct {
	array[T]
	numbers
}

// take returns the index of an unused record.
func (s *store[T]) take() uint32 {
	i := s.numbers.take()
	s.reach(i)
	return i
}
