package figure

import "testing"

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
