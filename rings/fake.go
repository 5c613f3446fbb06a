package rings

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Fake is a port whose kernel is the caller: rings in plain memory, no interface, no privilege. It
// behaves as copy mode does: Receive copies a frame into the arena, and frames are sent within the
// worker's wake-up call. Any goroutine may call its methods.
type Fake struct {
	*Port
	sent  func(queue uint32, frame []byte)
	sides []*fakeSide
}

// fakeSide is the kernel's side of one queue.
type fakeSide struct {
	mu         sync.Mutex
	fake       *Fake
	queue      *queue
	fillTaken  uint32
	rxGiven    uint32
	txTaken    uint32
	completed  uint32
	errno      unix.Errno // EBADF: closed
	retains    bool       // frames, after it was closed
	statistic  unix.XDPStatistics
	txEntries  []unix.XDPDesc
	begun      []byte // of a frame of several descriptors
	rxEntries  []unix.XDPDesc
	txProducer *uint32
	rxConsumer *uint32
}

// AddFake adds a port without an interface. sent, which may be nil, is called for every frame
// sent, within the owning worker's round; the frame is valid during the call only.
func (f *Fabric) AddFake(cfg PortConfig, sent func(queue uint32, frame []byte)) (*Fake, error) {
	k := &Fake{Port: &Port{fabric: f, index: cfg.Index, mode: ModeCopy, jumbo: cfg.Jumbo}, sent: sent}
	if len(cfg.Queues) == 0 {
		cfg.Queues = []uint32{0}
	}
	return k, f.add(k.Port, cfg, func() error {
		c := k.Port.config
		for i, number := range c.Queues {
			q := &queue{port: k.Port, number: number, worker: c.Workers[i]}
			q.allow(c)
			f.stock(q)
			side := newFakeSide(k, q, c.Deep, c.RingSize)
			for _, frame := range q.stock {
				q.fill.put(uint64(frame) << f.arena.shift)
			}
			q.fill.publish()
			q.receiving = uint32(len(q.stock))
			k.sides = append(k.sides, side)
			k.Port.queues = append(k.Port.queues, q)
		}
		return nil
	})
}

func newFakeSide(k *Fake, q *queue, deep, size uint32) *fakeSide {
	mask, deepMask := size-1, deep-1
	words := func() *uint32 { return &make([]uint32, 32)[16] } // on a cache line of its own
	q.fill = &fillRing{producer: words(), consumer: words(), flags: words(), entries: make([]uint64, deep), mask: deepMask}
	q.completion = &completionRing{producer: words(), consumer: words(), entries: make([]uint64, size), mask: mask}
	rx := &rxRing{producer: words(), consumer: words(), entries: make([]unix.XDPDesc, deep), mask: deepMask}
	tx := &txRing{producer: words(), consumer: words(), flags: words(), entries: make([]unix.XDPDesc, size), mask: mask}
	*tx.flags = ringNeedWakeup
	side := &fakeSide{fake: k, queue: q, txEntries: tx.entries, rxEntries: rx.entries, txProducer: tx.producer, rxConsumer: rx.consumer}
	q.sockets = []*socket{{queue: q, kernel: side, fd: -1, rx: rx, tx: tx, jumbo: k.Port.jumbo}}
	return side
}

// Receive has the i-th of the port's queues receive a frame. It tells whether there was room.
func (k *Fake) Receive(i int, frame []byte) bool {
	s := k.sides[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queue
	if s.errno == unix.EBADF {
		return false
	}
	room := k.fabric.arena.chunk - headroom
	pieces := max(1, (len(frame)+room-1)/room)
	if int(atomic.LoadUint32(q.fill.producer)-s.fillTaken) < pieces || pieces > 1 && !k.Port.jumbo {
		s.statistic.Rx_dropped++
		return false
	}
	if int(s.rxGiven-atomic.LoadUint32(s.rxConsumer))+pieces > int(q.fill.mask)+1 {
		s.statistic.Rx_ring_full++
		return false
	}
	for ; pieces > 0; pieces-- {
		addr := q.fill.entries[s.fillTaken&q.fill.mask] + headroom
		n := copy(k.fabric.arena.mem[addr:addr+uint64(room)], frame)
		frame = frame[n:]
		s.fillTaken++
		desc := unix.XDPDesc{Addr: addr, Len: uint32(n)}
		if pieces > 1 {
			desc.Options = unix.XDP_PKT_CONTD
		}
		s.rxEntries[s.rxGiven&q.fill.mask] = desc
		s.rxGiven++
	}
	atomic.StoreUint32(q.fill.consumer, s.fillTaken)
	atomic.StoreUint32(q.sockets[0].rx.producer, s.rxGiven)
	k.fabric.workers[q.worker].wake()
	return true
}

// Answer sets what the wake-up call for sending returns from now on. Nothing is sent unless it is 0.
// EBUSY is a line without carrier: each call completes one frame unsent.
func (k *Fake) Answer(errno unix.Errno) {
	for _, s := range k.sides {
		s.mu.Lock()
		s.errno = errno
		s.mu.Unlock()
	}
}

// Retain sets whether the port's driver goes on using its frames after the port was closed. Only
// zero-copy ports and such that have frames under way are asked.
func (k *Fake) Retain(retains bool) {
	for _, s := range k.sides {
		s.mu.Lock()
		s.retains = retains
		s.mu.Unlock()
	}
}

func (s *fakeSide) wakeTX() unix.Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.errno != 0 && s.errno != unix.EBUSY {
		return s.errno
	}
	q := s.queue
	end := atomic.LoadUint32(s.txProducer)
	if s.errno == unix.EBUSY {
		end = min(end, s.txTaken+1)
	}
	for ; s.txTaken != end; s.txTaken++ {
		desc := s.txEntries[s.txTaken&q.fill.mask]
		s.offer(desc)
		q.completion.entries[s.completed&q.fill.mask] = desc.Addr
		s.completed++
	}
	atomic.StoreUint32(q.sockets[0].tx.consumer, s.txTaken)
	atomic.StoreUint32(q.completion.producer, s.completed)
	return s.errno
}

// offer calls sent when the frame of a descriptor is whole.
func (s *fakeSide) offer(desc unix.XDPDesc) {
	frame := s.fake.fabric.arena.mem[desc.Addr : desc.Addr+uint64(desc.Len)]
	if desc.Options&unix.XDP_PKT_CONTD != 0 || len(s.begun) > 0 {
		s.begun = append(s.begun, frame...)
		frame = s.begun
	}
	if desc.Options&unix.XDP_PKT_CONTD != 0 {
		return
	}
	if s.fake.sent != nil && s.errno == 0 {
		s.fake.sent(s.queue.number, frame)
	}
	s.begun = s.begun[:0]
}

func (s *fakeSide) wakeRX() unix.Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.errno == unix.ENETDOWN {
		return s.errno
	}
	return 0
}

func (s *fakeSide) running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.errno != unix.EBUSY
}

func (s *fakeSide) gone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.errno == unix.ENXIO
}

func (s *fakeSide) statistics() (unix.XDPStatistics, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.errno == unix.EBADF {
		return unix.XDPStatistics{}, s.errno
	}
	return s.statistic, nil
}

func (s *fakeSide) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errno = unix.EBADF
	return nil
}

func (s *fakeSide) released(patience time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retains {
		time.Sleep(patience)
		return unix.EBUSY
	}
	return nil
}
