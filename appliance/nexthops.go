package appliance

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/vishvananda/netlink"

	"xwire/appliance/nexthop"
	"xwire/config"
	"xwire/l2tp"
	"xwire/pw"
)

// target is one (peer, local, VRF) that tunnels send to. Tunnels that share it share its next
// hop in the table, so that a neighbour's new MAC is one store.
type target struct {
	id    pw.NextHopID // once there is a table
	hop   nexthop.Hop
	known bool // hop is an answer
	path  path
}

func newTarget(key nexthop.Key) *target {
	return &target{hop: nexthop.Hop{Key: key, State: nexthop.NoRoute, Reason: "not looked up yet"}}
}

// addKeys asks for the next hops of all tunnels.
func (a *Appliance) addKeys(cfg *config.Config) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var keys []nexthop.Key
	for i := range cfg.Tunnels {
		key := hopKey(&cfg.Tunnels[i])
		if !cfg.Tunnels[i].Enabled || a.targets[key] != nil {
			continue
		}
		a.targets[key] = newTarget(key)
		keys = append(keys, key)
	}
	a.hops.Add(keys...)
}

// awaitHops gives the first answers a moment: the MTU of a local interface follows from the route,
// and so do the ports of --auto-ports.
func (a *Appliance) awaitHops(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	answered := func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.answers == len(a.targets)
	}
	for !answered() && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// hopsChanged moves next hops into the table as the kernel's tables change.
func (a *Appliance) hopsChanged(hops []nexthop.Hop) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range hops {
		t := a.targets[h.Key]
		if t == nil {
			continue
		}
		if t.known && h.MTU != t.hop.MTU || h.Ifindex != t.hop.Ifindex {
			t.path = path{} // of another way
			if h.MTU != 0 {
				a.resized[t] = true
				a.wakeSupervisor()
			}
		}
		if h.State != t.hop.State || h.Pending != t.hop.Pending || !t.known {
			a.unsettled.target(t)
			a.wakeSupervisor()
		}
		t.hop = h
		if !t.known {
			t.known = true
			a.answers++
		}
		if p := a.portOf(h.Ifindex); p != nil && p.opened.program != nil {
			a.addSource(p, h.Src)
		}
		if a.table != nil {
			a.table.SetNextHop(t.id, a.nextHop(t))
		}
		level := slog.LevelInfo
		if len(hops) > 8 || h.State == nexthop.NotAPort && !a.ready.Load() { // no port is open before we are ready
			level = slog.LevelDebug
		}
		a.log.Log(context.Background(), level, "next hop", "peer", h.Key.Peer, "state", h.State.String(), "reason", h.Reason)
		if h.State == nexthop.NotAPort && a.o.AutoPorts {
			a.takePort(h.Ifindex)
		}
	}
}

// addSource has packets taken that come to what a next hop sends from: a VLAN or macvlan device over
// the port may have a MAC of its own.
func (a *Appliance) addSource(p *port, src l2tp.MAC) {
	if src == (l2tp.MAC{}) || src == p.opened.info.MAC {
		return
	}
	if err := p.opened.program.AddMAC(src); err != nil {
		a.log.Warn("steer second MAC", "port", p.Name, "error", err)
	}
}

// tellStrays logs which next hops leave by no port: while none was open that was no news.
func (a *Appliance) tellStrays() {
	a.mu.Lock()
	defer a.mu.Unlock()
	const most = 8
	strays := 0
	for _, t := range a.targets {
		if t.hop.State != nexthop.NotAPort {
			continue
		}
		if strays++; strays <= most {
			a.log.Warn("next hop", "peer", t.hop.Key.Peer, "state", t.hop.State.String(), "reason", t.hop.Reason)
		}
	}
	if strays > most {
		a.log.Warn(fmt.Sprintf("and %d more: xwire show tunnels lists them", strays-most))
	}
}

// nextHop is what the table needs to know of a target.
func (a *Appliance) nextHop(t *target) pw.NextHop {
	h := &t.hop
	if h.State != nexthop.Resolved {
		return pw.NextHop{Port: pw.NoPort}
	}
	p := a.portOf(h.Ifindex)
	if p == nil {
		return pw.NextHop{Port: pw.NoPort}
	}
	return pw.NextHop{Port: p.index, Src: h.Src, Dst: h.Dst, Tags: h.Tags, MTU: t.mtu()}
}

func (a *Appliance) portOf(ifindex int) *port {
	for _, p := range a.ports {
		if p.opened != nil && p.opened.info.Ifindex == ifindex {
			return p
		}
	}
	return nil
}

// takePort makes a core port of the interface that a route leaves by (--auto-ports), or of the
// members of a bond. The supervisor opens it in its next round.
func (a *Appliance) takePort(ifindex int) {
	if ifindex == 0 {
		return // the route leaves by nothing that could be a port
	}
	info, err := a.host.InfoByIndex(ifindex)
	if err != nil {
		a.log.Warn("look up interface of route", "ifindex", ifindex, "error", err)
		return
	}
	names := []string{info.Name}
	if info.Kind == "bond" {
		if names, err = slaves(ifindex); err != nil {
			a.log.Warn("look up members of route's bond", "interface", info.Name, "error", err)
			return
		}
	}
	if t := a.trunk.Load(); t != nil && info.Peer.Name == t.InnerName() {
		a.log.Warn("a tunnel's route leaves by a local interface", "interface", info.Name)
		return
	}
	for _, name := range names {
		if slices.ContainsFunc(a.ports, func(p *port) bool { return p.Interface == name }) {
			continue
		}
		p := &port{taken: true}
		p.Name, p.Interface = name, name
		p.rules.Core = true
		a.addPort(p)
		a.log.Info("port taken for a route", "interface", name)
	}
	a.wakeSupervisor()
}

func slaves(bond int) ([]string, error) {
	links, err := netlink.LinkList()
	var names []string
	for _, l := range links {
		if l.Attrs().MasterIndex == bond {
			names = append(names, l.Attrs().Name)
		}
	}
	return names, err
}

func hopText(h nexthop.Hop) string {
	if h.Reason != "" {
		return h.Reason
	}
	return fmt.Sprintf("next hop: %s", h.State)
}
