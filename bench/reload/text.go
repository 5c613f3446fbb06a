package reload

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Benchmark is what was found as lines that benchstat reads.
func (r *Report) Benchmark() string {
	var b strings.Builder
	b.WriteString(r.Machine.Header("reload", r.Mode))
	line := func(what, unit string, list []Duration) {
		for _, v := range list {
			fmt.Fprintf(&b, "Benchmark%s/sessions=%d\t1\t%.6f %s\n", what, r.Sessions, v, unit)
		}
	}
	line("Reload", "sec", r.Reloads)
	line("Outage", "sec", r.Outages)
	return b.String()
}

// Table is the same for people.
func (r *Report) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\nveth ports in %s mode; %d sessions in the file; frames of %d bytes of %d sessions in turn, which nothing changes\n", r.Machine, r.Mode, r.Sessions, r.Size, watched)
	if r.Apart {
		b.WriteString("all threads of the box on the worker's CPU, the generator alone on the other\n")
	}
	if r.NDR > 0 {
		fmt.Fprintf(&b, "rate without loss at rest: %.3f Mpps\n", r.NDR)
	}
	b.WriteString("\n")
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "meanwhile\tseconds\tframes/s\tsent\tcounted\tarrived\tlost\tnot generated\tstolen s\t")
	for _, v := range []struct {
		what string
		flow Flow
	}{{"nothing", r.Rest}, {fmt.Sprintf("%d reloads, %d changes", len(r.Reloads), r.Changes), r.Reload}, {fmt.Sprintf("%d requests", len(r.Added)+len(r.Modified)+len(r.Deleted)), r.Request}} {
		f := v.flow
		fmt.Fprintf(w, "%s\t%.1f\t%.0f\t%d\t%d\t%d\t%d\t%d\t%.1f\t\n", v.what, f.Seconds, f.Rate, f.Sent, f.Counted, f.Arrived, f.Lost, f.Late, f.Stolen)
	}
	w.Flush()
	b.WriteString("\n")
	w = tabwriter.NewWriter(&b, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tmedian ms\tlargest ms\t")
	for _, v := range []struct {
		what string
		list []Duration
	}{{"reload of the whole file", r.Reloads}, {"session added by a request", r.Added}, {"session changed by a request", r.Modified}, {"session deleted by a request", r.Deleted}, {"stop and start, no frames for", r.Outages}} {
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t\n", v.what, middle(v.list), largest(v.list))
	}
	w.Flush()
	return b.String()
}
