// Package start measures what a box costs before and beside forwarding: the time from the call to
// READY=1 and to the first frame, the resident memory and the CPU time at rest, by the number of
// sessions in its TOML file.
package start

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"xwire/bench/figure"
	"xwire/bench/lab"
)

// Config says what to measure.
type Config struct {
	Program  string        // xwire
	Sessions []int         // nil: 1, 10,000 and 100,000
	Rounds   int           // starts of each; 0: 3
	Rest     time.Duration // how long CPU time is counted at rest; 0: 5 s
	Progress func(line string)
}

// Round is one start.
type Round struct {
	ReadySeconds   float64 `json:"ready_seconds"`       // from the call of the program
	ForwardSeconds float64 `json:"first_frame_seconds"` // until a frame of the last session was there
	ResidentBytes  uint64  `json:"resident_bytes"`      // at rest
	IdlePercent    float64 `json:"idle_cpu_percent"`    // of one CPU, at rest
	StartCPU       float64 `json:"start_cpu_seconds"`   // user and system time until READY=1
	FileBytes      int     `json:"configuration_bytes"` // of TOML
}

// Result is one number of sessions.
type Result struct {
	Sessions        int     `json:"sessions"`
	BytesPerSession float64 `json:"resident_bytes_per_session"` // beyond those of the fewest sessions measured; 0 for these
	Median          Round   `json:"median"`
	Rounds          []Round `json:"rounds"`
}

// Report is what Run found.
type Report struct {
	Results []Result       `json:"results"`
	Mode    string         `json:"mode"`
	Machine figure.Machine `json:"machine"`
}

// Check tells what is wrong with a configuration.
func (c Config) Check() error {
	for _, n := range c.Sessions {
		if n < 1 || n > mostSessions {
			return fmt.Errorf("%d sessions: not from 1 to %d", n, mostSessions)
		}
	}
	return nil
}

// Run builds a lab and starts a box in it again and again. Root is needed.
func Run(ctx context.Context, c Config) (report *Report, err error) {
	if len(c.Sessions) == 0 {
		c.Sessions = []int{1, 10_000, 100_000}
	}
	if c.Rounds == 0 {
		c.Rounds = 3
	}
	if c.Rest == 0 {
		c.Rest = 5 * time.Second
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	report = &Report{Mode: "copy", Machine: figure.ThisMachine()}
	r, err := newRig(c)
	defer func() { err = errors.Join(err, r.close()) }()
	if err != nil {
		return nil, err
	}
	for _, n := range c.Sessions {
		result := Result{Sessions: n}
		for round := range c.Rounds {
			one, err := r.round(ctx, n)
			if err != nil {
				return nil, fmt.Errorf("start with %d sessions: %w", n, err)
			}
			c.Progress(fmt.Sprintf("round %d/%d, %6d sessions: ready after %.3f s, first frame after %.3f s, %.1f MiB, at rest %.2f %% of a CPU",
				round+1, c.Rounds, n, one.ReadySeconds, one.ForwardSeconds, float64(one.ResidentBytes)/(1<<20), one.IdlePercent))
			result.Rounds = append(result.Rounds, *one)
		}
		result.Median = median(result.Rounds)
		report.Results = append(report.Results, result)
	}
	few := slices.MinFunc(report.Results, func(a, b Result) int { return a.Sessions - b.Sessions })
	for i := range report.Results {
		if v := &report.Results[i]; v.Sessions > few.Sessions {
			v.BytesPerSession = (float64(v.Median.ResidentBytes) - float64(few.Median.ResidentBytes)) / float64(v.Sessions-few.Sessions)
		}
	}
	return report, nil
}

func median(rounds []Round) Round {
	of := func(f func(*Round) float64) float64 {
		var v []float64
		for i := range rounds {
			v = append(v, f(&rounds[i]))
		}
		return figure.Median(v)
	}
	return Round{
		ReadySeconds:   of(func(r *Round) float64 { return r.ReadySeconds }),
		ForwardSeconds: of(func(r *Round) float64 { return r.ForwardSeconds }),
		ResidentBytes:  uint64(of(func(r *Round) float64 { return float64(r.ResidentBytes) })),
		IdlePercent:    of(func(r *Round) float64 { return r.IdlePercent }),
		StartCPU:       of(func(r *Round) float64 { return r.StartCPU }),
		FileBytes:      rounds[0].FileBytes,
	}
}

// rig is a site, a box, and what stands for its peer: a namespace in which packets are counted.
type rig struct {
	config     Config
	lab        *lab.Lab
	site, peer *lab.Namespace
	box        *lab.Box
}

func newRig(c Config) (r *rig, err error) {
	r = &rig{config: c}
	if r.lab, err = lab.New(lab.Config{}); err != nil {
		return r, err
	}
	var host *lab.Namespace
	for _, n := range []struct {
		role string
		to   **lab.Namespace
	}{{"site", &r.site}, {"box", &host}, {"peer", &r.peer}} {
		if *n.to, err = r.lab.Quiet(n.role); err != nil {
			return r, err
		}
	}
	addrs := func(a netip.Addr) []netip.Prefix { return []netip.Prefix{netip.PrefixFrom(a, 24)} }
	if err := r.lab.Connect(lab.End{Namespace: r.site, Name: "eth0", Plain: true}, lab.End{Namespace: host, Name: "ac0"}); err != nil {
		return r, err
	}
	if err := r.lab.Connect(lab.End{Namespace: host, Name: "core0", MTU: 1600, Addrs: addrs(boxAddr)},
		lab.End{Namespace: r.peer, Name: "core0", MTU: 1600, Plain: true, Addrs: addrs(peerAddr)}); err != nil {
		return r, err
	}
	r.box, err = host.Box(c.Program)
	return r, err
}

func (r *rig) close() error {
	if r.lab == nil {
		return nil
	}
	return r.lab.Close()
}

func (r *rig) round(ctx context.Context, sessions int) (*Round, error) {
	text := configuration(sessions)
	if err := r.box.Configure(text); err != nil {
		return nil, err
	}
	capture, err := r.peer.Capture("core0")
	if err != nil {
		return nil, err
	}
	defer capture.Close()
	began := time.Now()
	if err := r.box.Restart(ctx); err != nil {
		return nil, err
	}
	defer r.box.Kill()
	one := &Round{ReadySeconds: time.Since(began).Seconds(), FileBytes: len(text)}
	if one.StartCPU, err = r.cpu(); err != nil {
		return nil, err
	}
	if err := r.firstFrame(ctx, capture, sessions); err != nil {
		return nil, err
	}
	one.ForwardSeconds = time.Since(began).Seconds()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Second): // what was parsed is given back meanwhile
	}
	before, err := r.cpu()
	if err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(r.config.Rest):
	}
	after, err := r.cpu()
	if err != nil {
		return nil, err
	}
	one.IdlePercent = 100 * (after - before) / r.config.Rest.Seconds()
	if one.ResidentBytes, err = r.resident(); err != nil {
		return nil, err
	}
	return one, r.box.Stop()
}

// firstFrame sends frames of the last session until a packet leaves the box.
func (r *rig) firstFrame(ctx context.Context, capture *lab.Capture, session int) error {
	stream := lab.Stream{Run: 1, Dst: []byte{2, 0, 0, 0, 0, 2}, Src: []byte{2, 0, 0, 0, 0, 1}, Count: 1, Sizes: []int{60}, Tags: tags(session)}
	seen := len(capture.Frames())
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if _, err := r.site.SendStream(ctx, "eth0", stream); err != nil {
			return err
		}
		for wait := time.Now().Add(50 * time.Millisecond); time.Now().Before(wait); time.Sleep(time.Millisecond) {
			for _, f := range capture.Frames()[seen:] {
				if b := f.Frame; len(b) > 38 && b[12] == 8 && b[13] == 0 && b[23] == 115 {
					return nil
				}
			}
		}
	}
	return fmt.Errorf("no frame of session %d left the box", session)
}

// cpu is the process's user and system time in seconds.
func (r *rig) cpu() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.box.Process().PID()))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, fmt.Errorf("read CPU time of the box: %q", text)
	}
	user, err1 := strconv.ParseUint(f[11], 10, 64)
	system, err2 := strconv.ParseUint(f[12], 10, 64)
	const ticks = 100 // a second, in what the kernel tells processes
	return float64(user+system) / ticks, errors.Join(err1, err2)
}

func (r *rig) resident() (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.box.Process().PID()))
	if err != nil {
		return 0, err
	}
	var kib uint64
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("read resident memory of the box: %q", text)
}
