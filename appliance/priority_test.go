package appliance

import (
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// No thread waits behind other programs, and Go has places for workers beside those for all CPUs.
func TestPriority(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	rig(t, requestText)
	// A thread begins with the priority of the one that made it.
	var others []int
	workers := 0
	until(t, "one thread has a worker's priority, the others another", func() bool {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		others, workers = others[:0], 0
		for _, d := range threads {
			id, _ := strconv.Atoi(d.Name())
			v, err := unix.Getpriority(unix.PRIO_PROCESS, id)
			if err != nil {
				continue // it has ended
			}
			switch nice := 20 - v; { // as the system call tells it
			case nice == -20:
				workers++
			case nice != ordinaryNice:
				others = append(others, nice)
			}
		}
		return workers == 1 && len(others) == 0
	})
}
