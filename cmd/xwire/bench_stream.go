package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"xwire/bench/figure"
	"xwire/bench/stream"
	"xwire/bench/traffic"
	"xwire/config"
	"xwire/l2tp"
)

// benchStream is what `xwire bench generate` and `xwire bench sink` have in common.
type benchStream struct {
	e          *env
	iface      string
	queue      int
	zeroCopy   bool
	cpu        int
	config     string
	side       string
	sessions   []string
	flows      int
	run        uint32
	duration   time.Duration
	json       bool
	src, dst   string
	size       string
	rate       float64
	count      uint64
	write      string
	untilEnded bool
}

func (b *benchStream) flags(f *pflag.FlagSet, of string) {
	f.StringVar(&b.iface, "interface", "", "network `INTERFACE`; needed, but to write a file")
	f.IntVar(&b.queue, "queue", 0, "`QUEUE` of the interface")
	f.BoolVar(&b.zeroCopy, "zero-copy", false, "bind in zero-copy mode; default copy")
	f.IntVar(&b.cpu, "cpu", -1, "`CPU` to pin to; -1: none")
	f.StringVar(&b.config, "config", "", "configuration `FILE` of the box, for the sessions; absent: untagged frames, no L2TP")
	f.StringVar(&b.side, "side", "ac", "`SIDE` of the box: ac (customers' frames) or core (L2TP packets, in the place of the peer)")
	f.StringSliceVar(&b.sessions, "session", nil, "`TUNNEL/SESSION` to use; default all enabled ones")
	f.IntVar(&b.flows, "flows", 1, "`FLOWS` of each session, told by their inner source address")
	f.Uint32Var(&b.run, "run", 0, "`NUMBER` of the run, "+of)
	f.DurationVar(&b.duration, "duration", 0, "end after this `TIME`")
	f.BoolVar(&b.json, "json", false, "print one JSON object at the end, and nothing else")
}

// check tells what is wrong with the call.
func (b *benchStream) check(send bool) error {
	core := b.side == string(stream.Core)
	switch {
	case !core && b.side != string(stream.Access):
		return usageError{fmt.Errorf("--side %q: not ac or core", b.side)}
	case b.config == "" && (core || len(b.sessions) > 0):
		return usageError{errors.New("--side core and --session need --config")}
	case b.iface == "" && !send:
		return usageError{errors.New("--interface is missing")}
	case b.iface == "" && b.write == "":
		return usageError{errors.New("--interface is missing, or --write to make a file")}
	case send && core && b.dst == "":
		return usageError{errors.New("--dst is missing: packets must have the MAC address of the box's port")}
	}
	return nil
}

// prepare finds the interface and reads the sessions.
func (b *benchStream) prepare(send bool) (link *net.Interface, plan *stream.Plan, macs stream.MACs, err error) {
	if err := b.check(send); err != nil {
		return nil, nil, macs, err
	}
	link = &net.Interface{} // of a file
	if b.iface != "" {
		if link, err = net.InterfaceByName(b.iface); err != nil {
			return nil, nil, macs, fmt.Errorf("find interface %s: %w", b.iface, err)
		}
	}
	// A customer's frame may have any addresses; a packet's are those of the two machines.
	macs = stream.MACs{Src: l2tp.MAC{2, 0, 0, 1, 0, 1}, Dst: l2tp.MAC{2, 0, 0, 1, 0, 2}}
	if b.side == string(stream.Core) && len(link.HardwareAddr) == len(macs.Src) {
		macs.Src = l2tp.MAC(link.HardwareAddr)
	}
	for _, m := range []struct {
		flag, text string
		to         *l2tp.MAC
	}{{"--src", b.src, &macs.Src}, {"--dst", b.dst, &macs.Dst}} {
		if m.text == "" {
			continue
		}
		addr, err := net.ParseMAC(m.text)
		if err != nil || len(addr) != len(m.to) {
			return nil, nil, macs, usageError{fmt.Errorf("%s %q: not a MAC address", m.flag, m.text)}
		}
		*m.to = l2tp.MAC(addr)
	}
	if b.write == "" && link.Flags&net.FlagUp == 0 {
		return nil, nil, macs, fmt.Errorf("interface %s is down: set it up first (ip link set %s up)", b.iface, b.iface)
	}
	if b.config == "" {
		return link, stream.PlainPlan(), macs, nil
	}
	cfg, err := config.Load(b.config)
	if err != nil {
		return nil, nil, macs, err
	}
	plan, err = stream.NewPlan(cfg, stream.Side(b.side), send, macs, b.sessions...)
	return link, plan, macs, err
}

// flowsInRange is how many flows a session can have: two bytes of an address tell them.
func (b *benchStream) flowsInRange() error {
	if b.flows < 1 || b.flows > stream.MaxFlows {
		return usageError{fmt.Errorf("--flows %d: not from 1 to %d", b.flows, stream.MaxFlows)}
	}
	return nil
}

func (e *env) benchGenerateCommand() *cobra.Command {
	b := benchStream{e: e}
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Send stamped frames out of an interface, for `xwire bench sink`",
		Long: `Send stamped frames by AF_XDP: customers' frames for attachment circuits, or in the place of the peer
L2TP packets of the sessions of a configuration. At the end each flow's end mark tells the sink how
many frames there were. It tells of each second on standard error.

With --write nothing is sent: the same frames become a pcap file, for TRex, MoonGen, Pktgen-DPDK or
tcpreplay to send; without --count as many as sizes, flows and sessions, multiplied.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return b.generate(cmd) },
	}
	f := cmd.Flags()
	b.flags(f, "so that a sink ignores others; 0: at random")
	f.StringVar(&b.src, "src", "", "source `MAC`; default the interface's on the core side")
	f.StringVar(&b.dst, "dst", "", "destination `MAC`; needed on the core side and for PPPoE sessions: that of the box's port")
	f.StringVar(&b.size, "size", "64", "`SIZE` of the customers' frames with tags and FCS, 64 to 1518, or imix; of PPP at least what headers and stamp need")
	f.Float64Var(&b.rate, "rate", 0, "`FRAMES` a second; 0: as fast as can be")
	f.StringVar(&b.write, "write", "", "write a pcap `FILE` and send nothing; - is standard output")
	f.Uint64Var(&b.count, "count", 0, "`FRAMES` in all; 0: until --duration or Ctrl-C")
	return cmd
}

func (b *benchStream) generate(cmd *cobra.Command) error {
	mix, err := traffic.ParseMix(b.size)
	if err != nil {
		return usageError{err}
	}
	if b.write == "-" && b.json {
		return usageError{errors.New("--write - and --json: both want the standard output")}
	}
	if err := b.flowsInRange(); err != nil {
		return err
	}
	link, plan, macs, err := b.prepare(true)
	if err != nil {
		return err
	}
	if name := plan.ToPort(); name != "" && b.dst == "" {
		return usageError{fmt.Errorf("--dst is missing: PPPoE frames of session %s must have the MAC address of the box's port", name)}
	}
	if smallest := plan.Smallest(); smallest > slices.Min(mix) {
		b.e.progress("size %v: not all sessions have frames below %d bytes; those of PPP are as large at least as their headers and the stamp", mix, smallest)
	}
	run := b.run
	if run == 0 {
		run = rand.Uint32() | 1
	}
	source := stream.SourceConfig{
		Interface: link.Index, Queue: b.queue, ZeroCopy: b.zeroCopy, CPU: b.cpu, Plan: plan, MACs: macs, Flows: b.flows,
		Mix: mix, Run: run, Rate: b.rate, Count: b.count, Limit: b.duration,
		Progress: func(s stream.SourceSecond) {
			b.e.progress("%4d s: sent %9d frames, %.3f Mpps, %.3f Gbit/s", s.Second, s.Frames, s.Pps/1e6, s.Gbps)
		},
	}
	if b.write != "" {
		return b.capture(cmd, source)
	}
	report, err := stream.Send(cmd.Context(), source)
	if err != nil {
		return failed(cmd.Context(), "generate", err)
	}
	if b.json {
		return b.sourceJSON(source, report)
	}
	machine := figure.ThisMachine()
	_, err = fmt.Fprintf(b.e.stdout, "%s\nrun %d: %d sessions of %d flows, size %v, mode %s\nsent %d frames in %.3f s: %.3f Mpps, %.3f Gbit/s; %d not sent\n",
		machine.Header("stream", report.Mode)+report.Benchmark(stream.Side(b.side), mix, b.flows*plan.Sessions()),
		run, plan.Sessions(), b.flows, mix, report.Mode, report.Frames, report.Seconds, report.Pps/1e6, report.Gbps, report.Unsent)
	return err
}

func (b *benchStream) sourceJSON(c stream.SourceConfig, r *stream.SourceReport) error {
	return b.e.printJSON(struct {
		Run      uint32 `json:"run"`
		Sessions int    `json:"sessions"`
		*stream.SourceReport
		Machine figure.Machine `json:"machine"`
	}{c.Run, c.Plan.Sessions(), r, figure.ThisMachine()})
}

// capture writes what would be sent to a file, which is there whole or not at all.
func (b *benchStream) capture(cmd *cobra.Command, c stream.SourceConfig) (err error) {
	if b.write == "-" {
		_, err = stream.WriteCapture(cmd.Context(), b.e.stdout, c)
		return err
	}
	f, err := os.Create(b.write)
	if err != nil {
		return fmt.Errorf("bench generate: %w", err)
	}
	r, err := stream.WriteCapture(cmd.Context(), f, c)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		if info, serr := os.Stat(b.write); serr == nil && info.Mode().IsRegular() {
			_ = os.Remove(b.write)
		}
		return failed(cmd.Context(), "generate", err)
	}
	b.e.progress("%s: %d frames, %d bytes, %.6f s", b.write, r.Frames, r.Bytes, r.Seconds)
	if b.json {
		return b.sourceJSON(c, r)
	}
	return nil
}

func (e *env) benchSinkCommand() *cobra.Command {
	b := benchStream{e: e}
	cmd := &cobra.Command{
		Use:   "sink",
		Short: "Receive stamped frames and tell loss, reordering and corruption apart",
		Long: `Receive by AF_XDP what ` + "`xwire bench generate`" + ` sends, straight or through a box, and tell loss,
reordering, duplicates, corruption and (with --config) misdelivery apart. Frames that are no part of
a measurement go to the kernel. Start it first. It tells of each second on standard error, and ends
with --duration, Ctrl-C, or, with --until-ended, when all flows have ended.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return b.sink(cmd) },
	}
	f := cmd.Flags()
	b.flags(f, "others are ignored; 0: that of the first frame")
	f.BoolVar(&b.untilEnded, "until-ended", false, "end when the end marks of all flows of all sessions have come")
	return cmd
}

func (b *benchStream) sink(cmd *cobra.Command) error {
	if err := b.flowsInRange(); err != nil {
		return err
	}
	link, plan, _, err := b.prepare(false)
	if err != nil {
		return err
	}
	cfg := stream.SinkConfig{
		Interface: link.Index, Queue: b.queue, ZeroCopy: b.zeroCopy, CPU: b.cpu, Plan: plan, Run: b.run, Limit: b.duration,
		Ready: func() { b.e.progress("receiving on %s", b.iface) },
		Progress: func(s stream.SinkSecond) {
			b.e.progress("%4d s: received %9d frames, %.3f Mpps, %.3f Gbit/s, lost so far %d", s.Second, s.Frames, s.Pps/1e6, s.Gbps, s.Lost)
		},
	}
	if b.config == "" {
		cfg.Plan = nil // wherever frames come from is right
	}
	if b.untilEnded {
		cfg.Flows = b.flows * plan.Sessions()
	}
	r, err := stream.Receive(cmd.Context(), cfg)
	if err != nil {
		return failed(cmd.Context(), "sink", err)
	}
	if b.json {
		return b.e.printJSON(struct {
			*stream.SinkReport
			Machine figure.Machine `json:"machine"`
		}{r, figure.ThisMachine()})
	}
	out, machine := b.e.stdout, figure.ThisMachine()
	fmt.Fprintln(out, machine.Header("stream", r.Mode)+r.Benchmark(stream.Side(b.side)))
	fmt.Fprintf(out, "received %d frames in %.3f s: %.3f Mpps, %.3f Gbit/s; mode %s\n", r.Frames, r.Seconds, r.Pps/1e6, r.Gbps, r.Mode)
	fmt.Fprintf(out, "lost %d (%.4f %%), of these %d in the sink itself; duplicates %d, reordered %d, corrupt %d, misdelivered %d, foreign %d\n",
		r.Lost, r.LossPercent, r.Dropped, r.Duplicates, r.Reordered, r.Corrupt, r.Misdelivered, r.Foreign)
	fmt.Fprintf(out, "flows %d, of these ended %d\n", r.Flows, r.EndedFlows)
	if l := r.Latency; l != nil {
		fmt.Fprintf(out, "latency in us, if source and sink are on one machine: p50 %.1f, p90 %.1f, p99 %.1f, p99.9 %.1f, max %.1f\n", l.P50, l.P90, l.P99, l.P999, l.Max)
	}
	return nil
}
