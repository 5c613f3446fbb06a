package scenarios

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

const (
	reloads        = 100
	reloadSessions = 1000
	reloadRate     = 1000 // frames a second and session
)

// A hundred reloads that add, change and remove other sessions, and a port, while frames of three
// sessions go from site to site: none of these is lost, and their counters go on. XWIRE_RELOADS,
// XWIRE_RELOAD_SESSIONS and XWIRE_RELOAD_RATE make it larger; without reloads (0) the same frames flow for
// ten seconds while nothing changes.
func TestReloadsLoseNothing(t *testing.T) {
	many, rate, count := environmentInt(t, "XWIRE_RELOAD_SESSIONS", reloadSessions), environmentInt(t, "XWIRE_RELOAD_RATE", reloadRate), environmentInt(t, "XWIRE_RELOADS", reloads)
	w := pair(t, shape{AccessMTU: 1512})
	// A port more, for what comes and goes.
	must(t, w.lab.Connect(lab.End{Namespace: w.sites[0], Name: "eth1", Addrs: []netip.Prefix{netip.MustParsePrefix("10.9.0.1/24")}}, lab.End{Namespace: w.hosts[0], Name: "ac1"}))
	watched := []int{1, many / 2, many}
	w.start(t, 1, scaleConfig(1, watched))
	all := make([]int, many)
	for i := range all {
		all[i] = i + 1
	}
	base := scaleConfig(0, all)
	must(t, w.boxes[0].Start(t.Context(), base))
	client := api.NewClient(w.boxes[0].Control)
	for _, n := range watched {
		forwards(t, w, n)
	}
	before := make(map[int]uint64)
	for _, n := range watched {
		before[n] = sessionOf(t, w.boxes[0], sessionPath(n)).TxPackets
	}

	ctx, stop := context.WithCancel(t.Context())
	var streams sync.WaitGroup
	sent, sinks := make([]uint64, len(watched)), make([]*lab.Sink, len(watched))
	for i, n := range watched {
		outer, inner := pairOf(n)
		sink, err := w.sites[1].ReceiveStream("eth0", uint64(n)|1<<32)
		must(t, err)
		defer sink.Close()
		sinks[i] = sink
		streams.Go(func() {
			var err error
			sent[i], err = w.sites[0].SendStream(ctx, "eth0", lab.Stream{Run: uint64(n) | 1<<32, Dst: stations[1], Src: stations[0], Count: 1 << 40, Rate: rate, Sizes: []int{60, 1400},
				Tags: []lab.Tag{{TPID: 0x88a8, TCI: uint16(outer)}, {TPID: 0x8100, TCI: uint16(inner)}}})
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	began, slowest := time.Now(), time.Duration(0)
	if count == 0 {
		time.Sleep(10 * time.Second)
	}
	for i := range count {
		text, changes := variant(base, i, many, watched)
		must(t, w.boxes[0].Configure(text))
		at := time.Now()
		r, err := client.Reload(t.Context(), api.ReloadRequest{})
		must(t, err)
		slowest = max(slowest, time.Since(at))
		if len(r.Changes) < changes {
			t.Fatalf("reload %d: %d changes, want at least %d", i, len(r.Changes), changes)
		}
	}
	took := time.Since(began)
	time.Sleep(200 * time.Millisecond)
	stop()
	streams.Wait()
	for i, n := range watched {
		report := sinks[i].Wait(t.Context(), sent[i], soon)
		if lost := report.Lost(sent[i]); lost != 0 {
			t.Errorf("session %d: %d of %d frames lost: %v", n, lost, sent[i], report)
		}
		if counted := sessionOf(t, w.boxes[0], sessionPath(n)).TxPackets - before[n]; counted != sent[i] {
			t.Errorf("session %d: counts %d frames, %d were sent", n, counted, sent[i])
		}
	}
	t.Logf("%d sessions, %d reloads in %v, the slowest %v; %v frames sent", many, count, took.Round(time.Millisecond), slowest.Round(time.Millisecond), sent)
	if t.Failed() {
		out, err := w.boxes[0].Run(t.Context(), "show", "drops")
		t.Logf("%s%v", out, err)
	}
	balanced(t, w.boxes[0])
}

func sessionPath(n int) string { return fmt.Sprintf("t%d/c%d", n/sessionsTunnel, n) }

// variant is the configuration of reload i: some sessions have other cookies and VLANs than before, some
// are gone, some are new, every other time on a port of their own. It tells how many changes there are at
// least.
func variant(base string, i, many int, watched []int) (text string, changes int) {
	var b strings.Builder
	b.WriteString(base)
	if i%2 == 0 {
		b.WriteString("[port.ac1]\ninterface = \"ac1\"\n")
	}
	for k := range 20 {
		attach := ""
		if i%2 == 0 {
			attach = "attach = \"ac1\"\n"
		}
		fmt.Fprintf(&b, "[tunnel.t0.session.new-%d-%d]\nsid = %d\npsid = 1\nvlan = \"4000.%d\"\n%s", i, k, 1_000_000+100*i+k, 1+k, attach)
	}
	text = b.String()
	// One that is there all the time, with other cookies each time, and one that comes and goes.
	n := 2 + i%(many-4)
	for n == watched[0] || n == watched[1] || n == watched[2] {
		n++
	}
	text = strings.Replace(text, fmt.Sprintf("tx_cookie = \"%016x\"", n), fmt.Sprintf("tx_cookie = \"%016x\"", 0xf000000000000000|uint64(i)), 1)
	return text, 21
}

func environmentInt(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}
