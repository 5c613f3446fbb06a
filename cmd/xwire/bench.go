package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"runtime/pprof"
	"time"

	"os"

	"github.com/spf13/cobra"
)

func (e *env) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure: the data path in process, over veth, or over real ports",
		Long: `Measure what this machine does. Progress goes to standard error; standard output has the figures,
with --json as one JSON object at its end. bench/README.md tells how each recorded figure was made.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("bench: a sub-command is missing")}
		},
	}
	cmd.AddCommand(e.benchCoreCommand(), e.benchVethCommand(), e.benchGenerateCommand(), e.benchSinkCommand(), e.benchNDRCommand(), e.benchStartCommand(), e.benchReloadCommand())
	return cmd
}

// progress prints a line to standard error.
func (e *env) progress(format string, args ...any) {
	fmt.Fprintf(e.stderr, format+"\n", args...)
}

// printJSON prints one object on one line.
func (e *env) printJSON(v any) error {
	enc := json.NewEncoder(e.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// lastCPU is where measurements go by default: interrupts of small machines tend to the first.
func lastCPU() int { return runtime.NumCPU() - 1 }

// profiled calls f while a CPU profile is written to a file, if one is named.
func profiled(file string, f func() error) error {
	if file == "" {
		return f()
	}
	out, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("write the profile: %w", err)
	}
	defer out.Close()
	if err := pprof.StartCPUProfile(out); err != nil {
		return fmt.Errorf("start the profile: %w", err)
	}
	defer pprof.StopCPUProfile()
	return f()
}

// limited is ctx with the time after which a measurement that hangs is given up.
func limited(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("it takes longer than %v, which should not be", limit))
}
