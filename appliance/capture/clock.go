package capture

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock knows how far the wall's clock is from the monotonic one of records.
type Clock struct{ offset int64 }

// NewClock compares the two now. Changes of the wall's clock after that are not seen.
func NewClock() *Clock {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail for this clock
	return &Clock{time.Now().UnixNano() - ts.Nano()}
}

// Time is when a record was made.
func (c *Clock) Time(monotonic int64) time.Time { return time.Unix(0, monotonic+c.offset) }
