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

// limiter is Limits ready for use, with the state, which outlives changes.
type limiter struct {
	Limits
	tx, rx, broadcast, multicast, unknown meter
	*limiterState
	macs *macTable // nil: without UnknownUnicast
}

// limiterState is a cache line.
type limiterState struct {
	txFull, rxFull, broadcastFull, multicastFull, unknownFull bucket
	_                                                         [3]bucket
}

// limiting returns the limiter for l, or nil; old is the session's until now.
func (l *Limits) limiting(old *limiter) *limiter {
	if *l == (Limits{}) {
		return nil
	}
	n := &limiter{
		Limits: *l, tx: l.Tx.meter(), rx: l.Rx.meter(),
		broadcast: frames(l.Broadcast), multicast: frames(l.Multicast), unknown: frames(l.UnknownUnicast),
	}
	if old != nil {
		n.limiterState, n.macs = old.limiterState, old.macs
	} else {
		n.limiterState = new(limiterState)
	}
	if n.macs == nil && l.UnknownUnicast != 0 {
		n.macs = new(macTable)
	}
	return n
}

// admitTx tells whether a frame may go into the pseudowire, inside which it has n bytes, and learns
// from it. Frames of PPP have no addresses.
func (l *limiter) admitTx(frame []byte, n uint32, ethernet bool, s *seeds, now int64) Drop {
	if l.UnknownUnicast != 0 && ethernet && len(frame) >= l2tp.EthernetLen {
		l.macs.learn(macOf(frame[6:]), s, now)
	}
	if l.Tx.Bits != 0 && !l.txFull.take(&l.tx, n, now) {
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
			if l.Broadcast != 0 && !l.broadcastFull.take(&l.broadcast, 1, now) {
				return DropStorm
			}
		case mac&groupMAC != 0:
			if l.Multicast != 0 && !l.multicastFull.take(&l.multicast, 1, now) {
				return DropStorm
			}
		case l.UnknownUnicast != 0 && !l.macs.knows(mac, s, now):
			if !l.unknownFull.take(&l.unknown, 1, now) {
				return DropStorm
			}
		}
	}
	if l.Rx.Bits != 0 && !l.rxFull.take(&l.rx, uint32(len(frame)), now) {
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
