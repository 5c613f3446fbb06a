package rings

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// quarantine is what a queue leaves behind whose socket is closed and whose driver has not been seen
// to let go of its frames: a NIC may still write into them, or read them. They stay out of the pool
// until the kernel says that the queue is free.
type quarantine struct {
	kernel kernel // of the closed socket
	frames []uint32
}

// Quarantined is how many frames closed queues keep from the pool at present. It is 0 unless a
// driver is stuck.
func (f *Fabric) Quarantined() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.quarantined()
}

func (f *Fabric) quarantined() (frames int) {
	for _, k := range f.kept {
		frames += len(k.frames)
	}
	return frames
}

// unreleased lists the queues of a closed port that the kernel has not torn down when bindPatience
// is over, with the first error.
func (p *Port) unreleased() (stuck []*queue, failed error) {
	deadline := time.Now().Add(bindPatience)
	for _, q := range p.queues {
		if len(q.sockets) == 0 {
			continue // never bound
		}
		if err := q.sockets[0].kernel.released(time.Until(deadline)); err != nil {
			stuck = append(stuck, q)
			if failed == nil {
				failed = err
			}
		}
	}
	return stuck, failed
}

// letFree gives frames in quarantine back whose queues have been torn down since. It asks each queue
// once and does not wait.
func (f *Fabric) letFree() {
	kept := f.kept[:0:0]
	var free []uint32
	for _, k := range f.kept {
		if k.kernel.released(0) != nil {
			kept = append(kept, k)
			continue
		}
		free = append(free, k.frames...)
	}
	if len(kept) == len(f.kept) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = kept
	for _, frame := range free {
		f.takeBack(frame)
	}
}

// awaitRelease waits until the kernel has torn down a queue whose socket was closed, so that no
// driver touches its frames any more, at most for as long as patience. Only a bind can tell: it says
// EBUSY until then. An error means that the frames may still be in use, or that nobody knows.
func awaitRelease(ifindex int, queue uint32, patience time.Duration) error {
	arena, err := NewArena(ArenaConfig{Chunks: 2})
	if err != nil {
		return err
	}
	defer arena.Close()
	probe := &registration{arena: arena}
	e, err := probe.open(ifindex, queue, 64, 64, nil, patience)
	switch {
	case err == nil:
		_ = e.close()
		return nil
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO), errors.Is(err, unix.EINVAL):
		return nil // the interface is gone, or has no such queue any more
	}
	return err
}
