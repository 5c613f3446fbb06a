//go:build !race

package pw

// counter is written by one worker only and read by anyone through load. A plain aligned 64-bit
// add cannot be seen half done on the platforms that have AF_XDP; a locked add would cost more
// than the rest of the bookkeeping.
type counter uint64

func (c *counter) add(n uint64) { *c += counter(n) }
