package steer

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// Session is what the data messages of one session have in common.
type Session struct {
	Local   Local
	Version uint8  // 3 or 2, of L2TP
	Tunnel  uint16 // our tunnel id with version 2; of no meaning with 3
	ID      uint32 // our session id; 16 bits with version 2
}

func (n Session) key() (steerSession, error) {
	if n.ID == 0 {
		return steerSession{}, errors.New("session id 0 is for control messages")
	}
	keys, err := n.Local.keys()
	if err != nil {
		return steerSession{}, err
	}
	var id [4]byte
	switch {
	case n.Version == 3:
		binary.BigEndian.PutUint32(id[:], n.ID)
	case n.Version == 2 && n.ID <= 0xffff && n.Local.Encap == EncapUDP:
		binary.BigEndian.PutUint16(id[:], n.Tunnel)
		binary.BigEndian.PutUint16(id[2:], uint16(n.ID))
	default:
		return steerSession{}, fmt.Errorf("L2TP version %d has no such session: version 3, or 2 over UDP with ids of 16 bits", n.Version)
	}
	return steerSession{To: keys[0], Version: uint32(n.Version), Id: binary.NativeEndian.Uint32(id[:])}, nil
}

// AddSession makes data messages of a session at a shared address ours. The worker's table has to
// know it before: what the program sends to a socket cannot go back. Sessions with different peers
// may have one key: they are counted.
func (s *Steering) AddSession(n Session) error {
	k, err := n.key()
	if err != nil {
		return fmt.Errorf("steer session %d at %v: %w", n.ID, n.Local, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.sessions.Update(k, uint32(1), ebpf.UpdateNoExist)
	if errors.Is(err, ebpf.ErrKeyExist) {
		var users uint32
		if err = s.sessions.Lookup(k, &users); err == nil {
			err = s.sessions.Put(k, users+1)
		}
	}
	if err != nil {
		return fmt.Errorf("steer session %d at %v: %w", n.ID, n.Local, err)
	}
	return nil
}

// RemoveSession takes back one AddSession, before the session leaves the worker's table. One that
// was never added is left alone.
func (s *Steering) RemoveSession(n Session) error {
	k, err := n.key()
	if err != nil {
		return fmt.Errorf("steer session %d at %v no more: %w", n.ID, n.Local, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var users uint32
	switch err = s.sessions.Lookup(k, &users); {
	case errors.Is(err, ebpf.ErrKeyNotExist):
		return nil
	case err == nil && users > 1:
		err = s.sessions.Put(k, users-1)
	case err == nil:
		err = s.sessions.Delete(k)
	}
	if err != nil {
		return fmt.Errorf("steer session %d at %v no more: %w", n.ID, n.Local, err)
	}
	return nil
}
