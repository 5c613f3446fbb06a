package steer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf/ringbuf"
)

// Control is what the control messages to one tunnel have in common.
type Control struct {
	Local   Local // EncapUDP; Shared is of no meaning
	Version uint8 // 3 or 2, of L2TP
	Tunnel  uint32
}

func (c Control) key() (steerControl, error) {
	keys, err := c.Local.keys()
	switch {
	case err != nil:
		return steerControl{}, err
	case c.Local.Encap != EncapUDP:
		return steerControl{}, errors.New("over IP the kernel gives control messages to every socket that wants them")
	case c.Version != 2 && c.Version != 3 || c.Version == 2 && c.Tunnel > 0xffff:
		return steerControl{}, fmt.Errorf("L2TP version %d has no tunnel %d", c.Version, c.Tunnel)
	}
	return steerControl{To: keys[0], Version: uint32(c.Version), Tunnel: c.Tunnel}, nil
}

// AddControl has the control messages to a tunnel, at an address that was added, handed to
// ReadControl instead of to the kernel. Those of all other tunnels at the address are the kernel's.
func (s *Steering) AddControl(c Control) error {
	k, err := c.key()
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		err = s.heard.first(k, func(k steerControl) error { return s.controls.Put(k, uint32(0)) })
	}
	if err != nil {
		return fmt.Errorf("take control messages to tunnel %d at %v: %w", c.Tunnel, c.Local, err)
	}
	return nil
}

// RemoveControl takes back one AddControl.
func (s *Steering) RemoveControl(c Control) error {
	k, err := c.key()
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		err = s.heard.last(k, func(k steerControl) error { return s.controls.Delete(k) })
	}
	if err != nil {
		return fmt.Errorf("take control messages to tunnel %d at %v no more: %w", c.Tunnel, c.Local, err)
	}
	return nil
}

// ReadControl waits for a control message and gives its packet, from the IP header on, perhaps with
// an Ethernet frame's padding; it holds until the next call. The UDP checksum was not looked at: frames
// of a veth have none that is finished. After StopControl the error is os.ErrClosed. Only one goroutine
// may call it.
func (s *Steering) ReadControl() ([]byte, error) {
	const lengthLen = 4
	for {
		if err := s.heards.ReadInto(&s.record); errors.Is(err, ringbuf.ErrClosed) {
			return nil, os.ErrClosed
		} else if err != nil {
			return nil, fmt.Errorf("read control messages: %w", err)
		}
		b := s.record.RawSample
		if len(b) < lengthLen {
			continue
		}
		n := binary.NativeEndian.Uint32(b)
		if b = b[lengthLen:]; int(n) <= len(b) {
			return b[:n], nil
		}
	}
}

// StopControl ends ReadControl.
func (s *Steering) StopControl() error { return s.heards.Close() }
