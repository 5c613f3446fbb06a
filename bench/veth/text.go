package veth

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
)

func (r *Result) size() string { return cmp.Or(r.Mix, fmt.Sprint(r.Size)) }

// Benchmark is every round of every result as lines that benchstat reads.
func (r *Report) Benchmark() string {
	var b strings.Builder
	b.WriteString(r.Machine.Header("veth", r.Mode))
	for i := range r.Results {
		v := &r.Results[i]
		for _, mpps := range v.Rounds {
			fmt.Fprintf(&b, "BenchmarkVeth/case=%s/size=%s\t%d\t%.4f Mpps\n", v.Case, v.size(), int(mpps*1e6*r.WindowSeconds), mpps)
		}
	}
	return b.String()
}

// Table is the results for people.
func (r *Report) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v, %.1f after\n", r.Machine, r.LoadAfter)
	fmt.Fprintf(&b, "driver %s; ports of xwire in %s mode; L2TPv3 over %s with a cookie of %d bytes\n", r.Driver, r.Mode, r.Encap, r.Cookie)
	fmt.Fprintf(&b, "generator: %s, on CPU %d; worker on CPU %d\n", r.Generator, r.GeneratorCPU, r.WorkerCPU)
	fmt.Fprintf(&b, "sink: %s\n", r.Sink)
	fmt.Fprintf(&b, "%d rounds of %.2g s; medians; ranges (largest minus smallest) in percent; ratio to forward in the same round\n\n", r.RoundCount, r.WindowSeconds)
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "size\tcase\tMpps\trange %\tratio\trange %\tMpps/CPU\tratio\tGbit/s\toffered Mpps\tburst\tdisturbed %\tmode\tCPUs\t")
	last := ""
	for i := range r.Results {
		v := &r.Results[i]
		if last != "" && last != v.size() {
			fmt.Fprintln(w, "\t\t\t\t\t\t\t\t\t\t\t\t\t\t")
		}
		last = v.size()
		burst := "-"
		if v.BackToBack > 0 {
			burst = fmt.Sprint(v.BackToBack)
		}
		fmt.Fprintf(w, "%s\t%s\t%.3f\t%.0f\t%.2f\t%.0f\t%.3f\t%.2f\t%.2f\t%.2f\t%s\t%.0f\t%s\t%d\t\n", v.size(), v.Case, v.Mpps, v.MppsSpreadPercent,
			v.Ratio, v.SpreadPercent, v.PerCPU, v.RatioPerCPU, v.Gbps, v.OfferedMpps, burst, v.DisturbedPercent, v.Mode, v.CPUs)
	}
	w.Flush()
	for _, s := range r.Skipped {
		fmt.Fprintf(&b, "without %s: %s\n", s.Case, s.Reason)
	}
	return b.String()
}
