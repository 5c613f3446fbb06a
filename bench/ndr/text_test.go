package ndr

import (
	"strings"
	"testing"

	"xwire/bench/figure"
)

func TestBenchmark(t *testing.T) {
	r := Result{NDR: 1.25, PDR: 1.5, Overload: 1.75, Latencies: []AtLoad{{LoadPercent: 50, Latency: Latency{P50: 12, P999: 40}}}}
	got, err := figure.ReadResults(strings.NewReader(r.Benchmark("encap", "imix")))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		name, unit string
		value      float64
	}{
		{"NDR/case=encap/size=imix", "NDR-Mpps", 1.25}, {"NDR/case=encap/size=imix", "PDR-Mpps", 1.5},
		{"Latency/case=encap/size=imix/load=50", "p50-us", 12}, {"Latency/case=encap/size=imix/load=50", "p99.9-us", 40},
	} {
		if v := got.Rounds(want.name, want.unit); len(v) != 1 || v[0] != want.value {
			t.Errorf("%s: %v %s, want %v", want.name, v, want.unit, want.value)
		}
	}
}
