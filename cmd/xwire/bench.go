package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (e *env) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure: the data path in process, over veth, or over real ports",
		Long: `Measure what this machine does. Progress goes to standard error; standard output has the figures,
with --json as one JSON object at its end. bench/README.md tells how each recorded figure was made.`,
		Args:              usageArgs(cobra.NoArgs),
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return nothingNegative(cmd.Flags()) },
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("bench: a sub-command is missing")}
		},
	}
	cmd.AddCommand(e.benchCoreCommand(), e.benchVethCommand(), e.benchGenerateCommand(), e.benchSinkCommand(), e.benchNDRCommand(), e.benchStartCommand(), e.benchReloadCommand())
	return cmd
}

// nothingNegative refuses times, rates and numbers below 0. Only a CPU may be -1: none.
func nothingNegative(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		number := slices.Contains([]string{"int", "float64", "duration", "intSlice"}, f.Value.Type())
		if number && !strings.HasSuffix(f.Name, "cpu") && strings.HasPrefix(strings.TrimPrefix(f.Value.String(), "["), "-") && err == nil {
			err = usageError{fmt.Errorf("--%s %s: must not be negative", f.Name, f.Value)}
		}
	})
	return err
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
