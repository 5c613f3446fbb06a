package veth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"xwire/bench/figure"
	"xwire/bench/traffic"
)

// small is one short round at one size.
func small(t *testing.T, cases ...string) Config {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("root is needed for network namespaces")
	}
	generator, worker := DefaultCPUs()
	return Config{
		Cases: cases, Sizes: []traffic.Mix{{64}}, Rounds: 1, Window: 20 * time.Millisecond, Retries: -1,
		Generator: generator, Worker: worker, Progress: func(line string) { t.Log(line) },
	}
}

// mine lists the namespaces of labs of this process.
func mine(t *testing.T) (names []string) {
	t.Helper()
	owners, err := filepath.Glob("/run/xwire-lab/*/owner")
	if err != nil {
		t.Fatal(err)
	}
	for _, owner := range owners {
		text, _ := os.ReadFile(owner)
		if strings.HasPrefix(string(text), fmt.Sprintf("%d ", os.Getpid())) {
			names = append(names, filepath.Base(filepath.Dir(owner)))
		}
	}
	return names
}

// TestRun measures what every machine has, in one short round, and looks at the JSON.
func TestRun(t *testing.T) {
	c := small(t, "encap", "decap", "bridge", "vxlan", "xdp-redirect", "asavie-copy")
	c.Sizes = []traffic.Mix{traffic.IMIX}
	r, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	if left := mine(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Results []map[string]any
		Machine figure.Machine
		Mode    string
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	var cases []string
	for _, v := range got.Results {
		cases = append(cases, v["case"].(string))
		for _, key := range []string{"size", "mpps", "ratio", "spread_percent", "mode", "cpus"} {
			if _, ok := v[key]; !ok {
				t.Errorf("no %q in %v", key, v)
			}
		}
	}
	slices.Sort(cases)
	want := []string{"asavie-copy", "bridge", "decap", "encap", "forward", "vxlan", "xdp-redirect"}
	if !slices.Equal(cases, want) || got.Mode != "copy" || got.Machine.Kernel == "" {
		t.Errorf("cases %v, mode %q, machine %+v; skipped %v", cases, got.Mode, got.Machine, r.Skipped)
	}
	for _, text := range []string{r.Table(), r.Benchmark()} {
		if !strings.Contains(text, "imix") || !strings.Contains(text, "vxlan") {
			t.Errorf("not in the text: imix, vxlan\n%s", text)
		}
	}
}

// TestEveryEncapsulation carries frames of all sizes through encap and decap: a case starts only if
// they come out as they should.
func TestEveryEncapsulation(t *testing.T) {
	for _, encap := range []string{"udp4", "ip6", "udp6"} {
		c := small(t, "encap", "decap")
		c.Encap = encap
		if _, err := Run(context.Background(), c); err != nil {
			t.Errorf("%s: %v", encap, err)
		}
	}
}

// TestBurstAndXDPSink looks for a burst, with the sink in the driver.
func TestBurstAndXDPSink(t *testing.T) {
	c := small(t, "forward")
	c.BackToBack, c.Sink = true, traffic.SinkXDP
	n := 0
	for try := 0; try < 20 && n < 128; try++ { // a pause of a busy machine ends a burst
		r, err := Run(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		n = r.Results[0].BackToBack
	}
	if n < 128 {
		t.Errorf("no burst without loss: %d frames", n)
	}
}

// TestStop ends a run in the middle of a long window.
func TestStop(t *testing.T) {
	c := small(t, "forward")
	c.Window = time.Minute
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	began := time.Now()
	time.AfterFunc(900*time.Millisecond, cancel)
	if _, err := Run(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want one that tells of the stop", err)
	}
	if took := time.Since(began); took > 45*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	if left := mine(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWrongConfig(t *testing.T) {
	for _, c := range []Config{{Encap: "gre"}, {Sink: "nowhere"}, {Cases: []string{"snabb"}}, {Rounds: -1}} {
		if c.Check() == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}
