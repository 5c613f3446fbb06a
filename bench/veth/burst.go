package veth

import (
	"context"
	"time"
)

const (
	// burstRounds is in how many rounds bursts are looked for.
	burstRounds = 3
	maxBurst    = 1 << 17
)

// burst looks for the longest burst of frames back to back, as fast as the generator sends, of which
// none is lost (RFC 2544 section 26.4), to five percent. maxBurst stands for "no end".
func (r *rig) burst(ctx context.Context, s *series) (int, error) {
	fits, tooLong := 0, 0
	for n := 128; n <= maxBurst; n *= 2 {
		whole, err := r.survives(ctx, s, n)
		if err != nil {
			return 0, err
		}
		if !whole {
			tooLong = n
			break
		}
		fits = n
	}
	for tooLong-fits > max(fits/20, 8) {
		n := (fits + tooLong) / 2
		whole, err := r.survives(ctx, s, n)
		if err != nil {
			return 0, err
		}
		if whole {
			fits = n
		} else {
			tooLong = n
		}
	}
	return fits, nil
}

// survives sends one burst and tells whether all of it arrived.
func (r *rig) survives(ctx context.Context, s *series, n int) (bool, error) {
	l, _ := s.standing.load(s.mix)
	l.Count, l.Limit = uint64(n), time.Second
	before, err := r.sink.Arrived()
	if err != nil {
		return false, err
	}
	if err := r.generator.Run(ctx, l); err != nil {
		return false, err
	}
	for got, quiet := uint64(0), 0; quiet < 2; quiet++ {
		time.Sleep(settle / 4)
		now, err := r.sink.Arrived()
		if err != nil {
			return false, err
		}
		if now.Frames-before.Frames >= uint64(n) {
			return true, nil
		}
		if now.Frames-before.Frames > got {
			got, quiet = now.Frames-before.Frames, -1
		}
	}
	return false, nil
}
