package figure

import (
	"math"
	"os"
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	tests := []struct {
		values         []float64
		median, spread float64
	}{
		{nil, 0, 0},
		{[]float64{4}, 4, 0},
		{[]float64{5, 4, 6}, 5, 40},
		{[]float64{1, 2, 3, 10}, 2.5, 360},
	}
	for _, tt := range tests {
		if got := Median(tt.values); got != tt.median {
			t.Errorf("Median(%v) = %v, want %v", tt.values, got, tt.median)
		}
		if got := SpreadPercent(tt.values); got != tt.spread {
			t.Errorf("SpreadPercent(%v) = %v, want %v", tt.values, got, tt.spread)
		}
	}
}

func TestThisMachine(t *testing.T) {
	m := ThisMachine()
	if m.CPU == "" || m.CPUs < 1 || m.Kernel == "" || m.Go == "" || m.Arch == "" {
		t.Errorf("%+v: a field is empty", m)
	}
}

func TestDisturbed(t *testing.T) {
	start := time.Now()
	before := Attention{at: start, threads: map[string]thread{"task/7/schedstat": {ran: 5e9, waited: 1e9}, "task/8/schedstat": {}}, stolen: time.Second}
	after := Attention{at: start.Add(time.Second), threads: map[string]thread{
		"task/7/schedstat": {ran: 5.8e9, waited: 1.15e9},
		"task/8/schedstat": {ran: 1e6, waited: 0.2e9},
	}, stolen: time.Second + 50*time.Millisecond}
	if got := after.DisturbedPercent(before); math.Abs(got-20) > 0.01 {
		t.Errorf("disturbed %v %%, want 15 of the worker and 5 stolen", got)
	}
	if all, others := after.Busiest(before), after.Busiest(before, 7); all != 800*time.Millisecond || others != time.Millisecond {
		t.Errorf("the busiest thread ran %v, without it %v", all, others)
	}
	if n := len(ReadAttention(os.Getpid()).threads); n == 0 {
		t.Error("no thread of this process was found")
	}
}
