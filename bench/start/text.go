package start

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Benchmark is the rounds as lines that benchstat reads.
func (r *Report) Benchmark() string {
	var b strings.Builder
	b.WriteString(r.Machine.Header("start", r.Mode))
	for i := range r.Results {
		v := &r.Results[i]
		for _, o := range v.Rounds {
			fmt.Fprintf(&b, "BenchmarkStart/sessions=%d\t1\t%.3f ready-sec\t%.3f first-frame-sec\t%.2f cpu-sec\t%d resident-B\t%.2f idle-cpu-%%\n",
				v.Sessions, o.ReadySeconds, o.ForwardSeconds, o.StartCPU, o.ResidentBytes, o.IdlePercent)
		}
	}
	return b.String()
}

// Table is the medians for people.
func (r *Report) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\nveth ports in %s mode; medians\n\n", r.Machine, r.Mode)
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "sessions\tTOML KiB\tready s\tfirst frame s\tCPU s\tresident MiB\tbytes a session\tCPU at rest %\t")
	for i := range r.Results {
		v := &r.Results[i]
		each := "-"
		if v.BytesPerSession != 0 {
			each = fmt.Sprintf("%.0f", v.BytesPerSession)
		}
		m := v.Median
		fmt.Fprintf(w, "%d\t%d\t%.3f\t%.3f\t%.2f\t%.1f\t%s\t%.2f\t\n", v.Sessions, m.FileBytes>>10, m.ReadySeconds, m.ForwardSeconds,
			m.StartCPU, float64(m.ResidentBytes)/(1<<20), each, m.IdlePercent)
	}
	w.Flush()
	return b.String()
}
