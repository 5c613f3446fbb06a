package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"xwire/appliance/api"
)

func (e *env) eventsCommand() *cobra.Command {
	s := &shower{e: e}
	var count int
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Print what happens as it happens",
		Long: `Print what happens from now on, a line each, until interrupted: tunnels, sessions and ports that are
created, modified or deleted, and by whom; tunnels and sessions that go up or down, and why; peers
that cannot be reached and next hops that have gone; reloads and what became of them.

  created, modified, deleted   of a tunnel, session or port; of modified, the keys
  up, down                     a port sends and receives, or not; a session carries frames, or not; a
                               tunnel's packets can leave, or it is off
  peer_unreachable             a tunnel has no route, or its peer does not answer
  neighbour_lost               a tunnel's next hop has no address any more
  reloaded, confirmed, rolled_back
  lost                         so many events were left out, because we were too slow`,
		Example: `  xwire events
  xwire events --json | jq 'select(.type == "down")'`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if count < 0 {
				return usageError{fmt.Errorf("--count %d: must be 1 or more", count)}
			}
			seen := 0
			var failed error
			err := s.client().Events(cmd.Context(), func(v api.Event) bool {
				if s.json {
					failed = json.NewEncoder(e.stdout).Encode(v) // a line each, as they come
				} else {
					_, failed = io.WriteString(e.stdout, eventText(&v))
				}
				seen++
				return failed == nil && seen != count
			})
			if err == nil {
				err = failed
			}
			return err
		},
	}
	f := cmd.Flags()
	f.IntVarP(&count, "count", "c", 0, "end after `N` events; 0: when interrupted")
	f.StringVar(&s.control, "control", api.DefaultSocket, "the control `SOCKET` of the xwire to ask")
	f.BoolVar(&s.json, "json", false, "print JSON, a line each")
	value(cmd, "count")
	return cmd
}

// eventText is a line: when, what, of what, and why.
func eventText(v *api.Event) string {
	words := []string{v.Time.Local().Format("15:04:05.000"), v.Type}
	switch {
	case v.Session != "":
		words = append(words, "session", v.Tunnel+"/"+v.Session)
	case v.Tunnel != "":
		words = append(words, "tunnel", v.Tunnel)
	case v.Port != "":
		words = append(words, "port", v.Port)
	case v.Kind != "":
		words = append(words, v.Kind)
	}
	var more []string
	if v.Origin == api.OriginAPI {
		more = append(more, "created through the API")
	}
	if len(v.Keys) > 0 {
		more = append(more, strings.Join(v.Keys, ", "))
	}
	if v.Reason != "" {
		more = append(more, v.Reason)
	}
	switch {
	case v.Type == api.EventLost:
		more = append(more, fmt.Sprintf("%d events", v.Count))
	case v.Type == api.EventReloaded:
		more = append(more, fmt.Sprintf("%d changes", v.Count))
	}
	text := strings.Join(words, " ")
	if more != nil {
		text += ": " + strings.Join(more, "; ")
	}
	return text + "\n"
}
