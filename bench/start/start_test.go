package start

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

func TestConfiguration(t *testing.T) {
	cfg, err := config.Parse("many.toml", []byte(configuration(5000)))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i := range cfg.Tunnels {
		n += len(cfg.Tunnels[i].Sessions)
	}
	if n != 5000 {
		t.Errorf("%d sessions, want 5000", n)
	}
}

// TestRun starts a box with many sessions and with few, once each.
func TestRun(t *testing.T) {
	program, err := lab.Build(t.Context(), t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), Config{Program: program, Sessions: []int{5000, 1}, Rounds: 1, Rest: 300 * time.Millisecond, Progress: func(s string) { t.Log(s) }})
	if err != nil {
		t.Fatal(err)
	}
	for i, sessions := range []int{5000, 1} {
		v := r.Results[i]
		m := v.Median
		if v.Sessions != sessions || m.ReadySeconds <= 0 || m.ForwardSeconds < m.ReadySeconds || m.ResidentBytes < 1<<20 || m.FileBytes == 0 {
			t.Errorf("%+v", v)
		}
	}
	many, few := &r.Results[0], &r.Results[1]
	if many.Median.ResidentBytes <= few.Median.ResidentBytes || many.BytesPerSession <= 0 || few.BytesPerSession != 0 {
		t.Errorf("resident %d and %d bytes, %f a session, %f of the fewest", few.Median.ResidentBytes, many.Median.ResidentBytes,
			many.BytesPerSession, few.BytesPerSession)
	}
	for _, text := range []string{r.Benchmark(), r.Table()} {
		if !strings.Contains(text, "5000") || !strings.Contains(text, r.Machine.Kernel) {
			t.Errorf("it tells\n%s", text)
		}
	}
}
