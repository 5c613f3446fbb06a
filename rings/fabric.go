package rings

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// FabricConfig describes a fabric. Arena and Workers are required.
type FabricConfig struct {
	Arena   *Arena
	Workers []WorkerConfig
	Batch   int // most frames a Handler gets at once, 1..256; 0 means 64
	Inbox   int // frames an inbox from one worker to another takes, a power of two; 0: by the number of workers
	Held    int // most frames one handler may hold; beyond it everything held is expired. 0 means 1024
}

// Fabric is an arena, the workers, and the ports whose frames lie in the arena.
type Fabric struct {
	arena   *Arena
	workers []*worker
	owners  []owner
	chunks  int // that belong to no span
	depot   *depot
	events  chan Event
	looks   chan struct{}
	bug     atomic.Pointer[error]
	reserve int // frames that no port may count on

	control sync.Mutex // held by one control operation at a time
	closing sync.Once

	// mu guards what follows. Who holds it does not wait for a worker, the audit apart.
	mu       sync.Mutex
	ports    []*Port
	accounts map[uint16]*account
	slots    []uint16                                      // free queue slots
	spare    cache                                         // the control side's own free frames
	spans    spanCache                                     // and spans
	kinds    [2]struct{ copied, zeroCopied *registration } // [1]: for jumbo frames
	kept     []*quarantine                                 // changed under control and mu
	running  bool
}

// NewFabric makes a fabric without ports. Its workers run in Run.
func NewFabric(cfg FabricConfig) (*Fabric, error) {
	if cfg.Arena == nil || len(cfg.Workers) == 0 {
		return nil, errors.New("make fabric: needs an arena and a worker")
	}
	if cfg.Batch == 0 {
		cfg.Batch = 64
	}
	if cfg.Held == 0 {
		cfg.Held = defaultHeld
	}
	if cfg.Inbox == 0 {
		cfg.Inbox = defaultInbox(len(cfg.Workers))
	}
	if cfg.Batch < 1 || cfg.Batch > 256 || cfg.Inbox < 1 || cfg.Inbox&(cfg.Inbox-1) != 0 {
		return nil, fmt.Errorf("make fabric: batch %d is not in 1..256, or inbox %d no power of two", cfg.Batch, cfg.Inbox)
	}
	from, spans := cfg.Arena.Spans()
	f := &Fabric{
		arena:    cfg.Arena,
		owners:   make([]owner, cfg.Arena.Chunks()),
		chunks:   int(from >> cfg.Arena.shift),
		events:   make(chan Event, 64),
		looks:    make(chan struct{}, 1),
		reserve:  Sizing{Workers: len(cfg.Workers), Batch: cfg.Batch, Inbox: cfg.Inbox, Held: cfg.Held, Jumbo: spans}.Chunks(),
		accounts: map[uint16]*account{},
	}
	for i := range f.kinds {
		f.kinds[i].copied = &registration{arena: cfg.Arena, jumbo: i > 0}
		f.kinds[i].zeroCopied = &registration{arena: cfg.Arena, jumbo: i > 0, zeroCopy: true}
	}
	f.depot = newDepot(f.chunks, len(cfg.Workers)+1)
	f.spare.depot = f.depot
	f.spans = newSpans(f.owners, from>>f.arena.shift, spans, len(cfg.Workers)+1, SpanSize>>f.arena.shift)
	for slot := range maxQueues {
		f.slots = append(f.slots, uint16(maxQueues-1-slot))
	}
	clock := newClock()
	for i, wc := range cfg.Workers {
		w, err := f.newWorker(i, wc, cfg, clock)
		if err != nil {
			f.closeWorkers()
			return nil, fmt.Errorf("make worker %d: %w", i, err)
		}
		f.workers = append(f.workers, w)
	}
	for _, from := range f.workers {
		for _, to := range f.workers {
			if from != to {
				b := newInbox(uint32(cfg.Inbox))
				from.outboxes[to.index], to.inboxes[from.index] = b, b
			}
		}
	}
	return f, nil
}

func (f *Fabric) newWorker(index int, wc WorkerConfig, cfg FabricConfig, clock clock) (*worker, error) {
	if wc.Handler == nil {
		return nil, errors.New("no handler")
	}
	eventfd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make eventfd: %w", err)
	}
	w := &worker{
		index: index, cpu: wc.CPU, fabric: f, handler: wc.Handler, clock: clock,
		memory: f.arena.mem, owners: f.owners, shift: f.arena.shift, batch: cfg.Batch, held: cfg.Held,
		in:       make([]Frame, cfg.Batch),
		to:       make([]uint8, cfg.Batch),
		out:      make([]Frame, 0, 4*cfg.Batch),
		posted:   make([]bool, len(cfg.Workers)),
		inboxes:  make([]*inbox, len(cfg.Workers)),
		outboxes: make([]*inbox, len(cfg.Workers)),
		injected: newInbox(injectedFrames),
		counters: &workerCounters{},
		eventfd:  eventfd,
		bell:     [8]byte{0: 1, 7: 1}, // above zero in either byte order
	}
	w.cache.depot = f.depot
	w.spans = f.spans.another()
	w.spreader, _ = wc.Handler.(Spreader)
	w.keeper, _ = wc.Handler.(Keeper)
	w.maker, _ = wc.Handler.(Maker)
	w.watcher, _ = wc.Handler.(Watcher)
	w.spare = spareBatches * cfg.Batch
	if !f.spans.none() {
		w.spare = jumboSpareBatches * cfg.Batch
		w.spanMaker, _ = wc.Handler.(SpanMaker)
	}
	w.spares = make([]uint64, 0, max(w.spare, spareSpans))
	stray := &portCounters{}
	for i := range w.ports {
		w.ports[i] = stray
	}
	w.listPolled()
	return w, nil
}

func (f *Fabric) closeWorkers() {
	for _, w := range f.workers {
		unix.Close(w.eventfd)
	}
}

// account finds or makes the counters of a port index.
func (f *Fabric) account(index uint16) *account {
	a := f.accounts[index]
	if a == nil {
		a = &account{}
		for range f.workers {
			a.workers = append(a.workers, &portCounters{})
		}
		f.accounts[index] = a
	}
	return a
}

// atBoundary calls fn while every worker stands between two rounds, and f.mu is held. The worker that comes
// last calls it: none waits for a goroutine that does not have a CPU.
func (f *Fabric) atBoundary(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	release := make(chan struct{})
	var standing atomic.Int32
	stand := func() {
		if int(standing.Add(1)) == len(f.workers) {
			fn()
			close(release)
		}
		<-release
	}
	var left []<-chan struct{}
	var idle sync.WaitGroup
	for _, w := range f.workers {
		if done := w.leaveMail(stand); done != nil {
			left = append(left, done)
		} else {
			idle.Go(func() { w.do(stand) })
		}
	}
	idle.Wait()
	for _, done := range left {
		<-done
	}
}

// Run runs the workers until the context ends, or one cannot start. The ports stay open.
func (f *Fabric) Run(ctx context.Context) error {
	f.control.Lock()
	if f.running {
		f.control.Unlock()
		return errors.New("run fabric: it runs already")
	}
	f.running = true
	var workers, watcher sync.WaitGroup
	started := make(chan error, len(f.workers))
	for _, w := range f.workers {
		w.stop.Store(false)
		workers.Go(func() { w.run(started) })
	}
	var failed error
	for range f.workers {
		failed = errors.Join(failed, <-started)
	}
	f.control.Unlock()
	done := make(chan struct{})
	watcher.Go(func() { f.watch(done) })
	if failed == nil {
		<-ctx.Done()
	}
	close(done)
	watcher.Wait()
	for _, w := range f.workers {
		w.stop.Store(true)
		w.wake()
	}
	workers.Wait()
	f.control.Lock()
	f.running = false
	f.control.Unlock()
	if failed != nil {
		return fmt.Errorf("run fabric: %w", failed)
	}
	return nil
}

// Close removes all ports. The fabric must not run, and is of no use after it. Another Close does
// nothing: the descriptors may be somebody else's by then.
func (f *Fabric) Close() (failed error) {
	f.closing.Do(func() {
		for _, p := range f.Ports() {
			failed = errors.Join(failed, f.RemovePort(p))
		}
		f.closeWorkers()
	})
	return failed
}

// Events tells of ports going down, coming up and disappearing while Run runs.
func (f *Fabric) Events() <-chan Event { return f.events }

// Ports lists the open ports.
func (f *Fabric) Ports() []*Port {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.ports)
}
