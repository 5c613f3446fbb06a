package appliance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"xwire/appliance/api"
	"xwire/appliance/capture"
	"xwire/appliance/host"
	"xwire/appliance/hugepages"
	"xwire/appliance/liveness"
	"xwire/appliance/nexthop"
	"xwire/appliance/trunk"
	"xwire/config"
	"xwire/l2tp"
	"xwire/pw"
	"xwire/rings"
	"xwire/rings/steer"
)

// Options are what the command line says, as opposed to the configuration.
type Options struct {
	ConfigFile string       // where the configuration came from, for Status and LoadConfig
	Kept       string       // the kept configuration that runs instead of ConfigFile
	Instead    string       // why: as api.Status has it
	StateDir   string       // keeps the last configuration that ran; empty: none is kept
	AutoPorts  bool         // take the interfaces that routes leave by as core ports
	Version    string       // for Status and metrics
	Log        *slog.Logger // nil: slog.Default()
}

// Appliance is one running xwire. Make it with New, run it once with Run.
type Appliance struct {
	o       Options
	log     *slog.Logger
	started time.Time
	ready   atomic.Bool

	// Settings taken from the configuration. Of the rest, what runs is in ports and tunnels below.
	settings config.Appliance
	dir      string // of the journal and the trunk's state: see stateDir
	workers  []int  // one CPU each

	changer changer
	pending *unconfirmed // the changer's
	events  events

	host     *host.Host
	hops     *nexthop.Watcher
	peers    *liveness.Watcher
	circuits circuits
	trunk    atomic.Pointer[trunk.Trunk] // nil without local interfaces
	noTrunk  error                       // why it is nil although sessions need it
	table    *pw.Table
	steering *steer.Steering
	fabric   *rings.Fabric
	arena    *rings.Arena
	deep     uint32 // entries of fill and RX rings of ports that are there at the start
	taps     *capture.Hub
	captures captures

	// mu guards all below. Workers never take it.
	mu        sync.Mutex
	kept      string     // what runs instead of the file
	instead   string     // why it does
	confirm   *time.Time // when the last reload is rolled back, unless confirmed
	unsettled unsettled
	ports     []*port          // in the order of the configuration, and of their coming
	former    map[string]*port // that were removed: one that comes back counts on
	indexes   int              // port indexes that were given out
	tunnels   []*tunnel        // in the order of the configuration
	byName    map[string]*tunnel
	clients   map[string]l2tp.MAC // addresses of the local interfaces of PPP sessions, by name
	count     int                 // sessions of all tunnels
	targets   map[nexthop.Key]*target
	index     *index             // nil until a request needs it
	ends      map[ends][]*tunnel // nil until a report of a path MTU needs it
	resized   map[*target]bool   // their routes' MTU has changed, their local interfaces' not yet
	lost      map[string]bool    // local interfaces that have gone, by name
	retryLost time.Time          // not before
	toldOAM   time.Time          // when a VCCV message was logged last
	trunkMTU  int
	toldPorts []int          // ifindexes that next hops know as ports
	answers   int            // targets whose first answer has come
	wake      chan struct{}  // has the supervisor look at once
	tried     chan struct{}  // closed once the supervisor has tried all ports
	looked    time.Time      // at their interfaces, by the supervisor
	plan      *config.Config // until tidy has used it
}

// New checks what a configuration asks for against the machine. It changes nothing on it.
func New(cfg *config.Config, o Options) (*Appliance, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if cfg.AutoPorts() && !o.AutoPorts {
		return nil, fmt.Errorf("run %s: it has no [port.NAME], and nothing is taken that was not named: add ports, or run with --auto-ports", o.ConfigFile)
	}
	a := &Appliance{
		o: o, log: o.Log, started: time.Now(), settings: cfg.Appliance, plan: cfg, kept: o.Kept, instead: o.Instead,
		changer: newChanger(), byName: make(map[string]*tunnel), clients: make(map[string]l2tp.MAC), former: make(map[string]*port), targets: make(map[nexthop.Key]*target), resized: make(map[*target]bool), lost: make(map[string]bool), wake: make(chan struct{}, 1), tried: make(chan struct{}),
	}
	if a.settings.Control == "" {
		a.settings.Control = api.DefaultSocket
	}
	a.dir = stateDir(a.settings.Control)
	a.warn(cfg.Warnings)
	return a, nil
}

// warn logs what the configuration's reader found odd; of very many, the first.
func (a *Appliance) warn(list []config.Warning) {
	const most = 20
	for i, w := range list {
		if i == most {
			a.log.Warn(fmt.Sprintf("and %d more warnings: xwire check %s lists them", len(list)-most, a.o.ConfigFile))
			return
		}
		a.log.Warn("configuration", "file", w.File, "line", w.Line, "key", w.Key, "warning", w.Msg)
	}
}

// Run carries frames until ctx ends, then puts the host back as it was. It returns nil after a
// clean stop. Local interfaces stay.
func (a *Appliance) Run(ctx context.Context) (err error) {
	control, err := listenControl(a.settings.Control)
	if err != nil {
		return err
	}
	defer control.Close()
	defer leaveStateDir(a.settings.Control)
	if err := shareControl(a.settings.Control, a.settings.ControlGroup); err != nil {
		// The traffic matters more; root still gets in.
		a.log.Error("the control socket is its owner's alone", "error", err)
	}

	var stopping time.Time // when the clean stop began
	defer func() {
		if !stopping.IsZero() {
			a.log.Info("stopped", "after", time.Since(stopping).Round(time.Millisecond))
		}
	}()
	// The parts end in the reverse order of their start: the first that fails ends all.
	var parts sync.WaitGroup
	ctx, cancel := context.WithCancelCause(ctx)
	defer parts.Wait()
	defer cancel(nil)
	start := func(name string, part func(context.Context) error) {
		parts.Go(func() {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("%s: %w", name, err))
			}
		})
	}

	if err := a.build(ctx, start); err != nil {
		return err
	}
	defer a.close()
	start("control socket", func(ctx context.Context) error { return serve(ctx, control, a.control()) })
	if a.settings.Metrics != "" {
		l, h, err := a.metrics(a.settings.Metrics, a.settings.MetricsSessions)
		if err != nil {
			return err
		}
		start("metrics", func(ctx context.Context) error { return serve(ctx, l, h) })
	}
	if ctx.Err() == nil { // or no port is taken any more, only to be given back
		err = a.supervise(ctx)
	}
	a.notify(daemon.SdNotifyStopping)
	stopping = time.Now()
	cause := context.Cause(ctx)
	a.log.Info("stopping", "reason", cmp.Or(cause, err))
	if cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// build makes everything that stands between the configuration and the first frame.
func (a *Appliance) build(ctx context.Context, start func(string, func(context.Context) error)) error {
	cfg := a.plan
	err := preferThreads()
	if err != nil {
		a.log.Warn("frames may be lost while other programs are busy: allow CAP_SYS_NICE, or LimitNICE=-20 in the unit", "error", err)
	} else if err = preferSession(); err != nil {
		a.log.Warn("frames may be lost while other programs are busy", "error", err)
	}
	if a.host, err = host.Open(a.dir); err != nil {
		return err
	}
	if a.steering, err = steer.Load(steer.LoadConfig{Sessions: steeredSessions(cfg)}); err != nil {
		return err
	}
	if a.hops, err = nexthop.New(nexthop.Config{OnChange: a.hopsChanged, OnVLANs: a.vlansChanged, Log: a.log}); err != nil {
		return err
	}
	a.peers = liveness.New(liveness.Config{Take: a.takeControl, OnChange: a.peerChanged, Log: a.log})
	a.makePorts(cfg)
	a.addKeys(cfg)
	start("next hops", a.hops.Run)
	a.awaitHops(ctx)
	// What a killed process left changed for interfaces that are no ports any more is put back now;
	// for the others, openPort takes it over.
	if err := a.host.Recover(a.isPort); err != nil {
		a.log.Warn("put back NIC settings of an earlier start", "error", err)
	}
	if err := a.chooseWorkers(); err != nil {
		return err
	}
	if err := a.makeTrunk(cfg); err != nil {
		return err
	}
	if err := a.makeFabric(cfg); err != nil {
		return err
	}
	if err := a.makeTunnels(cfg); err != nil {
		return err
	}
	if err := a.makeSessions(cfg); err != nil {
		return err
	}
	a.watchLocals()
	a.tidy()
	start("VCCV messages", a.hearOAM)
	makeRoom(len(a.workers))
	start("workers", a.fabric.Run)
	start("liveness", a.runPeers)
	start("control messages", a.hearPeers)
	start("path MTUs", a.hearPaths)
	start("changes", a.changer.run)
	return nil
}

// tidy keeps the configuration that the process was started with and gives back the memory that it took. No
// worker runs yet: one that meets a page on its way to a huge one waits for that, and loses frames.
func (a *Appliance) tidy() {
	a.keepConfig(a.plan)
	a.plan = nil
	// What was parsed is garbage now; at 100,000 sessions it is most of the memory.
	debug.SetGCPercent(50)
	debug.FreeOSMemory()
	if a.count < hugepages.From {
		return
	}
	n, err := hugepages.CollapseHeap()
	if err != nil {
		a.log.Warn("ask for huge pages", "error", err)
		return
	}
	a.log.Info("tables on huge pages", "bytes", n)
}

// close puts the host back. The next hops' Run frees what is theirs.
func (a *Appliance) close() {
	a.mu.Lock()
	for _, p := range a.ports {
		a.closePort(p)
	}
	a.mu.Unlock()
	a.circuitsUp()
	if t := a.trunk.Load(); t != nil {
		t.Close()
	}
	if err := a.host.RestoreAll(); err != nil {
		a.log.Error("put NIC settings back", "error", err)
	}
	if err := a.steering.Close(); err != nil {
		a.log.Warn("close steering maps", "error", err)
	}
}

// notify tells systemd; without it, nothing happens.
func (a *Appliance) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		a.log.Warn("notify systemd", "error", err)
	}
}

// residentBytes is the memory that the process has in RAM now.
func residentBytes() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident uint64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0
	}
	return resident * uint64(os.Getpagesize())
}
