package traffic

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// stepBits is the sink's resolution: so many bits of a latency are kept.
const stepBits = 5

// Latencies are counts by step, since the sink was loaded.
type Latencies []uint64

// Latencies reads the sink's counts of the time from a frame's stamp to its arrival.
func (s *Sink) Latencies() (Latencies, error) {
	n := s.objects.Latencies.MaxEntries()
	all := make(Latencies, n)
	for i := range n {
		var perCPU []uint64
		if err := s.objects.Latencies.Lookup(i, &perCPU); err != nil {
			return nil, fmt.Errorf("read latencies: %w", err)
		}
		for _, c := range perCPU {
			all[i] += c
		}
	}
	return all, nil
}

// middleOf is the latency in the middle of a step.
func middleOf(step int) time.Duration {
	if step < 2<<stepBits {
		return time.Duration(step)
	}
	shift := step>>stepBits - 1
	low := time.Duration(step-shift<<stepBits) << shift
	return low + (1<<shift)/2
}

// Histogram is what was counted since an earlier reading, in nanoseconds.
func (l Latencies) Histogram(since Latencies) *hdrhistogram.Histogram {
	h := hdrhistogram.New(1, int64(20*time.Minute), 3)
	for i := range l {
		if n := l[i] - since[i]; n > 0 {
			_ = h.RecordValues(int64(max(middleOf(i), 1)), int64(n))
		}
	}
	return h
}
