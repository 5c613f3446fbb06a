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
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	workers := 0
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
			t.Errorf("thread %d has nice %d, want %d", id, nice, ordinaryNice)
		}
	}
	if workers != 1 {
		t.Errorf("%d threads have a worker's priority, want 1", workers)
	}
}
