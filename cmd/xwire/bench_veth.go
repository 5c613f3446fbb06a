package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"xwire/bench/traffic"
	"xwire/bench/veth"
)

// benchVeth is `xwire bench veth`.
type benchVeth struct {
	e     *env
	cfg   veth.Config
	sizes []string
	sink  string
	json  bool
	vm    bool
}

func (e *env) benchVethCommand() *cobra.Command {
	b := benchVeth{e: e}
	cmd := &cobra.Command{
		Use:   "veth",
		Short: "Measure forwarding over veth pairs, beside what else the machine has",
		Long: `Build a lab of network namespaces and measure plain forwarding, encap and decap over veth pairs by
AF_XDP, and beside them, in the same run and with the same generator and sink: ` + strings.Join(veth.CaseNames()[3:], ", ") + `.
The generator overruns all of them; the figure is what arrives. Rounds go through all cases in turns.
Root is needed, a NIC is not. Nothing is left behind, also after Ctrl-C. Sizes count the FCS.

With --vm the same runs in a virtual machine whose kernel has L2TP of its own (l2tpeth-encap and
l2tpeth-decap). Its CPU is emulated: compare within such a run, and with no other.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := b.complete(); err != nil {
				return err
			}
			if b.vm {
				return b.inGuest(cmd)
			}
			return b.run(cmd)
		},
	}
	generator, worker := veth.DefaultCPUs()
	f := cmd.Flags()
	f.BoolVar(&b.json, "json", false, "print one JSON object at the end, and nothing else")
	f.StringSliceVar(&b.sizes, "size", nil, "frame `SIZES` in bytes, 64 to 1518, or imix; default a list of all of these")
	f.IntVar(&b.cfg.Rounds, "rounds", 5, "`ROUNDS` through all cases")
	f.StringSliceVar(&b.cfg.Cases, "case", nil, "`CASES` beside forward: "+strings.Join(veth.CaseNames()[1:], ", ")+"; default all but asavie-budget")
	f.DurationVar(&b.cfg.Window, "window", 400*time.Millisecond, "`TIME` of one measurement")
	f.StringVar(&b.cfg.Encap, "encap", "ip4", "`ENCAP` of the pseudowire: ip4, udp4, ip6, udp6")
	f.StringVar(&b.sink, "sink", string(traffic.SinkStack), "where frames are counted and dropped at the far end: stack or xdp")
	f.BoolVar(&b.cfg.BusyPoll, "busy-poll", false, "our own ports busy-poll, as with busy_poll = true")
	f.BoolVar(&b.cfg.BackToBack, "back-to-back", true, "look for the longest burst without loss, too")
	f.BoolVar(&b.vm, "vm", false, "run in a virtual machine with a Debian kernel, which is downloaded once")
	f.IntVar(&b.cfg.Generator, "generator-cpu", generator, "`CPU` of the generator")
	f.IntVar(&b.cfg.Worker, "worker-cpu", worker, "`CPU` of what forwards in user space")
	return cmd
}

// complete reads what flags do not hold as it is wanted, and tells what is wrong with the call.
func (b *benchVeth) complete() error {
	for _, s := range b.sizes {
		mix, err := traffic.ParseMix(s)
		if err != nil {
			return usageError{err}
		}
		b.cfg.Sizes = append(b.cfg.Sizes, mix)
	}
	b.cfg.Sink = traffic.SinkKind(b.sink)
	if err := b.cfg.Check(); err != nil {
		return usageError{err}
	}
	return nil
}

func (b *benchVeth) run(cmd *cobra.Command) error {
	cfg := b.cfg
	cfg.Progress = func(line string) { b.e.progress("%s", line) }
	b.e.progress("this takes about %v", cfg.Estimate().Round(time.Second))
	ctx, cancel := limited(cmd.Context(), 3*cfg.Estimate()+time.Minute)
	defer cancel()
	report, err := veth.Run(ctx, cfg)
	if err != nil {
		return failed(ctx, "veth", err)
	}
	if b.json {
		return b.e.printJSON(report)
	}
	_, err = fmt.Fprintf(b.e.stdout, "%s\n%s", report.Benchmark(), report.Table())
	return err
}
