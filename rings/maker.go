package rings

// Maker is a Handler that sometimes gives out more frames than it was given. Before each batch the
// worker fills up its store of free chunks to twice the size of a batch, as far as there are any. What
// it makes in one of them it gives out like any other frame; counters show it as injected in the name
// of the frame's In.
type Maker interface {
	Handler
	// Spares tells how many free chunks it has.
	Spares() int
	// Supply gives it chunks, by the address of the byte behind their headroom. They are its own
	// until it gives them out in a frame.
	Supply(free []uint64)
}

// SpanMaker is a Maker that can use free spans too, on a fabric that has any: the address of each is that of the
// byte behind its headroom.
type SpanMaker interface {
	Maker
	SpareSpans() int
	SupplySpans(free []uint64)
}

const (
	// spareBatches is how many batches of spare chunks a Maker has.
	spareBatches = 2
	// jumboSpareBatches is that on a fabric that has spans: a frame of 9000 bytes is seven of 1500.
	jumboSpareBatches = 6
	// spareSpans is how many spare spans a SpanMaker has.
	spareSpans = 32
)

// provide fills a Maker's store.
func (w *worker) provide() {
	if free := w.setAside(w.spare-w.maker.Spares(), w.cache.get); len(free) > 0 {
		w.maker.Supply(free)
	}
	if w.spanMaker == nil {
		return
	}
	if free := w.setAside(spareSpans-w.spanMaker.SpareSpans(), w.spans.take); len(free) > 0 {
		w.spanMaker.SupplySpans(free)
	}
}

// setAside takes up to n free chunks or spans, which are the handler's from then on. They are told until the
// next call.
func (w *worker) setAside(n int, take func() (uint32, bool)) []uint64 {
	free := w.spares[:0]
	for len(free) < n {
		chunk, ok := take()
		if !ok {
			break
		}
		w.owners[chunk] = ownerSpare
		free = append(free, uint64(chunk)<<w.shift+headroom)
	}
	return free
}

// made takes a frame from the handler that was made in a spare chunk or span.
func (w *worker) made(f Frame) {
	w.owners[w.spans.home(f.Addr>>w.shift)] = ownerHeld
	c := w.account(f.In)
	c.injected.add(1)
	c.taken.add(1)
}
