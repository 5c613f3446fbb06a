package rings

import "time"

const (
	// bracedFor is how long fill rings stay deep after the last reason for it.
	bracedFor = time.Minute
	// stalled is a round so long that the worker was without its CPU: one takes microseconds.
	stalled = time.Millisecond
	// lateFrames in an RX ring when a worker comes back from poll tell of the same: the first wakes it.
	lateFrames = 512
)

// A worker that waits for its CPU receives nothing meanwhile, and what comes then fills the RX ring: 2048
// frames are four milliseconds, a scheduler's tick, at half a million a second. A deep ring has room for
// eight times that. But frames go through the fill ring in turn, and with more of them in it each is out of
// the CPU's caches when it comes back, which costs a tenth of the highest rate. So rings are deep while there
// is reason to expect that workers wait: in the first minute, while the configuration changes, and after a
// worker has waited.

// Brace has all workers deepen their fill rings for the next minute. Call it before work that takes
// CPUs or has the garbage collector run.
func (f *Fabric) Brace() {
	for _, w := range f.workers {
		w.do(func() { w.brace(w.clock.now()) })
	}
}

func (w *worker) brace(now int64) {
	w.setDepth(now + int64(bracedFor))
}

// steady looks at how long the last round took.
func (w *worker) steady(now, took int64) {
	if took > int64(stalled) {
		w.brace(now)
	} else if w.braced != 0 && now > w.braced {
		w.setDepth(0)
	}
}

// late looks, after a sleep, whether it ended when the first frame came.
func (w *worker) late(now int64) {
	for _, s := range w.sockets {
		if s.rx != nil && s.rx.available(lateFrames) == lateFrames {
			w.brace(now)
			return
		}
	}
}

// setDepth makes fill rings deep until a time, or usual for 0. Frames above the quota are not taken
// back: fewer follow them.
func (w *worker) setDepth(until int64) {
	if (until == 0) != (w.braced == 0) {
		for _, q := range w.queues {
			q.setDepth(until != 0)
		}
	}
	w.braced = until
}

func (q *queue) setDepth(deep bool) {
	q.receiveQuota = q.usualQuota
	if deep {
		q.receiveQuota = q.deepQuota
	}
}
