package rings

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// workerNice has the scheduler give a worker nearly all of a CPU that it shares, and the CPU at once
	// when frames come: rings hold some milliseconds of them. A real-time policy would starve RCU, and
	// with it every attach and detach of an XDP program.
	workerNice = -20
	// workerSlice is how long it runs in turn with others. From Linux 6.12 on, who asks for less is let
	// run sooner; before, this is ignored.
	workerSlice = 100 * time.Microsecond
)

// prefer gives the calling thread a worker's priority. It needs CAP_SYS_NICE, or RLIMIT_NICE.
func prefer() error {
	a := unix.SchedAttr{Size: unix.SizeofSchedAttr, Nice: workerNice, Runtime: uint64(workerSlice)}
	if err := unix.SchedSetAttr(0, &a, 0); err != nil {
		return fmt.Errorf("set nice %d: %w", workerNice, err)
	}
	return nil
}
