package veth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"xwire/bench/figure"
	"xwire/bench/ndr"
	"xwire/l2tp"
)

// NDRConfig says what to search in the lab. Rounds, Window and BackToBack of Config have no meaning.
type NDRConfig struct {
	Config
	Search ndr.Config
	Trial  time.Duration // 0: 1 s
}

// NDRResult is what a search found for one case at one size.
type NDRResult struct {
	Case string `json:"case"`
	Size int    `json:"size"` // bytes with FCS; of a mix the mean
	Mix  string `json:"mix,omitempty"`
	Mode string `json:"mode"`
	CPUs int    `json:"cpus"`
	ndr.Result
}

// NDRReport is what SearchNDR found.
type NDRReport struct {
	Results      []NDRResult    `json:"results"`
	Skipped      []Skipped      `json:"skipped"`
	Machine      figure.Machine `json:"machine"`
	Mode         string         `json:"mode"`
	Driver       string         `json:"driver"`
	Encap        string         `json:"encap"`
	TrialSeconds float64        `json:"trial_seconds"`
	Generator    string         `json:"generator"`
	Sink         string         `json:"sink"`
}

// SearchNDR builds the lab and looks, for each case at each size, for the rates without loss and with
// little.
func SearchNDR(ctx context.Context, c NDRConfig) (report *NDRReport, err error) {
	if c.Config, err = c.complete(); err != nil {
		return nil, err
	}
	if c.Trial == 0 {
		c.Trial = time.Second
	}
	report = &NDRReport{Machine: figure.ThisMachine(), Driver: "veth", Encap: c.Encap, TrialSeconds: c.Trial.Seconds(),
		Generator: "BPF_PROG_RUN live frames, paced, one flow", Sink: sinkText(c.Sink)}
	r, err := newRig(ctx, c.Config)
	defer func() { err = errors.Join(err, r.close()) }()
	if err != nil {
		return nil, err
	}
	report.Skipped, report.Mode = r.skipped, r.running[0].running.mode()
	for _, mix := range c.Sizes {
		for _, s := range r.running {
			l, arrive := s.load(mix)
			search := c.Search
			search.Progress = func(line string) { c.Progress(fmt.Sprintf("size %4v %-12s %s", mix, s.name, line)) }
			bench := &ndr.Bench{Generator: r.generator, Sink: r.sink, Load: l, Arrive: distinct(arrive), Duration: c.Trial,
				StampAt: len(l.Frames[0]) - len(inner(mix[0])) + l2tp.EthernetLen, ReadAt: s.extra(c.Config) + l2tp.EthernetLen,
				PIDs: s.running.pids()}
			s.running.resume()
			found, err := ndr.Search(ctx, bench, search)
			s.running.pause()
			if err != nil {
				return nil, fmt.Errorf("search %s at size %v: %w", s.name, mix, err)
			}
			result := NDRResult{Case: s.name, Size: int(mix.Mean() + 0.5), Mode: s.running.mode(), CPUs: s.cpus, Result: *found}
			if len(mix) > 1 {
				result.Mix = mix.String()
			}
			report.Results = append(report.Results, result)
		}
	}
	return report, nil
}
