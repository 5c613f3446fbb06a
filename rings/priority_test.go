package rings

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A worker's thread runs before others, under an ordinary policy, and tells whether it does.
func TestWorkerPriority(t *testing.T) {
	f := newKernelFabric(t, ArenaConfig{Chunks: 4096}, &relay{})
	stop := start(t, f)
	defer stop()
	for deadline := time.Now().Add(soon); !f.WorkerStatus()[0].Preferred; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the worker has no priority: root, or CAP_SYS_NICE, is needed")
		}
	}
	attr := make(chan *unix.SchedAttr, 1)
	f.workers[0].do(func() {
		a, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			t.Error(err)
		}
		attr <- a
	})
	if a := <-attr; a == nil || a.Nice != workerNice || a.Policy != unix.SCHED_NORMAL {
		t.Errorf("scheduling of a worker: %+v, want nice %d", a, workerNice)
	}
}
