package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"xwire/appliance/api"
)

// shower has the flags that all show commands share.
type shower struct {
	e       *env
	control string
	json    bool
}

func (s *shower) client() *api.Client { return api.NewClient(s.control) }

// print writes v as JSON, or as the text that table makes.
func (s *shower) print(v any, table func() string) error {
	if s.json {
		enc := json.NewEncoder(s.e.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	_, err := s.e.stdout.Write([]byte(table()))
	return err
}

func (e *env) showCommand() *cobra.Command {
	s := &shower{e: e}
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show what a running xwire does",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := s.client().Status(cmd.Context())
			if err != nil {
				return err
			}
			return s.print(v, func() string { return statusText(v) })
		},
	}
	cmd.PersistentFlags().StringVar(&s.control, "control", api.DefaultSocket, "the control `SOCKET` of the xwire to ask")
	cmd.PersistentFlags().BoolVar(&s.json, "json", false, "print JSON")
	cmd.AddCommand(s.tunnels(), s.tunnel(), s.sessions(), s.session(), s.ports(), s.drops(), s.workers(), s.config())
	return cmd
}

func (s *shower) tunnels() *cobra.Command {
	return &cobra.Command{
		Use:   "tunnels",
		Short: "Show tunnels and where their packets leave",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := s.client().Tunnels(cmd.Context())
			if err != nil {
				return err
			}
			return s.print(v, func() string { return tunnelsText(v) })
		},
	}
}

func (s *shower) sessions() *cobra.Command {
	var q api.SessionQuery
	var rates bool
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "Show sessions and their counters",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := s.client().Sessions(cmd.Context(), q)
			if err != nil {
				return err
			}
			if rates {
				if v, err = s.rates(cmd.Context(), q, v); err != nil {
					return err
				}
			}
			return s.print(v, func() string { return sessionsText(v, rates) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Tunnel, "tunnel", "", "only the sessions of the tunnel `NAME`")
	f.BoolVar(&q.Errors, "errors", false, "only sessions with errors, discards or a suspicion")
	f.BoolVar(&q.Cookies, "cookies", false, "print cookies in clear (JSON only)")
	f.BoolVar(&rates, "rates", false, "measure for one second and print rates")
	_ = cmd.RegisterFlagCompletionFunc("tunnel", s.tunnelNames)
	return cmd
}

// rates asks again after a second and adds the difference to each session.
func (s *shower) rates(ctx context.Context, q api.SessionQuery, before []api.Session) ([]api.Session, error) {
	first := make(map[string]api.Statistics, len(before))
	for i := range before {
		first[before[i].Tunnel+"/"+before[i].Name] = before[i].Statistics
	}
	start := time.Now()
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	after, err := s.client().Sessions(ctx, q)
	if err != nil {
		return nil, err
	}
	seconds := time.Since(start).Seconds()
	for i := range after {
		n := &after[i]
		p := first[n.Tunnel+"/"+n.Name]
		n.Rates = &api.Rates{
			TxPackets: float64(n.TxPackets-p.TxPackets) / seconds,
			TxBytes:   float64(n.TxBytes-p.TxBytes) / seconds,
			RxPackets: float64(n.RxPackets-p.RxPackets) / seconds,
			RxBytes:   float64(n.RxBytes-p.RxBytes) / seconds,
		}
	}
	return after, nil
}

func (s *shower) session() *cobra.Command {
	cookies := false
	cmd := &cobra.Command{
		Use:   "session TUNNEL/SESSION",
		Short: "Show everything of one session",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := s.client().Session(cmd.Context(), args[0], cookies)
			if err != nil {
				return err
			}
			return s.print(v, func() string { return sessionText(v) })
		},
	}
	cmd.Flags().BoolVar(&cookies, "cookies", false, "print cookies in clear")
	cmd.ValidArgsFunction = s.sessionNames
	return cmd
}

func (s *shower) ports() *cobra.Command {
	return &cobra.Command{
		Use:   "ports",
		Short: "Show ports, their modes, queues and frame counts",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := s.client().Ports(cmd.Context())
			if err != nil {
				return err
			}
			return s.print(v, func() string { return portsText(v) })
		},
	}
}

func (s *shower) drops() *cobra.Command {
	all := false
	cmd := &cobra.Command{
		Use:   "drops",
		Short: "Show why frames were not forwarded",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := s.client().Drops(cmd.Context())
			if err != nil {
				return err
			}
			return s.print(v, func() string { return dropsText(v, all) })
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also reasons that never occurred")
	return cmd
}

func (s *shower) workers() *cobra.Command {
	return &cobra.Command{
		Use:   "workers",
		Short: "Show workers, their CPUs and their rounds",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := s.client().Workers(cmd.Context())
			if err != nil {
				return err
			}
			return s.print(v, func() string { return workersText(v) })
		},
	}
}
