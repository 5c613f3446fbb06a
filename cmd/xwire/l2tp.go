package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"xwire/appliance/api"
	"xwire/config/importer"
	"xwire/config/ipl2tp"
	"xwire/l2tp"
)

// controlEnv names the control socket for scripts that were written for ip, and say none.
const controlEnv = "XWIRE_CONTROL"

// said is an error that was printed already, in iproute2's words.
type said struct{ status int }

func (s said) Error() string { return "status " + strconv.Itoa(s.status) }

// words of `ip l2tp` on their way to a running xwire.
type l2tpCall struct {
	e       *env
	format  ipl2tp.Format
	control string
	netns   string
	help    bool
}

func (e *env) l2tpCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "l2tp [OPTIONS] add|del|show tunnel|session ...",
		Short: "Change and show tunnels and sessions in the words of `ip l2tp`",
		Long: `Change and show the tunnels and sessions of a running xwire in the words of iproute2's "ip l2tp".
Arguments, abbreviations and what is printed are the same, so that a script moves over by one word:
"xwire l2tp" for "ip l2tp", "xwire -j l2tp" for "ip -j l2tp". A tunnel is named l2tp-TUNNELID, a session as
its interface: "name", or the first l2tpethN that is free.

What is made so ends with the process; "xwire show config" writes it as a file. The environment
variable ` + controlEnv + ` names the control socket for scripts that cannot.

` + ipl2tp.Usage,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			c := l2tpCall{e: e, control: cmp.Or(os.Getenv(controlEnv), api.DefaultSocket)}
			words, err := c.options(args)
			if err != nil {
				return err
			}
			if c.help {
				return cmd.Help()
			}
			return c.run(cmd.Context(), words)
		},
	}
	f := cmd.Flags()
	f.String("control", api.DefaultSocket, "the control `SOCKET` of the xwire to ask")
	f.BoolP("json", "j", false, "print JSON")
	f.BoolP("pretty", "p", false, "with -json: on many lines")
	f.BoolP("oneline", "o", false, "print a backslash for most line ends")
	f.StringP("netns", "n", "", "refuse an xwire that does not run in the network namespace `NAME`")
	value(cmd, "netns")
	cmd.ValidArgsFunction = l2tpWords
	return cmd
}

// ipOptionsLast puts the options that stand before l2tp, where ip has them, behind it.
func ipOptionsLast(args []string) []string {
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "l2tp" && i > 0:
			return append([]string{"l2tp"}, append(args[:i:i], args[i+1:]...)...)
		case !strings.HasPrefix(args[i], "-"):
			return args
		case ipOption(args[i], "netns") || args[i] == "--control":
			i++ // its value
		}
	}
	return args
}

// ipOption tells whether a word is an option of iproute2's, which may be shortened and have one dash
// or two.
func ipOption(word, name string) bool {
	w := strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-")
	return len(w) < len(word) && w != "" && strings.HasPrefix(name, w)
}

// options takes options out of the words, wherever they stand. Those of iproute2 that change nothing
// here are passed over.
func (c *l2tpCall) options(args []string) (words []string, err error) {
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case !strings.HasPrefix(a, "-") || a == "-" || a[1] >= '0' && a[1] <= '9' && a != "-4" && a != "-6":
			words = append(words, a)
		case strings.HasPrefix(a, "--control="):
			c.control = a[len("--control="):]
		case a == "--control" || ipOption(a, "netns"):
			if i++; i == len(args) {
				return nil, usageError{fmt.Errorf("%s needs a value", a)}
			}
			if a == "--control" {
				c.control = args[i]
			} else {
				c.netns = args[i]
			}
		case a == "-h" || ipOption(a, "help"):
			c.help = true
		case ipOption(a, "json"):
			c.format.JSON = true
		case ipOption(a, "pretty"):
			c.format.Pretty = true
		case ipOption(a, "oneline"):
			c.format.Oneline = true
		case a == "-4", a == "-6", ipOption(a, "details"), ipOption(a, "statistics"), strings.HasPrefix(a, "-c"), ipOption(a, "Numeric"):
		default:
			return nil, usageError{fmt.Errorf("option %s is not known", a)}
		}
	}
	return words, nil
}

func (c *l2tpCall) run(ctx context.Context, words []string) error {
	cmd, err := ipl2tp.Parse(words)
	var wrong *ipl2tp.Error
	if errors.As(err, &wrong) {
		if wrong.Text != "" {
			fmt.Fprintln(c.e.stderr, wrong.Text)
		}
		if wrong.Usage {
			fmt.Fprint(c.e.stderr, ipl2tp.Usage)
		}
		return said{statusUsage}
	}
	for _, line := range cmd.Ignored {
		fmt.Fprintln(c.e.stderr, line)
	}
	client := api.NewClient(c.control)
	if err := c.checkNamespace(ctx, client); err != nil {
		return err
	}
	switch {
	case cmd.Verb == ipl2tp.Show && cmd.Session:
		err = c.showSessions(ctx, client, cmd)
	case cmd.Verb == ipl2tp.Show:
		err = c.showTunnels(ctx, client, cmd)
	case cmd.Verb == ipl2tp.Delete:
		err = remove(ctx, client, cmd)
	default:
		err = add(ctx, client, cmd)
	}
	return c.answer(err)
}

// answer prints what the kernel would have said, and then what xwire says.
func (c *l2tpCall) answer(err error) error {
	var refused *api.Error
	if !errors.As(err, &refused) {
		return err
	}
	switch refused.Code {
	case api.CodeTunnelExists, api.CodeSessionExists, api.CodeClash, api.CodeInterface:
		fmt.Fprintln(c.e.stderr, "RTNETLINK answers: File exists")
	case api.CodeNoSuchTunnel, api.CodeNoSuchSession:
		fmt.Fprintln(c.e.stderr, "RTNETLINK answers: No such device")
	case api.CodeInvalidConfig, api.CodeInvalidRequest:
		fmt.Fprintln(c.e.stderr, "RTNETLINK answers: Invalid argument")
	}
	return err
}

// checkNamespace refuses an xwire that does not run in the namespace of -netns: its socket is a file,
// and answers wherever it is asked from.
func (c *l2tpCall) checkNamespace(ctx context.Context, client *api.Client) error {
	if c.netns == "" {
		return nil
	}
	status, err := client.Status(ctx)
	if err != nil {
		return err
	}
	path := c.netns
	if !strings.Contains(path, "/") {
		path = filepath.Join("/run/netns", path)
	}
	want, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("find network namespace %s: %w", c.netns, err)
	}
	is, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", status.PID))
	if err != nil {
		return fmt.Errorf("find the network namespace of xwire (process %d): %w", status.PID, err)
	}
	if !os.SameFile(want, is) {
		return fmt.Errorf("the xwire of %s (process %d) does not run in network namespace %s; name the socket of the one that does by --control or %s",
			c.control, status.PID, c.netns, controlEnv)
	}
	return nil
}

func add(ctx context.Context, client *api.Client, cmd *ipl2tp.Command) error {
	if cmd.Tunnel {
		if _, err := client.CreateTunnel(ctx, importer.TunnelName(cmd.TunnelID), importer.TunnelKeys(cmd)); err != nil {
			return err
		}
	}
	if !cmd.Session {
		return nil
	}
	t, err := tunnelOf(ctx, client, cmd.TunnelID)
	if err != nil {
		return err
	}
	name := cmd.Name
	if name == "" {
		if name, err = freeName(ctx, client); err != nil {
			return err
		}
	}
	_, err = client.CreateSession(ctx, t.Name, name, importer.SessionKeys(cmd, name))
	return err
}

func tunnelOf(ctx context.Context, client *api.Client, id uint32) (api.Tunnel, error) {
	tunnels, err := client.Tunnels(ctx)
	if err != nil {
		return api.Tunnel{}, err
	}
	for _, t := range tunnels {
		if t.TunnelID == id && t.Enabled {
			return t, nil
		}
	}
	return api.Tunnel{}, &api.Error{Code: api.CodeNoSuchTunnel, Text: fmt.Sprintf("there is no tunnel of tunnel_id %d", id)}
}

// freeName is the first l2tpethN that no session has, as the kernel names them.
func freeName(ctx context.Context, client *api.Client) (string, error) {
	sessions, err := client.Sessions(ctx, api.SessionQuery{})
	if err != nil {
		return "", err
	}
	taken := map[string]bool{}
	for i := range sessions {
		taken[sessions[i].Interface] = true
	}
	for n := 0; ; n++ {
		if name := "l2tpeth" + strconv.Itoa(n); !taken[name] {
			return name, nil
		}
	}
}

func remove(ctx context.Context, client *api.Client, cmd *ipl2tp.Command) error {
	t, err := tunnelOf(ctx, client, cmd.TunnelID)
	if err != nil {
		return err
	}
	if cmd.SessionID == 0 {
		return client.DeleteTunnel(ctx, t.Name)
	}
	sessions, err := client.Sessions(ctx, api.SessionQuery{Tunnel: t.Name})
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if s.SessionID == cmd.SessionID {
			return client.DeleteSession(ctx, t.Name, s.Name)
		}
	}
	return &api.Error{Code: api.CodeNoSuchSession, Text: fmt.Sprintf("there is no session of session_id %d in tunnel %d", cmd.SessionID, cmd.TunnelID)}
}

func (c *l2tpCall) showTunnels(ctx context.Context, client *api.Client, cmd *ipl2tp.Command) error {
	tunnels, err := client.Tunnels(ctx)
	if err != nil {
		return err
	}
	var list []ipl2tp.Tunnel
	for i := range tunnels {
		if t := &tunnels[i]; t.Enabled && (cmd.TunnelID == 0 || cmd.TunnelID == t.TunnelID) {
			list = append(list, wordsOfTunnel(t))
		}
	}
	// The order of the kernel.
	slices.SortFunc(list, func(a, b ipl2tp.Tunnel) int { return cmp.Compare(a.ID, b.ID) })
	return c.format.WriteTunnels(c.e.stdout, list)
}

func wordsOfTunnel(t *api.Tunnel) ipl2tp.Tunnel {
	is := func(b *bool) bool { return b != nil && *b }
	v := ipl2tp.Tunnel{
		ID: t.TunnelID, PeerID: t.PeerTunnel, LocalPort: t.LocalPort, RemotePort: t.PeerPort,
		Checksum: is(t.Checksum), ChecksumTx: is(t.ChecksumTx), ChecksumRx: is(t.ChecksumRx),
	}
	v.Local, _ = netip.ParseAddr(t.Local)
	v.Remote, _ = netip.ParseAddr(t.Peer)
	if t.Encap == l2tp.EncapIP.String() {
		v.Encap = l2tp.EncapIP
	}
	return v
}

func (c *l2tpCall) showSessions(ctx context.Context, client *api.Client, cmd *ipl2tp.Command) error {
	q := api.SessionQuery{Cookies: true}
	if cmd.TunnelID != 0 {
		t, err := tunnelOf(ctx, client, cmd.TunnelID)
		if refused := (*api.Error)(nil); errors.As(err, &refused) && refused.Code == api.CodeNoSuchTunnel {
			return c.format.WriteSessions(c.e.stdout, nil)
		}
		if err != nil {
			return err
		}
		q.Tunnel = t.Name
	}
	sessions, err := client.Sessions(ctx, q)
	if err != nil {
		return err
	}
	var list []ipl2tp.Session
	for i := range sessions {
		if s := &sessions[i]; s.Enabled && s.SessionID != 0 && (cmd.SessionID == 0 || cmd.SessionID == s.SessionID) {
			list = append(list, wordsOfSession(s))
		}
	}
	slices.SortFunc(list, func(a, b ipl2tp.Session) int {
		return cmp.Or(cmp.Compare(a.TunnelID, b.TunnelID), cmp.Compare(a.ID, b.ID))
	})
	return c.format.WriteSessions(c.e.stdout, list)
}

func wordsOfSession(s *api.Session) ipl2tp.Session {
	v := ipl2tp.Session{
		ID: s.SessionID, TunnelID: s.TunnelID, PeerID: s.PeerSessionID, PeerTunnelID: s.PeerTunnelID, Interface: s.Interface,
		SendSeq: s.SendSeq, RecvSeq: s.RecvSeq,
	}
	v.Cookie, _ = l2tp.ParseCookie(s.Cookie)
	if len(s.PeerCookie) > 0 {
		v.PeerCookie, _ = l2tp.ParseCookie(s.PeerCookie[0])
	}
	return v
}
