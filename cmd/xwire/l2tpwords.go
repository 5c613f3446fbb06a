package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// l2tpValues are the words that may follow an argument of `l2tp add`; nil: anything.
var l2tpValues = map[string][]string{
	"encap": {"ip", "udp"}, "udp_csum": {"on", "off"}, "udp6_csum_tx": {"on", "off"}, "udp6_csum_rx": {"on", "off"},
	"l2spec_type": {"none", "default"}, "seq": {"none", "send", "recv", "both"},
	"tunnel_id": nil, "peer_tunnel_id": nil, "session_id": nil, "peer_session_id": nil, "local": nil, "remote": nil,
	"udp_sport": nil, "udp_dport": nil, "cookie": nil, "peer_cookie": nil, "name": nil,
}

// l2tpWords completes the words of `ip l2tp`.
func l2tpWords(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const none = cobra.ShellCompDirectiveNoFileComp
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return strings.HasPrefix(a, "-") })
	switch len(args) {
	case 0:
		return []cobra.Completion{"add", "del", "show"}, none
	case 1:
		return []cobra.Completion{"tunnel", "session"}, none
	}
	if values, known := l2tpValues[args[len(args)-1]]; known {
		return values, none
	}
	var names []cobra.Completion
	switch {
	case !strings.HasPrefix(args[0], "a") && args[1] == "tunnel":
		names = []cobra.Completion{"tunnel_id"}
	case !strings.HasPrefix(args[0], "a"):
		names = []cobra.Completion{"tunnel_id", "session_id"}
	case args[1] == "tunnel":
		names = []cobra.Completion{"tunnel_id", "peer_tunnel_id", "local", "remote", "encap", "udp_sport", "udp_dport", "udp_csum", "udp6_csum_tx", "udp6_csum_rx"}
	default:
		names = []cobra.Completion{"tunnel_id", "session_id", "peer_session_id", "name", "cookie", "peer_cookie", "l2spec_type", "seq"}
	}
	return slices.DeleteFunc(names, func(n string) bool { return slices.Contains(args[2:], n) }), none
}
