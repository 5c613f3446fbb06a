package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"xwire/appliance/api"
)

// call runs one command line and gives its status and what it printed.
func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = (&env{stdout: &out, stderr: &errs}).execute(t.Context(), args)
	return status, out.String(), errs.String()
}

func TestStatuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		args   []string
		status int
		says   string // somewhere in what is printed
	}{
		{"NoCommand", []string{}, statusUsage, "a command is missing"},
		{"UnknownCommand", []string{"frobnicate"}, statusUsage, "frobnicate"},
		{"UnknownFlag", []string{"show", "ports", "--colour"}, statusUsage, "colour"},
		{"MissingArgument", []string{"check"}, statusUsage, "1 arg"},
		{"SurplusArgument", []string{"show", "ports", "core0"}, statusUsage, "core0"},
		{"BadLogLevel", []string{"run", "--log-level", "loud"}, statusUsage, "debug, info, warn or error"},
		{"ConfirmAtOnce", []string{"reload", "--confirm-within", "0s"}, statusUsage, "more than 0"},
		{"ConfirmNothing", []string{"reload", "--confirm-within", "5s", "--dry-run"}, statusUsage, "nothing to confirm"},
		{"NoSuchFile", []string{"check", "testdata/none.toml"}, statusFailure, "testdata/none.toml"},
		{"NobodyListens", []string{"show", "--control", "/nonexistent/control.sock"}, statusFailure, "is it running"},
		{"Version", []string{"version"}, statusSuccess, "xwire"},
		{"Completion", []string{"completion", "bash"}, statusSuccess, "complete"},
		{"Defaults", []string{"check", "--defaults"}, statusSuccess, "l2spec_type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, out, errs := call(t, c.args...)
			if status != c.status || !strings.Contains(out+errs, c.says) {
				t.Errorf("xwire %s: status %d, want %d and %q in:\n%s%s", strings.Join(c.args, " "), status, c.status, c.says, out, errs)
			}
		})
	}
}

// TestEveryCommandHasHelp walks the table of commands: none may lack a sentence, nor help that
// names its flags.
func TestEveryCommandHasHelp(t *testing.T) {
	var walk func(c *cobra.Command, path []string)
	walk = func(c *cobra.Command, path []string) {
		for _, sub := range c.Commands() {
			walk(sub, append(path[:len(path):len(path)], sub.Name()))
		}
		if c.Short == "" {
			t.Errorf("xwire %s has no description", strings.Join(path, " "))
		}
		status, out, _ := call(t, append(path[:len(path):len(path)], "--help")...)
		if status != statusSuccess || !strings.Contains(out, "Usage:") {
			t.Errorf("xwire %s --help: status %d:\n%s", strings.Join(path, " "), status, out)
		}
	}
	walk((&env{stdout: new(bytes.Buffer), stderr: new(bytes.Buffer)}).root(), nil)
}

func TestTables(t *testing.T) {
	session := api.Session{
		Name: "customer-a", Tunnel: "paris", Enabled: true, SessionID: 100, PeerSessionID: 200, TunnelID: 1, PeerTunnelID: 2,
		Pseudowire: "eth", L2SpecType: "none", Port: "access0", VLAN: "100", PWVLAN: "keep", CookieBytes: 8, PeerCookieBytes: 8,
		CookieFrames: []uint64{7, 3}, State: "up", Suspect: 1, Suspicion: "peer seems to send a 4-byte sublayer; l2spec_type is none",
	}
	session.RxPackets, session.RxErrors = 10, 2
	for _, c := range []struct {
		name, got string
		want      []string
	}{
		{"Sessions", sessionsText([]api.Session{session}, false), []string{"paris/customer-a", "access0 vlan 100", "peer seems to send a 4-byte sublayer"}},
		{"Session", sessionText(session), []string{"rx cookie 1", "8 bytes (--cookies prints it), 7 frames", "rx cookie 2", "3 frames", "rx_packets", "10"}},
		{"Tunnels", tunnelsText([]api.Tunnel{{Name: "paris", Encap: "udp", Local: "2001:db8::1", LocalPort: 1701, NextHop: api.NextHop{State: "no_route", Reason: "no route to 2001:db8::2"}}}),
			[]string{"[2001:db8::1]:1701", "no_route", "no route to 2001:db8::2"}},
		{"a keyed tunnel", tunnelsText([]api.Tunnel{{Name: "lyon", Encap: "ip", Keyed: true}}) + sessionText(api.Session{PeerSessionID: 0xffffffff}), []string{"ip keyed", "any, peer 4294967295"}},
		{"Tunnel", tunnelText(api.Tunnel{Name: "paris", Origin: "api", Encap: "ip", Config: api.Keys{"tid": 7.0, "ttl": 64.0, "tos": 8.0, "df": true}}), []string{"origin              api", "config tid          7", "config tos          8", "config df           true"}},
		{"Ports", portsText([]api.Port{{Name: "core0", State: "up", Mode: "zerocopy", Received: 10, Sent: 7, Drops: map[string]uint64{"oversize": 3, "runt": 0}, ToKernel: map[string]uint64{"fragment": 2}}, {Name: "trunk", Spliced: map[string]uint64{"no_place": 4}}}),
			[]string{"zerocopy", "core0: dropped 3 oversize", "core0: left to the kernel 2 fragment", "trunk: dropped before local interfaces 4 no_place"}},
		{"Drops", dropsText([]api.Drop{{Reason: "oversize", Help: "Too large.", Frames: 3, Ports: map[string]uint64{"core0": 3}}, {Reason: "runt"}}, false),
			[]string{"oversize", "core0=3", "Too large."}},
		{"Workers", workersText([]api.Worker{{CPU: 1, Parked: true, Frames: 64, Batches: 1, FramesPerBatch: 64}}), []string{"parked", "64.0"}},
		{"Status", statusText(api.Status{Config: "/etc/xwire/xwire.toml", Waiting: []string{"port core0: no such interface"}, Arena: api.Arena{Quarantine: 512}}),
			[]string{"waiting: port core0", "512 frames of the arena are out of use"}},
	} {
		for _, want := range c.want {
			if !strings.Contains(c.got, want) {
				t.Errorf("%s lacks %q:\n%s", c.name, want, c.got)
			}
		}
	}
	if strings.Contains(dropsText([]api.Drop{{Reason: "runt"}}, false), "runt") {
		t.Error("show drops prints a reason that never occurred without --all")
	}
}
