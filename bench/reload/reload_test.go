package reload

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"xwire/bench/lab"
	"xwire/config"
)

// programLimit ends the test program with every stack when something hangs.
const programLimit = 20 * time.Minute

func TestMain(m *testing.M) {
	time.AfterFunc(programLimit, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("the tests take longer than %v", programLimit))
	})
	os.Exit(m.Run())
}

func TestFiles(t *testing.T) {
	f := newFiles(5000, 0)
	var last *config.Config
	for round, want := range []int{0, 41, 81, 81} { // sessions, and the port every other time
		cfg, err := config.Parse("many.toml", []byte(f.text(round)))
		if err != nil {
			t.Fatal(err)
		}
		if last == nil {
			last = cfg
		}
		changes := config.Compare(last, cfg).Changes()
		if len(changes) != want {
			t.Errorf("round %d changes %d objects, want %d", round, len(changes), want)
		}
		for _, c := range changes {
			for _, n := range watchedSessions(5000) {
				if c.Name == fmt.Sprintf("t%d/c%d", n/perTunnel, n) {
					t.Errorf("round %d changes session %s, which carries frames", round, c.Name)
				}
			}
		}
		last = cfg
	}
}

// TestRun changes a box with few sessions, under little load.
func TestRun(t *testing.T) {
	program, err := lab.Build(t.Context(), t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), Config{Program: program, Sessions: 2000, Reloads: 3, Requests: 20, Restarts: 1, Rate: 1000, Rest: 200 * time.Millisecond,
		Progress: func(s string) { t.Log(s) }})
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]Flow{"rest": r.Rest, "reload": r.Reload, "request": r.Request} {
		if f.Sent == 0 || f.Lost != 0 || f.Counted != f.Sent || f.Arrived != f.Sent {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if len(r.Reloads) != 3 || len(r.Added) != 20 || len(r.Modified) != 20 || len(r.Deleted) != 20 || len(r.Outages) != 1 || r.Outages[0] <= 0 {
		t.Errorf("%+v", r)
	}
	for _, text := range []string{r.Benchmark(), r.Table()} {
		if !strings.Contains(text, "2000") || !strings.Contains(text, r.Machine.Kernel) {
			t.Errorf("it tells\n%s", text)
		}
	}
}
