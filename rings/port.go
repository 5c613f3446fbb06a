package rings

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// defaultRingSize is the number of entries of each of a queue's rings.
const defaultRingSize = 2048

// PortConfig describes a port.
type PortConfig struct {
	Index     uint16   // 0..1023: what Frame.In and Frame.Out mean by it
	Name      string   // for messages
	Interface string   // in the network namespace of the calling thread
	Queues    []uint32 // nil: all that the interface receives on
	Mode      Mode     // ModeSKB if the XDP program is attached in skb mode
	RingSize  uint32   // entries of each ring, a power of two from 64 to 16384; 0 means 2048
	Deep      uint32   // entries of fill and RX rings, likewise, RingSize or more, which are full while a worker is braced; 0: RingSize
	Quota     int      // most frames its rings may tie up; 0: all rings full
	Workers   []int    // which worker has which of Queues; nil: worker queue mod workers
	BusyPoll  bool     // workers run the driver themselves, instead of the interrupt's CPU
	Spread    bool     // with fewer queues than workers, frames go to the workers that a Spreader names
	Jumbo     bool     // frames longer than a chunk, if the kernel (6.6 or later) has them; the arena needs spans
}

// Socket is a bound AF_XDP socket, for the steering program's XSKMAP. The descriptor stays the
// port's.
type Socket struct {
	Queue uint32
	FD    int
}

// portState says whether frames for a port may be sent.
type portState = uint32

const (
	stateUp portState = iota
	stateDown
	stateGone
	stateBug // the kernel answers with an error that no healthy port gives
)

// Port is a network interface given to a fabric.
type Port struct {
	fabric  *Fabric
	index   uint16
	config  PortConfig
	ifindex int
	mode    Mode
	jumbo   bool // frames may have several descriptors
	queues  []*queue
	join    *registration // nil for a fake
	line    *line         // nil for a fake

	state     atomic.Uint32
	cause     atomic.Pointer[error] // of the last failure
	complaint atomic.Pointer[error] // of the last that changed no state
	news      atomic.Uint32         // bits of EventKind not told yet
	refuses   atomic.Bool           // the driver refused many frames since the watcher last looked
}

// Index is the port's index.
func (p *Port) Index() uint16 { return p.index }

// Ifindex is the index of the interface the port was opened on.
func (p *Port) Ifindex() int { return p.ifindex }

// Mode is the mode that the kernel granted.
func (p *Port) Mode() Mode { return p.mode }

// Jumbo tells whether frames longer than a chunk are received and sent.
func (p *Port) Jumbo() bool { return p.jumbo }

// Longest is the length in bytes of the longest frame that the port has room for, whatever its MTU. Those
// that are longer are counted as rx_dropped or frame_too_long.
func (p *Port) Longest() int {
	if p.jumbo {
		return SpanSize - headroom
	}
	return p.fabric.arena.chunk - headroom
}

// Sockets lists the sockets that receive, one for each queue.
func (p *Port) Sockets() []Socket {
	var sockets []Socket
	for _, q := range p.queues {
		for _, s := range q.sockets {
			if s.rx != nil {
				sockets = append(sockets, Socket{Queue: q.number, FD: s.fd})
			}
		}
	}
	return sockets
}

var (
	errForeignFrame = errors.New("the kernel returned a frame that it was not given")
	errGone         = errors.New("the interface is gone")
	errNotHeld      = errors.New("the handler gave out a frame that it did not have")
	errNoProgram    = errors.New("the driver refuses to send (EINVAL): in zero-copy mode an XDP program must be attached to the port")
)

// fail records that the port cannot send. Any goroutine may call it.
func (p *Port) fail(state portState, cause error) {
	for {
		old := p.state.Load()
		if old == state || old == stateGone {
			return
		}
		if p.state.CompareAndSwap(old, state) {
			break
		}
	}
	p.cause.Store(&cause)
	switch state {
	case stateDown:
		p.tell(PortDown)
	case stateGone:
		p.tell(PortGone)
	case stateBug:
		p.tell(Bug)
	}
}

// failSend judges the error of a system call on one of the port's sockets.
func (p *Port) failSend(errno unix.Errno) {
	switch {
	case errno == unix.ENETDOWN:
		p.fail(stateDown, fmt.Errorf("send on %s: %w", p.config.Interface, errno))
	case (errno == unix.ENXIO || errno == unix.ENODEV) && p.mode == ModeZeroCopy:
		// Drivers say so while they reset; whether the interface is gone the watcher finds out.
		p.fail(stateDown, fmt.Errorf("send on %s: %w", p.config.Interface, errno))
	case errno == unix.ENXIO || errno == unix.ENODEV:
		p.fail(stateGone, fmt.Errorf("send on %s: %w", p.config.Interface, errGone))
	case errno == unix.EINVAL && p.mode == ModeZeroCopy:
		p.fail(stateBug, fmt.Errorf("send on %s: %w", p.config.Interface, errNoProgram))
	default:
		p.fail(stateBug, fmt.Errorf("send on %s: %w", p.config.Interface, errno))
	}
}

// complain reports a bug that does not keep the port from working.
func (p *Port) complain(err error) {
	if p.complaint.Swap(&err) == nil {
		p.tell(Bug)
	}
}

func (p *Port) tell(kind EventKind) {
	p.news.Or(1 << kind)
	p.fabric.look()
}

// check fills in the defaults of a configuration and refuses what cannot work.
func (c *PortConfig) check(workers int) error {
	if c.Index >= maxPorts {
		return fmt.Errorf("port index %d is above %d", c.Index, maxPorts-1)
	}
	if c.RingSize == 0 {
		c.RingSize = defaultRingSize
	}
	if c.RingSize < 64 || c.RingSize > 16384 || c.RingSize&(c.RingSize-1) != 0 {
		return fmt.Errorf("ring size %d is not a power of two from 64 to 16384", c.RingSize)
	}
	c.Deep = max(c.Deep, c.RingSize)
	if c.Deep > 16384 || c.Deep&(c.Deep-1) != 0 {
		return fmt.Errorf("deep ring size %d is not a power of two from %d to 16384", c.Deep, c.RingSize)
	}
	if len(c.Queues) == 0 {
		return errors.New("no queues")
	}
	seen := slices.Sorted(slices.Values(c.Queues))
	if len(slices.Compact(seen)) != len(c.Queues) {
		return fmt.Errorf("queues %v name one twice", c.Queues)
	}
	if c.Workers == nil {
		for _, q := range c.Queues {
			c.Workers = append(c.Workers, int(q)%workers)
		}
	}
	if len(c.Workers) != len(c.Queues) {
		return fmt.Errorf("%d workers for %d queues", len(c.Workers), len(c.Queues))
	}
	for _, w := range c.Workers {
		if w < 0 || w >= workers {
			return fmt.Errorf("worker %d is not among the %d", w, workers)
		}
	}
	full := len(c.Queues) * int(c.RingSize+c.Deep)
	if c.Quota == 0 || c.Quota > full {
		c.Quota = full
	}
	if c.Quota < 2*len(c.Queues)*magazineSize {
		return fmt.Errorf("quota of %d frames is less than %d a queue", c.Quota, 2*magazineSize)
	}
	return nil
}

// open makes and binds the sockets of a checked configuration, all in the same mode.
func (p *Port) open() error {
	nic, err := net.InterfaceByName(p.config.Interface)
	if err != nil {
		return fmt.Errorf("find interface: %w", err)
	}
	p.ifindex = nic.Index
	for _, other := range p.fabric.ports {
		for _, q := range other.queues {
			if other.ifindex == p.ifindex && slices.Contains(p.config.Queues, q.number) {
				return fmt.Errorf("bind queue %d: %w: port %s has it", q.number, unix.EBUSY, other.config.Name)
			}
		}
	}
	if p.line, err = newLine(p.ifindex); err != nil {
		return err
	}
	for _, kind := range p.fabric.registrations(p.config) {
		if err != nil && p.config.Jumbo && !kind.jumbo && !singleOnly(err) {
			break
		}
		p.join, p.jumbo = kind, kind.jumbo
		if err = p.openAll(); err == nil {
			return nil
		}
		p.closeAll()
		var stuck []*queue
		if p.mode == ModeZeroCopy { // some queues were, until another was refused
			stuck, _ = p.unreleased()
		}
		p.mode = ModeAuto
		p.fabric.unstock(p, stuck)
		p.queues = nil
	}
	p.line.close()
	if p.config.Mode == ModeZeroCopy {
		return fmt.Errorf("%w (the driver does not grant zero-copy here: set mode to \"copy\" or \"auto\")", err)
	}
	return err
}

func (p *Port) openAll() error {
	receivers, senders, _ := queueCounts(p.config.Interface) // 0: the driver does not tell
	for i, number := range p.config.Queues {
		q := &queue{port: p, number: number, worker: p.config.Workers[i]}
		q.allow(p.config)
		p.fabric.stock(q)
		p.queues = append(p.queues, q)
		e, err := p.join.open(p.ifindex, number, p.config.Deep, p.config.RingSize, q.stock, bindPatience)
		if err != nil {
			return fmt.Errorf("bind queue %d: %w", number, err)
		}
		e.line = p.line
		q.fill, q.completion, q.receiving = e.fill, e.completion, uint32(len(q.stock))
		q.sockets = []*socket{{queue: q, kernel: e, fd: e.fd, rx: e.rx, tx: e.tx, busyPoll: p.config.BusyPoll, jumbo: p.jumbo}}
		if p.config.BusyPoll {
			if err := preferBusyPoll(e.fd); err != nil {
				return fmt.Errorf("busy-poll queue %d: %w", number, err)
			}
		}
		granted, err := grantedZeroCopy(e.fd)
		if err != nil {
			return fmt.Errorf("ask queue %d for its mode: %w", number, err)
		}
		// Numbers above both counts are some drivers' own, for zero-copy queues beside the others.
		q.mute = senders > 0 && int(number) >= senders && (int(number) < receivers || !granted)
		switch {
		case granted:
			p.mode = ModeZeroCopy
		case p.config.Mode == ModeSKB:
			p.mode = ModeSKB
		default:
			p.mode = ModeCopy
		}
	}
	if p.sender() == nil {
		return fmt.Errorf("queues %v cannot send: the interface has only %d to send on; take one of those too", p.config.Queues, senders)
	}
	return nil
}

// sender is a queue of the port that can send.
func (p *Port) sender() *queue {
	for _, q := range p.queues {
		if !q.mute {
			return q
		}
	}
	return nil
}

// closeAll closes the sockets. Nothing may touch their rings after that.
func (p *Port) closeAll() {
	for _, q := range p.queues {
		for _, s := range q.sockets {
			if e, ok := s.kernel.(*endpoint); ok {
				p.join.leave(e)
			}
			_ = s.kernel.close()
		}
	}
}

// interfaceQueues lists the queues an interface receives on.
func interfaceQueues(name string) []uint32 {
	n, _, err := queueCounts(name)
	if err != nil {
		// tun and some virtual drivers do not answer; sysfs tells, if it shows our namespace.
		found, _ := filepath.Glob("/sys/class/net/" + name + "/queues/rx-*")
		n = max(len(found), 1)
	}
	queues := make([]uint32, n)
	for i := range queues {
		queues[i] = uint32(i)
	}
	return queues
}
