package rings

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// WorkerConfig describes one worker.
type WorkerConfig struct {
	CPU     int     // to pin it to; negative: not pinned. CPUs may repeat
	Handler Handler // a Spreader for ports with Spread
}

// egress is a worker's way to a port: a socket of its own, or another worker's inbox.
type egress struct {
	socket *socket
	via    *inbox
	target *worker // who empties via
}

// worker carries frames: receive, inbox, timers, send, and park when there is nothing to do. All
// but the fields below the line belong to its goroutine while it runs, and to the control side,
// under mu, while it does not.
type worker struct {
	index    int
	cpu      int
	fabric   *Fabric
	handler  Handler
	spreader Spreader // the handler, if it is one
	keeper   Keeper   // likewise
	maker    Maker    // likewise
	watcher  Watcher  // likewise
	clock    clock

	spanMaker SpanMaker // likewise, if there are spans
	spare     int       // chunks that a maker is to have

	memory []byte
	owners []owner
	shift  uint
	batch  int
	held   int // the most frames the handler may hold
	cache  cache
	spans  spanCache

	queues    []*queue
	sockets   []*socket
	egress    [maxPorts]egress
	ports     [maxPorts + 1]*portCounters
	in, out   []Frame
	to        []uint8   // by frame of in: who is to process it
	unsent    []*socket // with descriptors that no kick has told of
	unposted  []*worker // with frames in our inbox to them that are not published
	posted    []bool    // by worker: is on unposted
	inboxes   []*inbox  // from each other worker; nil from ourselves
	outboxes  []*inbox  // to each other worker; nil to ourselves
	injected  *inbox    // from the control side
	spares    []uint64  // on their way to the maker
	starved   bool      // the pool was dry when a fill ring wanted frames
	polled    []unix.PollFd
	pollOwner []*socket // by index in polled
	timeout   unix.Timespec
	busyPolls bool  // some socket does
	lastMoved int64 // of a worker that busy-polls: when a round last had something to do
	braced    int64 // until when fill rings are deep; 0: they are not
	scratch   [8]byte
	counters  *workerCounters

	// Shared with the control side and other workers.
	eventfd   int
	bell      [8]byte // what is written to it: a count above zero; never changes
	parked    atomic.Uint32
	mailed    atomic.Bool
	stop      atomic.Bool
	preferred atomic.Bool
	mu        sync.Mutex
	running   bool
	mail      []func()
}

// post has fn called between two rounds of the worker, or at once if it does not run. The channel
// returned is closed after that.
func (w *worker) post(fn func()) <-chan struct{} {
	if done := w.leaveMail(fn); done != nil {
		return done
	}
	done := make(chan struct{})
	w.mu.Lock()
	if w.running { // by now
		w.mu.Unlock()
		return w.post(fn)
	}
	fn()
	w.mu.Unlock()
	close(done)
	return done
}

// leaveMail is post for a worker that runs, and nil otherwise.
func (w *worker) leaveMail(fn func()) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.running {
		return nil
	}
	done := make(chan struct{})
	w.mail = append(w.mail, func() { fn(); close(done) })
	w.mailed.Store(true)
	w.wake()
	return done
}

// do is post, and waits.
func (w *worker) do(fn func()) { <-w.post(fn) }

func (w *worker) readMail() {
	w.mu.Lock()
	mail := w.mail
	w.mail = nil
	w.mailed.Store(false)
	w.mu.Unlock()
	for _, fn := range mail {
		fn()
	}
}

// run is the worker's goroutine. The thread ends with it, and its affinity too.
func (w *worker) run(started chan<- error) {
	runtime.LockOSThread()
	if w.cpu >= 0 {
		var set unix.CPUSet
		set.Set(w.cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			started <- fmt.Errorf("pin worker %d to CPU %d: %w", w.index, w.cpu, err)
			return
		}
	}
	w.preferred.Store(prefer() == nil)
	w.mu.Lock()
	w.running = true
	w.mu.Unlock()
	started <- nil

	last := w.clock.now()
	w.brace(last)
	for !w.stop.Load() {
		now := w.clock.now()
		w.counters.busy.add(uint64(now - last))
		w.steady(now, now-last)
		last = now
		if moved := w.round(now); !w.restless(now, moved) && moved == 0 {
			last = w.park(now)
			w.late(last)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = false
	w.mailed.Store(false)
	for _, fn := range w.mail {
		fn()
	}
	w.mail = nil
}

// round does everything that is due now and tells how many frames it moved.
func (w *worker) round(now int64) (moved int) {
	w.counters.rounds.add(1)
	if w.mailed.Load() {
		w.readMail()
		moved++ // the sockets may be others now
	}
	for _, q := range w.queues {
		if q.sending > 0 {
			w.reap(q)
		}
	}
	for _, s := range w.sockets {
		if s.rx != nil {
			if s.busyPoll {
				w.busyPoll(s)
			}
			moved += w.receive(s, now)
		}
	}
	for _, b := range w.inboxes {
		if b != nil {
			moved += w.empty(b, now)
		}
	}
	moved += w.empty(w.injected, now)
	if due := w.handler.Deadline(); due != 0 && due <= now {
		w.out = w.handler.Expire(w.memory, now, w.out[:0])
		w.dispatch(w.out)
		moved += len(w.out)
	}
	w.send()
	w.refill()
	return moved
}

// receive takes a batch off a socket's RX ring and has it processed.
func (w *worker) receive(s *socket, now int64) int {
	n := s.rx.available(uint32(w.batch))
	if n == 0 {
		return 0
	}
	q := s.queue
	port := q.port.index
	c := w.ports[port]
	in, frames := w.in[:0], uint64(n)
	if s.jumbo {
		in, frames = w.gather(s, c, n)
	} else {
		for range n {
			desc := s.rx.get()
			frame := desc.Addr >> w.shift
			if frame >= uint64(len(w.owners)) || w.owners[frame] != q.receiveOwner {
				q.port.complain(errForeignFrame)
				continue
			}
			w.owners[frame] = ownerHeld
			in = append(in, Frame{Addr: desc.Addr, Len: desc.Len, In: port, Out: NoPort})
		}
	}
	s.rx.release()
	q.receiving -= n
	c.received.add(frames)
	if in = w.hand(in, q.spread); len(in) > 0 {
		c.taken.add(uint64(len(in)))
		w.process(in, now)
	}
	return int(n)
}

// process has the handler work on frames that the worker owns, and sends what comes of it.
func (w *worker) process(in []Frame, now int64) {
	w.counters.batches.add(1)
	w.counters.frames.add(uint64(len(in)))
	if w.maker != nil {
		w.provide()
	}
	w.out = w.handler.Process(w.memory, in, now, w.out[:0])
	w.dispatch(w.out)
	if w.handler.Held() > w.held {
		w.out = w.handler.Expire(w.memory, 1<<63-1, w.out[:0])
		w.dispatch(w.out)
	}
}

// empty takes a batch out of an inbox. Frames without an output port are processed first.
func (w *worker) empty(b *inbox, now int64) int {
	n := b.take(w.in[:w.batch])
	if n == 0 {
		return 0
	}
	unprocessed := 0
	for _, f := range w.in[:n] {
		w.owners[w.spans.home(f.Addr>>w.shift)] = ownerHeld
		if b == w.injected {
			w.account(f.In).injected.add(1)
		}
		if f.Out != NoPort {
			w.forward(f, b == w.injected)
			continue
		}
		w.in[unprocessed] = f
		unprocessed++
	}
	in := w.in[:unprocessed]
	if b == w.injected && len(in) > 0 {
		in = w.hand(in, false)
	}
	for _, f := range in {
		w.account(f.In).taken.add(1)
	}
	if len(in) > 0 {
		w.process(in, now)
	}
	return n
}

// refill feeds every fill ring, and wakes the drivers that wait for that.
func (w *worker) refill() {
	w.starved = false
	for _, q := range w.queues {
		if q.refill(&w.cache, w.owners, w.shift) {
			w.starved = true
		}
		if q.fill.needWakeup() && q.sockets[0].rx != nil {
			w.counters.kicks.add(1)
			q.sockets[0].kernel.wakeRX()
		}
	}
}

// account gives the counters of a port index, whatever it is.
func (w *worker) account(port uint16) *portCounters {
	return w.ports[min(port, maxPorts)]
}

// clock reads CLOCK_MONOTONIC without a system call.
type clock struct {
	base  time.Time
	start int64
}

func newClock() clock {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return clock{base: time.Now(), start: ts.Nano()}
}

func (c clock) now() int64 { return c.start + int64(time.Since(c.base)) }
