package steer

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
)

// Steering is what the programs of all ports share: the local tunnel addresses. Its methods may
// be called from any goroutine.
type Steering struct {
	locals *ebpf.Map

	mu   sync.Mutex
	used counted[steerLocal]
}

// Load makes the shared maps. It attaches nothing.
func Load() (*Steering, error) {
	spec, err := loadSteer()
	if err != nil {
		return nil, fmt.Errorf("read the steering program: %w", err)
	}
	locals, err := ebpf.NewMap(spec.Maps[steerMapLocals])
	if err != nil {
		return nil, fmt.Errorf("make map %s: %w", steerMapLocals, err)
	}
	return &Steering{locals: locals, used: counted[steerLocal]{}}, nil
}

// Close lets go of the shared maps. Programs still attached keep them until they are closed too.
func (s *Steering) Close() error {
	return s.locals.Close()
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
			return fmt.Errorf("add local address %v: %w", l.Addr, err)
		}
	}
	return nil
}

// RemoveLocal takes back one AddLocal.
func (s *Steering) RemoveLocal(l Local) error {
	keys, err := l.keys()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range keys {
		if err := s.used.last(k, s.drop); err != nil {
			return fmt.Errorf("remove local address %v: %w", l.Addr, err)
		}
	}
	return nil
}

func (s *Steering) store(k steerLocal) error {
	return s.locals.Put(k, uint32(0))
}

func (s *Steering) drop(k steerLocal) error {
	return s.locals.Delete(k)
}
