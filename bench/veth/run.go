package veth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"xwire/bench/figure"
	"xwire/bench/traffic"
)

// Result is one case at one size.
type Result struct {
	Case              string    `json:"case"`
	Size              int       `json:"size"`           // bytes with FCS; of a mix the mean
	Mix               string    `json:"mix,omitempty"`  // "imix"
	Mpps              float64   `json:"mpps"`           // arrived, the median of the rounds
	Ratio             float64   `json:"ratio"`          // to forward in the same round, the median
	SpreadPercent     float64   `json:"spread_percent"` // of the ratio over the rounds; of forward, of its rate
	MppsSpreadPercent float64   `json:"mpps_spread_percent"`
	OfferedMpps       float64   `json:"offered_mpps"`
	PerCPU            float64   `json:"mpps_per_cpu"`  // of a whole CPU for the thread that forwards: what others took does not count
	RatioPerCPU       float64   `json:"ratio_per_cpu"` // of that to forward's in the same round
	Gbps              float64   `json:"gbps"`          // of the customer's frames with FCS
	BackToBack        int       `json:"back_to_back_frames,omitempty"`
	DisturbedPercent  float64   `json:"disturbed_percent"` // of a CPU, what others took from generator and worker, the median
	Mode              string    `json:"mode"`
	CPUs              int       `json:"cpus"` // that path and generator had together
	Rounds            []float64 `json:"rounds_mpps"`
	Ratios            []float64 `json:"rounds_ratio"`
}

// Skipped is a case that could not be measured.
type Skipped struct {
	Case   string `json:"case"`
	Reason string `json:"reason"`
}

// Report is what Run found.
type Report struct {
	Results       []Result       `json:"results"`
	Skipped       []Skipped      `json:"skipped"`
	Machine       figure.Machine `json:"machine"`
	Mode          string         `json:"mode"` // of our own ports
	Driver        string         `json:"driver"`
	Encap         string         `json:"encap"`
	Cookie        int            `json:"cookie_bytes"`
	Generator     string         `json:"generator"`
	Sink          string         `json:"sink"`
	GeneratorCPU  int            `json:"generator_cpu"`
	WorkerCPU     int            `json:"worker_cpu"`
	RoundCount    int            `json:"rounds"`
	WindowSeconds float64        `json:"window_seconds"`
	LoadAfter     float64        `json:"load_after"` // load average of the last minute, after the measurement
}

// Run builds the lab, measures, and removes the lab, also when ctx ends early.
func Run(ctx context.Context, c Config) (report *Report, err error) {
	c, err = c.complete()
	if err != nil {
		return nil, err
	}
	report = &Report{
		Machine: figure.ThisMachine(), Driver: "veth", Encap: c.Encap, Cookie: cookie().Len(),
		Generator: "BPF_PROG_RUN live frames, batches of 64, one flow", Sink: sinkText(c.Sink),
		GeneratorCPU: c.Generator, WorkerCPU: c.Worker, RoundCount: c.Rounds, WindowSeconds: c.Window.Seconds(),
	}
	r, err := newRig(ctx, c)
	defer func() { err = errors.Join(err, r.close()) }()
	if err != nil {
		return nil, err
	}
	report.Skipped = r.skipped
	report.Mode = r.running[0].running.mode()
	var all []*series
	for _, mix := range c.Sizes {
		for _, s := range r.running {
			all = append(all, &series{standing: s, mix: mix})
		}
	}
	for round := range c.Rounds {
		for i := range c.Sizes {
			ofSize := slices.Clone(all[i*len(r.running) : (i+1)*len(r.running)])
			if err := r.round(ctx, ofSize, round); err != nil {
				return nil, err
			}
		}
	}
	for i, s := range all {
		report.Results = append(report.Results, s.result(all[i/len(r.running)*len(r.running)]))
	}
	report.LoadAfter = figure.ThisMachine().Load
	return report, nil
}

func sinkText(k traffic.SinkKind) string {
	if k == traffic.SinkXDP {
		return "XDP_DROP at the far end, counted there"
	}
	return "dropped at the far end's stack (tcx ingress), counted there"
}

// round measures all cases of a size. Each has its window in several turns: what a neighbour does to the
// machine's speed for a second meets all of them alike.
func (r *rig) round(ctx context.Context, ofSize []*series, round int) error {
	for _, s := range ofSize {
		s.rounds, s.retries = append(s.rounds, window{}), r.config.Retries
	}
	for turn := range r.config.turns() {
		if (round+turn)%2 == 1 {
			slices.Reverse(ofSize)
		}
		for _, s := range ofSize {
			if err := r.measure(ctx, s); err != nil {
				return fmt.Errorf("measure %s at size %v: %w", s.standing.name, s.mix, err)
			}
		}
	}
	for _, s := range ofSize {
		w := s.rounds[round]
		line := fmt.Sprintf("round %d/%d size %4v %-12s %.3f Mpps", round+1, r.config.Rounds, s.mix, s.standing.name, w.mpps())
		if w.disturbedPercent() > quiet {
			line += fmt.Sprintf(", disturbed %.0f %%", w.disturbedPercent())
		}
		if r.config.BackToBack && s.standing.ours && round < burstRounds {
			n, err := r.bursts(ctx, s)
			if err != nil {
				return fmt.Errorf("measure bursts of %s at size %v: %w", s.standing.name, s.mix, err)
			}
			line += fmt.Sprintf(", bursts of %d frames", n)
		}
		r.config.Progress(line)
	}
	return nil
}

// bursts looks for the longest burst of a case once more.
func (r *rig) bursts(ctx context.Context, s *series) (int, error) {
	s.standing.running.resume()
	defer s.standing.running.pause()
	n, err := r.burst(ctx, s)
	if err == nil {
		s.bursts = append(s.bursts, float64(n))
	}
	return n, err
}

// measure takes one turn of one case.
func (r *rig) measure(ctx context.Context, s *series) error {
	s.standing.running.resume()
	defer s.standing.running.pause()
	best, err := r.window(ctx, s)
	for err == nil && best.disturbedPercent() > quiet && s.retries > 0 {
		s.retries--
		// Others took part of the CPUs: of several tries the least disturbed counts.
		var again window
		if again, err = r.window(ctx, s); again.disturbedPercent() < best.disturbedPercent() {
			best = again
		}
	}
	if err == nil {
		s.rounds[len(s.rounds)-1].add(best)
	}
	return err
}

// reading is the counters at one time of a flood.
type reading struct {
	arrived   traffic.Arrived
	generated uint64
	attention figure.Attention
}

// read reads them, later.
func (r *rig) read(ctx context.Context, flood *traffic.Flood, later time.Duration, pids []int) (now reading, err error) {
	if err := flood.Wait(ctx, later); err != nil {
		return now, err
	}
	if now.arrived, err = r.sink.Arrived(); err == nil {
		now.generated, err = r.generator.Generated()
	}
	now.attention = figure.ReadAttention(pids...)
	return now, err
}

// errWrong says that frames arrived that the case should not make.
var errWrong = errors.New("frames of a wrong size arrived")

// window counts what arrives in a window under overload. On a busy machine a forwarder may still have frames of
// other sizes from before: those come out once, and what comes again is the case's own fault.
func (r *rig) window(ctx context.Context, s *series) (w window, err error) {
	for range windowTries {
		if w, err = r.tryWindow(ctx, s); !errors.Is(err, errWrong) {
			return w, err
		}
		time.Sleep(arrivalLimit)
	}
	return w, err
}

func (r *rig) tryWindow(ctx context.Context, s *series) (w window, err error) {
	l, arrive := s.standing.load(s.mix)
	if err := r.sink.Want(distinct(arrive)...); err != nil {
		return w, err
	}
	flood, err := r.generator.Begin(ctx, l)
	if err != nil {
		return w, err
	}
	pids := append(s.standing.running.pids(), os.Getpid())
	var after reading
	before, err := r.read(ctx, flood, warmUp, pids)
	if err == nil {
		after, err = r.read(ctx, flood, r.config.turn(), pids)
	}
	if err := errors.Join(err, flood.End()); err != nil {
		return w, err
	}
	time.Sleep(settle) // for what is still in the rings
	arrived, wrong := after.arrived.Frames-before.arrived.Frames, after.arrived.Other-before.arrived.Other
	if wrong > arrived/1000+16 { // the stack says a word by itself now and then
		return w, fmt.Errorf("%w: %d beside %d", errWrong, wrong, arrived)
	}
	micros := float64(after.arrived.At.Sub(before.arrived.At)) / 1e3
	// The thread that forwards: the generator's own, whose softirq it is, or the busiest of the others.
	busy := after.attention.Busiest(before.attention, r.generator.Thread())
	if s.standing.cpus == 1 {
		busy = after.attention.Busiest(before.attention)
	}
	disturbed := after.attention.DisturbedPercent(before.attention)
	if after.generated == before.generated {
		disturbed = max(disturbed, 100) // the generator did not have its CPU at all
	}
	return window{
		frames: float64(arrived), generated: float64(after.generated - before.generated),
		micros: micros, busy: float64(busy) / 1e3, disturbed: disturbed / 100 * micros,
	}, nil
}
