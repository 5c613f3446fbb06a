package liveness

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"xwire/l2tp"
)

// Config of a Watcher.
type Config struct {
	// Take has the control messages over UDP to a tunnel handed to Receive instead of to the kernel, or
	// no more. It must not call the Watcher.
	Take func(local netip.AddrPort, version uint8, tid uint32, on bool) error

	OnChange func(Change) // called by Run's goroutine, one change at a time
	Log      *slog.Logger
}

// Watcher watches the peers of tunnels. It is safe for concurrent use.
type Watcher struct {
	c       Config
	wake    chan struct{}
	foreign foreign

	mu      sync.Mutex
	ctx     context.Context // of Run; nil before it
	lines   map[lineKey]*line
	closing map[lineKey]chan struct{} // closed when the socket of a line that is gone is
	tunnels map[string]*tunnel
	taken   map[takenKey]*tunnel
	changes []Change // not yet told
	told    map[string]bool
	wait    sync.WaitGroup
	sender  sender
	strays  uint64 // messages over UDP to no tunnel that is watched
	buffer  [longest]byte
	out     []byte
}

// New returns a watcher of nothing. Sockets are opened once it runs.
func New(c Config) *Watcher {
	return &Watcher{c: c, wake: make(chan struct{}, 1), foreign: foreign{make(chan question)}, lines: make(map[lineKey]*line), closing: make(map[lineKey]chan struct{}),
		tunnels: make(map[string]*tunnel), taken: make(map[takenKey]*tunnel), sender: sender{sockets: make(map[senderKey]int)}, told: make(map[string]bool)}
}

// Run watches until ctx ends, then closes all sockets.
func (w *Watcher) Run(ctx context.Context) error {
	w.mu.Lock()
	w.ctx = ctx
	w.wait.Go(func() { w.foreign.run(ctx) })
	for _, l := range w.lines {
		w.start(l)
	}
	w.mu.Unlock()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-w.wake:
		}
		w.mu.Lock()
		list := w.changes
		w.changes = nil
		w.mu.Unlock()
		for _, c := range list {
			w.c.OnChange(c)
		}
	}
	w.mu.Lock()
	for _, t := range w.tunnels {
		t.timer.Stop()
	}
	w.mu.Unlock()
	w.wait.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.tunnels {
		_ = w.take(t, false)
	}
	w.sender.close()
	return nil
}

// Set watches a tunnel. One of that name that is watched already keeps its state and its numbers if
// only its times are other; else it begins anew.
func (w *Watcher) Set(t Tunnel) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.tunnels[t.Name]
	if old != nil && old.Tunnel == t {
		return nil
	}
	key := lineKey{local: t.Local, peer: t.Peer, vrf: t.VRF, encap: t.Encap, yields: t.Yields}
	if l := w.lines[key]; l != nil && l.tunnels[t.TID] != nil && l.tunnels[t.TID] != old {
		return fmt.Errorf("watch tunnel %s: tunnel %s has the same addresses and tunnel id %d", t.Name, l.tunnels[t.TID].Name, t.TID)
	}
	now := time.Now()
	n := &tunnel{Tunnel: t, hello: newHello(&t, now.Add(t.jitter()))}
	if old != nil {
		n.told = old.told
		if same := old.line.key == key && old.TID == t.TID && old.PTID == t.PTID && old.Version == t.Version; same && t.Hello > 0 {
			n.hello.status = old.hello.status
		}
	}
	n.timer = time.AfterFunc(time.Hour, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.step(n)
	})
	l := w.lines[key]
	if l == nil {
		l = &line{key: key, tunnels: make(map[uint32]*tunnel), done: make(chan struct{})}
		w.lines[key] = l
		w.start(l)
	}
	n.line = l
	if old != nil {
		w.remove(old, l)
	}
	w.tunnels[t.Name], l.tunnels[t.TID] = n, n
	if l.open {
		if err := w.take(n, true); err != nil {
			w.refuse(n, err)
		}
	} else if l.reason != "" {
		n.hello.end(now, l.reason)
	}
	w.step(n)
	return nil
}

// Remove forgets a tunnel. Nothing more is told of it.
func (w *Watcher) Remove(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.tunnels[name]; t != nil {
		w.remove(t, nil)
	}
}

// remove forgets a tunnel, and its line if that has no other and is not to be kept.
func (w *Watcher) remove(t *tunnel, keep *line) {
	t.timer.Stop()
	if err := w.take(t, false); err != nil {
		w.c.Log.Warn("control messages of a tunnel that is gone are still taken", "tunnel", t.Name, "error", err)
	}
	delete(w.tunnels, t.Name)
	l := t.line
	t.line = nil
	delete(l.tunnels, t.TID)
	if len(l.tunnels) > 0 || l == keep {
		return
	}
	delete(w.lines, l.key)
	if l.stop != nil {
		w.closing[l.key] = l.done
		l.stop()
	}
}

// Status tells of one tunnel; false: it is not watched.
func (w *Watcher) Status(name string) (Status, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.tunnels[name]
	if t == nil {
		return Status{}, false
	}
	s := t.hello.status
	s.Interval = t.Hello
	return s, true
}

// start opens a line's socket once the watcher runs.
func (w *Watcher) start(l *line) {
	if w.ctx == nil || w.ctx.Err() != nil || l.stop != nil {
		return
	}
	ctx, stop := context.WithCancel(w.ctx)
	l.stop = stop
	before := w.closing[l.key]
	w.wait.Go(func() {
		if before != nil {
			<-before // or its socket would be taken for another program's
		}
		l.run(ctx, w)
		w.mu.Lock()
		defer w.mu.Unlock()
		close(l.done)
		if w.closing[l.key] == l.done {
			delete(w.closing, l.key)
		}
	})
}

// opened begins anew with the tunnels of a line; over UDP there is no socket.
func (w *Watcher) opened(l *line, s socket) {
	l.open, l.socket, l.reason = true, s, ""
	now := time.Now()
	for _, t := range l.tunnels {
		t.hello.begin(now.Add(t.jitter()))
		if err := w.take(t, true); err != nil {
			w.refuse(t, err)
		}
		w.step(t)
	}
}

// jitter keeps tunnels that start at once from asking all at once.
func (t *Tunnel) jitter() time.Duration { return rand.N(max(1, min(t.Hello, time.Second))) }

// step sends what a tunnel has to send now, sets its timer, and tells what changed.
func (w *Watcher) step(t *tunnel) {
	if t.line == nil { // removed
		return
	}
	now := time.Now()
	if t.line.open {
		for {
			b := w.out[:0]
			if t.Encap == l2tp.EncapIP {
				b = append(b, 0, 0, 0, 0) // session id 0: a control message
			}
			b, ok := t.hello.next(now, b)
			w.out = b[:0]
			if !ok {
				break
			}
			w.send(t.line, b)
		}
		if due, ok := t.hello.deadline(); ok {
			t.timer.Reset(max(time.Until(due), time.Millisecond))
		} else {
			t.timer.Stop()
		}
	} else {
		t.timer.Stop()
	}
	if s := t.hello.status; s.State != t.told {
		w.changes = append(w.changes, Change{Tunnel: t.Name, From: t.told, Status: s})
		t.told = s.State
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}
