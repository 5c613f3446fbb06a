package main

import (
	"cmp"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"xwire/bench/core"
)

// benchCore is `xwire bench core`.
type benchCore struct {
	e       *env
	cfg     core.Config
	kinds   []string
	json    bool
	profile string
}

func (e *env) benchCoreCommand() *cobra.Command {
	b := benchCore{e: e}
	cmd := &cobra.Command{
		Use:   "core",
		Short: "Measure encap and decap in process, without a kernel",
		Long: `Measure the call that a worker makes, over frames in memory, on one CPU: from frame bytes, with the
lookup, all checks and counters. "net" is without the loop around the call, which is measured beside
it. Each round is a line that benchstat reads; a table follows. All cases take a minute or two,
--quick some ten seconds. Sizes count the FCS.

Where the CPU is a thread of a core, or a virtual one, what a neighbour does on the other thread takes
up to half of its speed. So a known piece of work is timed between the windows, and the figures are of
windows at full speed; "all" is of all windows. Rounds take longer until there are enough of them, as
--patience allows; figures that still are of a slower CPU show 0 % at full speed.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return profiled(b.profile, func() error { return b.run(cmd) })
		},
	}
	f := cmd.Flags()
	f.BoolVar(&b.json, "json", false, "print one JSON object at the end, and nothing else")
	f.BoolVar(&b.cfg.Quick, "quick", false, "fewer cases and rounds")
	f.StringSliceVar(&b.kinds, "case", nil, "`KINDS` to measure: pair, encap, decap")
	f.StringSliceVar(&b.cfg.Encaps, "encap", nil, "`ENCAPS`: ip4, udp4, ip6, udp6")
	f.IntSliceVar(&b.cfg.Sizes, "size", nil, "frame `SIZES` in bytes, 64 to 1518")
	f.IntSliceVar(&b.cfg.Sessions, "sessions", nil, "numbers of `SESSIONS`; default 1, 100000, 1000000")
	f.IntSliceVar(&b.cfg.Frames, "frames", nil, "numbers of distinct `FRAMES`, multiples of 64; default 4096, 128")
	f.IntVar(&b.cfg.Rounds, "rounds", 0, "`ROUNDS` a case; default 5, with --quick 3")
	f.DurationVar(&b.cfg.Window, "window", 0, "CPU `TIME` of each of a round's windows; default 100us")
	f.DurationVar(&b.cfg.Patience, "patience", time.Minute, "CPU `TIME` that rounds may take longer in all, for windows at full speed")
	f.IntVar(&b.cfg.CPU, "cpu", lastCPU(), "`CPU` to measure on; -1: any")
	f.StringVar(&b.profile, "profile", "", "write a CPU profile to `FILE`")
	return cmd
}

func (b *benchCore) run(cmd *cobra.Command) error {
	cfg := b.cfg
	for _, k := range b.kinds {
		cfg.Kinds = append(cfg.Kinds, core.Kind(k))
	}
	if _, err := cfg.Cases(); err != nil {
		return usageError{err}
	}
	if cfg.Quick {
		cfg.Rounds = cmp.Or(cfg.Rounds, 3)
	}
	cfg.Progress = func(p core.Progress) {
		if p.Result == nil {
			return
		}
		b.e.progress("[%d/%d] %v: %.1f ns", p.Done, p.Total, p.Case, p.Result.NsPerPacket)
	}
	ctx, cancel := limited(cmd.Context(), 30*time.Minute)
	defer cancel()
	report, err := core.Run(ctx, cfg)
	if err != nil {
		return fmt.Errorf("bench core: %w", err)
	}
	if b.json {
		return b.e.printJSON(report)
	}
	fmt.Fprint(b.e.stdout, report.Header())
	for i := range report.Results {
		fmt.Fprint(b.e.stdout, report.Results[i].Benchmark())
	}
	_, err = fmt.Fprintf(b.e.stdout, "\n%s", report.Table())
	return err
}
