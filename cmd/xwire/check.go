package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"xwire/appliance"
	"xwire/config"
)

func (e *env) checkCommand() *cobra.Command {
	var asJSON, cookies, defaults bool
	var coreMTU int
	var peer string
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Check a configuration and print what would run",
		Long: `Check a configuration and print what would run: ports, tunnels, sessions, the overhead and MTU of
each, and what a start would change on the NICs of this machine. No privilege is needed and no NIC
is touched. All errors of the file are printed, each with its line and key.`,
		Args: usageArgs(func(cmd *cobra.Command, args []string) error {
			if defaults {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		}),
		RunE: func(_ *cobra.Command, args []string) error {
			switch {
			case defaults && (asJSON || peer != ""):
				return usageError{errors.New("--defaults stands alone: it prints a table, and no FILE")}
			case asJSON && peer != "":
				return usageError{errors.New("--json and --peer exclude each other: commands are text")}
			case cookies && peer == "":
				return usageError{errors.New("--cookies is for --peer: nothing else that check prints has cookies")}
			case defaults:
				return config.WriteDefaults(e.stdout)
			}
			if err := coreMTUError(coreMTU, nil); err != nil {
				return err
			}
			cfg, err := config.Inspect(args[0])
			if err != nil {
				if list := (config.Errors)(nil); asJSON && errors.As(err, &list) {
					return errors.Join(err, printJSON(e.stdout, struct {
						Errors config.Errors `json:"errors"`
					}{list}))
				}
				return err
			}
			if err := coreMTUError(coreMTU, cfg); err != nil {
				return err
			}
			if peer != "" {
				text, err := cfg.PeerCommands(config.PeerKind(peer), coreMTU, cookies)
				if err != nil {
					return usageError{err}
				}
				_, err = fmt.Fprint(e.stdout, text)
				return err
			}
			report := cfg.Report(coreMTU)
			machine, err := appliance.Forecasts(cfg)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(e.stdout, struct {
					config.Report
					Machine []appliance.Forecast `json:"machine"`
				}{report, machine})
			}
			if err := report.WriteText(e.stdout); err != nil {
				return err
			}
			return appliance.WriteForecasts(e.stdout, machine)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.IntVar(&coreMTU, "core-mtu", 1500, "MTU of the path to the peers, in `BYTES`")
	f.StringVar(&peer, "peer", "", "print the commands for the other end: `KIND` linux, cisco or routeros")
	f.BoolVar(&cookies, "cookies", false, "with --peer: print cookies in clear")
	f.BoolVar(&defaults, "defaults", false, "print every key with its default, instead of checking a file")
	words(cmd, "peer", "linux", "cisco", "routeros")
	value(cmd, "core-mtu")
	cmd.ValidArgsFunction = configFiles
	return cmd
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// coreMTUError refuses what no path has: IPv4 carries 68 bytes everywhere (RFC 791), IPv6 1280 (RFC
// 8200 section 5).
func coreMTUError(mtu int, cfg *config.Config) error {
	least, why := 68, "the least of an IPv4 path"
	for i := 0; cfg != nil && i < len(cfg.Tunnels); i++ {
		if t := &cfg.Tunnels[i]; t.Enabled && t.IP6() {
			least, why = 1280, fmt.Sprintf("the least of an IPv6 path, as tunnel %q has", t.Name)
			break
		}
	}
	if mtu < least || mtu > 65535 {
		return usageError{fmt.Errorf("--core-mtu %d: must be %d (%s) to 65535", mtu, least, why)}
	}
	return nil
}
