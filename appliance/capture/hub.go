package capture

import (
	"slices"
	"sync"
	"sync/atomic"

	"xwire/pw"
)

// most is how many captures may run at once.
const most = 8

// Hub has the captures that run. Its Taps belong to the workers, all else is safe for concurrent use.
type Hub struct {
	workers int
	layout  pw.Layout // of the frames' memory
	active  atomic.Pointer[[]*Capture]

	mu sync.Mutex
}

// NewHub is for so many workers, whose frames lie in memory laid out like that.
func NewHub(workers int, l pw.Layout) *Hub { return &Hub{workers: workers, layout: l} }

// longest is more than a frame may have, in bytes.
func (h *Hub) longest() int { return max(h.layout.Chunk, h.layout.Span) }

// Capture collects what its Filter wants from when it is started until it is closed.
type Capture struct {
	Filter
	hub   *Hub
	rings []*ring // by worker
	ready chan struct{}
}

// Start begins a capture; false: there are too many.
func (h *Hub) Start(f Filter) (*Capture, bool) {
	if most := h.longest(); f.Snap <= 0 || f.Snap > most {
		f.Snap = most
	}
	c := &Capture{Filter: f, hub: h, rings: make([]*ring, h.workers), ready: make(chan struct{}, 1)}
	for i := range c.rings {
		c.rings[i] = newRing(f.Snap)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.list()
	if len(list) == most {
		return nil, false
	}
	list = append(slices.Clone(list), c)
	h.active.Store(&list)
	return c, true
}

// Close ends the capture. What it has collected can still be read.
func (c *Capture) Close() {
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(h.list()), func(o *Capture) bool { return o == c })
	if len(list) == 0 {
		h.active.Store(nil)
		return
	}
	h.active.Store(&list)
}

func (h *Hub) list() []*Capture {
	if p := h.active.Load(); p != nil {
		return *p
	}
	return nil
}

// Ready has something in it when there may be records to read.
func (c *Capture) Ready() <-chan struct{} { return c.ready }

// Read calls each for every record that waits, worker by worker, until it returns false.
func (c *Capture) Read(each func(*Record) bool) {
	for _, r := range c.rings {
		for rec := r.next(); rec != nil; rec = r.next() {
			more := each(rec)
			r.done()
			if !more {
				return
			}
		}
	}
}

// Frames is Read by frame: each is called for every frame received, with what was sent of it. Both last
// for the call only. Records of frames that were not received in this capture are left out. It is for
// captures that take everything of what they want.
func (c *Capture) Frames(each func(received *Record, sent []Record) bool) {
	for _, r := range c.rings {
		for first := r.next(); first != nil; first = r.next() {
			if first.Sent {
				r.done()
				continue
			}
			received := *first
			received.Data = slices.Clone(first.Data)
			r.done()
			var sent []Record
			for rec := r.next(); rec != nil && rec.Sent && rec.Drop == ""; rec = r.next() {
				o := *rec
				o.Data = slices.Clone(rec.Data)
				sent = append(sent, o)
				r.done()
			}
			if !each(&received, sent) {
				return
			}
		}
	}
}

// Lost is how many records the reader was too slow for.
func (c *Capture) Lost() (n uint64) {
	for _, r := range c.rings {
		n += r.lost.Load()
	}
	return n
}

// put hands a record to the reader if it is wanted.
func (c *Capture) put(worker int, r *Record, data []byte) {
	if c.takes(r) {
		c.rings[worker].add(r, data)
	}
}

// tell wakes the reader.
func (c *Capture) tell() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}
