package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"xwire/appliance/api"
)

// words completes a flag's value by one of a few.
func words(cmd *cobra.Command, flag string, list ...string) {
	// It fails for flags that do not exist only, and tests walk all of them.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp))
}

// value is for a flag that nothing is known to complete.
func value(cmd *cobra.Command, flags ...string) {
	for _, f := range flags {
		_ = cmd.RegisterFlagCompletionFunc(f, cobra.NoFileCompletions)
	}
}

// configFiles completes an argument by a configuration file.
func configFiles(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []cobra.Completion{"toml"}, cobra.ShellCompDirectiveFilterFileExt
}

// askFor is how long a completion may keep the shell waiting for a running xwire, and most how many
// names it gives: a shell does nothing useful with more.
const (
	askFor = time.Second
	most   = 1000
)

// tunnelNames and sessionNames complete by what the running xwire has; without one, by nothing.
func (s *shower) tunnelNames(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), askFor)
	defer cancel()
	tunnels, err := s.client().Tunnels(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var list []cobra.Completion
	for _, t := range tunnels[:min(len(tunnels), most)] {
		list = append(list, cobra.CompletionWithDesc(t.Name, t.Description))
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

func (s *shower) sessionNames(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), askFor)
	defer cancel()
	sessions, err := s.client().Sessions(ctx, api.SessionQuery{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var list []cobra.Completion
	for _, v := range sessions[:min(len(sessions), most)] {
		list = append(list, cobra.CompletionWithDesc(v.Tunnel+"/"+v.Name, v.Description))
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// portNames completes by the running xwire's ports.
func (s *shower) portNames(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), askFor)
	defer cancel()
	ports, err := s.client().Ports(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var list []cobra.Completion
	for _, p := range ports {
		list = append(list, cobra.CompletionWithDesc(p.Name, p.Description))
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// circuitNames completes by sessions and ports.
func (s *shower) circuitNames(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	list, directive := s.sessionNames(cmd, args, toComplete)
	if len(args) > 0 {
		return list, directive
	}
	ports, _ := s.portNames(cmd, args, toComplete)
	return append(list, ports...), directive
}

// completeArgs gives every command that takes no arguments, and says nothing else, no file names.
func completeArgs(cmd *cobra.Command) {
	if cmd.ValidArgsFunction == nil && len(cmd.ValidArgs) == 0 {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, sub := range cmd.Commands() {
		completeArgs(sub)
	}
}
