package ndr

import (
	"context"
	"errors"
	"math"
	"testing"
)

// device loses everything above a rate, and some of what is above another.
type device struct {
	clean, most float64 // Mpps
	partial     float64 // percent lost between the two
	generator   float64 // the most that can be offered; 0: no limit
	hiccup      int     // every n-th trial loses a frame whatever the rate
	trials      int
}

func (d *device) Overload(context.Context) (float64, error) { return d.most, nil }

func (d *device) Trial(_ context.Context, mpps float64, latency bool) (Trial, error) {
	d.trials++
	t := Trial{Rate: mpps, Sent: 1_000_000, Received: 1_000_000}
	switch {
	case mpps > d.most:
		t.Received = uint64(float64(t.Sent) * d.most / mpps)
	case mpps > d.clean:
		t.Received -= uint64(float64(t.Sent) * d.partial / 100)
	}
	if d.generator > 0 && mpps > d.generator {
		t.Late = t.Sent
	}
	if d.hiccup > 0 && d.trials%d.hiccup == 0 {
		t.Received--
	}
	if latency {
		t.Latency = &Latency{P50: mpps}
	}
	return t, nil
}

func TestSearch(t *testing.T) {
	tests := []struct {
		name     string
		d        device
		ndr, pdr float64
	}{
		{"loses nothing up to the top", device{clean: 2, most: 2}, 2, 2.01},
		{"loses a little from half on", device{clean: 1, most: 2, partial: 0.3}, 1, 2.01},
		{"loses too much from half on", device{clean: 1, most: 2, partial: 0.7}, 1, 1},
		{"always loses a little", device{clean: 0, most: 2, partial: 0.1}, 0, 2.01},
		{"a hiccup now and then", device{clean: 1, most: 2, partial: 0.3, hiccup: 4}, 1, 2.01},
		{"the generator is the limit", device{clean: 2, most: 2, generator: 0.5}, 0.5, 0.5},
	}
	for _, tt := range tests {
		r, err := Search(context.Background(), &tt.d, Config{})
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		near := func(got, want float64) bool { return math.Abs(got-want) <= 0.015*want+0.005 }
		if !near(r.NDR, tt.ndr) || !near(r.PDR, tt.pdr) {
			t.Errorf("%s: NDR %.4f, PDR %.4f, want %.4f and %.4f (%d trials)", tt.name, r.NDR, r.PDR, tt.ndr, tt.pdr, tt.d.trials)
		}
		if tt.d.trials > 60 {
			t.Errorf("%s: %d trials", tt.name, tt.d.trials)
		}
		if r.Starved != (tt.d.generator > 0) {
			t.Errorf("%s: generator limited: %v", tt.name, r.Starved)
		}
		if r.NDR > 0 && (len(r.Latencies) != 3 || !near(r.Latencies[1].P50, r.NDR/2)) {
			t.Errorf("%s: latencies %+v", tt.name, r.Latencies)
		}
	}
}

type broken struct{ device }

func (b *broken) Trial(context.Context, float64, bool) (Trial, error) {
	return Trial{}, errors.New("no")
}

func TestSearchFails(t *testing.T) {
	if _, err := Search(context.Background(), &device{}, Config{}); err == nil {
		t.Error("no error where nothing arrives")
	}
	if _, err := Search(context.Background(), &broken{device{most: 1}}, Config{}); err == nil {
		t.Error("no error from a trial that failed")
	}
}
