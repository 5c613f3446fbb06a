package core

import (
	"slices"
	"time"

	"xwire/pw"
)

const (
	gaugePasses = 1000 // some ten microseconds
	gaugeFirst  = 20000
	fullSpeed   = 1.1 // of the least time that counts as full speed
)

// gauge tells whether the CPU works at full speed. What a neighbour does on the other thread of the core takes up to half of
// it, for milliseconds or minutes, and none of a guest's counters tells. A reading is the time of a little
// work in the first level's cache.
type gauge struct {
	in, out  []pw.Frame
	patience time.Duration   // left, for rounds at full speed
	full     time.Duration   // of a reading at full speed, as far as is known
	readings []time.Duration // since settle
}

// newGauge reads for half a second: within that, a neighbour has rested for a moment.
func newGauge(patience time.Duration) *gauge {
	g := &gauge{in: make([]pw.Frame, batchSize), out: make([]pw.Frame, 0, batchSize), patience: patience}
	for began := time.Now(); len(g.readings) < gaugeFirst && time.Since(began) < 500*time.Millisecond; {
		g.read()
	}
	g.settle()
	return g
}

// read takes a reading.
func (g *gauge) read() time.Duration {
	began := threadTime()
	for range gaugePasses {
		g.out = append(g.out[:0], g.in...)
	}
	took := threadTime() - began
	g.readings = append(g.readings, took)
	return took
}

// atFull tells whether a reading was taken at full speed.
func (g *gauge) atFull(reading time.Duration) bool {
	return float64(reading) <= fullSpeed*float64(g.full)
}

// settle learns the full speed from the readings since the last time: the tenth part that was fastest, for
// a clock that is set right makes single readings too short.
func (g *gauge) settle() {
	slices.Sort(g.readings)
	if tenth := g.readings[len(g.readings)/10]; g.full == 0 || tenth < g.full {
		g.full = tenth
	}
	g.readings = g.readings[:0]
}
