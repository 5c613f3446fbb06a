//go:build race

package rings

import "sync/atomic"

type counter struct{ n uint64 }

func (c *counter) add(n uint64) { atomic.AddUint64(&c.n, n) }

func (c *counter) load() uint64 { return atomic.LoadUint64(&c.n) }
