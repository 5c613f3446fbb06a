package rings

// SpanSize is the size of a span in bytes: that many consecutive bytes of the arena, of whole chunks, take one
// jumbo frame with its headroom.
const SpanSize = 12288

// spanCache is one goroutine's free spans, and its view of what all share of them. Drivers receive a jumbo
// frame into several chunks; in a span it lies in one piece, as all others, and is sent from there in
// one descriptor a chunk. The entry of the first chunk in the owner table is that of the span. What is
// sent belongs to the kernel chunk by chunk.
type spanCache struct {
	cache          // of span numbers
	first   uint64 // chunk where the spans begin; the number of chunks if there are none
	run     uint32 // chunks in a span
	owners  []owner
	sending []uint8 // by span: chunks that are to come back from the kernel; who sends writes it
}

// newSpans makes the spans that lie behind chunk first, all free, for so many caches.
func newSpans(owners []owner, first uint64, n, caches, run int) spanCache {
	s := spanCache{first: first, run: uint32(run), owners: owners, sending: make([]uint8, n)}
	s.depot = newDepot(n, caches)
	for chunk := first; chunk < first+uint64(n*run); chunk++ {
		if (chunk-first)%uint64(run) != 0 {
			owners[chunk] = ownerTail
		}
	}
	return s
}

// another is a cache of the same spans for another goroutine.
func (s *spanCache) another() spanCache {
	return spanCache{cache: cache{depot: s.depot}, first: s.first, run: s.run, owners: s.owners, sending: s.sending}
}

// none tells that the arena has no spans.
func (s *spanCache) none() bool { return len(s.sending) == 0 }

// home is the chunk whose entry in the owner table is that of a frame that begins in chunk.
func (s *spanCache) home(chunk uint64) uint64 {
	if chunk < s.first {
		return chunk
	}
	return chunk - (chunk-s.first)%uint64(s.run)
}

// take makes a free span one that is being filled, and gives its first chunk.
func (s *spanCache) take() (chunk uint32, ok bool) {
	n, ok := s.get()
	if !ok {
		return 0, false
	}
	chunk = uint32(s.first) + n*s.run
	s.owners[chunk] = ownerGather
	return chunk, true
}

// free gives a span back in which chunk lies.
func (s *spanCache) free(chunk uint32) {
	head := s.home(uint64(chunk))
	s.owners[head] = ownerPool
	s.put(uint32(head-s.first) / s.run)
}

// sent takes a chunk of a span back from the kernel, and the span with the last one.
func (s *spanCache) sent(chunk uint32) {
	s.owners[chunk] = ownerTail
	n := (chunk - uint32(s.first)) / s.run
	if s.sending[n]--; s.sending[n] == 0 {
		s.free(chunk)
	}
}

// lost lists the first chunks of spans that nobody can have.
func (s *spanCache) lost() (heads []uint64) {
	for n, sending := range s.sending {
		if head := s.first + uint64(n)*uint64(s.run); s.owners[head] == ownerTail && sending == 0 {
			heads = append(heads, head)
		}
	}
	return heads
}

// visitSpans calls fn with the first chunk of each free span. Nobody may use them meanwhile.
func (f *Fabric) visitSpans(fn func(frame uint32)) {
	visit := func(n uint32) { fn(uint32(f.spans.first) + n*f.spans.run) }
	f.spans.depot.visit(visit)
	caches := []*cache{&f.spans.cache}
	for _, w := range f.workers {
		caches = append(caches, &w.spans.cache)
	}
	for _, c := range caches {
		for _, n := range c.frames[:c.n] {
			visit(n)
		}
	}
}

// pieces is the number of descriptors that a frame takes which goes beyond its first chunk: 0 if it goes
// beyond its span too, lies in none, or has no length.
func (w *worker) pieces(f Frame) uint32 {
	if f.Addr>>w.shift < w.spans.first {
		return 0
	}
	head := w.spans.home(f.Addr>>w.shift) << w.shift
	if f.Len == 0 || f.Addr-head+uint64(f.Len) > SpanSize {
		return 0
	}
	chunk := uint64(1)<<w.shift - 1
	return uint32((f.Addr&chunk + uint64(f.Len) + chunk) >> w.shift)
}

// putSpan puts a frame in a span into the TX ring, one descriptor a chunk.
func (w *worker) putSpan(s *socket, f Frame, pieces uint32) {
	chunk := f.Addr >> w.shift
	head := w.spans.home(chunk)
	w.owners[head] = ownerTail // it need not be among those that are sent
	w.spans.sending[uint32(head-w.spans.first)/w.spans.run] = uint8(pieces)
	for addr, left := f.Addr, f.Len; ; chunk++ {
		w.owners[chunk] = s.queue.transmitOwner
		n := uint32((chunk+1)<<w.shift - addr)
		if n >= left {
			s.tx.put(addr, left)
			return
		}
		s.tx.putMore(addr, n)
		addr, left = addr+uint64(n), left-n
	}
}
