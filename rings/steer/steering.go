package steer

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
)

// LoadConfig sizes the shared maps.
type LoadConfig struct {
	Sessions int // expected at shared addresses, and tunnels at others, 16 bytes of the kernel's memory each and 100 once added; more fit
}

// Steering is what the programs of all ports share: the local tunnel addresses, the sessions of those that
// are shared with the kernel, and the peers at the others. Its methods may be called from any goroutine.
type Steering struct {
	locals, known  *ebpf.Map // known holds sessions
	controls, ring *ebpf.Map
	heards         *ringbuf.Reader // of ring
	record         ringbuf.Record  // of ReadControl

	mu       sync.Mutex
	sessions *ebpf.Map
	used     counted[steerLocal]
	shared   counted[steerLocal] // of those used
	heard    counted[steerControl]
}

// Load makes the shared maps. It attaches nothing.
func Load(cfg LoadConfig) (*Steering, error) {
	spec, err := loadSteer()
	if err != nil {
		return nil, fmt.Errorf("read the steering program: %w", err)
	}
	s := &Steering{used: counted[steerLocal]{}, shared: counted[steerLocal]{}, heard: counted[steerControl]{}}
	if s.locals, err = ebpf.NewMap(spec.Maps[steerMapLocals]); err != nil {
		return nil, fmt.Errorf("make map %s: %w", steerMapLocals, err)
	}
	inner := spec.Maps[steerMapKnown].InnerMap
	inner.MaxEntries = max(inner.MaxEntries, uint32(cfg.Sessions))
	if s.sessions, err = ebpf.NewMap(inner); err == nil {
		if s.known, err = ebpf.NewMap(spec.Maps[steerMapKnown]); err == nil {
			err = s.known.Put(uint32(0), s.sessions)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make map %s: %w", steerMapKnown, err), s.Close())
	}
	if s.controls, err = ebpf.NewMap(spec.Maps[steerMapControls]); err == nil {
		if s.ring, err = ebpf.NewMap(spec.Maps[steerMapHeards]); err == nil {
			s.heards, err = ringbuf.NewReader(s.ring)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the ring of control messages: %w", err), s.Close())
	}
	return s, nil
}

// Close lets go of the shared maps, and ends ReadControl. Programs still attached keep them until they
// are closed too.
func (s *Steering) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.heards != nil {
		err = s.heards.Close()
	}
	return errors.Join(err, s.locals.Close(), s.known.Close(), s.sessions.Close(), s.controls.Close(), s.ring.Close())
}

// AddLocal makes data messages to an address ours, on every core port.
func (s *Steering) AddLocal(l Local) error {
	keys, err := l.keys()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, k := range keys {
		if err := s.used.first(k, s.store); err != nil {
			for _, k := range keys[:i] {
				err = errors.Join(err, s.used.last(k, s.drop))
			}
			return fmt.Errorf("add local address %v: %w", l, err)
		}
	}
	if !l.Shared {
		if k, ok := l.pair(); ok {
			if err := s.know(k); err != nil {
				return errors.Join(fmt.Errorf("add peer %v of local address %v: %w", l.Peer, l, err), s.removeLocal(l, keys))
			}
		}
		return nil
	}
	if err := s.shared.first(keys[0], s.share); err != nil {
		for _, k := range keys {
			err = errors.Join(err, s.used.last(k, s.drop))
		}
		return fmt.Errorf("share local address %v with the kernel: %w", l, err)
	}
	return nil
}

// RemoveLocal takes back one AddLocal of the same Local.
func (s *Steering) RemoveLocal(l Local) error {
	keys, err := l.keys()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := l.pair(); ok {
		if err := s.unlearn(k); err != nil {
			return fmt.Errorf("remove peer %v of local address %v: %w", l.Peer, l, err)
		}
	}
	return s.removeLocal(l, keys)
}

// removeLocal takes an address back without its peer. The caller holds mu.
func (s *Steering) removeLocal(l Local, keys [2]steerLocal) error {
	if l.Shared {
		if err := s.shared.last(keys[0], s.store); err != nil {
			return fmt.Errorf("share local address %v no more: %w", l, err)
		}
	}
	for _, k := range keys {
		if err := s.used.last(k, s.drop); err != nil {
			return fmt.Errorf("remove local address %v: %w", l, err)
		}
	}
	return nil
}

func (s *Steering) store(k steerLocal) error {
	return s.locals.Put(k, steerLocalityLOCAL_OURS)
}

func (s *Steering) share(k steerLocal) error {
	return s.locals.Put(k, steerLocalityLOCAL_OURS|steerLocalityLOCAL_SESSIONS)
}

func (s *Steering) drop(k steerLocal) error {
	return s.locals.Delete(k)
}
