package stream

import (
	"fmt"

	"xwire/bench/traffic"
)

// Benchmark is what was sent as a line that benchstat reads; of nothing there is none.
func (r *SourceReport) Benchmark(side Side, mix traffic.Mix, flows int) string {
	if r.Frames == 0 {
		return ""
	}
	return fmt.Sprintf("BenchmarkGenerate/side=%s/size=%v/flows=%d\t%d\t%.6f Mpps\t%.6f Gbit/s\n", side, mix, flows, r.Frames, r.Pps/1e6, r.Gbps)
}

// Benchmark is what came as a line that benchstat reads; of nothing there is none.
func (r *SinkReport) Benchmark(side Side) string {
	if r.Frames == 0 {
		return ""
	}
	line := fmt.Sprintf("BenchmarkSink/side=%s/flows=%d\t%d\t%.6f Mpps\t%.6f Gbit/s\t%.6f loss-%%", side, r.Flows, r.Frames, r.Pps/1e6, r.Gbps, r.LossPercent)
	if l := r.Latency; l != nil {
		line += fmt.Sprintf("\t%.1f p50-us\t%.1f p99-us", l.P50, l.P99)
	}
	return line + "\n"
}
