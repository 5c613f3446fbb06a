//go:build race

package pw

import "sync/atomic"

// counter as the race detector likes it; see the other build.
type counter uint64

func (c *counter) add(n uint64) { atomic.AddUint64((*uint64)(c), n) }
