package scenarios

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// TestSpread has many sessions of one tunnel arrive at one queue of a box with four workers: all
// four work, and every session's frames stay in order. With spread = "off" the queue's worker has
// all the work.
func TestSpread(t *testing.T) {
	const sessions, streams, count = 24, 6, 1500
	cpu := runtime.NumCPU() - 1
	for _, spread := range []string{"auto", "off"} {
		t.Run(spread, func(t *testing.T) {
			w := pair(t, shape{})
			text := [2]string{}
			for i := range text {
				text[i] = fmt.Sprintf("[appliance]\ncpus = [%d, %d, %d, %d]\n", cpu, cpu, cpu, cpu) +
					corePort + fmt.Sprintf("spread = %q\n", spread) + accessPort + fmt.Sprintf("spread = %q\n", spread) +
					fmt.Sprintf("[tunnel.t]\nencap = \"ip\"\nlocal = %q\npeer = %q\ntid = 1\nptid = 1\n", core4[i], core4[1-i])
				for n := range sessions {
					text[i] += fmt.Sprintf("[tunnel.t.session.s%d]\nsid = %d\npsid = %d\nl2spec_type = \"none\"\nattach = \"ac0\"\nvlan = %d\n",
						n, 1000+n, 1000+n, 100+n)
				}
			}
			a, b := w.start(t, 0, text[0]), w.start(t, 1, text[1])
			for n := range sessions {
				tag := uint16(100 + n)
				w.carry(t, 0, vids(tag), fmt.Sprint(tag))
				w.carry(t, 1, vids(tag), fmt.Sprint(tag))
			}
			w.together(t, streams, count)
			for i, box := range []*lab.Box{a, b} {
				var workers []api.Worker
				must(t, box.Show(t.Context(), &workers, "workers"))
				for k, v := range workers {
					if works := v.Frames > 0; works != (spread == "auto" || k == 0) {
						t.Errorf("box %d: worker %d processed %d frames: %+v", i, k, v.Frames, workers)
					}
				}
				if len(workers) != 4 {
					t.Errorf("box %d has %d workers", i, len(workers))
				}
				for _, p := range balanced(t, box) {
					t.Logf("box %d: port %s received %d, sent %d, drops %v", i, p.Name, p.Received, p.Sent, p.Drops)
				}
			}
		})
	}
}

// together sends numbered frames by several sessions at once from site 0, and wants what arrives
// of each in order, once and whole. The box may lose some: it has one CPU, and shares that.
func (w *world) together(t *testing.T, streams int, count uint64) {
	t.Helper()
	reports, errs := make([]lab.StreamReport, streams), make([]error, streams)
	var wg sync.WaitGroup
	for n := range streams {
		run := nextRun() + uint64(n)
		sink, err := w.sites[1].ReceiveStream("eth0", run)
		must(t, err)
		defer sink.Close()
		wg.Go(func() {
			_, errs[n] = w.sites[0].SendStream(context.WithoutCancel(t.Context()), "eth0", lab.Stream{Run: run, Count: count, Sizes: sizes,
				Rate: 1500, Tags: vids(uint16(100 + n)), Dst: stations[1], Src: stations[0]})
			reports[n] = sink.Wait(t.Context(), count, time.Second)
		})
	}
	wg.Wait()
	for n, r := range reports {
		must(t, errs[n])
		if r.Duplicates+r.Torn+r.Reordered != 0 || r.Received < count/2 {
			t.Errorf("stream %d: %v", n, r)
		}
	}
}
