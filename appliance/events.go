package appliance

import (
	"sync"
	"sync/atomic"
	"time"

	"xwire/appliance/api"
)

// eventRoom is how many events a reader may be behind. What it misses is counted and told.
const eventRoom = 4096

// events passes what happens on to whoever listens. It never waits for a listener.
type events struct {
	listeners atomic.Int32
	mu        sync.Mutex
	all       map[*listener]struct{}
}

type listener struct {
	ch   chan api.Event
	lost int // since the last event that found room
}

// publish tells all listeners.
func (e *events) publish(v api.Event) {
	if e.listeners.Load() == 0 {
		return
	}
	v.Time = time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for l := range e.all {
		if l.lost > 0 {
			select {
			case l.ch <- api.Event{Time: v.Time, Type: api.EventLost, Count: l.lost}:
				l.lost = 0
			default:
				l.lost++
				continue
			}
		}
		select {
		case l.ch <- v:
		default:
			l.lost++
		}
	}
}

// listen gives all events from now on until leave is called.
func (e *events) listen() (ch <-chan api.Event, leave func()) {
	l := &listener{ch: make(chan api.Event, eventRoom)}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.all == nil {
		e.all = make(map[*listener]struct{})
	}
	e.all[l] = struct{}{}
	e.listeners.Add(1)
	return l.ch, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.all, l)
		e.listeners.Add(-1)
	}
}
