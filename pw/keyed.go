package pw

import (
	"errors"
	"fmt"

	"xwire/l2tp"
)

// A keyed tunnel (RFC 8159) has one session, to which every data message between its two addresses
// belongs, whatever session id it has. Where no session has the message's own id, the session is looked
// for under keyedID, which no data message has.
const keyedID = 0

func (s *TunnelSpec) checkKeyed() error {
	if s.Keyed && (s.Encap != l2tp.EncapIP || !s.Local.Addr().Is6()) {
		return fmt.Errorf("keyed tunnel from %v to %v: must be over IPv6, without UDP", s.Local, s.Peer)
	}
	return nil
}

// checkKeyed tells whether the session can be one of the tunnel.
func (s *SessionSpec) checkKeyed(t *tunnel) error {
	switch {
	case !t.keyed && s.SID == 0:
		return errors.New("session id 0 is for control messages")
	case !t.keyed:
		return nil
	case s.SID != keyedID:
		return fmt.Errorf("session id %d in a keyed tunnel, which takes any: must be %d", s.SID, keyedID)
	case s.TxCookie.Len() != l2tp.MaxCookieLen || s.RxCookieCount == 0 || s.RxCookies[0].Len() != l2tp.MaxCookieLen:
		return fmt.Errorf("cookies in a keyed tunnel: must have %d bytes both ways", l2tp.MaxCookieLen)
	}
	return nil
}

// spreadTag is what the worker of a packet follows from: that of a keyed tunnel's session is the same for
// every session id, and that of one over UDP for every port of the peer.
func (f *Forwarder) spreadTag(b []byte, l *lookup) uint32 {
	t := f.table
	if l.class.udp() {
		fl := flowOf(b, l)
		fl.ports &^= peerPortMask
		return t.seeds.tag(&fl, l.sid)
	}
	if l.class != classIP6 || t.keyed.Load() == 0 {
		return l.tag
	}
	x := t.decap.Load()
	l.record, _ = x.first(l.tag)
	record := f.resolve(b, l, x)
	if record == 0 || f.sessions.at(record).sid != keyedID {
		return l.tag
	}
	fl := flowOf(b, l)
	return t.seeds.tag(&fl, keyedID)
}
