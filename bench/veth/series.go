package veth

import (
	"xwire/bench/figure"
	"xwire/bench/traffic"
)

// series is the rounds of one case at one size.
type series struct {
	standing *standing
	mix      traffic.Mix
	rounds   []window
	bursts   []float64
	retries  int // left in this round
}

// window is one measurement, or the sum of several.
type window struct {
	frames, generated float64
	micros            float64 // it took
	busy              float64 // microseconds of CPU of the thread that forwards
	disturbed         float64 // microseconds that others took from generator and worker
}

func (w *window) add(o window) {
	w.frames += o.frames
	w.generated += o.generated
	w.micros += o.micros
	w.busy += o.busy
	w.disturbed += o.disturbed
}

func (w window) mpps() float64    { return w.frames / max(w.micros, 1) }
func (w window) offered() float64 { return w.generated / max(w.micros, 1) }

// perCPU is frames a microsecond of CPU.
func (w window) perCPU() float64           { return w.frames / max(w.busy, 1) }
func (w window) disturbedPercent() float64 { return 100 * w.disturbed / max(w.micros, 1) }

// column takes one number out of windows.
func column(windows []window, f func(window) float64) (v []float64) {
	for _, w := range windows {
		v = append(v, f(w))
	}
	return v
}

// result sums a series up; base is that of forward at the same size.
func (s *series) result(base *series) Result {
	mpps, baseMpps := column(s.rounds, window.mpps), column(base.rounds, window.mpps)
	r := Result{
		Case: s.standing.name, Size: int(s.mix.Mean() + 0.5), Mpps: figure.Median(mpps), MppsSpreadPercent: figure.SpreadPercent(mpps),
		OfferedMpps:      figure.Median(column(s.rounds, window.offered)),
		DisturbedPercent: figure.Median(column(s.rounds, window.disturbedPercent)),
		Mode:             s.standing.running.mode(), CPUs: s.standing.cpus, BackToBack: int(figure.Median(s.bursts)), Rounds: mpps,
	}
	if len(s.mix) > 1 {
		r.Mix = s.mix.String()
	}
	r.Gbps = r.Mpps * s.mix.Mean() * 8 / 1e3
	perCPU, basePerCPU := column(s.rounds, window.perCPU), column(base.rounds, window.perCPU)
	var ratios []float64
	for i := range perCPU {
		if basePerCPU[i] > 0 {
			ratios = append(ratios, perCPU[i]/basePerCPU[i])
		}
	}
	r.PerCPU, r.RatioPerCPU = figure.Median(perCPU), figure.Median(ratios)
	for i := range mpps {
		if baseMpps[i] > 0 {
			r.Ratios = append(r.Ratios, mpps[i]/baseMpps[i])
		}
	}
	r.Ratio, r.SpreadPercent = figure.Median(r.Ratios), figure.SpreadPercent(r.Ratios)
	if s == base {
		r.SpreadPercent = r.MppsSpreadPercent
	}
	return r
}
