package appliance

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// ordinaryNice is what all threads have but workers, which must have nearly all of a CPU that others want too.
	ordinaryNice = -5
	// ordinarySlice is how long they run in turn with each other, from Linux 6.12 on: workers that wait
	// for one that has no CPU wait for the others' turns.
	ordinarySlice = 200 * time.Microsecond
	// sessionNice is what all of the process have against the processes of other sessions.
	sessionNice = -20
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

// preferSession has the process preferred to other sessions' processes. Where the kernel shares CPUs evenly
// between sessions (sched_autogroup), the nice values of threads count within a session only: a worker had a
// third of a CPU that other programs wanted, and waited for it for up to a second. A session that is others'
// too is left alone. In a cgroup with a weight of its own (CPUWeight= in the unit), that counts instead.
func preferSession() error {
	enabled, err := os.ReadFile("/proc/sys/kernel/sched_autogroup_enabled")
	if errors.Is(err, os.ErrNotExist) || err == nil && strings.TrimSpace(string(enabled)) == "0" {
		return nil
	}
	if sid, err := unix.Getsid(0); err != nil || sid != os.Getpid() {
		return errors.New("share the CPUs evenly with other sessions' programs: the session is not xwire's alone; start it as a service, or by setsid")
	}
	f, err := os.OpenFile("/proc/self/autogroup", os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("give the session nice %d: %w", sessionNice, err)
	}
	defer f.Close()
	// Without CAP_SYS_ADMIN the kernel takes one such change in a tenth of a second.
	for range 10 {
		if _, err = f.WriteString(strconv.Itoa(sessionNice)); !errors.Is(err, unix.EAGAIN) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("give the session nice %d: %w", sessionNice, err)
	}
	return nil
}
