// Package reload measures what it costs to change a box that carries frames: reloads of its whole file,
// sessions that are added, changed and deleted one by one, and a stop and start.
package reload

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"xwire/appliance/api"
	"xwire/bench/figure"
	"xwire/bench/ndr"
)

// Config says what to measure. Zero fields stand for the defaults.
type Config struct {
	Program   string        // xwire
	Sessions  int           // 0: 100,000
	Reloads   int           // 0: 100
	Requests  int           // sessions that are added, changed and deleted one by one; 0: 500
	Restarts  int           // 0: 3
	Size      int           // of frames in bytes, with FCS, before their tags; 0: 64
	Share     float64       // of the rate without loss that is offered meanwhile; 0: 0.5
	Rate      float64       // frames a second, instead of a share of what was searched
	Trial     time.Duration // of the search; 0: 1 s
	Rest      time.Duration // how long nothing changes, first; 0: 10 s
	Generator int           // CPU
	Worker    int           // CPU
	Apart     bool          // all of the box is on the worker's CPU, until it is stopped and started
	Progress  func(line string)
}

// Report is what Run found.
type Report struct {
	Sessions int            `json:"sessions"`
	Size     int            `json:"size"`
	NDR      float64        `json:"ndr_mpps,omitempty"` // of the rest; 0: not searched
	Rest     Flow           `json:"rest"`               // nothing changes
	Reload   Flow           `json:"reload"`
	Reloads  []Duration     `json:"reload_seconds"`
	Changes  int            `json:"changes"` // of all reloads
	Request  Flow           `json:"request"`
	Added    []Duration     `json:"added_seconds"`
	Modified []Duration     `json:"modified_seconds"`
	Deleted  []Duration     `json:"deleted_seconds"`
	Outages  []Duration     `json:"outage_seconds"`
	Mode     string         `json:"mode"`
	Apart    bool           `json:"apart,omitempty"` // the box had the worker's CPU only, but at stops and starts
	Machine  figure.Machine `json:"machine"`
}

// Duration is in seconds.
type Duration = float64

func (c *Config) complete() error {
	set := func(v *int, otherwise int) {
		if *v == 0 {
			*v = otherwise
		}
	}
	set(&c.Sessions, 100_000)
	set(&c.Reloads, 100)
	set(&c.Requests, 500)
	set(&c.Restarts, 3)
	set(&c.Size, 64)
	if c.Share == 0 {
		c.Share = 0.5
	}
	if c.Trial == 0 {
		c.Trial = time.Second
	}
	if c.Rest == 0 {
		c.Rest = 10 * time.Second
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if c.Sessions < 2*perReload || c.Sessions > most {
		return fmt.Errorf("%d sessions: not from %d to %d", c.Sessions, 2*perReload, most)
	}
	if c.Size < 64 || c.Size > 1518 {
		return fmt.Errorf("size %d: not from 64 to 1518", c.Size)
	}
	return nil
}

// Run builds a lab with one box and changes that. Root is needed.
func Run(ctx context.Context, c Config) (report *Report, err error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	report = &Report{Sessions: c.Sessions, Size: c.Size, Mode: "copy", Apart: c.Apart, Machine: figure.ThisMachine()}
	r, err := newRig(ctx, c)
	defer func() { err = errors.Join(err, r.close()) }()
	if err != nil {
		return nil, err
	}
	rate := c.Rate
	if rate == 0 {
		b := &ndr.Bench{Generator: r.generator, Sink: r.sink, Load: r.load, Arrive: []int{r.arrive}, Duration: c.Trial, PIDs: []int{r.box.Process().PID()}}
		found, err := ndr.Search(ctx, b, ndr.Config{Loads: []float64{}, Progress: c.Progress})
		if err != nil {
			return nil, fmt.Errorf("search the rate without loss: %w", err)
		}
		report.NDR, rate = found.NDR, found.NDR*1e6*c.Share
	}
	step := func(what string, to *Flow, f func(context.Context) error) error {
		runtime.GC() // of this process, not in the middle of it
		v, err := r.flow(ctx, rate, f)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		*to = *v
		c.Progress(fmt.Sprintf("%s: %.1f s, %d frames sent, %d counted, %d arrived, %d lost, %d not generated, %.1f s stolen %v", what, v.Seconds, v.Sent, v.Counted, v.Arrived, v.Lost, v.Late, v.Stolen, v.Drops))
		return nil
	}
	if err := step("rest", &report.Rest, func(ctx context.Context) error { return pause(ctx, c.Rest) }); err != nil {
		return nil, err
	}
	if err := step("reloads", &report.Reload, func(ctx context.Context) error { return r.reload(ctx, report) }); err != nil {
		return nil, err
	}
	if err := step("requests", &report.Request, func(ctx context.Context) error { return r.request(ctx, report) }); err != nil {
		return nil, err
	}
	for range c.Restarts {
		if err := r.restart(ctx, report); err != nil {
			return nil, fmt.Errorf("restart: %w", err)
		}
	}
	return report, r.box.Stop()
}

// reload has the box read one file after the other.
func (r *rig) reload(ctx context.Context, report *Report) error {
	for i := range r.config.Reloads {
		if err := r.box.Configure(r.files.text(i + 1)); err != nil {
			return err
		}
		began := time.Now()
		done, err := r.client.Reload(ctx, api.ReloadRequest{})
		if err != nil {
			return err
		}
		took := time.Since(began).Seconds()
		if len(done.Changes) < perReload {
			return fmt.Errorf("reload %d changed %d objects, want %d or more", i, len(done.Changes), perReload)
		}
		report.Reloads, report.Changes = append(report.Reloads, took), report.Changes+len(done.Changes)
		r.config.Progress(fmt.Sprintf("reload %d/%d: %d changes in %.3f s, %.3f s of it in the box", i+1, r.config.Reloads, len(done.Changes), took, done.Seconds))
	}
	return nil
}

// request adds, changes and deletes sessions one by one.
func (r *rig) request(ctx context.Context, report *Report) error {
	timed := func(to *[]Duration, f func(name string, n int) error) error {
		for n := range r.config.Requests {
			began := time.Now()
			if err := f(fmt.Sprintf("asked%d", n), n); err != nil {
				return err
			}
			*to = append(*to, time.Since(began).Seconds())
		}
		return nil
	}
	return errors.Join(
		timed(&report.Added, func(name string, n int) error {
			_, err := r.client.CreateSession(ctx, "t0", name, api.Keys{"sid": 1<<25 + n, "psid": 1, "l2spec_type": "none", "attach": "ac0",
				"vlan": fmt.Sprintf("%d.%d", comingTag+1+n/perOuter, 1+n%perOuter)})
			return err
		}),
		timed(&report.Modified, func(name string, n int) error {
			_, err := r.client.ModifySession(ctx, "t0", name, api.Keys{"tx_cookie": fmt.Sprintf("%016x", n)})
			return err
		}),
		timed(&report.Deleted, func(name string, _ int) error { return r.client.DeleteSession(ctx, "t0", name) }))
}

// largest and middle of durations in milliseconds.
func largest(list []Duration) float64 {
	if len(list) == 0 {
		return 0
	}
	return 1e3 * slices.Max(list)
}

func middle(list []Duration) float64 { return 1e3 * figure.Median(list) }
