// Command xwire terminates L2TP pseudowires over AF_XDP.
//
// Nouns read, verbs change. Status 0 is success, 1 a failure, 2 a wrong call.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

const (
	statusSuccess = 0
	statusFailure = 1
	statusUsage   = 2
)

// env is what a command touches of the world around it; tests make their own.
type env struct {
	stdout, stderr io.Writer
}

// usageError marks a wrong call, as opposed to a right call that fails.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := (&env{stdout: os.Stdout, stderr: os.Stderr}).execute(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

// execute runs one command line and returns the exit status.
func (e *env) execute(ctx context.Context, args []string) int {
	root := e.root()
	root.SetArgs(ipOptionsLast(args))
	err := root.ExecuteContext(ctx)
	var usage usageError
	var printed said
	switch {
	case err == nil:
		return statusSuccess
	case errors.As(err, &printed):
		return printed.status
	case errors.As(err, &usage):
		fmt.Fprintf(e.stderr, "xwire: %v\nxwire: `xwire --help` lists the commands\n", err)
		return statusUsage
	default:
		fmt.Fprintf(e.stderr, "xwire: %v\n", err)
		return statusFailure
	}
}

func (e *env) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "xwire",
		Short:         "Terminate L2TP pseudowires over AF_XDP",
		Long:          "xwire terminates L2TP pseudowires, Ethernet over L2TPv3 and PPP over L2TPv3 and L2TPv2: NIC queues are bound to AF_XDP\nsockets, and frames are carried between attachment circuits and tunnels without being copied.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{errors.New("a command is missing")}
		},
	}
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(e.runCommand(), e.reloadCommand(), e.confirmCommand(), e.addCommand(), e.setCommand(), e.deleteCommand(), e.checkCommand(), e.importCommand(), e.l2tpCommand(), e.captureCommand(), e.traceCommand(), e.eventsCommand(), e.showCommand(), e.demoCommand(), e.benchCommand(), e.versionCommand())
	completeArgs(root)
	return root
}

// usageArgs makes a wrong number of arguments a wrong call.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}
