package ndr

import (
	"context"
	"errors"
	"os"
	"time"

	"xwire/bench/figure"
	"xwire/bench/traffic"
)

// Bench is a device between a generator's interface and a sink's.
type Bench struct {
	Generator *traffic.Generator
	Sink      *traffic.Sink
	Load      traffic.Load // interface and frames
	StampAt   int          // in frames as they are sent
	ReadAt    int          // in frames as they arrive
	Arrive    []int        // lengths of these, without FCS
	Duration  time.Duration
	PIDs      []int // of the device's processes, if it is on this machine
}

const (
	warmUp = 50 * time.Millisecond // once the generator sends
	// settle is what frames may take to arrive after the generator has ended.
	settle = 100 * time.Millisecond
)

// Overload offers as much as can be.
func (b *Bench) Overload(ctx context.Context) (float64, error) {
	if err := errors.Join(b.Sink.Want(b.Arrive...), b.Sink.ReadStamps(0)); err != nil {
		return 0, err
	}
	flood, err := b.Generator.Begin(ctx, b.Load)
	if err != nil {
		return 0, err
	}
	var read [2]traffic.Arrived
	for i, wait := range []time.Duration{warmUp, b.Duration} {
		if err = flood.Wait(ctx, wait); err == nil {
			read[i], err = b.Sink.Arrived()
		}
		if err != nil {
			return 0, errors.Join(err, flood.End())
		}
	}
	if err := flood.End(); err != nil {
		return 0, err
	}
	time.Sleep(settle)
	return float64(read[1].Frames-read[0].Frames) / float64(read[1].At.Sub(read[0].At).Microseconds()), nil
}

// watched calls run, and tells what others took of the CPUs meanwhile: while the generator's thread
// is there to be looked at.
func (b *Bench) watched(run func() error) (disturbed float64, err error) {
	done := make(chan error, 1)
	go func() { done <- run() }()
	pids := append([]int{os.Getpid()}, b.PIDs...)
	var first, last figure.Attention
	for i := 1; ; i++ {
		select {
		case err := <-done:
			if i < 3 {
				return 0, err // too short to tell
			}
			return last.DisturbedPercent(first), err
		case <-time.After(b.Duration / 5):
		}
		if last = figure.ReadAttention(pids...); i == 1 {
			first = last
		}
	}
}

// Trial offers a rate for the bench's duration and counts every frame.
func (b *Bench) Trial(ctx context.Context, mpps float64, latency bool) (t Trial, err error) {
	if err := errors.Join(b.Sink.Want(b.Arrive...), b.Sink.ReadStamps(b.ReadAt)); err != nil {
		return t, err
	}
	before, err := b.Sink.Arrived()
	if err != nil {
		return t, err
	}
	var latencies traffic.Latencies
	if latency {
		if latencies, err = b.Sink.Latencies(); err != nil {
			return t, err
		}
	}
	l := b.Load
	l.Rate, l.StampAt, l.Limit = mpps*1e6, b.StampAt, b.Duration
	disturbed, err := b.watched(func() error { return b.Generator.Run(ctx, l) })
	if err != nil {
		return t, err
	}
	if err := ctx.Err(); err != nil {
		return t, err
	}
	time.Sleep(settle)
	after, err := b.Sink.Arrived()
	if err != nil {
		return t, err
	}
	t = Trial{Rate: mpps, Received: after.Frames - before.Frames, Reordered: after.Reordered - before.Reordered, Disturbed: disturbed}
	if t.Sent, err = b.Generator.Generated(); err != nil {
		return t, err
	}
	if t.Late, err = b.Generator.Late(); err != nil {
		return t, err
	}
	if t.Sent == 0 {
		t.Late = max(t.Late, 1) // the generator did not have a CPU at all
	}
	if latency && t.Received > 0 {
		now, err := b.Sink.Latencies()
		if err != nil {
			return t, err
		}
		h := now.Histogram(latencies)
		micros := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1e3 }
		t.Latency = &Latency{P50: micros(50), P90: micros(90), P99: micros(99), P999: micros(99.9), Max: float64(h.Max()) / 1e3}
	}
	return t, nil
}
