package ndr

import (
	"context"
	"errors"
	"fmt"
)

// Trial is one rate offered for a while.
type Trial struct {
	Rate      float64 `json:"rate_mpps"` // asked for
	Sent      uint64  `json:"sent"`
	Received  uint64  `json:"received"`
	Late      uint64  `json:"not_generated"` // frames that the generator had no time for
	Reordered uint64  `json:"reordered"`
	Disturbed float64 `json:"disturbed_percent"`
	Passed    bool    `json:"passed"` // had no more loss than was allowed
	// Latency is of a trial that was asked for it.
	Latency *Latency `json:"latency,omitempty"`
}

// LossPercent is the share of frames that did not arrive.
func (t Trial) LossPercent() float64 {
	if t.Sent == 0 || t.Received >= t.Sent {
		return 0
	}
	return 100 * float64(t.Sent-t.Received) / float64(t.Sent)
}

// Offered is the rate in Mpps that was really offered.
func (t Trial) Offered() float64 {
	if t.Sent == 0 {
		return 0
	}
	return t.Rate * float64(t.Sent) / float64(t.Sent+t.Late)
}

// starved tells that the generator could not keep up: the trial tells nothing of the rate.
func (t Trial) starved() bool { return t.Late > t.Sent/10 }

const (
	// disturbed is what others may take of a CPU, in percent, before a trial that failed is none.
	disturbed = 5
	// patience is how many such trials of a rate are forgiven.
	patience = 4
)

// Latency is percentiles in microseconds.
type Latency struct {
	P50  float64 `json:"p50_us"`
	P90  float64 `json:"p90_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p99_9_us"`
	Max  float64 `json:"max_us"`
}

// AtLoad is the latency at a share of the rate without loss.
type AtLoad struct {
	LoadPercent float64 `json:"load_percent"`
	Mpps        float64 `json:"mpps"`
	LossPercent float64 `json:"loss_percent"`
	Latency
}

// Device offers a load to a device under test.
type Device interface {
	// Overload sends as fast as can be, and tells how many million frames a second arrive.
	Overload(ctx context.Context) (mpps float64, err error)
	// Trial offers a rate in million frames a second.
	Trial(ctx context.Context, mpps float64, latency bool) (Trial, error)
}

// Config says how to search. Zero fields stand for the defaults.
type Config struct {
	PartialLoss float64   // percent that PDR allows; 0: 0.5
	Resolution  float64   // of the result, as a share of it; 0: 0.01
	Tries       int       // of a rate, before it counts as too high; 0: 2
	Loads       []float64 // percent of NDR at which latency is measured; nil: 10, 50, 90
	Top         float64   // rate in Mpps not to be passed, such as the line's; 0: none
	Progress    func(line string)
}

// Result is what a search found.
type Result struct {
	NDR       float64  `json:"ndr_mpps"` // 0: there was loss at every rate
	PDR       float64  `json:"pdr_mpps"`
	Partial   float64  `json:"pdr_loss_percent"`
	Overload  float64  `json:"overload_mpps"` // arrived when offered as much as can be
	Starved   bool     `json:"generator_limited"`
	Latencies []AtLoad `json:"latency"`
	Trials    []Trial  `json:"trials"`
}

// headroom is how far above what arrives under overload the search begins. Devices that throw away
// work under overload carry more when they are not overrun.
const headroom = 1.6

// ErrNothing is why a search ends that finds no rate at all.
var ErrNothing = errors.New("nothing arrives")

// Search looks for both rates and measures latencies.
func Search(ctx context.Context, d Device, c Config) (*Result, error) {
	if c.PartialLoss == 0 {
		c.PartialLoss = 0.5
	}
	if c.Resolution == 0 {
		c.Resolution = 0.01
	}
	if c.Tries == 0 {
		c.Tries = 2
	}
	if c.Loads == nil {
		c.Loads = []float64{10, 50, 90}
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	s := &search{device: d, config: c, result: &Result{Partial: c.PartialLoss, Latencies: []AtLoad{}}}
	if err := s.run(ctx); err != nil {
		return nil, err
	}
	return s.result, nil
}

type search struct {
	device Device
	config Config
	result *Result
}

func (s *search) run(ctx context.Context) error {
	r := s.result
	var err error
	for range 1 + patience { // the device may not have had a CPU at all
		if r.Overload, err = s.device.Overload(ctx); err != nil {
			return fmt.Errorf("overload: %w", err)
		}
		if r.Overload > 0 {
			break
		}
	}
	if r.Overload == 0 {
		return ErrNothing
	}
	s.config.Progress(fmt.Sprintf("overload: %.3f Mpps arrive", r.Overload))
	top := r.Overload * headroom
	if s.config.Top > 0 {
		top = min(top, s.config.Top)
	}
	if r.PDR, err = s.halve(ctx, top, s.config.PartialLoss); err != nil {
		return err
	}
	// What has no loss has not more than half a percent.
	if r.NDR, err = s.halve(ctx, r.PDR*(1+s.config.Resolution), 0); err != nil {
		return err
	}
	for _, load := range s.config.Loads {
		if r.NDR == 0 {
			break
		}
		t, err := s.device.Trial(ctx, r.NDR*load/100, true)
		if err != nil {
			return err
		}
		if t.Latency == nil {
			s.config.Progress(fmt.Sprintf("latency at %.0f %%: no frame arrived", load))
			continue
		}
		a := AtLoad{LoadPercent: load, Mpps: t.Rate, LossPercent: t.LossPercent(), Latency: *t.Latency}
		r.Latencies = append(r.Latencies, a)
		s.config.Progress(fmt.Sprintf("latency at %.0f %%: p50 %.1f us, p99 %.1f us, max %.1f us", load, a.P50, a.P99, a.Max))
	}
	return nil
}

// halve finds the highest rate up to top with no more loss than allowed, as it was really offered.
// What passed a stricter search before passes this one.
func (s *search) halve(ctx context.Context, top, allowed float64) (float64, error) {
	low, high, offered := 0.0, top, 0.0
	for _, t := range s.result.Trials {
		if !t.starved() && t.LossPercent() <= allowed && t.Rate > low && t.Rate < top {
			low, offered = t.Rate, t.Offered()
		}
	}
	rate := top // it may be that good
	for high-low > s.config.Resolution*high && high > top/200 {
		t, err := s.passes(ctx, rate, allowed)
		if err != nil {
			return 0, err
		}
		if t == nil {
			high = rate
		} else if low, offered = rate, t.Offered(); rate == top {
			break
		}
		rate = (low + high) / 2
	}
	return offered, nil
}

// passes tries a rate and returns the trial that passed, if one did.
func (s *search) passes(ctx context.Context, rate, allowed float64) (*Trial, error) {
	forgiven := 0
	for failed := 0; failed < s.config.Tries; {
		t, err := s.device.Trial(ctx, rate, false)
		if err != nil {
			return nil, err
		}
		t.Passed = !t.starved() && t.LossPercent() <= allowed
		s.result.Trials = append(s.result.Trials, t)
		line := fmt.Sprintf("%.4f Mpps: %d of %d frames lost (%.4f %%)", rate, t.Sent-min(t.Received, t.Sent), t.Sent, t.LossPercent())
		if t.starved() {
			line += fmt.Sprintf(", %d not generated", t.Late)
		}
		if t.Disturbed > disturbed {
			line += fmt.Sprintf(", disturbed %.0f %%", t.Disturbed)
		}
		s.config.Progress(line)
		switch {
		case t.Passed:
			return &t, nil
		case t.Disturbed > disturbed && forgiven < patience:
			forgiven++ // others on the machine had the CPU: that says nothing of the device
		case t.starved():
			s.result.Starved = s.result.Starved || t.Disturbed <= disturbed
			return nil, nil
		default:
			failed++
		}
	}
	return nil, nil
}
