package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// demo is the lab of `xwire demo`: two customer sites, two boxes, a core between them.
type demo struct {
	e    *env
	size int64
	json bool
	keep bool
	down string
}

// demoReport is what --json prints. Received = sent + held + the sum of drops for every port.
type demoReport struct {
	Ping     demoPing          `json:"ping"`
	Bulk     demoBulk          `json:"bulk"`
	Sessions []demoSession     `json:"sessions"`
	Ports    []demoPort        `json:"ports"`
	Drops    map[string]uint64 `json:"drops"`
	Mode     string            `json:"mode"`
}

type demoPing struct {
	Sent     int `json:"sent"`
	Received int `json:"received"`
}

type demoBulk struct {
	Bytes          int64   `json:"bytes"`
	Seconds        float64 `json:"seconds"`
	GbitPerSecond  float64 `json:"gbit_per_second"`
	SentSHA256     string  `json:"sent_sha256"`
	ReceivedSHA256 string  `json:"received_sha256"`
}

type demoSession struct {
	Box string `json:"box"`
	api.Session
}

type demoPort struct {
	Box string `json:"box"`
	api.Port
}

func (e *env) demoCommand() *cobra.Command {
	d := demo{e: e}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Build two sites and two boxes in namespaces and carry real traffic",
		Long: `Build two customer sites and two xwire boxes in network namespaces, joined by veth, and run a ping
and a bulk transfer through an L2TPv3 pseudowire with cookies. Root is needed, a NIC is not.
Nothing is left behind, also after Ctrl-C, unless --keep is given.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if d.down != "" {
				return lab.Remove(d.down)
			}
			return d.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&d.json, "json", false, "print one JSON object at the end, and nothing else")
	f.BoolVar(&d.keep, "keep", false, "leave the lab up and tell how to enter it")
	f.StringVar(&d.down, "down", "", "remove the lab `ID` that --keep left")
	f.Int64Var(&d.size, "bytes", 256<<20, "`BYTES` of the bulk transfer")
	value(cmd, "bytes", "down")
	return cmd
}

// The addresses of the demo: the customer's are inside the pseudowire.
var (
	demoSites = [2]netip.Prefix{netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("10.0.0.2/24")}
	demoCore  = [2]netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("192.0.2.2/24")}
)

const demoPicture = `
   site a            box a                        box b            site b
 +----------+   +-------------+              +-------------+   +----------+
 | 10.0.0.1 |---| ac0   core0 |~~~ L2TPv3 ~~~| core0   ac0 |---| 10.0.0.2 |
 +----------+   +-------------+  192.0.2.0/24+-------------+   +----------+
`

func demoConfig(own, peer int, sid, psid int, tx, rx string) string {
	return fmt.Sprintf(`[port.core0]
interface = "core0"

[port.ac0]
interface = "ac0"

[tunnel.demo]
version = "l2tpv3"
encap = "ip"
local = "%s"
peer = "%s"
tid = %d
ptid = %d

[tunnel.demo.session.customer]
pseudowire = "eth"
sid = %d
psid = %d
tx_cookie = "%s"
rx_cookie = "%s"
l2spec_type = "none"
attach = "ac0"
vlan = "all"
`, demoCore[own].Addr(), demoCore[peer].Addr(), own+1, peer+1, sid, psid, tx, rx)
}

func (d *demo) say(format string, args ...any) {
	if !d.json {
		fmt.Fprintf(d.e.stdout, format+"\n", args...)
	}
}

func (d *demo) run(ctx context.Context) (err error) {
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	l, err := lab.New(lab.Config{Keep: d.keep})
	if err != nil {
		return err
	}
	defer func() {
		if d.keep && err == nil {
			return
		}
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		err = errors.Join(err, l.Close())
	}()
	d.say("%s", demoPicture)
	sites, boxes, err := d.build(ctx, l, binary)
	if err != nil {
		return err
	}
	report, err := d.traffic(ctx, sites, boxes)
	if err != nil {
		return err
	}
	if d.json {
		if err := json.NewEncoder(d.e.stdout).Encode(report); err != nil {
			return err
		}
	} else {
		d.tell(report)
	}
	if d.keep {
		d.tellKept(l, sites, boxes)
	}
	return report.verdict()
}

// build makes the namespaces and starts the boxes.
func (d *demo) build(ctx context.Context, l *lab.Lab, binary string) (sites [2]*lab.Namespace, boxes [2]*lab.Box, err error) {
	var hosts [2]*lab.Namespace
	for i, side := range []string{"a", "b"} {
		if sites[i], err = l.Namespace("site-" + side); err != nil {
			return sites, boxes, err
		}
		if hosts[i], err = l.Namespace("box-" + side); err != nil {
			return sites, boxes, err
		}
		if err = l.Connect(
			lab.End{Namespace: sites[i], Name: "eth0", Addrs: []netip.Prefix{demoSites[i]}, Plain: true},
			lab.End{Namespace: hosts[i], Name: "ac0"}); err != nil {
			return sites, boxes, err
		}
	}
	if err = l.Connect(
		lab.End{Namespace: hosts[0], Name: "core0", Addrs: []netip.Prefix{demoCore[0]}, MTU: 1600},
		lab.End{Namespace: hosts[1], Name: "core0", Addrs: []netip.Prefix{demoCore[1]}, MTU: 1600}); err != nil {
		return sites, boxes, err
	}
	configs := [2]string{
		demoConfig(0, 1, 100, 200, "0102030405060708", "1112131415161718"),
		demoConfig(1, 0, 200, 100, "1112131415161718", "0102030405060708"),
	}
	for i := range boxes {
		if boxes[i], err = hosts[i].Box(binary); err != nil {
			return sites, boxes, err
		}
		if err = boxes[i].Start(ctx, configs[i]); err != nil {
			return sites, boxes, err
		}
	}
	return sites, boxes, nil
}

// traffic pings, carries the bulk, and reads every counter once all is quiet.
func (d *demo) traffic(ctx context.Context, sites [2]*lab.Namespace, boxes [2]*lab.Box) (*demoReport, error) {
	if err := waitUp(ctx, boxes); err != nil {
		return nil, err
	}
	r := &demoReport{Drops: map[string]uint64{}}
	ping, err := sites[0].Ping(ctx, demoSites[1].Addr(), lab.PingConfig{Count: 100})
	if err != nil {
		return nil, err
	}
	r.Ping = demoPing{Sent: ping.Sent, Received: ping.Received}
	d.say("ping        %d sent, %d received", ping.Sent, ping.Received)

	live, stop := context.WithCancel(ctx)
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		d.live(live, boxes)
	}()
	bulk, err := lab.Transfer(ctx, sites[0], sites[1], demoSites[1].Addr(), lab.TransferConfig{Bytes: d.size})
	stop()
	<-shown
	if err != nil {
		return nil, err
	}
	r.Bulk = demoBulk{Bytes: bulk.Bytes, Seconds: bulk.Seconds, GbitPerSecond: bulk.GbitPerSecond(), SentSHA256: bulk.SentSHA256, ReceivedSHA256: bulk.ReceivedSHA256}
	return r, r.read(ctx, boxes)
}

// waitUp waits until both ends know their next hop.
func waitUp(ctx context.Context, boxes [2]*lab.Box) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for _, b := range boxes {
		for {
			s, err := api.NewClient(b.Control).Session(ctx, "demo/customer", false)
			if err == nil && s.State == "up" {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("wait for the pseudowire: it is %s (%s): %w", s.State, s.Reason, errors.Join(err, ctx.Err()))
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

// live prints the counters of both sessions every half second until ctx ends.
func (d *demo) live(ctx context.Context, boxes [2]*lab.Box) {
	if d.json {
		return
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	var last [2]api.Session
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var line []string
		for i, b := range boxes {
			s, err := api.NewClient(b.Control).Session(ctx, "demo/customer", false)
			if err != nil {
				return
			}
			line = append(line, fmt.Sprintf("box %c encap %8d frames/s decap %8d frames/s",
				'a'+i, 2*(s.TxPackets-last[i].TxPackets), 2*(s.RxPackets-last[i].RxPackets)))
			last[i] = s
		}
		d.say("bulk        %s", strings.Join(line, "   "))
	}
}

// read takes the counters of both boxes.
func (r *demoReport) read(ctx context.Context, boxes [2]*lab.Box) error {
	for i, b := range boxes {
		box := "box-" + string(rune('a'+i))
		c := api.NewClient(b.Control)
		sessions, err := c.Sessions(ctx, api.SessionQuery{})
		if err != nil {
			return err
		}
		for _, s := range sessions {
			r.Sessions = append(r.Sessions, demoSession{box, s})
		}
		ports, err := c.Ports(ctx)
		if err != nil {
			return err
		}
		for _, p := range ports {
			r.Ports = append(r.Ports, demoPort{box, p})
			r.Mode = p.Mode
			for reason, n := range p.Drops {
				r.Drops[reason] += n
			}
		}
	}
	return nil
}

// verdict is an error when something did not go as it must.
func (r *demoReport) verdict() error {
	var errs []error
	if r.Ping.Received != r.Ping.Sent {
		errs = append(errs, fmt.Errorf("%d of %d pings were lost", r.Ping.Sent-r.Ping.Received, r.Ping.Sent))
	}
	if r.Bulk.SentSHA256 != r.Bulk.ReceivedSHA256 {
		errs = append(errs, errors.New("the bulk transfer arrived changed"))
	}
	for _, p := range r.Ports {
		if got := p.Sent + p.Held + sum(p.Drops); got != p.Received {
			errs = append(errs, fmt.Errorf("%s port %s received %d frames, but sent, held and dropped make %d", p.Box, p.Name, p.Received, got))
		}
	}
	return errors.Join(errs...)
}

func (d *demo) tell(r *demoReport) {
	d.say("bulk        %d MiB in %.2f s, %.2f Gbit/s, the same SHA-256 at both ends", r.Bulk.Bytes>>20, r.Bulk.Seconds, r.Bulk.GbitPerSecond)
	d.say("mode        %s (veth has no zero-copy)", r.Mode)
	for _, s := range r.Sessions {
		d.say("session     %s %s/%s: encap %d frames, decap %d frames, errors %d", s.Box, s.Tunnel, s.Name, s.TxPackets, s.RxPackets, s.TxErrors+s.RxErrors)
	}
	for _, p := range r.Ports {
		d.say("port        %s %-5s received %d = sent %d + held %d + dropped %d", p.Box, p.Name, p.Received, p.Sent, p.Held, sum(p.Drops))
		for _, reason := range sortedReasons(p.Drops) {
			d.say("            dropped %d %s", p.Drops[reason], reason)
		}
	}
}

func (d *demo) tellKept(l *lab.Lab, sites [2]*lab.Namespace, boxes [2]*lab.Box) {
	out := d.e.stderr
	fmt.Fprintf(out, "the lab stays up:\n")
	for i := range sites {
		fmt.Fprintf(out, "  ip netns exec %s ping %s\n", sites[i].Name(), demoSites[1-i].Addr())
	}
	for _, b := range boxes {
		fmt.Fprintf(out, "  xwire show sessions --control %s   (in %s)\n", b.Control, b.Namespace().Name())
	}
	fmt.Fprintf(out, "  xwire demo --down %s                 removes it\n", l.ID())
}
