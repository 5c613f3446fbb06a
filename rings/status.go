package rings

import (
	"time"

	"golang.org/x/sys/unix"
)

// PortStatus is what there is to know of a port. For each port Received = Sent + Held + Returned +
// the sum of Drops, once nothing is on its way between two workers. All frame counts go on when a
// port is removed and added again under the same index.
type PortStatus struct {
	Index     uint16
	Name      string
	Interface string
	Ifindex   int
	Mode      Mode
	Jumbo     bool   // as Port.Jumbo
	Longest   int    // as Port.Longest
	State     string // "up", "down", "gone" or "bug"
	Error     string // why it is not up

	Received    uint64 // from its RX rings, injected in its name, or dropped by the kernel before we saw them
	Injected    uint64 // of these: by Inject, or made by a handler of frames received here
	Sent        uint64 // received here and handed to a TX ring of any port
	Held        uint64 // received here and with a handler now
	Returned    uint64 // received here and given back by a handler: its own drops
	Transmitted uint64 // handed to a TX ring of this port
	Refused     uint64 // of these: refused by the driver and lost (EBUSY)
	Drops       map[string]uint64
	Queues      []QueueStatus
}

// QueueStatus is what there is to know of one queue of a port.
type QueueStatus struct {
	Queue      uint32
	Worker     int
	Statistics unix.XDPStatistics // of the socket, since it was opened
}

// WorkerStatus is what there is to know of a worker.
type WorkerStatus struct {
	Index           int
	CPU             int  // negative: not pinned
	Preferred       bool // it runs before other threads on its CPU, which CAP_SYS_NICE or RLIMIT_NICE allow
	Parked          bool
	Rounds          uint64
	Batches         uint64 // calls of the handler
	Frames          uint64 // in these
	Polls           uint64 // times it parked
	Wakeups         uint64 // times it was woken by another worker or the control side
	Kicks           uint64 // system calls to wake the kernel
	KicksSuppressed uint64 // wake-ups that the kernel did not need
	Busy            time.Duration
}

// Status reads a port's counters. A port that was removed still has those of its index.
func (p *Port) Status() PortStatus {
	f := p.fabric
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.account(p.index)
	s := PortStatus{
		Index: p.index, Name: p.config.Name, Interface: p.config.Interface, Ifindex: p.ifindex, Mode: p.mode, Jumbo: p.jumbo, Longest: p.Longest(),
		State:       [...]string{"up", "down", "gone", "bug"}[p.state.Load()],
		Drops:       map[string]uint64{},
		Injected:    a.sum(func(c *portCounters) *counter { return &c.injected }),
		Sent:        a.sum(func(c *portCounters) *counter { return &c.sent }),
		Returned:    a.sum(func(c *portCounters) *counter { return &c.returned }),
		Transmitted: a.sum(func(c *portCounters) *counter { return &c.transmitted }),
		Refused:     a.sum(func(c *portCounters) *counter { return &c.busy }),
	}
	if cause := p.cause.Load(); cause != nil && s.State != "up" {
		s.Error = (*cause).Error()
	}
	// What went in is read after what came out, or a frame could be seen to come out only.
	given := a.sum(func(c *portCounters) *counter { return &c.given })
	s.Held = a.sum(func(c *portCounters) *counter { return &c.taken }) - given
	for d := range NumDrops {
		s.Drops[d.String()] = a.sum(func(c *portCounters) *counter { return &c.drops[d] })
	}
	stats := a.closed
	for _, q := range p.queues {
		for _, socket := range q.sockets {
			now, err := socket.kernel.statistics()
			if err != nil {
				continue // closed: its statistics are in the account
			}
			addStatistics(&stats, now)
			s.Queues = append(s.Queues, QueueStatus{Queue: q.number, Worker: q.worker, Statistics: now})
		}
	}
	s.Drops[dropRxDropped], s.Drops[dropRxRingFull] = stats.Rx_dropped, stats.Rx_ring_full
	s.Received = s.Injected + stats.Rx_dropped + stats.Rx_ring_full +
		a.sum(func(c *portCounters) *counter { return &c.received })
	return s
}

// WorkerStatus reads the workers' counters.
func (f *Fabric) WorkerStatus() []WorkerStatus {
	status := make([]WorkerStatus, len(f.workers))
	for i, w := range f.workers {
		c := w.counters
		status[i] = WorkerStatus{
			Index: i, CPU: w.cpu, Preferred: w.preferred.Load(), Parked: w.parked.Load() != 0,
			Rounds: c.rounds.load(), Batches: c.batches.load(), Frames: c.frames.load(),
			Polls: c.polls.load(), Wakeups: c.wakeups.load(),
			Kicks: c.kicks.load(), KicksSuppressed: c.suppressed.load(), Busy: time.Duration(c.busy.load()),
		}
	}
	return status
}
