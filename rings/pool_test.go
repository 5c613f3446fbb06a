package rings

import (
	"math/rand/v2"
	"sync"
	"testing"
)

// drain takes every frame that a cache can get and fails on one that was seen.
func drain(t *testing.T, c *cache, seen []bool) (n int) {
	t.Helper()
	for {
		frame, ok := c.get()
		if !ok {
			return n
		}
		if seen[frame] {
			t.Fatalf("frame %d is free twice", frame)
		}
		seen[frame] = true
		n++
	}
}

func TestPoolHasEachFrameOnce(t *testing.T) {
	for _, frames := range []int{1, 63, 64, 65, 1000, 4096} {
		d := newDepot(frames, 2)
		a, b := cache{depot: d}, cache{depot: d}
		if n := drain(t, &a, make([]bool, frames)); n != frames {
			t.Errorf("%d frames: got %d", frames, n)
		}
		// Frames taken by one cache and put back through another, again and again.
		for range 3 {
			for frame := range frames {
				b.put(uint32(frame))
			}
			seen := make([]bool, frames)
			n := drain(t, &a, seen)
			n += drain(t, &b, seen)
			if n != frames {
				t.Errorf("%d frames: got %d after a turn", frames, n)
			}
		}
	}
}

func TestPoolConcurrent(t *testing.T) {
	const frames, caches = 4096, 8
	d := newDepot(frames, caches)
	owned := make([]owner, frames) // a plain write by each owner: the race detector judges
	all := make([]cache, caches)
	var wg sync.WaitGroup
	for i := range all {
		c := &all[i]
		c.depot = d
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			var mine []uint32
			for range 20_000 {
				for range r.IntN(100) {
					frame, ok := c.get()
					if !ok {
						break
					}
					if owned[frame] != ownerPool {
						t.Errorf("frame %d is free and owned by %d", frame, owned[frame])
						return
					}
					owned[frame] = ownerHeld
					mine = append(mine, frame)
				}
				for range r.IntN(100) {
					if len(mine) == 0 {
						break
					}
					frame := mine[len(mine)-1]
					mine = mine[:len(mine)-1]
					owned[frame] = ownerPool
					c.put(frame)
				}
			}
			for _, frame := range mine {
				owned[frame] = ownerPool
				c.put(frame)
			}
		})
	}
	wg.Wait()
	seen := make([]bool, frames)
	n := 0
	for i := range all {
		n += drain(t, &all[i], seen)
	}
	if n != frames {
		t.Errorf("%d of %d frames are left", n, frames)
	}
}

func TestPoolAllocatesNothing(t *testing.T) {
	c := &cache{depot: newDepot(4096, 1)}
	if n := testing.AllocsPerRun(100, func() {
		var frames [300]uint32
		for i := range frames {
			frames[i], _ = c.get()
		}
		for _, frame := range frames {
			c.put(frame)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
