package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"xwire/bench/figure"
	"xwire/bench/ndr"
	"xwire/bench/traffic"
	"xwire/bench/veth"
)

// benchNDR is `xwire bench ndr`: in the lab of `bench veth`, or between two ports.
type benchNDR struct {
	e        *env
	cfg      veth.NDRConfig
	sizes    []string
	sink     string
	from, to string
	stream   benchStream
	json     bool
}

func (e *env) benchNDRCommand() *cobra.Command {
	b := benchNDR{e: e}
	cmd := &cobra.Command{
		Use:   "ndr",
		Short: "Search the rate without loss, and the latency below it",
		Long: `Search the highest rate without loss (RFC 2544), and that with at most half a percent, by halving; then
measure latency at 10, 50 and 90 % of the rate without loss. Without --from it does so in the lab of
"bench veth"; with --from and --to between two ports of this machine, whatever stands between them.
A port named there is taken: nothing else should use it. Sizes count the FCS.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := b.check(cmd.Flags()); err != nil {
				return err
			}
			if b.from != "" {
				return b.ports(cmd.Context())
			}
			return b.lab(cmd.Context())
		},
	}
	generator, worker := veth.DefaultCPUs()
	f := cmd.Flags()
	f.BoolVar(&b.json, "json", false, "print one JSON object at the end, and nothing else")
	f.StringSliceVar(&b.sizes, "size", []string{"64", "512", "1518", "imix"}, "frame `SIZES` in bytes, 64 to 1518, or imix")
	f.StringSliceVar(&b.cfg.Cases, "case", []string{"forward", "encap", "decap"}, "`CASES` of the lab, as of bench veth")
	f.StringVar(&b.cfg.Encap, "encap", "ip4", "`ENCAP` in the lab: ip4, udp4, ip6, udp6")
	f.DurationVar(&b.cfg.Trial, "trial", 0, "`TIME` that a rate is offered; default 1s in the lab, 10s between ports")
	f.Float64Var(&b.cfg.Search.PartialLoss, "loss", 0.5, "`PERCENT` of loss that the second rate may have")
	f.Float64Var(&b.cfg.Search.Resolution, "resolution", 0.01, "`SHARE` of a rate to which it is found")
	f.IntVar(&b.cfg.Search.Tries, "tries", 2, "`TRIALS` that must fail before a rate counts as too high")
	f.Float64Var(&b.cfg.Search.Top, "max-rate", 0, "never offer more `MPPS`; 0: no limit")
	f.StringVar(&b.sink, "sink", string(traffic.SinkStack), "where frames are counted and dropped: stack or xdp")
	f.IntVar(&b.cfg.Generator, "generator-cpu", generator, "`CPU` of the generator")
	f.IntVar(&b.cfg.Worker, "worker-cpu", worker, "`CPU` of what forwards, in the lab")
	f.StringVar(&b.from, "from", "", "`INTERFACE` to send out of")
	f.StringVar(&b.to, "to", "", "`INTERFACE` to receive on")
	f.StringVar(&b.stream.config, "config", "", "configuration `FILE` of the box between the ports; absent: no L2TP")
	f.StringVar(&b.stream.side, "side", "ac", "`SIDE` of the box that --from is on: ac (encap) or core (decap)")
	f.StringSliceVar(&b.stream.sessions, "session", nil, "`TUNNEL/SESSION` to use; default the first enabled one")
	f.StringVar(&b.stream.src, "src", "", "source `MAC`")
	f.StringVar(&b.stream.dst, "dst", "", "destination `MAC`; needed with --side core")
	return cmd
}

// check tells what is wrong with the call: flags that have no meaning there are not ignored.
func (b *benchNDR) check(flags *pflag.FlagSet) error {
	if (b.from == "") != (b.to == "") {
		return usageError{errors.New("--from and --to go together")}
	}
	if b.from != "" && b.from == b.to {
		return usageError{fmt.Errorf("--from and --to are both %s: two ports are needed", b.from)}
	}
	foreign, where := []string{"config", "side", "session", "src", "dst"}, "needs --from and --to"
	if b.from != "" {
		foreign, where = []string{"case", "encap", "worker-cpu"}, "is for the lab, and means nothing with --from and --to"
	}
	for _, name := range foreign {
		if flags.Changed(name) {
			return usageError{fmt.Errorf("--%s %s", name, where)}
		}
	}
	s := b.cfg.Search
	switch {
	case s.PartialLoss <= 0 || s.PartialLoss >= 100:
		return usageError{fmt.Errorf("--loss %v: must be more than 0 and less than 100 percent", s.PartialLoss)}
	case s.Resolution <= 0 || s.Resolution >= 1:
		return usageError{fmt.Errorf("--resolution %v: must be more than 0 and less than 1", s.Resolution)}
	case s.Tries < 1:
		return usageError{errors.New("--tries 0: a rate must be tried at least once")}
	case b.cfg.Trial > 0 && b.cfg.Trial < 10*time.Millisecond:
		return usageError{fmt.Errorf("--trial %v: at least 10ms", b.cfg.Trial)}
	case b.sink != string(traffic.SinkStack) && b.sink != string(traffic.SinkXDP):
		return usageError{fmt.Errorf("sink %q: not stack or xdp", b.sink)}
	}
	return nil
}

func (b *benchNDR) mixes() (mixes []traffic.Mix, err error) {
	for _, s := range b.sizes {
		mix, err := traffic.ParseMix(s)
		if err != nil {
			return nil, usageError{err}
		}
		mixes = append(mixes, mix)
	}
	return mixes, nil
}

// lab searches every case at every size.
func (b *benchNDR) lab(ctx context.Context) (err error) {
	cfg := b.cfg
	if cfg.Sizes, err = b.mixes(); err != nil {
		return err
	}
	cfg.Config.Sink = traffic.SinkKind(b.sink)
	if err := cfg.Check(); err != nil {
		return usageError{err}
	}
	cfg.Progress = func(line string) { b.e.progress("%s", line) }
	// Some fifty trials are a search that goes badly.
	ctx, cancel := limited(ctx, time.Minute+time.Duration(60*len(cfg.Sizes)*(len(cfg.Cases)+1))*(max(cfg.Trial, time.Second)+time.Second))
	defer cancel()
	report, err := veth.SearchNDR(ctx, cfg)
	if err != nil {
		return failed(ctx, "ndr", err)
	}
	if b.json {
		return b.e.printJSON(report)
	}
	out := b.e.stdout
	all := make([]ndrLine, len(report.Results))
	for i := range all {
		r := &report.Results[i]
		all[i] = newNDRLine(r.Case, r.Size, r.Mix, &r.Result)
	}
	benchmarkNDR(out, report.Machine, report.Mode, all)
	fmt.Fprintf(out, "%v\ndriver %s; ports of xwire in %s mode; L2TPv3 over %s; trials of %.2g s\ngenerator: %s\nsink: %s\n\n",
		report.Machine, report.Driver, report.Mode, report.Encap, report.TrialSeconds, report.Generator, report.Sink)
	printNDR(out, all)
	for _, s := range report.Skipped {
		fmt.Fprintf(out, "without %s: %s\n", s.Case, s.Reason)
	}
	return nil
}

// portsResult is one size between two ports.
type portsResult struct {
	Case string `json:"case"`
	Size int    `json:"size"` // bytes with FCS; of a mix the mean
	Mix  string `json:"mix,omitempty"`
	ndr.Result
}

// ports searches between two ports.
func (b *benchNDR) ports(ctx context.Context) error {
	mixes, err := b.mixes()
	if err != nil {
		return err
	}
	in, out := b.stream, b.stream
	in.e, in.iface, out.e, out.iface = b.e, b.from, b.e, b.to
	out.side = map[string]string{"ac": "core", "core": "ac"}[in.side]
	if in.config == "" {
		out.side = in.side
	}
	from, sent, macs, err := in.prepare(true)
	if err != nil {
		return err
	}
	if in.config != "" { // one session, on both sides the same
		if out.sessions = []string{sent.First()}; out.sessions[0] == "" {
			return errors.New("bench ndr: no session with Ethernet frames; those of PPP are for bench generate")
		}
	}
	to, arriving, _, err := out.prepare(false)
	if err != nil {
		return err
	}
	name := map[string]string{"ac": "encap", "core": "decap"}[in.side]
	if in.config == "" {
		name = "forward"
	}
	results := []portsResult{}
	for _, mix := range mixes {
		c := ndr.PortsConfig{From: from.Index, To: to.Index, SinkKind: traffic.SinkKind(b.sink), CPU: b.cfg.Generator, Trial: b.cfg.Trial, Search: b.cfg.Search}
		c.Search.Progress = func(line string) { b.e.progress("size %4v %s", mix, line) }
		for _, size := range mix {
			frame, at, checksum := sent.Sample(macs, size)
			if checksum {
				return errors.New("bench ndr: a UDP checksum covers the stamps that the generator writes; switch it off in the tunnel, or use bench generate")
			}
			c.Frames, c.StampAt = append(c.Frames, frame), at
			frame, at, _ = arriving.Sample(macs, size)
			c.Arrive, c.ReadAt = append(c.Arrive, len(frame)), at
		}
		found, err := ndr.SearchPorts(ctx, c)
		if err != nil {
			return failed(ctx, "ndr", err)
		}
		r := portsResult{Case: name, Size: int(mix.Mean() + 0.5), Result: *found}
		if len(mix) > 1 {
			r.Mix = mix.String()
		}
		results = append(results, r)
	}
	machine := figure.ThisMachine()
	if b.json {
		return b.e.printJSON(struct {
			Results []portsResult  `json:"results"`
			From    string         `json:"from"`
			To      string         `json:"to"`
			Machine figure.Machine `json:"machine"`
		}{results, portName(from), portName(to), machine})
	}
	all := make([]ndrLine, len(results))
	for i := range all {
		r := &results[i]
		all[i] = newNDRLine(r.Case, r.Size, r.Mix, &r.Result)
	}
	benchmarkNDR(b.e.stdout, machine, "XDP redirect", all)
	fmt.Fprintf(b.e.stdout, "%v\nfrom %s to %s\n\n", machine, portName(from), portName(to))
	printNDR(b.e.stdout, all)
	return nil
}

// portName is an interface with its driver, where the kernel tells.
func portName(i *net.Interface) string {
	if driver := figure.Driver(i.Name); driver != "" {
		return fmt.Sprintf("%s (%s)", i.Name, driver)
	}
	return i.Name
}

// ndrLine is a result with what stands before it.
type ndrLine struct {
	name, size string
	*ndr.Result
}

func newNDRLine(name string, size int, mix string, r *ndr.Result) ndrLine {
	return ndrLine{name, cmp.Or(mix, fmt.Sprint(size)), r}
}

// benchmarkNDR prints what benchstat reads.
func benchmarkNDR(out io.Writer, m figure.Machine, mode string, all []ndrLine) {
	fmt.Fprint(out, m.Header("ndr", mode))
	for _, l := range all {
		fmt.Fprint(out, l.Benchmark(l.name, l.size))
	}
	fmt.Fprintln(out)
}

func printNDR(out io.Writer, all []ndrLine) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "size\tcase\tNDR Mpps\tPDR Mpps\toverload Mpps\tat %\tMpps\tp50 us\tp90\tp99\tp99.9\tmax\t")
	for _, l := range all {
		fmt.Fprintf(w, "%s\t%s\t%.3f\t%.3f\t%.3f\t\t\t\t\t\t\t\t\n", l.size, l.name, l.NDR, l.PDR, l.Overload)
		for _, a := range l.Latencies {
			fmt.Fprintf(w, "\t\t\t\t\t%.0f\t%.3f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t\n", a.LoadPercent, a.Mpps, a.P50, a.P90, a.P99, a.P999, a.Max)
		}
		if l.Starved {
			fmt.Fprintf(w, "\t(the generator\tcould not offer\tmore)\t\t\t\t\t\t\t\t\t\n")
		}
	}
	w.Flush()
}
