package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"xwire/appliance/api"
	"xwire/config"
)

func (s *shower) tunnel() *cobra.Command {
	return &cobra.Command{
		Use:   "tunnel TUNNEL",
		Short: "Show everything of one tunnel",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := s.client().Tunnel(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.print(v, func() string { return tunnelText(v) })
		},
		ValidArgsFunction: s.tunnelNames,
	}
}

func tunnelText(t api.Tunnel) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	line("tunnel", "%s", t.Name)
	if t.Description != "" {
		line("description", "%s", t.Description)
	}
	line("origin", "%s", t.Origin)
	line("state", "%s", strings.TrimSpace(t.State+" "+t.Reason))
	if t.Since != nil {
		line("since", "%s ago", sinceText(t.Since))
	}
	line("next hop", "%s", nextHopText(t.NextHop))
	if t.PathMTU != 0 {
		line("path mtu", "%d", t.PathMTU)
	}
	line("version", "%s over %s", t.Version, encapText(t))
	line("local", "%s", endpoint(t.Local, t.LocalPort))
	line("peer", "%s", endpoint(t.Peer, t.PeerPort))
	line("tunnel id", "%d, peer %d", t.TunnelID, t.PeerTunnel)
	line("sessions", "%d", t.SessionCount)
	line("hello", "%d sent, %d received", t.Hello.Sent, t.Hello.Received)
	for _, c := range []struct {
		name  string
		count uint64
	}{
		{"tx_packets", t.TxPackets}, {"tx_bytes", t.TxBytes}, {"tx_errors", t.TxErrors},
		{"rx_packets", t.RxPackets}, {"rx_bytes", t.RxBytes}, {"rx_errors", t.RxErrors},
		{"rx_seq_discards", t.RxSeqDiscards}, {"rx_oos_packets", t.RxOOSPackets},
		{"rx_cookie_discards", t.RxCookieDiscards}, {"rx_invalid", t.RxInvalid},
	} {
		line(c.name, "%d", c.count)
	}
	configLines(line, "tunnel", t.Config)
	w.Flush()
	return b.String()
}

// configLines are the keys that are not at their default, in the order of a manual.
func configLines(line func(name, format string, args ...any), table string, has api.Keys) {
	for _, k := range config.Keys() {
		v, ok := has[k.Name]
		if k.Table != table || !ok || sameJSON(v, k.Default) {
			continue
		}
		text, err := json.Marshal(v)
		if err == nil {
			line("config "+k.Name, "%s", text)
		}
	}
}

func sameJSON(a, b any) bool {
	if f, ok := a.(float64); ok {
		n, isInt := b.(int64)
		return isInt && f == float64(n)
	}
	return reflect.DeepEqual(a, b)
}
