package pw

import (
	"math/bits"
	"sync/atomic"
)

// Rate bounds a flow of frames by a token bucket (RFC 2697 with one colour): never more than Burst
// bytes and what Bits allows meanwhile.
type Rate struct {
	Bits  uint64 // a second; 0: no limit
	Burst uint64 // bytes, at least the longest frame, or that never passes
}

// MaxRate is the highest rate, in bits a second, and MaxBurst the longest burst, in bytes.
const (
	MaxRate  = 1e12
	MaxBurst = 1 << 32
)

// Time in a bucket is in units of 1/256 ns, modulo 2^64: fine enough for a byte at MaxRate.
const (
	tickShift = 8
	second    = 1e9 << tickShift
)

// meter is a bucket's rate as the time that a unit (a byte, or a frame) takes at it.
type meter struct {
	unit  uint64 // ticks, with 16 bits of fraction, rounded up
	burst uint64 // ticks
}

// newMeter is for units a second, whose time is a multiple of grain, and a burst of units. Rounding is against the sender, so that never more passes than said, but for a tick's worth
// once; a frame as long as the burst passes.
func newMeter(units, burst, grain uint64) meter {
	if units == 0 {
		return meter{}
	}
	hi, lo := bits.Mul64(second, 1<<16)
	q, rest := bits.Div64(hi, lo, units)
	if rest > 0 {
		q++
	}
	m := meter{unit: (q + grain - 1) / grain * grain}
	m.burst = min(m.cost(burst), 1<<62) // years
	return m
}

// cost is the time that n units take, in ticks, rounded up.
func (m *meter) cost(n uint64) uint64 {
	hi, lo := bits.Mul64(n, m.unit)
	if hi >= 1<<15 {
		return 1 << 63
	}
	c := hi<<48 | lo>>16
	if lo&0xffff != 0 {
		c++
	}
	return c
}

// meter is that of a rate of bytes.
func (r Rate) meter() meter {
	if r.Bits == 0 {
		return meter{}
	}
	// A byte takes eight times as long as a bit.
	m := newMeter(r.Bits, 0, 1)
	m.unit *= 8
	m.burst = min(m.cost(r.Burst), 1<<62)
	return m
}

// frames is the meter of a limit of frames a second, and as many at once.
func frames(n uint32) meter { return newMeter(uint64(n), uint64(n), 1<<16) }

// bucket is the state: the time at which it will be full again. Any number of workers take from it.
// It has a cache line to itself.
type bucket struct {
	full atomic.Uint64
	_    [7]uint64
}

// take takes n units at a time in nanoseconds, all or none.
func (b *bucket) take(m *meter, n uint32, now int64) bool {
	t := uint64(now) << tickShift
	cost := m.cost(uint64(n))
	for {
		full := b.full.Load()
		wait := full - t
		if wait > m.burst+second {
			// Full since long ago. The second is for workers whose clock is ahead of ours.
			wait = 0
		}
		if wait+cost > m.burst {
			return false
		}
		if b.full.CompareAndSwap(full, t+wait+cost) {
			return true
		}
	}
}
