package steer

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// AttachConfig names a port and how the program is to hang on it.
type AttachConfig struct {
	Ifindex int
	Name    string // of the interface, for messages
	Native  bool   // in the driver; false: generic (skb) mode
	Queues  uint32 // RX queues of the interface: the size of the socket map
	Jumbo   bool   // accept frames of several buffers; needed for an MTU beyond one page
	Pairs   uint32 // most QinQ pairs; 0: 131072
}

// Program is the instance of the steering program on one port. Its methods may be called from
// any goroutine.
type Program struct {
	cfg  AttachConfig
	objs steerObjects
	link link.Link

	mu      sync.Mutex // for what follows, and for the order of map changes
	port    steerPort  // as in the map
	macs    counted[steerMac]
	vlans   vlans
	pppoes  counted[steerPppoe]
	devices map[Stack]bool
}

// Attach loads an instance and attaches it. Until rules are set it passes every frame to the
// kernel. A driver without native XDP gives unix.EOPNOTSUPP; an interface that has a program of
// somebody else a *ForeignError.
func (s *Steering) Attach(cfg AttachConfig) (*Program, error) {
	if cfg.Queues == 0 {
		return nil, fmt.Errorf("attach to %s: no queues", cfg.Name)
	}
	if err := findForeign(cfg); err != nil {
		return nil, err
	}
	p, err := s.load(cfg)
	if err != nil {
		return nil, err
	}
	if err := p.attach(); err != nil {
		return nil, errors.Join(err, p.objs.Close())
	}
	return p, nil
}

func (s *Steering) load(cfg AttachConfig) (*Program, error) {
	spec, err := loadSteer()
	if err != nil {
		return nil, fmt.Errorf("read the steering program: %w", err)
	}
	spec.Maps[steerMapSockets].MaxEntries = cfg.Queues
	if cfg.Pairs != 0 {
		spec.Maps[steerMapPairs].MaxEntries = cfg.Pairs
	}
	if cfg.Jumbo {
		spec.Programs[steerProgXwireSteer].Flags |= unix.BPF_F_XDP_HAS_FRAGS
	}
	p := &Program{cfg: cfg, macs: counted[steerMac]{}, vlans: newVLANs(), pppoes: counted[steerPppoe]{}, devices: make(map[Stack]bool)}
	err = spec.LoadAndAssign(&p.objs, &ebpf.CollectionOptions{
		MapReplacements: map[string]*ebpf.Map{steerMapLocals: s.locals, steerMapKnown: s.known, steerMapControls: s.controls, steerMapHeards: s.ring},
	})
	if err != nil {
		return nil, fmt.Errorf("load the steering program for %s: %w", cfg.Name, err)
	}
	return p, nil
}

func (p *Program) attach() error {
	flags := link.XDPGenericMode
	if p.cfg.Native {
		flags = link.XDPDriverMode
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: p.objs.XwireSteer, Interface: p.cfg.Ifindex, Flags: flags})
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) {
		// Somebody came between the look and the attempt.
		if foreign := findForeign(p.cfg); foreign != nil {
			return foreign
		}
	}
	if err != nil {
		return fmt.Errorf("attach to %s in %s mode: %s%w", p.cfg.Name, p.cfg.mode(), likely(err), err)
	}
	p.link = l
	return nil
}

// likely says in words what drivers mean by an error; the kernel gives a BPF link no message.
func likely(err error) string {
	switch {
	case errors.Is(err, unix.ERANGE):
		return "the MTU is too large for frames of one buffer: "
	case errors.Is(err, unix.ENOSPC):
		return "more TX queues at the other end of a veth than RX queues here ('ethtool -L' mends it), or no queues left for XDP: "
	case errors.Is(err, unix.EOPNOTSUPP):
		return "the driver has no native XDP: "
	}
	return ""
}

// Close detaches the program; frames go to the kernel from then on.
func (p *Program) Close() error {
	err := p.link.Close()
	if err != nil {
		err = fmt.Errorf("detach from %s: %w", p.cfg.Name, err)
	}
	return errors.Join(err, p.objs.Close())
}

// Native tells whether the program runs in the driver.
func (p *Program) Native() bool { return p.cfg.Native }

// Register makes fd, an AF_XDP socket bound to the queue of this port, the receiver of the queue.
func (p *Program) Register(queue uint32, fd int) error {
	if queue >= p.cfg.Queues {
		return fmt.Errorf("register %s queue %d: the port has %d queues", p.cfg.Name, queue, p.cfg.Queues)
	}
	if err := p.objs.Sockets.Put(queue, uint32(fd)); err != nil {
		return fmt.Errorf("register %s queue %d: %w", p.cfg.Name, queue, err)
	}
	return nil
}

// Unregister gives the queue back to the kernel. That its socket is closed already is no error.
func (p *Program) Unregister(queue uint32) error {
	err := p.objs.Sockets.Delete(queue)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("unregister %s queue %d: %w", p.cfg.Name, queue, err)
	}
	return nil
}

func (c AttachConfig) mode() string {
	if c.Native {
		return "native"
	}
	return "generic"
}
