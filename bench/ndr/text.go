package ndr

import (
	"fmt"
	"strings"
)

// Benchmark is what was found for a case at a size as lines that benchstat reads.
func (r *Result) Benchmark(name, size string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "BenchmarkNDR/case=%s/size=%s\t%d\t%.4f NDR-Mpps\t%.4f PDR-Mpps\t%.4f overload-Mpps\n", name, size, max(len(r.Trials), 1), r.NDR, r.PDR, r.Overload)
	for _, a := range r.Latencies {
		fmt.Fprintf(&b, "BenchmarkLatency/case=%s/size=%s/load=%.0f\t1\t%.1f p50-us\t%.1f p90-us\t%.1f p99-us\t%.1f p99.9-us\t%.1f max-us\n",
			name, size, a.LoadPercent, a.P50, a.P90, a.P99, a.P999, a.Max)
	}
	return b.String()
}
