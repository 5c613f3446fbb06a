package appliance

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"xwire/appliance/host"
	"xwire/config"
	"xwire/pw"
	"xwire/rings"
	"xwire/rings/steer"
)

// retryPort is how long a port that could not be opened waits for the next try. Where each try may
// take the link down it waits twice as long after each, at most mostPause.
const (
	retryPort = time.Second
	mostPause = 30 * time.Second
)

// tags is one pair of VLANs that a port's sessions take: single tags have no outer.
type tags struct{ outer, inner uint16 }

// port is one [port.NAME], or the trunk of local interfaces. It exists whether its interface does
// or not; opened is what it has while the interface is ours.
type port struct {
	config.Port
	index uint16
	// planned is how many queues the arena has deep rings for; none of a port that was not there at the start.
	planned int
	trunk   bool
	taken   bool // for a route: no file names it
	rules   steer.PortRules
	vlans   []tags
	pppoes  []steer.PPPoE
	opened  *opened
	reason  string            // why it is not open, or not up
	retry   time.Time         // not before
	told    string            // the last reason that was logged
	up      bool              // as events tell
	warned  map[string]bool   // what was logged once since it was last open
	pause   time.Duration     // until the next try, when tries disturb the interface
	last    rings.PortStatus  // of the last opening, while it is closed; the rings go on counting where they were
	l2cp    uint64            // frames dropped by earlier steering programs
	heard   uint64            // control messages that they handed up
	passed  map[string]uint64 // frames that these left to the kernel, by reason
}

// opened is a port's hold on its interface, in the order in which it was taken.
type opened struct {
	info    host.InterfaceInfo
	plan    host.Plan
	promisc io.Closer // attachment ports only
	program *steer.Program
	rings   *rings.Port
	down    bool
}

// makePorts lists the ports of the configuration and what their sessions ask of each.
func (a *Appliance) makePorts(cfg *config.Config) {
	byName := make(map[string]*port)
	for _, c := range cfg.Ports {
		p := a.addPort(&port{Port: c})
		byName[c.Name] = p
	}
	for i := range cfg.Tunnels {
		for j := range cfg.Tunnels[i].Sessions {
			s := &cfg.Tunnels[i].Sessions[j]
			if p := byName[s.Attach]; p != nil && s.Enabled && cfg.Tunnels[i].Enabled {
				p.attach(s)
			}
		}
	}
	for _, p := range a.ports {
		p.rules.Core = !p.rules.Whole
		p.rules.L2CP = steer.L2CP(p.L2CP)
	}
}

// portNamed finds a port of the configuration, or one taken for a route. The caller holds mu.
func (a *Appliance) portNamed(name string) *port {
	for _, p := range a.ports {
		if p.Name == name && !p.trunk {
			return p
		}
	}
	return nil
}

func (a *Appliance) addPort(p *port) *port {
	if was := a.former[p.Name]; was != nil {
		p.index, p.last, p.l2cp, p.heard, p.passed = was.index, was.last, was.l2cp, was.heard, was.passed
		delete(a.former, p.Name)
	} else if a.indexes < pw.MaxPorts {
		p.index = uint16(a.indexes)
		a.indexes++
	} else { // all were given out: that of a port that is gone, whose counts go on
		for name, was := range a.former {
			p.index = was.index
			delete(a.former, name)
			a.index = nil // it may have what the former's sessions had
			break
		}
	}
	p.reason = "not opened yet"
	a.ports = append(a.ports, p)
	return p
}

// attach notes which frames of the port are a session's.
func (p *port) attach(s *config.Session) {
	if s.PPP() {
		p.pppoes = append(p.pppoes, steerPPPoE(s))
		return
	}
	switch v := s.VLAN; v.Kind {
	case config.VLANAll:
		p.rules.Whole = true
	case config.VLANUntagged:
		p.rules.Untagged = true
	case config.VLANQinQ:
		p.vlans = append(p.vlans, tags{v.Lo, v.C})
	default:
		for vid := v.Lo; vid <= v.Hi; vid++ {
			p.vlans = append(p.vlans, tags{vid, steer.AnyVLAN})
		}
	}
}

// access tells whether attachment circuits lie on the port.
func (p *port) access() bool {
	return p.rules.Whole || p.rules.Untagged || len(p.vlans)+len(p.pppoes) > 0
}

func (p *port) mayZeroCopy() bool { return p.Mode == config.ModeAuto || p.Mode == config.ModeZeroCopy }

func (p *port) role() host.Role {
	if p.access() {
		return host.Core | host.Access
	}
	return host.Core
}

// openPorts tries each port that is not open and whose time has come. It reports whether any
// was opened or lost.
func (a *Appliance) openPorts(now time.Time) {
	for _, p := range a.ports {
		if p.opened != nil || now.Before(p.retry) {
			continue
		}
		p.retry = now.Add(retryPort)
		disturbed, err := a.openPort(p)
		if err != nil {
			if p.pause = min(2*p.pause, mostPause); !disturbed || p.pause == 0 {
				p.pause = retryPort
			}
			p.retry = now.Add(p.pause)
			p.reason = err.Error()
			if p.told != p.reason {
				p.told = p.reason
				a.log.Warn("port waits", "port", p.Name, "interface", p.Interface, "reason", p.reason)
			}
			continue
		}
		p.reason, p.told, p.warned, p.pause = "", "", nil, 0
		a.unsettled.all = true
		a.log.Info("port open", "port", p.Name, "interface", p.Interface, "mode", p.opened.rings.Mode().String(),
			"driver", p.opened.info.Driver, "queues", len(p.opened.rings.Sockets()), "max_frame", p.opened.rings.Longest(), "multi_buffer", p.opened.rings.Jumbo())
	}
	a.tellPorts()
}

// openPort takes the interface: settings, promiscuity, program, sockets, and last the map that
// lets frames come. What was taken before a failure is given back. disturbed tells that settings
// were changed or a program was attached until then: NICs may take the link down for that.
func (a *Appliance) openPort(p *port) (disturbed bool, err error) {
	o := &opened{}
	p.opened = o
	defer func() {
		if err != nil {
			disturbed = len(o.plan.Changes) > 0 || o.program != nil
			a.closePort(p)
		}
	}()
	err = a.takeInterface(p)
	return disturbed, err
}

func (a *Appliance) takeInterface(p *port) (err error) {
	o := p.opened
	o.info, err = a.host.Info(p.Interface)
	if missing := errors.As(err, new(netlink.LinkNotFoundError)); missing && p.trunk {
		if err = a.remakeTrunk(); err == nil {
			o.info, err = a.host.Info(p.Interface)
		}
	} else if missing {
		return errors.New(noInterface(p.Interface))
	}
	if err != nil {
		return err
	}
	if o.plan, err = a.host.Plan(host.Request{Interface: p.Interface, Role: p.role(), Queues: p.Queues}); err != nil {
		return err
	}
	for _, w := range o.plan.Warnings {
		a.warnOnce(p, "NIC setting", "warning", w)
	}
	if err = a.host.Apply(o.plan); err != nil {
		return fmt.Errorf("change settings of %s: %w", p.Interface, err)
	}
	if p.access() && !p.trunk {
		if o.promisc, err = a.host.Promiscuous(p.Interface); err != nil {
			return fmt.Errorf("make %s promiscuous: %w", p.Interface, err)
		}
	}
	if err = a.attachProgram(p); err != nil {
		return err
	}
	mode := rings.Mode(p.Mode)
	if !o.program.Native() {
		mode = rings.ModeSKB
	}
	if o.rings, err = a.fabric.AddPort(rings.PortConfig{
		Index: p.index, Name: p.Name, Interface: p.Interface, Queues: p.Queues, Mode: mode, Spread: p.Spread == config.SpreadAuto, BusyPoll: p.BusyPoll,
		Jumbo: a.jumbo(p), Deep: a.deepRing(p),
	}); err != nil {
		return fmt.Errorf("open queues of %s: %w", p.Interface, err)
	}
	a.tellLength(p)
	a.table.SetPort(p.index, p.spec())
	for _, s := range o.rings.Sockets() {
		if err = o.program.Register(s.Queue, s.FD); err != nil {
			return fmt.Errorf("steer queue %d of %s: %w", s.Queue, p.Interface, err)
		}
	}
	return nil
}

// attachProgram attaches the steering program: natively, or, where the driver cannot and the
// configuration leaves the choice, in the generic path.
func (a *Appliance) attachProgram(p *port) (err error) {
	o := p.opened
	at := steer.AttachConfig{Ifindex: o.info.Ifindex, Name: p.Interface, Native: p.Mode != config.ModeSKB, Queues: uint32(max(o.info.RxQueues, 1)), Jumbo: a.jumbo(p)}
	o.program, err = a.steering.Attach(at)
	if err != nil && at.Native && p.Mode == config.ModeAuto && genericMayHelp(err) {
		a.warnOnce(p, "driver takes no native XDP program, falling back to skb mode", "error", err)
		at.Native = false
		o.program, err = a.steering.Attach(at)
	}
	if err != nil {
		return err
	}
	if err := o.program.SetRules(p.rules); err != nil {
		return fmt.Errorf("set steering rules of %s: %w", p.Interface, err)
	}
	if err := o.program.AddMAC(o.info.MAC); err != nil {
		return fmt.Errorf("steer %s: %w", p.Interface, err)
	}
	for _, t := range a.targets { // next hops do not tell again of a port that is back at once
		if h := t.hop; h.Ifindex == o.info.Ifindex {
			a.addSource(p, h.Src)
		}
	}
	if err := a.setDevices(p); err != nil {
		return err
	}
	vlans := make([]steer.VLAN, len(p.vlans))
	for i, v := range p.vlans {
		vlans[i] = steer.VLAN{S: v.outer, C: v.inner}
	}
	if err := o.program.AddVLANs(vlans); err != nil {
		return fmt.Errorf("steer %s: %w", p.Interface, err)
	}
	for _, c := range p.pppoes {
		if err := o.program.AddPPPoE(c); err != nil {
			return fmt.Errorf("steer %s: %w", p.Interface, err)
		}
	}
	return nil
}

// genericMayHelp tells whether a refusal of a native program is about the driver: no XDP at all,
// an MTU that its XDP path does not take, or no queues left for it (of a veth: fewer here than the
// other end sends by).
func genericMayHelp(err error) bool {
	return slices.ContainsFunc([]error{unix.EOPNOTSUPP, unix.ERANGE, unix.EINVAL, unix.ENOSPC}, func(e error) bool { return errors.Is(err, e) })
}

// closePort gives the interface back, in the reverse order. It works on a port half open, and on
// one whose interface has gone.
func (a *Appliance) closePort(p *port) {
	o := p.opened
	if o == nil {
		return
	}
	p.opened, a.unsettled.all = nil, true
	warn := func(what string, err error) {
		if err != nil {
			a.log.Warn(what, "port", p.Name, "interface", p.Interface, "error", err)
		}
	}
	if o.rings != nil {
		for _, s := range o.rings.Sockets() {
			// Fails when the map is gone already, which is what is wanted.
			_ = o.program.Unregister(s.Queue)
		}
		warn("close queues", a.fabric.RemovePort(o.rings))
		p.last = o.rings.Status()
	}
	if o.program != nil {
		if s, err := o.program.Stats(); err == nil {
			p.l2cp += s.L2CPDropped
			p.heard += s.Heard
			p.passed = sum(p.passed, s.ToKernel())
		}
		warn("detach steering program", o.program.Close())
	}
	if o.promisc != nil {
		warn("leave promiscuous mode", o.promisc.Close())
	}
	warn("put NIC settings back", a.host.Restore(p.Interface))
	a.tellPorts()
}

// sum adds counts by reason into new ones.
func sum(a, b map[string]uint64) map[string]uint64 {
	all := make(map[string]uint64, len(a)+len(b))
	for _, counts := range []map[string]uint64{a, b} {
		for reason, n := range counts {
			all[reason] += n
		}
	}
	return all
}

// warnOnce logs what each try to open a port would find again.
func (a *Appliance) warnOnce(p *port, message, key string, value any) {
	text := fmt.Sprint(message, value)
	if p.warned[text] {
		return
	}
	if p.warned == nil {
		p.warned = make(map[string]bool)
	}
	p.warned[text] = true
	a.log.Warn(message, "port", p.Name, "interface", p.Interface, key, value)
}

// tellPorts lets next hops know which interfaces are ours now. They look at every key then.
func (a *Appliance) tellPorts() {
	var indexes []int
	for _, p := range a.ports {
		if p.opened != nil && p.opened.rings != nil && !p.trunk {
			indexes = append(indexes, p.opened.info.Ifindex)
		}
	}
	if slices.Equal(indexes, a.toldPorts) {
		return
	}
	a.toldPorts = indexes
	a.hops.SetPorts(indexes)
}

// spec is what the table must know of the port.
func (p *port) spec() pw.PortSpec {
	return pw.PortSpec{Core: p.rules.Core, MTU: p.opened.info.MTU, MAC: p.opened.info.MAC}
}
