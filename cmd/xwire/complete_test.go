package main

import (
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"xwire/appliance/api"
)

// answers serves fixed values where a control socket would be.
func answers(t *testing.T, at map[string]any) string {
	socket := filepath.Join(t.TempDir(), "c.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for path, v := range at {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(v) })
	}
	srv := &http.Server{Handler: mux}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return socket
}

// complete is what a shell gets for a command line that ends in its last argument.
func complete(t *testing.T, args ...string) (lines []string, directive string) {
	t.Helper()
	_, out, _ := call(t, append([]string{cobra.ShellCompRequestCmd}, args...)...)
	lines = strings.Split(strings.TrimSpace(out), "\n")
	return lines[:len(lines)-1], lines[len(lines)-1]
}

func TestCompletion(t *testing.T) {
	const noFiles, extension, noFilesNoSpace = ":4", ":8", ":6"
	socket := answers(t, map[string]any{
		"/v1/tunnels":  []api.Tunnel{{Name: "paris", Description: "Paris POP"}, {Name: "oslo"}},
		"/v1/sessions": []api.Session{{Tunnel: "paris", Name: "a", Description: "ticket 1"}, {Tunnel: "oslo", Name: "b"}},
	})
	for _, c := range []struct {
		args      []string
		want      string
		directive string
	}{
		{[]string{"check", "--peer", ""}, "linux cisco routeros", noFiles},
		{[]string{"check", ""}, "toml", extension},
		{[]string{"check", "a.toml", ""}, "", noFiles},
		{[]string{"run", "--config", ""}, "toml", extension},
		{[]string{"run", "--log-level", ""}, "debug info warn error", noFiles},
		{[]string{"run", "--log-format", ""}, "text json", noFiles},
		{[]string{"run", ""}, "", noFiles},
		{[]string{"show", "--control", socket, "session", ""}, "paris/a\tticket 1 oslo/b", noFiles},
		{[]string{"show", "--control", socket, "tunnel", ""}, "paris\tParis POP oslo", noFiles},
		{[]string{"show", "--control", socket, "tunnel", "oslo", ""}, "", noFiles},
		{[]string{"show", "--control", socket, "session", "x", ""}, "", noFiles},
		{[]string{"show", "--control", socket, "sessions", "--tunnel", ""}, "paris\tParis POP oslo", noFiles},
		{[]string{"set", "--control", socket, ""}, "paris\tParis POP oslo paris/a\tticket 1 oslo/b", noFiles},
		{[]string{"set", "paris/a", "rx"}, "rx_cookie=\thex string, byte array, or array of two of them", noFilesNoSpace},
		{[]string{"set", "paris", "ttl=1", "tt"}, "", noFilesNoSpace},
		{[]string{"set", "paris/a", "ttl="}, "", noFiles},
		{[]string{"delete", "paris/a", ""}, "", noFiles},
		{[]string{"events", ""}, "", noFiles},
		{[]string{"reload", "--confirm-within", ""}, "", noFiles},
		{[]string{"show", "config", ""}, "", noFiles},
		{[]string{"l2tp", ""}, "add del show", noFiles},
		{[]string{"l2tp", "-j", "show", ""}, "tunnel session", noFiles},
		{[]string{"l2tp", "show", "session", "tunnel_id", "1", ""}, "session_id", noFiles},
		{[]string{"l2tp", "add", "tunnel", "encap", ""}, "ip udp", noFiles},
		{[]string{"show", "--control", "/nonexistent/control.sock", "session", ""}, "", noFiles},
		{[]string{"show", "--control", "/nonexistent/control.sock", "sessions", "--tunnel", ""}, "", noFiles},
	} {
		lines, directive := complete(t, c.args...)
		if got := strings.Join(lines, " "); got != c.want || directive != c.directive {
			t.Errorf("%q: %q and %s, want %q and %s", c.args, got, directive, c.want, c.directive)
		}
	}
}

// TestEveryFlagCompletes: a flag that takes a value either completes it, or says that files do.
func TestEveryFlagCompletes(t *testing.T) {
	files := map[string]bool{"control": true, "write": true, "state": true, "cpuprofile": true} // sockets have no extension
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Value.Type() == "bool" || files[f.Name] || len(f.Annotations) > 0 {
				return
			}
			if _, ok := c.GetFlagCompletionFunc(f.Name); !ok {
				t.Errorf("%s --%s completes by file names", c.CommandPath(), f.Name)
			}
		})
		for _, sub := range c.Commands() {
			if sub.Name() != "completion" && sub.Name() != "bench" {
				walk(sub)
			}
		}
	}
	walk((&env{}).root())
}

func TestRefusedRequest(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	l, err := net.Listen("unix", file)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
	for path, want := range map[string]string{
		filepath.Join(dir, "none.sock"): "no such file or directory (is it running?",
		file:                            "connection refused (is it running?",
	} {
		status, _, errs := call(t, "show", "--control", path)
		if status != statusFailure || !strings.Contains(errs, path+": "+want) || strings.Contains(errs, "http") || strings.Contains(errs, "Get") {
			t.Errorf("status %d: %s", status, errs)
		}
	}
}
