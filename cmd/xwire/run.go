package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"xwire/appliance"
)

const defaultConfig = "/etc/xwire/xwire.toml"

func (e *env) runCommand() *cobra.Command {
	var o appliance.Options
	var level, format string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Carry the pseudowires of a configuration until told to stop",
		Long: `Carry the pseudowires of a configuration until SIGTERM or SIGINT.

systemd is told when the ports that are there forward (READY=1) and what is still waited for
(STATUS=). NIC settings that were changed are put back at the end, or at the next start after a
kill; local interfaces stay.

If the configuration has errors, the last one that ran is used instead, loudly.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := e.logger(level, format)
			if err != nil {
				return usageError{err}
			}
			o.Log, o.Version = log, version()
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.ConfigFile, "config", defaultConfig, "the configuration `FILE`")
	f.StringVar(&o.StateDir, "state", "/var/lib/xwire", "`DIR` for the last configuration that ran")
	f.BoolVar(&o.AutoPorts, "auto-ports", false, "take the interfaces that the tunnels' routes leave by as core ports")
	f.StringVar(&level, "log-level", "info", "`LEVEL`: debug, info, warn or error")
	f.StringVar(&format, "log-format", "text", "`FORMAT`: text or json")
	_ = cmd.MarkFlagFilename("config", "toml")
	_ = cmd.MarkFlagDirname("state")
	words(cmd, "log-level", "debug", "info", "warn", "error")
	words(cmd, "log-format", "text", "json")
	return cmd
}

func run(ctx context.Context, o appliance.Options) error {
	cfg, err := appliance.LoadConfig(&o)
	if err != nil {
		return err
	}
	a, err := appliance.New(cfg, o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go reloadOnHangup(ctx, a)
	return a.Run(ctx)
}

// reloadOnHangup reads the configuration again at each SIGHUP until ctx ends.
func reloadOnHangup(ctx context.Context, a *appliance.Appliance) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			a.Hangup(ctx)
		}
	}
}

func (e *env) logger(level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: want debug, info, warn or error", level)
	}
	h := &slog.HandlerOptions{Level: l}
	switch strings.ToLower(format) {
	case "text":
		return slog.New(slog.NewTextHandler(e.stderr, h)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(e.stderr, h)), nil
	}
	return nil, fmt.Errorf("--log-format %q: want text or json", format)
}
