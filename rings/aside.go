package rings

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// aside calls fn on a CPU that no worker has, if the calling thread may run on one. To bind a socket the kernel
// goes through all frames of the arena, which takes milliseconds; a kernel without preemption lets nobody else
// have that CPU meanwhile, whatever its priority, and a worker's rings would run over.
func (f *Fabric) aside(fn func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var allowed unix.CPUSet
	if unix.SchedGetaffinity(0, &allowed) == nil {
		others := allowed
		for _, w := range f.workers {
			if w.cpu >= 0 {
				others.Clear(w.cpu)
			}
		}
		if n := others.Count(); n > 0 && n < allowed.Count() && unix.SchedSetaffinity(0, &others) == nil {
			defer func() { _ = unix.SchedSetaffinity(0, &allowed) }()
		}
	}
	return fn()
}
