package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// SIGTERM ends the process with status 0 at once, under load too, and nothing stays.
func TestLifeStop(t *testing.T) {
	t.Parallel()
	w := pair(t, shape{})
	w.start(t, 1, pairConfig(1))
	b := w.boxes[0]
	launch(t, b, pairConfig(0))
	w.carries(t, "traffic")

	t.Run("second run on the same socket", func(t *testing.T) {
		p, err := w.hosts[0].Start(lab.Program{Path: program, Args: []string{"run", "--config", b.ConfigFile, "--state", t.TempDir()}})
		must(t, err)
		select {
		case <-p.Done():
		case <-time.After(soon):
			t.Fatal("it runs")
		}
		if err := p.Wait(); err == nil || err.Error() != "exit status 1" {
			t.Errorf("it ended with %v, want status 1", err)
		}
		says(t, p.Output(), b.Control, "another xwire")
		alive(t, b)
		lossless(t, "after the second was refused", w.sites[0], siteAddr[1], lab.PingConfig{Count: 5})
	})

	stop := w.load(t, 5000)
	time.Sleep(200 * time.Millisecond)
	start := time.Now()
	if err := b.Stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > soon {
		t.Errorf("the stop took %v", took)
	} else {
		t.Logf("stopped after %v", took.Round(time.Millisecond))
	}
	stop()
	says(t, b.Process().Output(), "msg=stopping", "terminated", "msg=stopped")
	clean(t, "no trace after the stop", w.hosts[0])
	if _, err := os.Stat(b.Control); !os.IsNotExist(err) {
		t.Errorf("the socket file after the stop: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(b.Control), "host.json*")); len(left) > 0 {
		t.Errorf("left after the stop: %v", left)
	}

	t.Run("stale socket file", func(t *testing.T) {
		must(t, os.WriteFile(b.Control, nil, 0o600))
		launch(t, b, pairConfig(0))
		must(t, b.Stop())
	})
}

// At rest the process sleeps, a thousand sessions or one.
func TestLifeIdle(t *testing.T) {
	w := pair(t, shape{})
	for _, sessions := range []int{1, 1000} {
		t.Run(fmt.Sprintf("%d sessions", sessions), func(t *testing.T) {
			for i, b := range w.boxes {
				launch(t, b, manyConfig(i, sessions))
			}
			for _, b := range w.boxes {
				waitUp(t, b)
			}
			lossless(t, "before", w.sites[0], siteAddr[1], lab.PingConfig{Count: 3})
			time.Sleep(500 * time.Millisecond)
			// What a busy machine does not let it finish before comes in the first windows.
			const watched = 3 * time.Second
			share := 1.0
			for try := 0; try < 5 && share >= 0.02; try++ {
				before := cpuSeconds(t, w.boxes[0].Process().PID())
				time.Sleep(watched)
				used := cpuSeconds(t, w.boxes[0].Process().PID()) - before
				share = used / watched.Seconds()
				t.Logf("%.0f ms of CPU in %v", used*1000, watched)
			}
			if share >= 0.02 {
				t.Errorf("an idle process uses %.1f %% of a CPU", share*100)
			}
			for _, b := range w.boxes {
				must(t, b.Stop())
			}
		})
	}
}

// manyConfig has so many sessions: the first is the untagged frames', the others VLANs' of the port.
func manyConfig(i, sessions int) string {
	var text strings.Builder
	text.WriteString(strings.Replace(pairConfig(i), `vlan   = "all"`, `vlan   = "untagged"`, 1))
	for n := 1; n < sessions; n++ {
		fmt.Fprintf(&text, "[tunnel.t.session.v%d]\nsid = %d\npsid = %d\nl2spec_type = \"none\"\nattach = \"ac0\"\nvlan = %d\n", n, 1000+n, 1000+n, n)
	}
	return text.String()
}

// A box that comes up with a broken file runs the last configuration that ran, and says so; with
// none it tells every error.
func TestLifeBrokenConfig(t *testing.T) {
	t.Parallel()
	w := pair(t, shape{})
	b := w.boxes[0]
	broken := strings.NewReplacer(`encap = "ip"`, `encap = "gre"`, "sid  = 100", "sid  = -1", "vlan   = \"all\"", "vlam   = \"all\"").Replace(pairConfig(0))
	errors := []string{"encap", "sid", "vlam"}

	says(t, refused(t, b, broken), errors...)
	clean(t, "no trace after the refusal", w.hosts[0])

	w.start(t, 1, pairConfig(1))
	launch(t, b, pairConfig(0))
	w.carries(t, "traffic")
	must(t, b.Stop())

	launch(t, b, broken)
	w.carries(t, "traffic of the configuration that was kept")
	says(t, b.Process().Output(), append(errors, "level=ERROR", "LAST", b.ConfigFile)...)
	var status api.Status
	must(t, b.Show(t.Context(), &status))
	if status.Kept == "" {
		t.Error("xwire show does not tell that a kept configuration runs")
	}
	until(t, "systemd is told of the kept configuration", func() (bool, string) { return strings.Contains(b.Status(), "kept"), b.Status() })
	b.Kill()
	must(t, b.Restart(t.Context())) // the broken one is not kept
	w.carries(t, "traffic after a kill")
	must(t, b.Stop())

	// Not for ever: the file that is right again is taken.
	launch(t, b, strings.Replace(pairConfig(0), "[tunnel.t.session.s]", "[tunnel.t.session.s]\ndescription = \"mended\"", 1))
	w.carries(t, "traffic of the mended file")
	if s := sessionOf(t, b, "t/s"); s.Description != "mended" {
		t.Errorf("the session's description is %q", s.Description)
	}
	must(t, b.Show(t.Context(), &status))
	must(t, b.Stop())
}
