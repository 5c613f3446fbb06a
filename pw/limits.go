package pw

import (
	"encoding/binary"
	"fmt"

	"xwire/l2tp"
)

// Limits bounds what a session carries; its zero value does not. Bytes are those of the frame inside
// the pseudowire: an Ethernet frame without FCS, or a PPP frame from its protocol on. What is above a
// limit is dropped. All workers draw on one bucket for each limit.
type Limits struct {
	Tx, Rx Rate // into the pseudowire, and out of it

	// Frames a second, and as many at once, of Ethernet that leave the pseudowire. Unknown unicast is
	// for an address that the other side has not sent from in the last five minutes; MaxMACs addresses
	// are remembered.
	Broadcast, Multicast, UnknownUnicast uint32
}

// MaxLimit is the most frames a second of a limit that is one.
const MaxLimit = 1e9

func (l *Limits) check() error {
	for _, r := range []Rate{l.Tx, l.Rx} {
		if r.Bits > MaxRate || r.Burst > MaxBurst || r.Bits > 0 && r.Burst == 0 {
			return fmt.Errorf("rate of %d bit/s with a burst of %d bytes: must be at most %d and 1 to %d", r.Bits, r.Burst, uint64(MaxRate), uint64(MaxBurst))
		}
	}
	if n := max(l.Broadcast, l.Multicast, l.UnknownUnicast); n > MaxLimit {
		return fmt.Errorf("limit of %d frames a second: must be at most %d", n, uint64(MaxLimit))
	}
	return nil
}

// limiter is Limits ready for use.
type limiter struct {
	Limits
	tx, rx, broadcast, multicast, unknown limit

	macs *macTable // nil: without UnknownUnicast
}

// limit is one of them. Its bucket outlives changes of others.
type limit struct {
	meter
	full *bucket // nil: no limit
}

// limiting returns the limiter for l, or nil; old is the session's until now.
func (l *Limits) limiting(old *limiter) *limiter {
	if *l == (Limits{}) {
		return nil
	}
	if old == nil {
		old = new(limiter)
	}
	n := &limiter{
		Limits: *l, macs: old.macs, tx: old.tx.next(l.Tx.meter()), rx: old.rx.next(l.Rx.meter()),
		broadcast: old.broadcast.next(frames(l.Broadcast)), multicast: old.multicast.next(frames(l.Multicast)),
		unknown: old.unknown.next(frames(l.UnknownUnicast)),
	}
	if n.macs == nil && l.UnknownUnicast != 0 {
		n.macs = new(macTable)
	}
	return n
}

// next is the limit that comes after l; one of another rate or burst begins full.
func (l limit) next(m meter) limit {
	switch {
	case m == meter{}:
		return limit{}
	case m == l.meter:
		return l
	}
	return limit{m, new(bucket)}
}

// admits takes n units, if there is a limit.
func (l *limit) admits(n uint32, now int64) bool {
	return l.full == nil || l.full.take(&l.meter, n, now)
}

// admitTx tells whether a frame may go into the pseudowire, inside which it has n bytes, and learns
// from it. Frames of PPP have no addresses.
func (l *limiter) admitTx(frame []byte, n uint32, ethernet bool, s *seeds, now int64) Drop {
	if l.UnknownUnicast != 0 && ethernet && len(frame) >= l2tp.EthernetLen {
		l.macs.learn(macOf(frame[6:]), s, now)
	}
	if !l.tx.admits(n, now) {
		return DropPoliced
	}
	return dropNone
}

// admitRx tells whether a frame that came out of the pseudowire may go on. One that is above a limit
// of its kind does not draw on the rate.
func (l *limiter) admitRx(frame []byte, ethernet bool, s *seeds, now int64) Drop {
	if ethernet && len(frame) >= l2tp.EthernetLen {
		mac := macOf(frame)
		switch {
		case mac == broadcastMAC:
			if !l.broadcast.admits(1, now) {
				return DropStorm
			}
		case mac&groupMAC != 0:
			if !l.multicast.admits(1, now) {
				return DropStorm
			}
		case l.UnknownUnicast != 0 && !l.macs.knows(mac, s, now):
			if !l.unknown.admits(1, now) {
				return DropStorm
			}
		}
	}
	if !l.rx.admits(uint32(len(frame)), now) {
		return DropPoliced
	}
	return dropNone
}

const (
	broadcastMAC = 1<<48 - 1
	groupMAC     = 1 << 40
)

// macOf is the address at b's beginning as a number.
func macOf(b []byte) uint64 {
	return uint64(binary.BigEndian.Uint32(b))<<16 | uint64(binary.BigEndian.Uint16(b[4:]))
}
