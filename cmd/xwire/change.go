package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"xwire/appliance/api"
	"xwire/config"
)

// changeHelp is what the three commands have in common.
const changeHelp = `

KEY=VALUE is as in the configuration file (xwire check --defaults lists all), without the quotes of
strings: vlan=100, enabled=false, rate=10M, rx_cookie=0102030405060708,1112131415161718 for two.
"KEY=" takes a key back to its default. In the place of the pairs, - reads them from standard
input, a line each: what stands on a command line is seen by all users of the machine, cookies too.`

func (e *env) addCommand() *cobra.Command {
	return e.changeCommand(&cobra.Command{
		Use:   "add TUNNEL[/SESSION] KEY=VALUE...",
		Short: "Add a tunnel or a session to a running xwire",
		Long:  "Add a tunnel, or a session to a tunnel, of a running xwire. It stays over reloads, and ends with the process." + changeHelp,
		Example: `  xwire add oslo encap=ip local=192.0.2.1 peer=198.51.100.9 tid=9 ptid=9
  xwire add oslo/b sid=7 psid=7 l2spec_type=default attach=access0 vlan=107`,
	}, true, func(ctx context.Context, c *api.Client, tunnel, session string, keys api.Keys) (any, error) {
		if session == "" {
			return c.CreateTunnel(ctx, tunnel, keys)
		}
		return c.CreateSession(ctx, tunnel, session, keys)
	})
}

func (e *env) setCommand() *cobra.Command {
	return e.changeCommand(&cobra.Command{
		Use:   "set TUNNEL[/SESSION] KEY=VALUE...",
		Short: "Change keys of a tunnel or a session of a running xwire",
		Long: "Change keys of a tunnel or a session of a running xwire in place; the others stay as they are, and\n" +
			"counters go on. What the file has is as it says again after the next reload." + changeHelp,
		Example: `  xwire set paris/customer-a vlan=101 rate=50M
  xwire set paris/customer-a rx_cookie=0102030405060708,1112131415161718`,
	}, true, func(ctx context.Context, c *api.Client, tunnel, session string, keys api.Keys) (any, error) {
		if session == "" {
			return c.ModifyTunnel(ctx, tunnel, keys)
		}
		return c.ModifySession(ctx, tunnel, session, keys)
	})
}

func (e *env) deleteCommand() *cobra.Command {
	return e.changeCommand(&cobra.Command{
		Use:     "delete TUNNEL[/SESSION]",
		Short:   "Delete a tunnel with its sessions, or a session, of a running xwire",
		Long:    "Delete a tunnel with its sessions, or a session, of a running xwire. What the file has comes back at the\nnext reload.",
		Example: "  xwire delete oslo/b",
	}, false, func(ctx context.Context, c *api.Client, tunnel, session string, _ api.Keys) (any, error) {
		if session == "" {
			return nil, c.DeleteTunnel(ctx, tunnel)
		}
		return nil, c.DeleteSession(ctx, tunnel, session)
	})
}

// changeCommand completes a command that changes one object.
func (e *env) changeCommand(cmd *cobra.Command, pairs bool, do func(ctx context.Context, c *api.Client, tunnel, session string, keys api.Keys) (any, error)) *cobra.Command {
	s := &shower{e: e}
	check := cobra.ExactArgs(1)
	if pairs {
		check = cobra.MinimumNArgs(2)
	}
	cmd.Args = usageArgs(check)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tunnel, session, of := strings.Cut(args[0], "/")
		if tunnel == "" || of && session == "" {
			return usageError{fmt.Errorf("%q is no TUNNEL and no TUNNEL/SESSION", args[0])}
		}
		list := args[1:]
		if len(list) == 1 && list[0] == "-" {
			var err error
			if list, err = lines(os.Stdin); err != nil {
				return err
			}
		}
		table := "tunnel"
		if of {
			table = "session"
		}
		keys, err := keysOf(table, list)
		if err != nil {
			return usageError{err}
		}
		v, err := do(cmd.Context(), s.client(), tunnel, session, keys)
		if err != nil || v == nil || !s.json {
			return err
		}
		return printJSON(e.stdout, v)
	}
	cmd.ValidArgsFunction = s.objectAndKeys(pairs)
	cmd.Flags().StringVar(&s.control, "control", api.DefaultSocket, "the control `SOCKET` of the xwire to ask")
	if pairs {
		cmd.Flags().BoolVar(&s.json, "json", false, "print what it is then as JSON")
	}
	return cmd
}

func lines(r io.Reader) (list []string, err error) {
	in := bufio.NewScanner(r)
	for in.Scan() {
		if text := strings.TrimSpace(in.Text()); text != "" && text[0] != '#' {
			list = append(list, text)
		}
	}
	if err = in.Err(); err == nil && list == nil {
		err = errors.New("standard input has no KEY=VALUE")
	}
	return list, err
}

// keysOf reads KEY=VALUE pairs. Spaces around the = are those of a configuration file's line.
func keysOf(table string, list []string) (api.Keys, error) {
	types := map[string]string{}
	for _, k := range config.Keys() {
		if k.Table == table {
			types[k.Name] = k.Type
			if k.Alias != "" {
				types[k.Alias] = k.Type
			}
		}
	}
	keys := api.Keys{}
	for i, pair := range list {
		key, text, ok := strings.Cut(pair, "=")
		key, text = strings.TrimSpace(key), strings.TrimSpace(text)
		if !ok || key == "" {
			return nil, fmt.Errorf("argument %d is no KEY=VALUE", i+1) // not repeated: it may be a cookie
		}
		if _, twice := keys[key]; twice {
			return nil, fmt.Errorf("%s is given twice", key)
		}
		keys[key] = valueOf(types[key], text)
	}
	return keys, nil
}

// valueOf reads one value of a key of a type. What it cannot be is left to xwire to refuse.
func valueOf(kind, text string) any {
	if text == "" {
		return nil
	}
	if strings.ContainsRune("[\"", rune(text[0])) {
		var v any
		if json.Unmarshal([]byte(text), &v) == nil {
			return v
		}
		return text
	}
	if strings.HasPrefix(kind, "hex string, ") {
		if parts := strings.Split(text, ","); len(parts) > 1 {
			return parts
		}
	}
	for _, words := range []string{`"`, "string", "hex string", "byte array"} {
		if strings.HasPrefix(kind, words) {
			return text // 1112131415161718 is a cookie, and no number
		}
	}
	if n, err := strconv.ParseInt(text, 0, 64); err == nil {
		return n
	}
	if text == "true" || text == "false" {
		return text == "true"
	}
	return text
}

// objectAndKeys completes the object, and then keys that are not given yet.
func (s *shower) objectAndKeys(pairs bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) == 0 {
			list, _ := s.tunnelNames(cmd, nil, toComplete)
			sessions, directive := s.sessionNames(cmd, nil, toComplete)
			return append(list, sessions...), directive
		}
		if !pairs || strings.Contains(toComplete, "=") {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		table := "tunnel"
		if strings.Contains(args[0], "/") {
			table = "session"
		}
		given := map[string]bool{}
		for _, a := range args[1:] {
			key, _, _ := strings.Cut(a, "=")
			given[key] = true
		}
		var list []cobra.Completion
		for _, k := range config.Keys() {
			if k.Table == table && !given[k.Name] && strings.HasPrefix(k.Name, toComplete) {
				list = append(list, cobra.CompletionWithDesc(k.Name+"=", k.Type))
			}
		}
		return list, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}
