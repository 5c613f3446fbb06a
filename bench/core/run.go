package core

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"xwire/appliance/hugepages"
	"xwire/bench/figure"
	"xwire/pw"
	"xwire/rings"
)

// Config says how to measure. The zero value measures every case.
type Config struct {
	Selection
	Rounds int           // 0: 5
	Window time.Duration // of CPU time that each window of a round takes; 0: 100 us
	// Patience bounds the CPU time that rounds take longer until enough of their windows were at full speed.
	Patience time.Duration
	CPU      int // to pin the thread to; negative: not pinned
	// Progress, when set, is called before each case and with its result.
	Progress func(Progress)
}

// Progress is how far a measurement has come.
type Progress struct {
	Case        Case
	Done, Total int     // cases
	Result      *Result // nil before the case
}

// Result is one case's figures.
type Result struct {
	Case             Kind    `json:"case"`
	Encap            string  `json:"encap"`
	Size             int     `json:"size"`
	Sessions         int     `json:"sessions"`
	Frames           int     `json:"frames"`
	Cookie           int     `json:"cookie_bytes"`
	Sublayer         string  `json:"l2spec_type"`
	Checksum         bool    `json:"udp_checksum"`
	VLAN             string  `json:"pw_vlan,omitempty"`
	NsPerPacket      float64 `json:"ns_per_packet"`       // net: without the loop
	GrossNsPerPacket float64 `json:"gross_ns_per_packet"` // with it
	LoopNsPerPacket  float64 `json:"loop_ns_per_packet"`
	BestNsPerPacket  float64 `json:"best_ns_per_packet"` // net, of the best round
	AllNsPerPacket   float64 `json:"all_ns_per_packet"`  // net, with the windows in which the CPU was slower
	FullSpeedPercent float64 `json:"full_speed_percent"` // of the windows
	SpreadPercent    float64 `json:"spread_percent"`     // of net over the rounds
	Rounds           []Round `json:"rounds"`             // those at full speed, or all if none was
	SlowRounds       int     `json:"slow_rounds"`        // not at full speed
	Packets          uint64  `json:"packets"`            // measured in all
	MemoryPerSession float64 `json:"memory_bytes_per_session,omitempty"`

	c Case
}

// Report is what Run found.
type Report struct {
	Results   []Result       `json:"results"`
	Memory    []Memory       `json:"memory"`
	Machine   figure.Machine `json:"machine"`
	CPU       int            `json:"cpu"`        // negative: not pinned
	HugePages bool           `json:"huge_pages"` // under the frames
	// TableHugeBytes is what lies on huge pages of the last table of many sessions.
	TableHugeBytes int    `json:"table_huge_bytes"`
	Mode           string `json:"mode"` // in process: no kernel, no NIC
}

// Run measures. It takes one CPU; frames lie in an arena as the appliance's do.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	cases, err := cfg.Cases()
	if err != nil {
		return nil, err
	}
	if cfg.Rounds == 0 {
		cfg.Rounds = 5
	}
	if cfg.Window == 0 {
		cfg.Window = 100 * time.Microsecond
	}
	r := &Report{Machine: figure.ThisMachine(), CPU: cfg.CPU, Mode: "in-process"}
	frames := 0
	for _, c := range cases {
		frames = max(frames, c.Frames)
	}
	arena, err := rings.NewArena(rings.ArenaConfig{ChunkSize: chunkSize, Chunks: frames, HugePages: true})
	if err != nil {
		return nil, fmt.Errorf("make room for %d frames: %w", frames, err)
	}
	defer arena.Close()
	r.HugePages = arena.HugePages()
	done := make(chan error, 1)
	go func() {
		// The thread ends with the goroutine, and its affinity too.
		runtime.LockOSThread()
		done <- r.measure(ctx, cfg, cases, arena.Memory())
	}()
	if err := <-done; err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Report) measure(ctx context.Context, cfg Config, cases []Case, mem []byte) error {
	if cfg.CPU >= 0 {
		var set unix.CPUSet
		set.Set(cfg.CPU)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("pin to CPU %d: %w", cfg.CPU, err)
		}
	}
	progress := cfg.Progress
	if progress == nil {
		progress = func(Progress) {}
	}
	perSession, err := r.measureMemory(ctx, cases)
	if err != nil {
		return err
	}
	g := newGauge(cfg.Patience)
	var table *pw.Table
	var built contents
	for i, c := range cases {
		if err := ctx.Err(); err != nil {
			return err
		}
		progress(Progress{Case: c, Done: i, Total: len(cases)})
		fresh := built != c.contents()
		if fresh {
			built, table = c.contents(), nil
			runtime.GC()
			if table, err = buildTable(built, 1); err != nil {
				return fmt.Errorf("%v: %w", c, err)
			}
			runtime.GC() // not while measuring
		}
		b, err := newBed(c, table, mem)
		if err != nil {
			return fmt.Errorf("%v: %w", c, err)
		}
		if fresh {
			b.touch()
			if c.Sessions >= hugepages.From {
				// As the appliance does with its tables once they are full.
				if r.TableHugeBytes, err = hugepages.CollapseHeap(); err != nil {
					return fmt.Errorf("%v: %w", c, err)
				}
			}
		}
		result, err := b.measure(ctx, cfg, g)
		if err != nil {
			return fmt.Errorf("%v: %w", c, err)
		}
		result.MemoryPerSession = perSession[c.Sessions]
		r.Results = append(r.Results, result)
		progress(Progress{Case: c, Done: i + 1, Total: len(cases), Result: &result})
	}
	return nil
}

// measure takes the rounds of a case.
func (b *bed) measure(ctx context.Context, cfg Config, g *gauge) (Result, error) {
	c := b.c
	result := Result{Case: c.Kind, Encap: c.Encap, Size: c.Size, Sessions: c.Sessions, Frames: c.Frames, Cookie: c.Cookie,
		Sublayer: c.Sublayer.String(), Checksum: c.Checksum, VLAN: c.VLAN, c: c}
	batches := b.calibrate(cfg.Window)
	var rounds []Round
	for range cfg.Rounds {
		if err := ctx.Err(); err != nil {
			return result, err
		}
		r := b.round(g, batches)
		rounds = append(rounds, r)
		result.Packets += r.packets
	}
	result.take(rounds)
	if drops := b.drops(); len(drops) > 0 {
		return result, fmt.Errorf("frames were dropped: %v", drops)
	}
	return result, nil
}

// take makes the figures from those rounds that were at full speed, or from all if none was.
func (r *Result) take(rounds []Round) {
	r.Rounds = slices.DeleteFunc(slices.Clone(rounds), func(r Round) bool { return r.slow })
	if r.SlowRounds = len(rounds) - len(r.Rounds); len(r.Rounds) == 0 {
		r.Rounds = rounds
	}
	of := func(value func(Round) float64) (values []float64) {
		for _, round := range r.Rounds {
			values = append(values, value(round))
		}
		return values
	}
	net := of(func(r Round) float64 { return r.Net })
	r.NsPerPacket, r.BestNsPerPacket, r.SpreadPercent = figure.Median(net), slices.Min(net), figure.SpreadPercent(net)
	r.GrossNsPerPacket = figure.Median(of(func(r Round) float64 { return r.Gross }))
	r.LoopNsPerPacket = figure.Median(of(func(r Round) float64 { return r.Gross - r.Net }))
	r.AllNsPerPacket = figure.Median(of(func(r Round) float64 { return r.All }))
	r.FullSpeedPercent = figure.Median(of(func(r Round) float64 { return r.FullSpeedPercent }))
}

// calibrate tells how many batches of work fill a window. It warms the caches, too.
func (b *bed) calibrate(window time.Duration) int {
	batches := max(b.c.Frames/batchSize, 16)
	for {
		took := b.window(b.work, batches)
		if took >= window/4 || batches >= 1<<20 {
			return max(1, int(float64(batches)*float64(window)/float64(max(took, 1))))
		}
		batches *= 2
	}
}
