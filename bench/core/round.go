package core

import (
	"time"

	"golang.org/x/sys/unix"

	"xwire/bench/figure"
)

const (
	windowsWanted = 150 // at full speed, in a round
	windowsEnough = 25  // fewer at full speed tell nothing
	windowsMost   = 600 // unless not enough were at full speed, and there is patience left
)

// Round is one round's figures in nanoseconds a packet: medians of its windows at full speed.
type Round struct {
	Net              float64 `json:"net"`
	Gross            float64 `json:"gross"`
	All              float64 `json:"all"`                // net, with the windows in which the CPU was slower
	FullSpeedPercent float64 `json:"full_speed_percent"` // of the windows

	packets uint64
	slow    bool // not enough of them were at full speed: all count
}

// windows are times a packet, of the real work and of the idle loop in turns.
type windows struct{ works, idles []float64 }

func (w *windows) add(work, idle float64) {
	w.works, w.idles = append(w.works, work), append(w.idles, idle)
}

// net and gross.
func (w *windows) medians() (net, gross float64) {
	gross = figure.Median(w.works)
	return gross - figure.Median(w.idles), gross
}

// round takes windows until enough were at full speed.
func (b *bed) round(g *gauge, batches int) Round {
	packets := float64(batches * batchSize)
	var full, all windows
	before := g.atFull(g.read())
	for len(full.works) < windowsWanted && (len(all.works) < windowsMost || len(full.works) < windowsEnough && g.patience > 0) {
		work := float64(b.window(b.work, batches)) / packets
		loop := float64(b.window(idle, batches)) / packets
		after := g.atFull(g.read())
		all.add(work, loop)
		if before && after {
			full.add(work, loop)
		}
		if before = after; len(all.works) > windowsMost {
			g.patience -= time.Duration((work + loop) * packets)
		}
	}
	g.settle()
	r := Round{
		FullSpeedPercent: 100 * float64(len(full.works)) / float64(len(all.works)),
		packets:          uint64(packets) * uint64(len(all.works)),
		slow:             len(full.works) < windowsEnough,
	}
	r.All, _ = all.medians()
	if r.slow {
		full = all
	}
	r.Net, r.Gross = full.medians()
	return r
}

// window runs batches and tells the CPU time they took.
func (b *bed) window(work process, batches int) time.Duration {
	began := threadTime()
	b.run(work, batches)
	return threadTime() - began
}

// threadTime is what this thread has had of its CPU: what neighbours take does not count.
func threadTime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}
