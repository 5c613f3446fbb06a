package rings

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// What takes the kernel long is done where no worker runs, if there is such a CPU, and the thread may go
// everywhere again after that.
func TestAside(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	affinity := func() unix.CPUSet {
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(0, &set); err != nil {
			t.Fatal(err)
		}
		return set
	}
	before := affinity()
	var cpus []int
	for cpu := range len(before) * 64 {
		if before.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	without := func(workers ...int) unix.CPUSet {
		set := before
		for _, cpu := range workers {
			set.Clear(cpu)
		}
		return set
	}
	last := cpus[len(cpus)-1]
	for _, c := range []struct {
		name    string
		workers []int
		want    unix.CPUSet
	}{
		{"no workers", nil, before},
		{"one that is not pinned", []int{-1}, before},
		{"one on the last CPU", []int{last}, without(last)},
		{"two on the last CPU", []int{last, last}, without(last)},
		{"on all CPUs", cpus, before},
	} {
		if len(cpus) == 1 {
			c.want = before
		}
		f := &Fabric{}
		for _, cpu := range c.workers {
			f.workers = append(f.workers, &worker{cpu: cpu})
		}
		failed := errors.New("no")
		var during unix.CPUSet
		if err := f.aside(func() error { during = affinity(); return failed }); err != failed {
			t.Errorf("%s: %v, want the function's error", c.name, err)
		}
		if during != c.want {
			t.Errorf("%s: it runs on %v, want %v", c.name, during, c.want)
		}
		if after := affinity(); after != before {
			t.Errorf("%s: the thread may run on %v after it, want %v", c.name, after, before)
		}
	}
}
