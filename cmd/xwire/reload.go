package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"xwire/appliance/api"
)

func (e *env) reloadCommand() *cobra.Command {
	var control string
	var dryRun, asJSON bool
	var within time.Duration
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have a running xwire read its configuration file again",
		Long: `Have a running xwire read the configuration file that it was started with, and print what differs
from what runs, with what each change does to traffic:

  hitless        no frame is lost
  session blip   frames under way on that session, or on that tunnel's sessions, may be lost
  port reset     the port is closed and opened again
  restart        has no effect before the next start

Sessions that do not differ keep their counters and lose no frame. A file with errors changes
nothing. What was created through the API stays.

With --confirm-within all is rolled back after that time unless ` + "`xwire confirm`" + ` comes, and a start
uses what ran before until the file is changed or reloaded. A reload without it, SIGHUP too, confirms
the one that waits.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("confirm-within") && (within <= 0 || dryRun) {
				return usageError{errors.New("--confirm-within must be more than 0, and --dry-run has nothing to confirm")}
			}
			r, err := api.NewClient(control).Reload(cmd.Context(), api.ReloadRequest{DryRun: dryRun, ConfirmWithin: within.Seconds()})
			if err != nil {
				var refused *api.Error
				if asJSON && errors.As(err, &refused) && refused.Errors != nil {
					return errors.Join(err, printJSON(e.stdout, struct {
						Errors []api.Fault `json:"errors"`
					}{refused.Errors}))
				}
				return err
			}
			if asJSON {
				return printJSON(e.stdout, r)
			}
			return writeReload(e.stdout, r)
		},
	}
	f := cmd.Flags()
	f.StringVar(&control, "control", api.DefaultSocket, "the control `SOCKET` of the xwire to ask")
	f.BoolVar(&dryRun, "dry-run", false, "only print the difference")
	f.DurationVar(&within, "confirm-within", 0, "roll back after this `TIME` (60s, 5m) unless `xwire confirm` comes")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagFilename("control", "sock")
	value(cmd, "confirm-within")
	return cmd
}

func (e *env) confirmCommand() *cobra.Command {
	var control string
	cmd := &cobra.Command{
		Use:   "confirm",
		Short: "Keep what `xwire reload --confirm-within` did",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return api.NewClient(control).Confirm(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&control, "control", api.DefaultSocket, "the control `SOCKET` of the xwire to ask")
	_ = cmd.MarkFlagFilename("control", "sock")
	return cmd
}

// writeReload prints a difference for people: a line for each object, and the sum.
func writeReload(w io.Writer, r api.Reload) error {
	var b strings.Builder
	effects := map[string]int{}
	signs := map[string]string{"added": "+", "removed": "-", "changed": "~"}
	for _, c := range r.Changes {
		effects[c.Effect]++
		fmt.Fprintf(&b, "%s %s", signs[c.Action], c.Kind)
		if c.Name != "" {
			fmt.Fprintf(&b, " %s", c.Name)
		}
		if len(c.Keys) > 0 {
			fmt.Fprintf(&b, ": %s", strings.Join(c.Keys, ", "))
		}
		fmt.Fprintf(&b, " (%s)\n", c.Effect)
	}
	for _, f := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s:%d: %s: %s\n", f.File, f.Line, f.Key, f.Message)
	}
	if len(r.Changes) == 0 {
		fmt.Fprintf(&b, "nothing differs from %s\n", r.File)
	} else {
		var sum []string
		for _, effect := range []string{api.Hitless, api.SessionBlip, api.PortReset, api.Restart} {
			if n := effects[effect]; n > 0 {
				sum = append(sum, fmt.Sprintf("%d %s", n, effect))
			}
		}
		done := "done"
		if r.DryRun {
			done = "nothing was done"
		}
		changes := "changes"
		if len(r.Changes) == 1 {
			changes = "change"
		}
		fmt.Fprintf(&b, "%d %s: %s; %s\n", len(r.Changes), changes, strings.Join(sum, ", "), done)
	}
	for _, w := range r.Waiting {
		fmt.Fprintf(&b, "waiting: %s\n", w)
	}
	if r.Confirm != nil {
		fmt.Fprintf(&b, "rolled back at %s unless `xwire confirm` comes\n", r.Confirm.Local().Format(time.TimeOnly))
	}
	if r.Confirmed {
		b.WriteString("the reload that waited for its confirmation is confirmed by this one\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// config prints what runs as TOML.
func (s *shower) config() *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Print what runs as a configuration file that loads, cookies in clear",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.json {
				return usageError{errors.New("--json is not for config: it is TOML")}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), time.Minute)
			defer cancel()
			text, err := s.client().Config(ctx)
			if err != nil {
				return err
			}
			_, err = s.e.stdout.Write(text)
			return err
		},
	}
}
