package core

import (
	"context"
	"fmt"
	"runtime"
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
	Window time.Duration // of CPU time that a round's windows take; 0: 3 ms
	CPU    int           // to pin the thread to; negative: not pinned
	// Progress, when set, is called before each case and with its result.
	Progress func(Progress)
}

// Progress is how far a measurement has come.
type Progress struct {
	Case        Case
	Done, Total int     // cases
	Result      *Result // nil before the case
}

// windowsPerRound bounds what a neighbour on the machine can spoil: a round is a median.
const windowsPerRound = 9

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
	SpreadPercent    float64 `json:"spread_percent"`     // of net over the rounds
	Rounds           []Round `json:"rounds"`
	Packets          uint64  `json:"packets"` // measured in all
	MemoryPerSession float64 `json:"memory_bytes_per_session,omitempty"`

	c Case
}

// Round is one round's figures in nanoseconds a packet.
type Round struct {
	Net   float64 `json:"net"`
	Gross float64 `json:"gross"`
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
		cfg.Window = 3 * time.Millisecond
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
	var table *pw.Table
	var built Setup
	for i, c := range cases {
		if err := ctx.Err(); err != nil {
			return err
		}
		progress(Progress{Case: c, Done: i, Total: len(cases)})
		if table == nil || built != c.Setup {
			table = nil
			runtime.GC()
			if table, err = buildTable(c.Setup, 2, 1); err != nil {
				return fmt.Errorf("%v: %w", c, err)
			}
			runtime.GC() // not while measuring
		}
		b, err := newBed(c, table, mem)
		if err != nil {
			return fmt.Errorf("%v: %w", c, err)
		}
		if built != c.Setup {
			built = c.Setup
			b.touch()
			if c.Sessions >= hugepages.From {
				// As the appliance does with its tables once they are full.
				if r.TableHugeBytes, err = hugepages.CollapseHeap(); err != nil {
					return fmt.Errorf("%v: %w", c, err)
				}
			}
		}
		result, err := b.measure(ctx, cfg)
		if err != nil {
			return fmt.Errorf("%v: %w", c, err)
		}
		result.MemoryPerSession = perSession[c.Sessions]
		r.Results = append(r.Results, result)
		progress(Progress{Case: c, Done: i + 1, Total: len(cases), Result: &result})
	}
	return nil
}

// measure takes windows of the real work and of the idle loop in turns.
func (b *bed) measure(ctx context.Context, cfg Config) (Result, error) {
	c := b.c
	result := Result{Case: c.Kind, Encap: c.Encap, Size: c.Size, Sessions: c.Sessions, Frames: c.Frames, Cookie: c.Cookie,
		Sublayer: c.Sublayer.String(), Checksum: c.Checksum, VLAN: c.VLAN, c: c}
	batches := b.calibrate(cfg.Window)
	perWindow := float64(batches * batchSize)
	var net, gross, loop []float64
	for range cfg.Rounds {
		if err := ctx.Err(); err != nil {
			return result, err
		}
		var works, idles []float64
		for range windowsPerRound {
			works = append(works, float64(b.window(b.work, batches))/perWindow)
			idles = append(idles, float64(b.window(idle, batches))/perWindow)
		}
		g, l := figure.Median(works), figure.Median(idles)
		gross, loop, net = append(gross, g), append(loop, l), append(net, g-l)
		result.Rounds = append(result.Rounds, Round{Net: g - l, Gross: g})
		result.Packets += uint64(batches * batchSize * windowsPerRound)
	}
	result.NsPerPacket, result.GrossNsPerPacket, result.LoopNsPerPacket = figure.Median(net), figure.Median(gross), figure.Median(loop)
	result.BestNsPerPacket = net[0]
	for _, v := range net {
		result.BestNsPerPacket = min(result.BestNsPerPacket, v)
	}
	result.SpreadPercent = figure.SpreadPercent(net)
	if drops := b.drops(); len(drops) > 0 {
		return result, fmt.Errorf("frames were dropped: %v", drops)
	}
	return result, nil
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
