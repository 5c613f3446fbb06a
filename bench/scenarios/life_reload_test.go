package scenarios

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// TestLifeReload walks through what an operator does to a box that carries traffic: a signal, a trial, a
// file with errors, a change that is rolled back by itself and stays so over a kill, one that is confirmed,
// and what programs add meanwhile.
func TestLifeReload(t *testing.T) {
	t.Parallel()
	w := pair(t, shape{})
	w.start(t, 1, pairConfig(1))
	b := w.start(t, 0, pairConfig(0))
	w.carries(t, "traffic")
	ctx := t.Context()
	file := func(old, with string) { must(t, b.Configure(strings.Replace(pairConfig(0), old, with, 1))) }
	described := func() string { return sessionOf(t, b, "t/s").Description }
	const head = "[tunnel.t.session.s]"
	// A loss of the session's counters would be one of its state.
	received := sessionOf(t, b, "t/s").RxPackets
	follow, err := w.hosts[0].Start(lab.Program{Path: program, Args: []string{"events", "--control", b.Control}})
	must(t, err)
	until(t, "the events' reader listens", func() (bool, string) {
		_, err := b.Run(ctx, "add", "t/heard", "sid=910", "psid=911", "l2spec_type=none", "interface_name=heard0")
		must(t, err)
		_, err = b.Run(ctx, "delete", "t/heard")
		must(t, err)
		return strings.Contains(follow.Output(), "created session t/heard"), follow.Output()
	})

	file(head, head+"\ndescription = \"by signal\"")
	must(t, b.Reload())
	until(t, "SIGHUP reloads", func() (bool, string) { return described() == "by signal", described() })

	file(head, head+"\ndescription = \"trial\"\nttl = 9")
	out, err := b.Run(ctx, "reload", "--dry-run")
	must(t, err)
	says(t, string(out), "~ session t/s: description, ttl (hitless)", "1 change: 1 hitless; nothing was done")
	if got := described(); got != "by signal" {
		t.Errorf("after a trial %q runs", got)
	}

	file(`encap = "ip"`, `encap = "gre"`)
	if _, err = b.Run(ctx, "reload"); err == nil || !strings.Contains(err.Error(), "xwire.toml:") || !strings.Contains(err.Error(), "tunnel.t.encap") {
		t.Errorf("a file with errors: %v", err)
	}

	_, err = b.Run(ctx, "add", "t/more", "sid=900", "psid=901", "l2spec_type=none", "interface_name=more0")
	must(t, err)
	file(head, head+"\ndescription = \"unconfirmed\"")
	out, err = b.Run(ctx, "reload", "--confirm-within", "5s")
	must(t, err)
	says(t, string(out), "rolled back at ", "unless `xwire confirm` comes")
	if got := described(); got != "unconfirmed" {
		t.Errorf("before the roll-back %q runs", got)
	}
	until(t, "the roll-back", func() (bool, string) { return described() == "by signal", described() })
	out, err = b.Run(ctx, "show")
	must(t, err)
	says(t, string(out), "xwire.toml WAS NOT CONFIRMED")
	if s := sessionOf(t, b, "t/more"); s.Origin != api.OriginAPI || s.State != "up" {
		t.Errorf("what a program added: %+v", s)
	}
	if _, err = b.Run(ctx, "confirm"); err == nil {
		t.Error("a confirmation that nothing waits for is taken")
	}
	lossless(t, "a second of traffic", w.sites[0], siteAddr[1], lab.PingConfig{Count: 20, Interval: 50 * time.Millisecond})
	if now := sessionOf(t, b, "t/s").RxPackets; now < received+20 {
		t.Errorf("%d frames received, %d before the reloads and 20 since", now, received)
	}

	// What runs is shown as a file that loads, with what was added.
	out, err = b.Run(ctx, "show", "config")
	must(t, err)
	says(t, string(out), "# created through the API\n[tunnel.t.session.more]", "description = \"by signal\"")
	shown := filepath.Join(t.TempDir(), "shown.toml")
	must(t, os.WriteFile(shown, out, 0o600))
	if status, text, errs := call(t, "check", shown); status != 0 {
		t.Errorf("what is shown does not load: %s%s", text, errs)
	}
	out, err = b.Run(ctx, "show", "session", "t/s", "--json")
	must(t, err)
	var session api.Session
	must(t, json.Unmarshal(out, &session))
	if session.Config["description"] != "by signal" || session.Config["sid"] != 100.0 {
		t.Errorf("the session's configuration is shown as %v", session.Config)
	}

	until(t, "the roll-back is told", func() (bool, string) {
		return strings.Contains(follow.Output(), "rolled_back appliance"), follow.Output()
	})
	must(t, follow.Stop(soon))
	says(t, follow.Output(), "modified session t/s: description", "created session t/more: created through the API", "up session t/more", "rolled_back appliance: not confirmed in time")

	// It does not come back at a start after a kill, until somebody wants it.
	b.Kill()
	must(t, b.Restart(ctx))
	w.carries(t, "traffic after a kill")
	if got := described(); got != "by signal" {
		t.Errorf("after a kill %q runs", got)
	}
	_, err = b.Run(ctx, "reload", "--confirm-within", "1m")
	must(t, err)
	_, err = b.Run(ctx, "confirm")
	must(t, err)
	b.Kill()
	must(t, b.Restart(ctx))
	if got := described(); got != "unconfirmed" {
		t.Errorf("after the confirmation and a kill %q runs", got)
	}
	w.carries(t, "traffic at the end")
}
