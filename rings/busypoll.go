package rings

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// A port with BusyPoll has its workers do the driver's work themselves, in system calls of their own,
// in the place of the softirq on the CPU that the interrupt went to. The kernel lets a queue's
// interrupts rest meanwhile if the interface defers them (napi_defer_hard_irqs and
// gro_flush_timeout in sysfs).
const (
	// busyPollTime is SO_BUSY_POLL in microseconds. The calls do not wait, so any but 0 will do.
	busyPollTime = 20
	// busyPollBudget is how many frames the driver takes in one call; the kernel allows this much
	// without CAP_NET_ADMIN.
	busyPollBudget = 64
	// busyPollFor is how long a worker with such a port goes on asking, in nanoseconds, after the
	// last frame: then it sleeps, and the interrupt wakes it.
	busyPollFor = int64(200 * time.Microsecond)
)

// preferBusyPoll needs Linux 5.11 and CAP_NET_ADMIN.
func preferBusyPoll(fd int) error {
	for _, o := range []struct {
		name          string
		option, value int
	}{
		{"SO_PREFER_BUSY_POLL", unix.SO_PREFER_BUSY_POLL, 1},
		{"SO_BUSY_POLL", unix.SO_BUSY_POLL, busyPollTime},
		{"SO_BUSY_POLL_BUDGET", unix.SO_BUSY_POLL_BUDGET, busyPollBudget},
	} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, o.option, o.value); err != nil {
			return fmt.Errorf("set %s: %w", o.name, err)
		}
	}
	return nil
}

// busyPoll runs the driver's receiving for a socket that has nothing.
func (w *worker) busyPoll(s *socket) {
	if s.rx.available(1) == 0 {
		w.counters.kicks.add(1)
		s.kernel.wakeRX()
	}
}

// restless tells whether a worker that found nothing to do asks again instead of sleeping.
func (w *worker) restless(now int64, moved int) bool {
	if !w.busyPolls {
		return false
	}
	if moved > 0 {
		w.lastMoved = now
	}
	return now-w.lastMoved < busyPollFor
}
