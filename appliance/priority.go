package appliance

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// ordinaryNice is what all threads have but workers, which must have nearly all of a CPU that others want too.
	ordinaryNice = -5
	// ordinarySlice is how long they run in turn with each other, from Linux 6.12 on: workers that wait
	// for one that has no CPU wait for the others' turns.
	ordinarySlice = 200 * time.Microsecond
)

// makeRoom has Go run more threads at once than there are CPUs. It lets go of a worker that sleeps in the
// kernel, and when frames wake that, the worker needs one of as many places as GOMAXPROCS says: a reload and
// the garbage collector would have them all, for ten milliseconds at a time. So there are more places than
// CPUs; who has a CPU is for the kernel to say, which prefers workers.
func makeRoom(workers int) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), runtime.NumCPU()+2*workers+4))
	}
}

// preferThreads has no thread of the process queue behind other programs: the garbage collector stops all
// threads for a moment, and workers wait until the last of the others has had a CPU to stop on. Threads that
// come later have their priority from the one that makes them.
func preferThreads() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("list the own threads: %w", err)
	}
	for _, d := range threads {
		id, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		a := unix.SchedAttr{Size: unix.SizeofSchedAttr, Nice: ordinaryNice, Runtime: uint64(ordinarySlice)}
		if err := unix.SchedSetAttr(id, &a, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("give the process nice %d: %w", ordinaryNice, err)
		}
	}
	return nil
}
