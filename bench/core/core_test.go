package core

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"xwire/bench/figure"
	"xwire/pw"
	"xwire/rings"
)

func newArena(t *testing.T, frames int) []byte {
	t.Helper()
	a, err := rings.NewArena(rings.ArenaConfig{ChunkSize: chunkSize, Chunks: frames})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a.Memory()
}

// TestEveryCase builds what every case measures, with few sessions: newBed compares what comes out
// of a pair, byte by byte, with what went in.
func TestEveryCase(t *testing.T) {
	cases, err := Selection{Sessions: []int{1, 5000}, Frames: []int{128}}.Cases()
	if err != nil {
		t.Fatal(err)
	}
	mem := newArena(t, 128)
	seen := map[string]bool{}
	var table *pw.Table
	var built contents
	for _, c := range cases {
		if seen[c.String()] {
			t.Errorf("%v is there twice", c)
		}
		seen[c.String()] = true
		if built != c.contents() {
			built = c.contents()
			if table, err = buildTable(built, 1); err != nil {
				t.Fatalf("%v: %v", c, err)
			}
		}
		b, err := newBed(c, table, mem)
		if err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		if n := testing.AllocsPerRun(3, func() { b.run(b.work, 4) }); n > 0 {
			t.Errorf("%v: %v allocations in the measured loop", c, n)
		}
		b.run(idle, 4)
		if c.Sessions == 1 { // else the tags are others
			if err := b.check(); err != nil {
				t.Errorf("%v, after the loop: %v", c, err)
			}
		}
		if drops := b.drops(); len(drops) > 0 {
			t.Errorf("%v: dropped %v", c, drops)
		}
	}
	if len(cases) < 100 {
		t.Errorf("%d cases, want more", len(cases))
	}
}

// TestAimReachesAllSessions counts which sessions got packets.
func TestAimReachesAllSessions(t *testing.T) {
	const sessions = 300
	for _, kind := range []Kind{Encap, Decap} {
		c := Case{Kind: kind, Setup: Setup{Encap: "udp6", Cookie: 8, Sessions: sessions}, Size: 64, Frames: 64}
		table, err := buildTable(c.contents(), 1)
		if err != nil {
			t.Fatal(err)
		}
		b, err := newBed(c, table, newArena(t, 64))
		if err != nil {
			t.Fatal(err)
		}
		b.run(b.work, 200)
		for i := range sessions {
			id, packets := pw.SessionID(1+i), uint64(0)
			if kind == Encap {
				packets = table.SessionCounters(id).TxPackets
			} else {
				packets = table.SessionCounters(id + 1).RxPackets // after the first session at the other end
			}
			if packets < 10 {
				t.Errorf("%s: session %d got %d of %d packets", kind, i, packets, 200*64)
			}
		}
	}
}

func TestWrongCases(t *testing.T) {
	for _, s := range []Selection{
		{Sizes: []int{60}}, {Sizes: []int{1519}}, {Frames: []int{100}}, {Encaps: []string{"gre"}},
		{Kinds: []Kind{"both"}}, {Sessions: []int{0}},
	} {
		if _, err := s.Cases(); err == nil {
			t.Errorf("%+v: no error", s)
		}
	}
}

// TestRun measures a little and looks at the shape of the JSON.
func TestRun(t *testing.T) {
	calls := 0
	report, err := Run(context.Background(), Config{
		Selection: Selection{Encaps: []string{"ip4"}, Sizes: []int{64}, Sessions: []int{1, 2000}, Frames: []int{128}},
		Rounds:    2, Window: 100 * time.Microsecond, CPU: -1,
		Progress: func(Progress) { calls++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Results []map[string]any
		Machine figure.Machine
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if calls != 2*len(got.Results) || got.Machine.CPU == "" {
		t.Errorf("%d calls for %d results, machine %+v", calls, len(got.Results), got.Machine)
	}
	for _, r := range got.Results {
		for _, key := range []string{"case", "encap", "size", "sessions", "ns_per_packet", "spread_percent", "gross_ns_per_packet", "frames"} {
			if _, ok := r[key]; !ok {
				t.Errorf("no %q in %v", key, r)
			}
		}
		if r["gross_ns_per_packet"].(float64) <= 0 {
			t.Errorf("%v", r)
		}
		if _, ok := r["memory_bytes_per_session"]; ok != (r["sessions"].(float64) == 2000) {
			t.Errorf("memory of sessions: %v", r)
		}
	}
	lines := strings.Count(report.Results[0].Benchmark(), "ns/packet\n")
	if lines != 2 {
		t.Errorf("%d benchmark lines for two rounds:\n%s", lines, report.Results[0].Benchmark())
	}
}

func TestRunStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, Config{CPU: -1}); err == nil {
		t.Error("no error from a run that was stopped")
	}
}

// TestSlowRounds looks at which rounds make a result.
func TestSlowRounds(t *testing.T) {
	at := func(net float64) Round { return Round{Net: net, Gross: net + 1, All: 2 * net, FullSpeedPercent: 50} }
	slow := func(net float64) Round { return Round{Net: net, Gross: net + 2, All: net, slow: true} }
	for name, tt := range map[string]struct {
		rounds    []Round
		net       float64
		kept, not int
	}{
		"all at full speed":  {[]Round{at(10), at(12), at(11)}, 11, 3, 0},
		"one slow":           {[]Round{at(10), slow(20), at(12)}, 11, 2, 1},
		"none at full speed": {[]Round{slow(20), slow(22), slow(24)}, 22, 3, 3},
	} {
		var r Result
		r.take(tt.rounds)
		if r.NsPerPacket != tt.net || len(r.Rounds) != tt.kept || r.SlowRounds != tt.not {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestGauge gives it readings: a few are too short, most are of a CPU that a neighbour has half of.
func TestGauge(t *testing.T) {
	g := &gauge{full: 40}
	for i := range 100 {
		switch {
		case i < 3:
			g.readings = append(g.readings, 5)
		case i < 20:
			g.readings = append(g.readings, 20)
		default:
			g.readings = append(g.readings, 38)
		}
	}
	g.settle()
	if g.full != 20 || !g.atFull(21) || g.atFull(23) || len(g.readings) != 0 {
		t.Errorf("full speed is %d, want 20; readings %v", g.full, g.readings)
	}
	if g.read(); len(g.readings) != 1 || g.readings[0] <= 0 {
		t.Errorf("readings %v", g.readings)
	}
}
