package veth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"xwire/bench/traffic"
)

// inner is the customer's frame of a size.
func inner(size int) []byte { return traffic.TestFrame(innerDst, innerSrc, size) }

// load is what the generator sends to a case, and the lengths that arrive.
func (s *standing) load(mix traffic.Mix) (l traffic.Load, arrive []int) {
	l.Ifindex = s.place.generate
	for _, size := range mix {
		f := inner(size)
		l.Frames = append(l.Frames, s.frame(s.place.config, f))
		arrive = append(arrive, len(f)+s.extra(s.place.config))
	}
	return l, arrive
}

// verify sends a few frames of two sizes through a case until they come out as they should. A case
// that is another program may take a while until it does.
func (r *rig) verify(ctx context.Context, s *standing) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for _, mix := range []traffic.Mix{{traffic.MinSize}, {traffic.MaxSize}, traffic.IMIX} {
		for {
			err := r.tryOnce(ctx, s, mix)
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return errors.Join(fmt.Errorf("it carries no frames of size %v: %w", mix, err), ctx.Err(), r.story(s))
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return nil
}

// story is what the case's program printed.
func (r *rig) story(s *standing) error {
	if t, ok := s.running.(*testpmd); ok {
		return fmt.Errorf("testpmd printed:\n%s", t.process.Output())
	}
	return nil
}

// tryOnce sends one frame of each size of a mix and looks at what arrives.
func (r *rig) tryOnce(ctx context.Context, s *standing, mix traffic.Mix) error {
	l, arrive := s.load(mix)
	l.Count, l.Limit = uint64(len(mix)), time.Second
	if err := r.sink.Want(distinct(arrive)...); err != nil {
		return err
	}
	before, err := r.sink.Arrived()
	if err != nil {
		return err
	}
	tap, err := r.to.Capture(s.place.sinkName)
	if err != nil {
		return err
	}
	defer tap.Close()
	if err := r.generator.Run(ctx, l); err != nil {
		return err
	}
	after, err := r.sink.Arrived()
	for end := time.Now().Add(arrivalLimit); err == nil && after.Frames-before.Frames < l.Count && time.Now().Before(end); {
		time.Sleep(settle)
		after, err = r.sink.Arrived()
	}
	if err != nil {
		return err
	}
	if after.Frames-before.Frames < l.Count {
		return fmt.Errorf("%d of %d frames arrived, and %d of a wrong size", after.Frames-before.Frames, l.Count, after.Other-before.Other)
	}
	if r.config.Sink == traffic.SinkXDP {
		return nil // drops before a tap
	}
	if err := tap.Close(); err != nil {
		return err
	}
	whole := 0
	for _, c := range tap.Frames() {
		for i, size := range mix {
			if len(c.Frame) == arrive[i] && bytes.HasSuffix(c.Frame, inner(size)) {
				whole++
				break
			}
		}
	}
	if whole < int(l.Count) {
		return fmt.Errorf("%d of %d frames arrived as they should", whole, l.Count)
	}
	return nil
}

// distinct keeps the first of equal numbers.
func distinct(numbers []int) (d []int) {
	seen := map[int]bool{}
	for _, n := range numbers {
		if !seen[n] {
			seen[n] = true
			d = append(d, n)
		}
	}
	return d
}
