package nexthop

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"sync"
	"time"
)

const (
	// debounce gathers the notifications of one change: a route that moves is a deletion and an
	// addition, a link that goes down dozens.
	debounce = 25 * time.Millisecond
	// roundKeys is how many keys are asked in one round, and roundGap the rest between two, so that
	// a flapping default route under many keys leaves the CPU to others.
	roundKeys = 2048
	roundGap  = 5 * time.Millisecond
	// recheck is how often every key is asked again although nothing happened: a learnt path MTU,
	// for one, is not notified.
	recheck = 30 * time.Second
	tick    = 500 * time.Millisecond
)

// Config is what a Watcher needs from outside.
type Config struct {
	// OnChange gets the hops that became different, each key once when it was first looked up,
	// whatever its state. It is called from Run's goroutine and may call the Watcher's methods.
	OnChange func([]Hop)
	// OnVLANs is called when VLANs has another answer for a port, and after a SetPorts that named new
	// ones. It is called like OnChange.
	OnVLANs func()
	Log     *slog.Logger // nil: slog.Default()
}

// Watcher follows the next hops of a set of keys. Its methods may be called from any goroutine.
type Watcher struct {
	config  Config
	conn    *conn    // of Run's goroutine
	monitor *monitor // of the reading goroutine
	kick    chan struct{}

	mu         sync.Mutex
	keys       map[Key]*entry
	peers      peers
	locals     map[netip.Addr]int // keys that have it as Local
	devs       map[int]int        // keys whose way goes through the interface
	links      links
	neighbours map[neighKey]neighbour
	wants      map[neighKey]*want
	restless   map[neighKey]struct{} // wants that may need a request to the kernel
	released   []neighKey            // no longer needed, still ours
	adopted    bool                  // what a process before us left managed has been looked through
	noManaged  bool                  // this kernel knows no managed neighbours
	urgent     []*entry              // to ask the kernel about
	lazy       []*entry              // the same, when nothing is urgent
	compute    map[*entry]struct{}
	relinked   bool // links or ports have changed: VLAN devices may have
	toldPorts  map[int]bool
	toldVLANs  map[int][]Stack // by port
	sweeping   bool            // every key is to be asked
	lost       bool            // notifications were lost: read the tables anew
	lookups    uint64
	syncs      int
}

// New opens the sockets in the calling thread's network namespace. Run must follow, or Close.
func New(config Config) (*Watcher, error) {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	monitor, err := newMonitor()
	if err != nil {
		return nil, err
	}
	conn, err := newConn()
	if err != nil {
		monitor.close()
		return nil, err
	}
	return &Watcher{
		config: config, conn: conn, monitor: monitor, kick: make(chan struct{}, 1),
		keys: map[Key]*entry{}, locals: map[netip.Addr]int{}, devs: map[int]int{}, neighbours: map[neighKey]neighbour{}, wants: map[neighKey]*want{}, restless: map[neighKey]struct{}{},
		compute: map[*entry]struct{}{}, links: links{byIndex: map[int]link{}, ports: map[int]bool{}}, lost: true,
	}, nil
}

// Close frees the sockets of a Watcher that was never run.
func (w *Watcher) Close() {
	w.monitor.close()
	w.conn.close()
}

// SetPorts names the interfaces, by index, that are ports. A hop resolves only down to one of them.
func (w *Watcher) SetPorts(ifindexes []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.links.ports = map[int]bool{}
	w.relinked = true
	for _, i := range ifindexes {
		w.links.ports[i] = true
	}
	for _, e := range w.keys {
		w.compute[e] = struct{}{}
	}
	w.wake()
}

// Set makes keys the whole set: others are forgotten, without a report.
func (w *Watcher) Set(keys []Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	want := make(map[Key]struct{}, len(keys))
	for _, k := range keys {
		want[k] = struct{}{}
		w.add(k)
	}
	for k := range maps.Clone(w.keys) {
		if _, ok := want[k]; !ok {
			w.remove(k)
		}
	}
	w.wake()
}

// Add puts keys under watch. A key is in the set or it is not: adding twice counts once.
func (w *Watcher) Add(keys ...Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range keys {
		w.add(k)
	}
	w.wake()
}

// Remove forgets keys, without a report.
func (w *Watcher) Remove(keys ...Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range keys {
		w.remove(k)
	}
	w.wake()
}

// Snapshot tells the hops of all keys that have been looked up, in no order.
func (w *Watcher) Snapshot() []Hop {
	w.mu.Lock()
	defer w.mu.Unlock()
	hops := make([]Hop, 0, len(w.keys))
	for _, e := range w.keys {
		if e.told {
			hops = append(hops, e.hop)
		}
	}
	return hops
}

func (w *Watcher) add(k Key) {
	if _, ok := w.keys[k]; ok {
		return
	}
	e := newEntry(k)
	w.keys[k] = e
	w.peers.stale = true
	w.locals[e.local.WithZone("")]++
	w.soon(e)
}

func (w *Watcher) remove(k Key) {
	e, ok := w.keys[k]
	if !ok {
		return
	}
	delete(w.keys, k)
	delete(w.compute, e)
	e.gone = true
	w.peers.stale = true
	release(w.locals, e.local.WithZone(""))
	w.need(e, neighKey{})
	w.through(e, nil)
}

// release takes one user of k away.
func release[K comparable](users map[K]int, k K) {
	if users[k]--; users[k] <= 0 {
		delete(users, k)
	}
}

// through records the interfaces that the way of e depends on.
func (w *Watcher) through(e *entry, devs []int) {
	for _, d := range devs {
		w.devs[d]++
	}
	for _, d := range e.devs {
		release(w.devs, d)
	}
	e.devs = devs
}

// soon queues a key to be asked about in the next round.
func (w *Watcher) soon(e *entry) {
	if !e.dirty {
		e.dirty = true
		w.urgent = append(w.urgent, e)
	}
}

// sweep queues every key: those without a way first, the others behind all that is urgent.
func (w *Watcher) sweep() {
	w.sweeping = false
	for _, e := range w.keys {
		switch {
		case e.dirty:
		case e.hop.State != Resolved:
			w.soon(e)
		default:
			e.dirty = true
			w.lazy = append(w.lazy, e)
		}
	}
}

func (w *Watcher) wake() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// Run follows the kernel until ctx ends; then it lets go of the neighbours it managed, closes the
// sockets and returns nil. It can be called once.
func (w *Watcher) Run(ctx context.Context) error {
	reader := make(chan error, 1)
	go func() { reader <- w.read() }()
	defer w.conn.close()
	defer func() {
		w.monitor.close()
		<-reader
	}()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	full := time.Now().Add(recheck)
	w.wake()
	waiting := false
	for {
		select {
		case <-ctx.Done():
			return w.letGo()
		case err := <-reader:
			reader <- err
			return errors.Join(err, w.letGo())
		case <-w.kick:
			if !waiting {
				waiting = true
				timer.Reset(debounce)
			}
		case now := <-ticker.C:
			if now.After(full) {
				full = now.Add(recheck)
				w.mu.Lock()
				w.lost = true
				w.mu.Unlock()
				w.wake()
			}
			w.retry(now)
		case <-timer.C:
			waiting = false
			more, err := w.round()
			if err != nil {
				// A table that cannot be read now is read in the next round; what is known stays.
				w.config.Log.Warn("next hops not refreshed", "err", err)
				more = true
			}
			if more {
				waiting = true
				timer.Reset(roundGap)
				if err != nil {
					timer.Reset(tick)
				}
			}
		}
	}
}

func (w *Watcher) read() error {
	for {
		b, lost, err := w.monitor.receive()
		if errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		w.mu.Lock()
		work := w.apply(b)
		if lost {
			w.lost, work = true, true
		}
		if work {
			w.wake()
		}
		w.mu.Unlock()
	}
}

// Lookups tells how often the kernel was asked for a route.
func (w *Watcher) Lookups() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lookups
}
