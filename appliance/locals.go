package appliance

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"

	"xwire/appliance/trunk"
	"xwire/config"
	"xwire/l2tp"
	"xwire/rings"
)

const (
	// trunkMTU lets local interfaces carry full customer frames with tags in chunks of 2048 bytes.
	trunkMTU = 1600
	// widestMTU is the largest of a local interface: what the kernel's XDP on veth takes in one piece.
	widestMTU = 3500
)

// makeTrunk opens the trunk when a session needs it, and adds its inner end as a port. One that is
// not needed any more is removed. Without a trunk its sessions wait with the reason.
func (a *Appliance) makeTrunk(cfg *config.Config) error {
	mtu, needed := trunkMTU, false
	for i := range cfg.Tunnels {
		for j := range cfg.Tunnels[i].Sessions {
			s := &cfg.Tunnels[i].Sessions[j]
			if s.Local() && s.Enabled && cfg.Tunnels[i].Enabled {
				needed, mtu = true, min(max(mtu, a.localMTU(&cfg.Tunnels[i], s)), widestMTU)
			}
		}
	}
	if !needed {
		a.removeTrunk()
		return nil
	}
	a.trunkMTU = mtu
	t, err := trunk.Open(a.trunkConfig())
	if err != nil {
		if a.settings.Strict {
			return fmt.Errorf("open trunk of local interfaces: %w", err)
		}
		a.log.Error("open trunk of local interfaces", "error", err)
		a.noTrunk = err
		return nil
	}
	p := &port{trunk: true}
	p.Name, p.Interface = "trunk", t.InnerName()
	p.rules.Whole = true // all that local interfaces send is a session's
	a.mu.Lock()
	defer a.mu.Unlock()
	a.trunk = t
	a.addPort(p)
	return nil
}

func (a *Appliance) trunkConfig() trunk.Config {
	return trunk.Config{Dir: a.dir, Queues: len(a.workers), MTU: a.trunkMTU, Log: a.log}
}

// remakeTrunk makes a trunk anew that somebody deleted. Its interfaces follow in restoreLocals.
func (a *Appliance) remakeTrunk() error {
	a.log.Warn("the trunk of local interfaces is gone: it is made again")
	if err := a.trunk.Remake(); err != nil {
		return fmt.Errorf("open trunk of local interfaces: %w", err)
	}
	for s := range a.eachSession {
		if s.standing && s.ifname() != "" {
			a.lost[s.ifname()] = true
		}
	}
	return nil
}

// removeTrunk removes what an earlier start left when no session needs it any more.
func (a *Appliance) removeTrunk() {
	state := filepath.Join(a.dir, "trunk.json") // the trunk's own
	if _, err := os.Stat(state); err != nil {
		return
	}
	t, err := trunk.Open(a.trunkConfig())
	if err == nil {
		err = t.Prune(func(string) bool { return false })
		index := t.InnerIndex()
		t.Close()
		if l, gone := netlink.LinkByIndex(index); err == nil && gone == nil {
			err = errors.Join(netlink.LinkDel(l), os.Remove(state))
		}
	}
	if err != nil {
		a.log.Warn("remove the local interfaces of sessions that are gone", "error", err)
	}
}

// bound is a local interface's place on the trunk.
type bound struct {
	trunk.Binding
	MTU int
}

// bindLocals makes or adopts the local interfaces, and removes those whose session has gone.
func (a *Appliance) bindLocals(cfg *config.Config) (map[string]bound, error) {
	bindings := make(map[string]bound)
	if a.trunk == nil {
		return bindings, a.noTrunk
	}
	var want []trunk.Interface
	mtus, pppoe := make(map[string]int), make(map[string]bool)
	for i := range cfg.Tunnels {
		c := &cfg.Tunnels[i]
		for j := range c.Sessions {
			s := &c.Sessions[j]
			if !s.Local() || !s.Enabled || !c.Enabled {
				continue
			}
			mtu := a.localMTU(c, s)
			mtus[s.InterfaceName], pppoe[s.InterfaceName] = mtu, s.PPP()
			want = append(want, trunk.Interface{Name: s.InterfaceName, Session: c.Name + "/" + s.Name, MTU: mtu, KeepMTU: s.MTU == 0})
		}
	}
	if err := a.trunk.Prune(func(name string) bool { _, ok := mtus[name]; return ok }); err != nil {
		a.log.Warn("remove local interfaces of sessions that are gone", "error", err)
	}
	made, err := a.trunk.Ensure(want)
	if err != nil {
		a.log.Error("make local interfaces", "error", err)
	}
	for _, b := range made {
		bindings[b.Name] = bound{Binding: b, MTU: mtus[b.Name]}
		if mac, err := net.ParseMAC(b.MAC); err == nil && pppoe[b.Name] {
			a.clients[b.Name] = l2tp.MAC(mac)
		}
	}
	return bindings, err
}

// notMade picks, of the errors of many interfaces, the one about this.
func notMade(name string, err error) string {
	list, ok := err.(interface{ Unwrap() []error })
	if ok {
		for _, e := range list.Unwrap() {
			if strings.Contains(e.Error(), "interface "+name+":") {
				return e.Error()
			}
		}
	}
	if err == nil || ok {
		return "interface " + name + " was not made"
	}
	return err.Error()
}

// localMTU is the configured MTU, or what the kernel would give l2tpethN now: from the route's MTU,
// or 1500 without one.
func (a *Appliance) localMTU(t *config.Tunnel, s *config.Session) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	path := 1500
	if h := a.targets[hopKey(t)].hop; h.MTU > 0 {
		path = h.MTU
	}
	if mtu := s.InterfaceMTU(t, path); s.MTU != 0 || mtu < widestMTU {
		return mtu
	}
	return widestMTU
}

// bind gives a session its place on the trunk, or the reason why it has none.
func (s *session) bind(bindings map[string]bound, failed error) {
	b, ok := bindings[s.ifname()]
	s.wait("")
	if !ok {
		s.wait(notMade(s.ifname(), failed))
	}
	s.mtu, s.svlan, s.cvlan = uint16(b.MTU), b.SVLAN, b.CVLAN
}

// trunkPort is the trunk's inner end, or nil. The caller holds mu.
func (a *Appliance) trunkPort() *port {
	for _, p := range a.ports {
		if p.trunk {
			return p
		}
	}
	return nil
}

// trunkIndex is the port index of the trunk. The caller holds mu.
func (a *Appliance) trunkIndex() uint16 {
	if p := a.trunkPort(); p != nil {
		return p.index
	}
	return rings.NoPort
}
