package rings

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// EventKind says what happened to a port.
type EventKind uint8

const (
	PortUp   EventKind = iota // it can send again
	PortDown                  // the interface is down, or has no carrier; sockets stay, and it is tried again
	PortGone                  // the interface is gone; remove the port
	Bug                       // something that should not be; the error says what
)

// String names the kind.
func (k EventKind) String() string {
	return [...]string{"port up", "port down", "port gone", "bug"}[min(k, Bug)]
}

// Event tells of a change of a port's state. Of several changes in quick succession only the
// kinds are told, each once, the current state last.
type Event struct {
	Port *Port // nil for a bug that concerns none
	Kind EventKind
	Err  error
}

// watchInterval is how often ports are looked at that may have gone down, or come up, unnoticed
// because no frame was sent.
const watchInterval = 250 * time.Millisecond

// look has the watcher look at the ports now.
func (f *Fabric) look() {
	select {
	case f.looks <- struct{}{}:
	default:
	}
}

// alarm reports a bug that concerns no port.
func (f *Fabric) alarm(err error) {
	if f.bug.Swap(&err) == nil {
		f.look()
	}
}

// watch probes ports and tells their news until done is closed.
func (f *Fabric) watch(done <-chan struct{}) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-f.looks:
			f.mu.Lock()
			for _, p := range f.ports {
				if p.refuses.Load() {
					p.probe()
				}
			}
			f.mu.Unlock()
		case <-ticker.C:
			f.mu.Lock()
			for _, p := range f.ports {
				p.probe()
				if p.state.Load() == stateUp {
					p.refuses.Store(false)
				}
			}
			f.mu.Unlock()
		}
		f.mu.Lock()
		f.tellNews()
		f.mu.Unlock()
	}
}

// probe asks the kernel how the port is. The calls are safe beside the owning worker: they touch
// no ring of ours, and the kernel serialises them.
func (p *Port) probe() {
	s := p.sender().sockets[0]
	if s.kernel.gone() {
		p.fail(stateGone, fmt.Errorf("look at %s: %w", p.config.Interface, errGone))
	}
	switch state := p.state.Load(); state {
	case stateUp:
		if errno := s.kernel.wakeRX(); errno == unix.ENETDOWN {
			p.failSend(errno)
		} else if p.lostCarrier(s.kernel) {
			p.fail(stateDown, fmt.Errorf("send on %s: %w", p.config.Interface, errNoCarrier))
		}
	case stateDown, stateBug:
		if p.lostCarrier(s.kernel) {
			return
		}
		switch s.kernel.wakeTX() {
		case 0, unix.EAGAIN, unix.EBUSY, unix.ENOBUFS:
			p.recover(state)
		}
	}
}

// recover takes a port for up again, unless its worker has found out more meanwhile.
func (p *Port) recover(from portState) {
	if !p.state.CompareAndSwap(from, stateUp) {
		return
	}
	p.tell(PortUp)
	for _, q := range p.queues {
		w := p.fabric.workers[q.worker]
		w.post(func() {
			w.listPolled()
			for _, s := range q.sockets {
				s.backlog = true // what was published while the port was down
			}
		})
	}
}

// tellNews sends what there is to tell, and keeps what finds the channel full for the next time.
func (f *Fabric) tellNews() {
	if bug := f.bug.Load(); bug != nil && f.emit(Event{Kind: Bug, Err: *bug}) {
		f.bug.Store(nil)
	}
	for _, p := range f.ports {
		news := p.news.Swap(0)
		if news == 0 {
			continue
		}
		order := []EventKind{Bug, PortDown, PortGone, PortUp}
		if p.state.Load() != stateUp {
			order = []EventKind{PortUp, Bug, PortDown, PortGone}
		}
		for _, kind := range order {
			if news&(1<<kind) != 0 && !f.emit(Event{Port: p, Kind: kind, Err: p.reason(kind)}) {
				p.news.Or(1 << kind)
			}
		}
	}
}

func (p *Port) reason(kind EventKind) error {
	from := &p.cause
	if kind == PortUp {
		return nil
	}
	if kind == Bug && p.complaint.Load() != nil {
		from = &p.complaint
	}
	if err := from.Load(); err != nil {
		return *err
	}
	return nil
}

func (f *Fabric) emit(e Event) bool {
	select {
	case f.events <- e:
		return true
	default:
		return false
	}
}
