package pw

// SpareSpans tells how many free spans the forwarder has, to put long frames together in.
func (f *Forwarder) SpareSpans() int { return len(f.spareSpans) }

// SupplySpans gives the forwarder free spans, by the address of a byte with room for headers before it. Like
// chunks of Supply, those it has used come back as frames that were not in the batch; the chunk whose data such
// a frame took over comes back too.
func (f *Forwarder) SupplySpans(free []uint64) { f.spareSpans = append(f.spareSpans, free...) }

// widen sees to it that a frame that is held has room for n bytes: where its chunk has not, it moves to a span,
// and the chunk goes back as one whose data are elsewhere. False: there is no room.
func (f *Forwarder) widen(mem []byte, fr *Frame, n uint32) bool {
	end := f.layout.End(fr.Addr)
	if fr.Addr+uint64(n) <= end {
		return true
	}
	last := len(f.spareSpans) - 1
	if last < 0 || fr.Addr >= f.layout.Spans || f.spareSpans[last]+uint64(n) > f.layout.End(f.spareSpans[last]) {
		return false
	}
	addr := f.spareSpans[last]
	f.spareSpans = f.spareSpans[:last]
	copy(mem[addr:], mem[fr.Addr:end])
	old := *fr
	f.merged(&old)
	f.emit(old)
	f.unsettled = true
	fr.Addr = addr
	return true
}
