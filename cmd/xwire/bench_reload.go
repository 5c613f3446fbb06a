package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"xwire/bench/reload"
	"xwire/bench/veth"
)

func (e *env) benchReloadCommand() *cobra.Command {
	var cfg reload.Config
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Measure changes under load: reloads, requests, a stop and start",
		Long: `Start a box with 100,000 sessions in a lab of network namespaces, search the rate without loss, and send
frames of sixteen sessions at half of that while a hundred reloads of the whole file add, change and
remove others and a port, and while sessions are added, changed and deleted by requests. Frames are
counted where they are sent, by the box, and where they arrive. Then the box is stopped and started.
On two CPUs a reload takes time from the generator; --apart has it take the worker's instead.
Root is needed, a NIC is not. It takes some minutes.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Program, err = os.Executable(); err != nil {
				return fmt.Errorf("bench reload: %w", err)
			}
			cfg.Progress = func(line string) { e.progress("%s", line) }
			ctx, cancel := limited(cmd.Context(), 30*time.Minute)
			defer cancel()
			report, err := reload.Run(ctx, cfg)
			if err != nil {
				return fmt.Errorf("bench reload: %w", err)
			}
			if asJSON {
				return e.printJSON(report)
			}
			_, err = fmt.Fprintf(e.stdout, "%s\n%s", report.Benchmark(), report.Table())
			return err
		},
	}
	generator, worker := veth.DefaultCPUs()
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print one JSON object at the end, and nothing else")
	f.IntVar(&cfg.Sessions, "sessions", 100_000, "number of `SESSIONS`")
	f.IntVar(&cfg.Reloads, "reloads", 100, "number of `RELOADS`")
	f.IntVar(&cfg.Requests, "requests", 500, "`SESSIONS` that are added, changed and deleted one by one")
	f.IntVar(&cfg.Restarts, "restarts", 3, "number of stops and `STARTS`")
	f.IntVar(&cfg.Size, "size", 64, "frame `SIZE` in bytes, 64 to 1518")
	f.Float64Var(&cfg.Share, "share", 0.5, "`SHARE` of the rate without loss that is offered")
	f.Float64Var(&cfg.Rate, "rate", 0, "offer so many `FRAMES` a second; 0: search the rate without loss")
	f.DurationVar(&cfg.Trial, "trial", time.Second, "`TIME` that a rate is offered in the search")
	f.IntVar(&cfg.Generator, "generator-cpu", generator, "`CPU` of the generator")
	f.IntVar(&cfg.Worker, "worker-cpu", worker, "`CPU` of the worker")
	f.BoolVar(&cfg.Apart, "apart", false, "keep all of the box on the worker's CPU, and leave the other to the generator")
	return cmd
}
