package rings

import "sync/atomic"

// magazineSize is the number of frames that move between a cache and the depot at once.
const magazineSize = 64

// magazine carries free frames while it is on the depot's full list, and nothing while it is on
// the empty one. Whoever popped it owns it.
type magazine struct {
	next   atomic.Uint32 // index+1 of the magazine below it on a list; read by poppers that lose
	n      uint32
	frames [magazineSize]uint32
}

// magazineList is a lock-free stack of magazines. The head holds the top's index+1 in its lower
// half and a tag in its upper half that changes with every operation: a magazine that was popped
// and pushed again meanwhile is not taken for the one that was read.
type magazineList struct {
	head atomic.Uint64
	_    [56]byte
}

// depot holds the free frames that no cache holds.
type depot struct {
	full, empty magazineList
	magazines   []magazine
}

// newDepot makes a depot with frames 0..frames-1, for as many caches.
func newDepot(frames, caches int) *depot {
	full := (frames + magazineSize - 1) / magazineSize
	// Each cache may be between taking a full magazine and giving it back empty.
	d := &depot{magazines: make([]magazine, full+caches+1)}
	for i := range d.magazines {
		m := &d.magazines[i]
		for frame := i * magazineSize; frame < min((i+1)*magazineSize, frames); frame++ {
			m.frames[m.n] = uint32(frame)
			m.n++
		}
		if m.n > 0 {
			d.push(&d.full, uint32(i))
		} else {
			d.push(&d.empty, uint32(i))
		}
	}
	return d
}

func (d *depot) push(l *magazineList, i uint32) {
	for {
		head := l.head.Load()
		d.magazines[i].next.Store(uint32(head))
		if l.head.CompareAndSwap(head, (head>>32+1)<<32|uint64(i+1)) {
			return
		}
	}
}

func (d *depot) pop(l *magazineList) (uint32, bool) {
	for {
		head := l.head.Load()
		if uint32(head) == 0 {
			return 0, false
		}
		i := uint32(head) - 1
		next := d.magazines[i].next.Load()
		if l.head.CompareAndSwap(head, (head>>32+1)<<32|uint64(next)) {
			return i, true
		}
	}
}

// visit calls fn for every frame in the depot. Nobody may use the depot meanwhile.
func (d *depot) visit(fn func(frame uint32)) {
	for next := uint32(d.full.head.Load()); next != 0; next = d.magazines[next-1].next.Load() {
		m := &d.magazines[next-1]
		for _, frame := range m.frames[:m.n] {
			fn(frame)
		}
	}
}

// cacheSize is the largest number of free frames a cache keeps from the others.
const cacheSize = 2 * magazineSize

// cache is one goroutine's own free list. It meets the others only once in magazineSize frames.
type cache struct {
	depot  *depot
	n      int
	frames [cacheSize]uint32
}

// get takes a free frame, the one put last first, for it is the likeliest to be in the CPU's cache.
func (c *cache) get() (frame uint32, ok bool) {
	if c.n == 0 && !c.load() {
		return 0, false
	}
	c.n--
	return c.frames[c.n], true
}

// put gives a free frame back.
func (c *cache) put(frame uint32) {
	if c.n == cacheSize {
		c.spill()
	}
	c.frames[c.n] = frame
	c.n++
}

func (c *cache) load() bool {
	i, ok := c.depot.pop(&c.depot.full)
	if !ok {
		return false
	}
	m := &c.depot.magazines[i]
	c.n = copy(c.frames[:], m.frames[:m.n])
	m.n = 0
	c.depot.push(&c.depot.empty, i)
	return true
}

// spill moves the older half to the depot. There is always an empty magazine: full ones hold
// magazineSize frames each, but for one that was short from the beginning.
func (c *cache) spill() {
	i, ok := c.depot.pop(&c.depot.empty)
	if !ok {
		panic("rings: more free frames than the arena has")
	}
	m := &c.depot.magazines[i]
	m.n = uint32(copy(m.frames[:], c.frames[:magazineSize]))
	c.n = copy(c.frames[:], c.frames[magazineSize:])
	c.depot.push(&c.depot.full, i)
}
