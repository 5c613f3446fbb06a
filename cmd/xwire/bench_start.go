package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"xwire/bench/start"
)

func (e *env) benchStartCommand() *cobra.Command {
	var cfg start.Config
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Measure starts: time to forwarding, memory, CPU at rest",
		Long: `Start a box again and again in a lab of network namespaces, with 1, 10,000 and 100,000 sessions of one
TOML file, and measure the time until it is ready and until a frame of the last session is through,
its resident memory, and the CPU time it takes at rest. Root is needed, a NIC is not.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Program, err = os.Executable(); err != nil {
				return fmt.Errorf("bench start: %w", err)
			}
			if err := cfg.Check(); err != nil {
				return usageError{err}
			}
			cfg.Progress = func(line string) { e.progress("%s", line) }
			ctx, cancel := limited(cmd.Context(), 10*time.Minute)
			defer cancel()
			report, err := start.Run(ctx, cfg)
			if err != nil {
				return failed(ctx, "start", err)
			}
			if asJSON {
				return e.printJSON(report)
			}
			_, err = fmt.Fprintf(e.stdout, "%s\n%s", report.Benchmark(), report.Table())
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print one JSON object at the end, and nothing else")
	f.IntSliceVar(&cfg.Sessions, "sessions", []int{1, 10_000, 100_000}, "numbers of `SESSIONS`")
	f.IntVar(&cfg.Rounds, "rounds", 3, "`STARTS` of each")
	f.DurationVar(&cfg.Rest, "rest", 5*time.Second, "`TIME` at rest in which CPU time is counted")
	return cmd
}
