package steer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"structs"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Session is what the data messages of one session have in common.
type Session struct {
	Local   Local
	Version uint8  // 3 or 2, of L2TP
	Tunnel  uint16 // our tunnel id with version 2; of no meaning with 3
	ID      uint32 // our session id; 16 bits with version 2; 0 with Peer

	// Peer is the other end of a keyed tunnel (RFC 8159): every data message from there is the
	// session's. Not valid: the session id tells.
	Peer netip.Addr
}

// sessionKey has the layout of struct session in session.h.
type sessionKey struct {
	_       structs.HostLayout
	To      steerLocal
	Version uint32
	ID      uint32 // in network order
	Peer    [16]uint8
}

func (n Session) key() (sessionKey, error) {
	keys, err := n.Local.keys()
	if err != nil {
		return sessionKey{}, err
	}
	if n.Peer.IsValid() {
		if n.ID != 0 || n.Version != 3 || n.Local.Encap != EncapIP || keys[0].Family != 6 || !n.Peer.Is6() {
			return sessionKey{}, fmt.Errorf("keyed by peer %v: must be L2TP version 3 over IPv6 without UDP, with session id 0", n.Peer)
		}
		return sessionKey{To: keys[0], Version: 3, Peer: n.Peer.As16()}, nil
	}
	if n.ID == 0 {
		return sessionKey{}, errors.New("session id 0 is for control messages")
	}
	var id [4]byte
	switch {
	case n.Version == 3:
		binary.BigEndian.PutUint32(id[:], n.ID)
	case n.Version == 2 && n.ID <= 0xffff && n.Local.Encap == EncapUDP:
		binary.BigEndian.PutUint16(id[:], n.Tunnel)
		binary.BigEndian.PutUint16(id[2:], uint16(n.ID))
	default:
		return sessionKey{}, fmt.Errorf("L2TP version %d has no such session: version 3, or 2 over UDP with ids of 16 bits", n.Version)
	}
	return sessionKey{To: keys[0], Version: uint32(n.Version), ID: binary.NativeEndian.Uint32(id[:])}, nil
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
	if err := s.know(k); err != nil {
		return fmt.Errorf("steer session %d at %v: %w", n.ID, n.Local, err)
	}
	return nil
}

// know counts one user of a key more. The caller holds mu.
func (s *Steering) know(k sessionKey) error {
	err := s.sessions.Update(k, uint32(1), ebpf.UpdateNoExist)
	switch {
	case errors.Is(err, ebpf.ErrKeyExist):
		var users uint32
		if err = s.sessions.Lookup(k, &users); err == nil {
			err = s.sessions.Put(k, users+1)
		}
	case errors.Is(err, unix.E2BIG):
		if err = s.widen(); err == nil {
			err = s.sessions.Put(k, uint32(1))
		}
	}
	return err
}

// widen puts a map twice as large in the place of a full one, in one step.
func (s *Steering) widen() error {
	spec, err := loadSteer()
	if err != nil {
		return fmt.Errorf("read the steering program: %w", err)
	}
	inner := spec.Maps[steerMapKnown].InnerMap
	inner.MaxEntries = 2 * s.sessions.MaxEntries()
	wider, err := ebpf.NewMap(inner)
	if err != nil {
		return fmt.Errorf("make a map of %d sessions: %w", inner.MaxEntries, err)
	}
	var k sessionKey
	var users uint32
	all := s.sessions.Iterate()
	for err == nil && all.Next(&k, &users) {
		err = wider.Put(k, users)
	}
	if err = errors.Join(err, all.Err()); err == nil {
		err = s.known.Put(uint32(0), wider)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("copy %d sessions: %w", s.sessions.MaxEntries(), err), wider.Close())
	}
	full := s.sessions
	s.sessions = wider
	return full.Close()
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
	if err := s.unlearn(k); err != nil {
		return fmt.Errorf("steer session %d at %v no more: %w", n.ID, n.Local, err)
	}
	return nil
}

// unlearn takes back one know. The caller holds mu.
func (s *Steering) unlearn(k sessionKey) error {
	var users uint32
	err := s.sessions.Lookup(k, &users)
	switch {
	case errors.Is(err, ebpf.ErrKeyNotExist):
		return nil
	case err == nil && users > 1:
		return s.sessions.Put(k, users-1)
	case err == nil:
		return s.sessions.Delete(k)
	}
	return err
}
