package veth

import (
	"context"
	"errors"
	"fmt"

	"xwire/l2tp"
	"xwire/pw"
	"xwire/rings"
	"xwire/rings/steer"
)

// swap is a handler that does nothing but forward: what the rings cost.
type swap struct{}

func (swap) Process(_ []byte, in []rings.Frame, _ int64, out []rings.Frame) []rings.Frame {
	for _, f := range in {
		f.Out = 1 - f.In
		out = append(out, f)
	}
	return out
}

func (swap) Expire(_ []byte, _ int64, out []rings.Frame) []rings.Frame { return out }
func (swap) Deadline() int64                                           { return 0 }
func (swap) Held() int                                                 { return 0 }

// appliance is xwire's steering program, rings and table, put together as package appliance does,
// with both ports on one worker.
type appliance struct {
	always
	steering *steer.Steering
	programs []*steer.Program
	arena    *rings.Arena
	fabric   *rings.Fabric
	ports    []*rings.Port
	busyPoll bool
	stop     context.CancelFunc
	done     chan error
}

func (a *appliance) mode() string { return a.ports[0].Mode().String() }

// startForward, startEncap and startDecap differ in the handler and in the rules of d0.
func startForward(_ context.Context, p *place) (running, error) {
	whole := steer.PortRules{Whole: true}
	return startAppliance(p, swap{}, whole, whole)
}

func startEncap(_ context.Context, p *place) (running, error) {
	table, err := newTable(p.config, 0, 1)
	if err != nil {
		return nil, err
	}
	return startAppliance(p, table.Forwarder(0), steer.PortRules{Whole: true}, steer.PortRules{Core: true})
}

func startDecap(_ context.Context, p *place) (running, error) {
	table, err := newTable(p.config, 1, 0)
	if err != nil {
		return nil, err
	}
	return startAppliance(p, table.Forwarder(0), steer.PortRules{Core: true}, steer.PortRules{Whole: true})
}

// newTable has one session, between the access port and the core port.
func newTable(c Config, access, core uint16) (*pw.Table, error) {
	box, peer, encap := c.ends()
	t := pw.NewTable(1)
	t.SetPort(core, pw.PortSpec{Core: true, MTU: linkMTU})
	t.SetPort(access, pw.PortSpec{MTU: linkMTU})
	hop := t.AddNextHop(pw.NextHop{Port: core, Src: outMAC, Dst: sinkMAC, MTU: linkMTU})
	tunnel, err := t.AddTunnel(pw.TunnelSpec{Encap: encap, Local: box, Peer: peer, UDPZeroChecksumRx: true})
	if err != nil {
		return nil, err
	}
	t.SetTunnelNextHop(tunnel, hop)
	_, err = t.AddSession(pw.SessionSpec{
		Tunnel: tunnel, SID: sessionID, PSID: sessionID + 1, TxCookie: cookie(), RxCookies: [2]l2tp.Cookie{cookie()}, RxCookieCount: 1,
		Type: l2tp.PWEth, AC: pw.Attachment{Port: access},
	})
	return t, err
}

func startAppliance(p *place, h rings.Handler, in, out steer.PortRules) (_ running, err error) {
	a := &appliance{busyPoll: p.config.BusyPoll}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if a.steering, err = steer.Load(steer.LoadConfig{}); err != nil {
		return nil, err
	}
	a.arena, err = rings.NewArena(rings.ArenaConfig{Chunks: rings.Sizing{Workers: 1, Queues: make([]uint32, 2)}.Chunks(), HugePages: true})
	if err != nil {
		return nil, err
	}
	a.fabric, err = rings.NewFabric(rings.FabricConfig{Arena: a.arena, Workers: []rings.WorkerConfig{{CPU: p.config.Worker, Handler: h}}})
	if err != nil {
		return nil, err
	}
	box, _, encap := p.config.ends()
	if err = a.steering.AddLocal(steer.Local{Addr: box.Addr(), Encap: uint8(encap), Port: box.Port()}); err != nil {
		return nil, err
	}
	err = p.box.Run(func() error {
		return errors.Join(a.open(0, inName, p.in, inMAC, in), a.open(1, outName, p.out, outMAC, out))
	})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	a.stop, a.done = stop, make(chan error, 1)
	go func() { a.done <- a.fabric.Run(ctx) }()
	return a, nil
}

// open attaches the program, opens the port and steers to it.
func (a *appliance) open(index uint16, name string, ifindex int, mac l2tp.MAC, rules steer.PortRules) error {
	program, err := a.steering.Attach(steer.AttachConfig{Ifindex: ifindex, Name: name, Native: true, Queues: 1})
	if err != nil {
		return err
	}
	a.programs = append(a.programs, program)
	port, err := a.fabric.AddPort(rings.PortConfig{Index: index, Name: name, Interface: name, BusyPoll: a.busyPoll})
	if err != nil {
		return err
	}
	a.ports = append(a.ports, port)
	for _, s := range port.Sockets() {
		if err := program.Register(s.Queue, s.FD); err != nil {
			return err
		}
	}
	return errors.Join(program.AddMAC(mac), program.SetRules(rules))
}

func (a *appliance) close() error {
	var errs []error
	for _, p := range a.programs {
		errs = append(errs, p.Close())
	}
	if a.stop != nil {
		a.stop()
		errs = append(errs, <-a.done)
	}
	if a.fabric != nil {
		errs = append(errs, a.fabric.Close())
	}
	if a.arena != nil {
		errs = append(errs, a.arena.Close())
	}
	if a.steering != nil {
		errs = append(errs, a.steering.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close xwire's rings: %w", err)
	}
	return nil
}
