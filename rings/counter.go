//go:build !race

package rings

import "sync/atomic"

// counter has one writer and any number of readers. An aligned 64-bit store is one store on every
// CPU that Go knows as 64-bit, so the writer needs no locked instruction. The race build counts
// atomically instead, for the detector's sake.
type counter struct{ n uint64 }

func (c *counter) add(n uint64) { c.n += n }

func (c *counter) load() uint64 { return atomic.LoadUint64(&c.n) }
