package pw

// Layout tells how the memory of frames is divided: into chunks of one size and, behind them, into spans for
// frames longer than a chunk. A frame has its chunk, or its span, for itself. The zero value has chunks of
// 2,048 bytes and no spans.
type Layout struct {
	Chunk int    // bytes, a power of two, 2,048 at least
	Spans uint64 // where the spans begin, a multiple of 2,048
	Span  int    // bytes, a multiple of 2,048; 0: there are none
}

// End is where the room of the frame ends that begins at addr.
func (l *Layout) End(addr uint64) uint64 {
	if l.Span > 0 && addr >= l.Spans {
		return addr + uint64(l.Span) - (addr-l.Spans)%uint64(l.Span)
	}
	chunk := uint64(max(l.Chunk, minChunk))
	return addr&^(chunk-1) + chunk
}
