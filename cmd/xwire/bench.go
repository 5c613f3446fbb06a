package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
)

func (e *env) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure: the data path in process, over veth, or over real ports",
		Long: `Measure what this machine does. Progress goes to standard error; standard output has the figures,
with --json as one JSON object at its end. bench/README.md tells how each recorded figure was made.`,
		Args:              usageArgs(cobra.NoArgs),
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return rightNumbers(cmd.Flags()) },
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("bench: a sub-command is missing")}
		},
	}
	cmd.AddCommand(e.benchCoreCommand(), e.benchVethCommand(), e.benchGenerateCommand(), e.benchSinkCommand(), e.benchNDRCommand(), e.benchStartCommand(), e.benchReloadCommand())
	return cmd
}

// rightNumbers refuses times, rates and numbers below 0, what is no number, and CPUs that this process may not
// run on. Only --cpu may be -1: none.
func rightNumbers(flags *pflag.FlagSet) (err error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return fmt.Errorf("read the own CPUs: %w", err)
	}
	guest := flags.Changed("vm") // has CPUs of its own
	flags.Visit(func(f *pflag.Flag) {
		text, kind := f.Value.String(), f.Value.Type()
		switch {
		case err != nil:
		case strings.HasSuffix(f.Name, "cpu"):
			if n, _ := strconv.Atoi(text); !(n == -1 && f.Name == "cpu") && !guest && (n < 0 || !allowed.IsSet(n)) {
				err = usageError{fmt.Errorf("--%s %s: not a CPU that this process may run on", f.Name, text)}
			}
		case slices.Contains([]string{"int", "float64", "duration", "intSlice"}, kind) && strings.HasPrefix(strings.TrimPrefix(text, "["), "-"):
			err = usageError{fmt.Errorf("--%s %s: must not be negative", f.Name, text)}
		case kind == "float64" && strings.ContainsAny(text, "NI"): // NaN, +Inf
			err = usageError{fmt.Errorf("--%s %s: not a number to go by", f.Name, text)}
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

// failed is the error of a sub-command, with what stopped it, or what is needed, before it.
func failed(ctx context.Context, name string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("bench %s: %w: %w", name, cause, err)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("bench %s: root is needed, or the capabilities NET_ADMIN, NET_RAW and BPF: %w", name, err)
	}
	return fmt.Errorf("bench %s: %w", name, err)
}
