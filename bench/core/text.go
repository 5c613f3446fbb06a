package core

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Benchmark is the rounds of a result as lines that benchstat reads.
func (r *Result) Benchmark() string {
	var b strings.Builder
	packets := r.Packets / uint64(len(r.Rounds))
	kind := strings.ToUpper(string(r.c.Kind)[:1]) + r.c.String()[1:]
	for _, round := range r.Rounds {
		fmt.Fprintf(&b, "Benchmark%s\t%d\t%.2f ns/packet\t%.2f gross-ns/packet\t%.2f all-ns/packet\n", kind, packets, round.Net, round.Gross, round.All)
	}
	return b.String()
}

// Header tells benchstat where the lines come from.
func (r *Report) Header() string {
	return r.Machine.Header("core", r.Mode)
}

// Table is the results for people.
func (r *Report) Table() string {
	var b strings.Builder
	pages := "small pages"
	if r.HugePages {
		pages = "huge pages"
	}
	fmt.Fprintf(&b, "%v\nin process, one thread, frames in %s; sizes with FCS; net is without the loop\n\n", r.Machine, pages)
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "case\tnet ns\t± range %\tbest ns\tgross ns\tat full speed %\tall ns\t")
	for i := range r.Results {
		v := &r.Results[i]
		fmt.Fprintf(w, "%s\t%.1f\t%.0f\t%.1f\t%.1f\t%.0f\t%.1f\t\n",
			v.c, v.NsPerPacket, v.SpreadPercent, v.BestNsPerPacket, v.GrossNsPerPacket, v.FullSpeedPercent, v.AllNsPerPacket)
	}
	w.Flush()
	for _, m := range r.Memory {
		fmt.Fprintf(&b, "%d sessions, workers %d: %.0f bytes a session\n", m.Sessions, m.Workers, m.BytesPerSession)
	}
	return b.String()
}
