package rings

import (
	"errors"
	"fmt"
	"slices"
)

// AddPort opens a port: it binds a socket on each queue and has the workers take them up between
// two rounds. An XDP program should be attached already; put the Sockets into its XSKMAP next.
func (f *Fabric) AddPort(cfg PortConfig) (*Port, error) {
	p := &Port{fabric: f, index: cfg.Index}
	if len(cfg.Queues) == 0 {
		cfg.Queues = interfaceQueues(cfg.Interface)
	}
	if err := f.add(p, cfg, p.open); err != nil {
		return nil, err
	}
	return p, nil
}

func (f *Fabric) add(p *Port, cfg PortConfig, open func() error) error {
	wrap := func(err error) error { return fmt.Errorf("open port %s (%s): %w", cfg.Name, cfg.Interface, err) }
	f.control.Lock()
	defer f.control.Unlock()
	if err := cfg.check(len(f.workers)); err != nil {
		return wrap(err)
	}
	p.config = cfg
	f.letFree()
	tied := cfg.Quota + f.quarantined()
	for _, other := range f.ports {
		if other.index == cfg.Index {
			return wrap(fmt.Errorf("port index %d is taken by %s", cfg.Index, other.config.Name))
		}
		tied += other.config.Quota
	}
	if cfg.Jumbo && f.spans.none() {
		return wrap(errors.New("the arena has no spans for frames longer than a chunk"))
	}
	if tied+f.reserve > f.chunks {
		return wrap(fmt.Errorf("arena of %d frames is too small: %d needed, %d of these kept by drivers that do not let go; use a larger arena, smaller rings or fewer queues",
			f.chunks, tied+f.reserve, f.quarantined()))
	}
	if len(cfg.Queues) > len(f.slots) {
		return wrap(fmt.Errorf("no more than %d queues in all", maxQueues))
	}
	if err := f.aside(open); err != nil {
		return wrap(err)
	}
	for _, q := range p.queues {
		q.spread = cfg.spread(len(f.workers))
	}
	f.mu.Lock()
	a := f.account(p.index)
	f.ports = append(f.ports, p)
	f.mu.Unlock()
	for _, w := range f.workers {
		w.do(func() { w.join(p, a.workers[w.index]) })
	}
	for _, w := range f.workers {
		w.do(func() { w.egress[p.index] = p.route(w) })
	}
	return nil
}

// stock gives a new queue its place in the owner table and the frames for its fill ring.
func (f *Fabric) stock(q *queue) {
	f.mu.Lock()
	defer f.mu.Unlock()
	q.slot = f.slots[len(f.slots)-1]
	f.slots = f.slots[:len(f.slots)-1]
	q.receiveOwner, q.transmitOwner = ownerFill(q.slot), ownerTX(q.slot)
	for range q.receiveQuota {
		frame, ok := f.spare.get()
		if !ok {
			return
		}
		f.owners[frame] = q.receiveOwner
		q.stock = append(q.stock, frame)
	}
}

// unstock takes back what the queues of a port got that could not be opened, but for those that are
// stuck. The sockets are closed, and no worker had a part in them.
func (f *Fabric) unstock(p *Port, stuck []*queue) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, q := range p.queues {
		f.slots = append(f.slots, q.slot)
		if slices.Contains(stuck, q) {
			for _, frame := range q.stock {
				f.owners[frame] = ownerKept
			}
			f.kept = append(f.kept, &quarantine{kernel: q.sockets[0].kernel, frames: q.stock})
			continue
		}
		for _, frame := range q.stock {
			f.owners[frame] = ownerPool
			f.spare.put(frame)
		}
	}
}

// join takes up the worker's share of a port's queues and sockets.
func (w *worker) join(p *Port, c *portCounters) {
	w.ports[p.index] = c
	for _, q := range p.queues {
		if q.worker != w.index {
			continue
		}
		w.queues = append(w.queues, q)
		w.sockets = append(w.sockets, q.sockets...)
		q.setDepth(w.braced != 0)
		q.refill(&w.cache, w.owners, w.shift)
	}
	w.listPolled()
}

// route is a worker's way to a port: its own socket if it has one there that can send, else one of
// the others', spread by worker.
func (p *Port) route(w *worker) egress {
	var senders []*queue
	for _, q := range p.queues {
		if q.mute {
			continue
		}
		if q.worker == w.index {
			return egress{socket: q.sockets[0]}
		}
		senders = append(senders, q)
	}
	target := w.fabric.workers[senders[w.index%len(senders)].worker]
	return egress{via: w.outboxes[target.index], target: target}
}
