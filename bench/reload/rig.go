package reload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"xwire/appliance/api"
	"xwire/bench/figure"
	"xwire/bench/lab"
	"xwire/bench/traffic"
)

// rig is a generator's place, a box, and what stands for its peer: a namespace in which packets are
// counted.
type rig struct {
	config     Config
	lab        *lab.Lab
	site, peer *lab.Namespace
	box        *lab.Box
	client     *api.Client
	files      *files
	generator  *traffic.Generator
	sink       *traffic.Sink
	load       traffic.Load
	arrive     int // length of what arrives, without FCS
}

const linkMTU = 1700

func newRig(ctx context.Context, c Config) (r *rig, err error) {
	r = &rig{config: c, files: newFiles(c.Sessions, c.Worker)}
	if r.lab, err = lab.New(lab.Config{}); err != nil {
		return r, err
	}
	var host *lab.Namespace
	for _, n := range []struct {
		role string
		to   **lab.Namespace
	}{{"site", &r.site}, {"box", &host}, {"peer", &r.peer}} {
		if *n.to, err = r.lab.Quiet(n.role); err != nil {
			return r, err
		}
	}
	addrs := func(a netip.Addr) []netip.Prefix { return []netip.Prefix{netip.PrefixFrom(a, 24)} }
	for _, pair := range [][2]lab.End{
		{{Namespace: r.site, Name: "eth0", MTU: linkMTU, MAC: siteMAC[:]}, {Namespace: host, Name: "ac0", MTU: linkMTU}},
		{{Namespace: r.site, Name: "eth1", MTU: linkMTU}, {Namespace: host, Name: "ac1", MTU: linkMTU}},
		{{Namespace: host, Name: "core0", MTU: linkMTU, Addrs: addrs(boxAddr)}, {Namespace: r.peer, Name: "core0", MTU: linkMTU, MAC: peerMAC[:], Plain: true, Addrs: addrs(peerAddr)}},
	} {
		if err := r.lab.Connect(pair[0], pair[1]); err != nil {
			return r, err
		}
	}
	// The sink takes everything, ARP too.
	if _, err := host.Command("ip", "neigh", "add", peerAddr.String(), "lladdr", net.HardwareAddr(peerMAC[:]).String(), "dev", "core0"); err != nil {
		return r, err
	}
	if r.generator, err = traffic.NewGenerator(c.Generator, r.site.Run); err != nil {
		return r, err
	}
	if r.sink, err = traffic.NewSink(traffic.SinkStack); err != nil {
		return r, err
	}
	if err := r.peer.Run(func() error {
		i, err := net.InterfaceByName("core0")
		if err != nil {
			return err
		}
		return r.sink.Attach(i.Index)
	}); err != nil {
		return r, err
	}
	if err := r.site.Run(func() error {
		i, err := net.InterfaceByName("eth0")
		if err == nil {
			r.load.Ifindex = i.Index
		}
		return err
	}); err != nil {
		return r, err
	}
	for _, n := range watchedSessions(c.Sessions) {
		frame := tagged(traffic.TestFrame(boxMAC, siteMAC, c.Size), tags(n))
		r.load.Frames, r.arrive = append(r.load.Frames, frame), overhead()+len(frame)
	}
	if err := r.sink.Want(r.arrive); err != nil {
		return r, err
	}
	if r.box, err = host.Box(c.Program); err != nil {
		return r, err
	}
	r.client = api.NewClient(r.box.Control)
	if err := r.box.Start(ctx, r.files.text(0)); err != nil {
		return r, err
	}
	if c.Apart {
		if err := r.apart(); err != nil {
			return r, err
		}
	}
	return r, r.forwards(ctx)
}

// apart leaves the generator's CPU to the generator, as if it were another machine: the box's threads stay on
// the worker's.
func (r *rig) apart() error {
	var set unix.CPUSet
	set.Set(r.config.Worker)
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", r.box.Process().PID()))
	if err != nil {
		return fmt.Errorf("list the threads of the box: %w", err)
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("keep the box on CPU %d: %w", r.config.Worker, err)
		}
	}
	return nil
}

func (r *rig) close() error {
	var errs []error
	if r.sink != nil {
		errs = append(errs, r.sink.Close())
	}
	if r.generator != nil {
		errs = append(errs, r.generator.Close())
	}
	if r.lab != nil {
		errs = append(errs, r.lab.Close())
	}
	return errors.Join(errs...)
}

// forwards waits until frames of all watched sessions arrive.
func (r *rig) forwards(ctx context.Context) error {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		f, err := r.flow(ctx, 10_000, func(ctx context.Context) error { return pause(ctx, 100*time.Millisecond) })
		if err != nil {
			return err
		}
		if f.Sent > 0 && f.Lost == 0 {
			return nil
		}
	}
	return errors.New("frames do not arrive")
}

// Flow is what became of frames that were sent while something was done.
type Flow struct {
	Rate    float64 `json:"rate_fps"` // asked for
	Seconds float64 `json:"seconds"`
	Sent    uint64  `json:"sent"`
	Counted uint64  `json:"counted"` // by the sessions' counters, of frames sent on
	Arrived uint64  `json:"arrived"`
	Lost    uint64  `json:"lost"`
	Late    uint64  `json:"not_generated"` // frames that the generator had no time for
	// Stolen is the seconds that the hypervisor kept from the machine's CPUs while they had work.
	Stolen float64 `json:"stolen_seconds"`
	// Drops is where the box lost frames, by its own counters.
	Drops map[string]uint64 `json:"drops,omitempty"`
}

// onTheWay is how long frames may be on their way when a busy machine lets nobody run.
const onTheWay = 2 * time.Second

// arrived waits for the frames that were sent, until none comes any more, and tells how many came.
func (r *rig) arrived(ctx context.Context, before, sent uint64) (n uint64, err error) {
	for last := time.Now(); n < sent && time.Since(last) < onTheWay; {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return n, err
		}
		now, err := r.sink.Arrived()
		if err != nil {
			return n, err
		}
		if now.Frames-before > n {
			n, last = now.Frames-before, time.Now()
		}
	}
	// What comes twice would come now.
	if err := pause(ctx, 50*time.Millisecond); err != nil {
		return n, err
	}
	now, err := r.sink.Arrived()
	return now.Frames - before, err
}

// flow sends frames of the watched sessions in turn, at an even rate, as long as f takes.
func (r *rig) flow(ctx context.Context, rate float64, f func(context.Context) error) (*Flow, error) {
	counted, drops, err := r.counters(ctx)
	if err != nil {
		return nil, err
	}
	before, err := r.sink.Arrived()
	if err != nil {
		return nil, err
	}
	attention := figure.ReadAttention()
	l := r.load
	l.Rate, l.Limit = rate, time.Hour
	sending, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	began := time.Now()
	go func() { done <- r.generator.Run(sending, l) }()
	err = f(ctx)
	took := time.Since(began)
	stop()
	if err := errors.Join(err, <-done); err != nil {
		return nil, err
	}
	v := &Flow{Rate: rate, Seconds: took.Seconds(), Drops: map[string]uint64{}}
	v.Stolen = figure.ReadAttention().Stolen(attention).Seconds()
	if v.Sent, err = r.generator.Generated(); err != nil {
		return nil, err
	}
	if v.Arrived, err = r.arrived(ctx, before.Frames, v.Sent); err != nil {
		return nil, err
	}
	if v.Late, err = r.generator.Late(); err != nil {
		return nil, err
	}
	v.Lost = v.Sent - min(v.Arrived, v.Sent)
	now, dropped, err := r.counters(ctx)
	if err != nil {
		return nil, err
	}
	v.Counted = now - counted
	for reason, n := range dropped {
		if n > drops[reason] {
			v.Drops[reason] = n - drops[reason]
		}
	}
	return v, nil
}

// counters are the frames that watched sessions sent on, and those dropped by port and reason.
func (r *rig) counters(ctx context.Context) (frames uint64, drops map[string]uint64, err error) {
	for _, n := range watchedSessions(r.config.Sessions) {
		s, err := r.client.Session(ctx, fmt.Sprintf("t%d/c%d", n/perTunnel, n), false)
		if err != nil {
			return 0, nil, err
		}
		frames += s.TxPackets
	}
	ports, err := r.client.Ports(ctx)
	drops = map[string]uint64{}
	for _, p := range ports {
		for reason, n := range p.Drops {
			drops[p.Name+" "+reason] = n
		}
	}
	return frames, drops, err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
