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
	trunkMTU  = 1600
	widestMTU = config.WidestLocal // of a local interface
)

// makeTrunk opens the trunk when a session needs it, and adds its inner end as a port. One that is
// not needed any more is removed. Without a trunk its sessions wait with the reason.
func (a *Appliance) makeTrunk(cfg *config.Config) error {
	mtu, needed := 0, false
	for i := range cfg.Tunnels {
		for j := range cfg.Tunnels[i].Sessions {
			s := &cfg.Tunnels[i].Sessions[j]
			if s.Local() && s.Enabled && cfg.Tunnels[i].Enabled {
				needed, mtu = true, max(mtu, a.localMTU(&cfg.Tunnels[i], s))
			}
		}
	}
	if !needed {
		a.mu.Lock()
		a.trunkMTU = trunkMTU
		a.mu.Unlock()
		a.removeTrunk()
		return nil
	}
	if a.noTrunk = a.openTrunk(mtu); a.noTrunk != nil {
		if a.settings.Strict {
			return a.noTrunk
		}
		a.log.Error("local interfaces wait", "error", a.noTrunk)
	}
	return nil
}

// openTrunk makes the trunk for interfaces of an MTU, or has the one that is there carry it.
func (a *Appliance) openTrunk(mtu int) error {
	mtu = min(max(trunkMTU, mtu), widestMTU)
	t := a.trunk.Load()
	a.mu.Lock()
	if t != nil && mtu <= a.trunkMTU {
		a.mu.Unlock()
		return nil
	}
	a.trunkMTU = mtu
	a.mu.Unlock()
	if t != nil {
		return t.Widen(mtu)
	}
	t, err := trunk.Open(a.trunkConfig())
	if err != nil {
		return fmt.Errorf("open trunk of local interfaces: %w", err)
	}
	p := &port{trunk: true}
	p.Name, p.Interface = "trunk", t.InnerName()
	p.rules.Whole = true // all that local interfaces send is a session's
	a.mu.Lock()
	defer a.mu.Unlock()
	a.trunk.Store(t)
	a.addPort(p)
	return nil
}

func (a *Appliance) trunkConfig() trunk.Config {
	return trunk.Config{Dir: a.dir, Queues: len(a.workers), MTU: a.trunkMTU, Log: a.log}
}

// remakeTrunk makes a trunk anew that somebody deleted. Its interfaces follow in restoreLocals.
func (a *Appliance) remakeTrunk() error {
	a.log.Warn("the trunk of local interfaces is gone: it is made again")
	if err := a.trunk.Load().Remake(); err != nil {
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
	t := a.trunk.Load()
	if t == nil {
		return nil, a.noTrunk
	}
	var want []trunk.Interface
	wanted := make(map[string]bool)
	for i := range cfg.Tunnels {
		c := &cfg.Tunnels[i]
		for j := range c.Sessions {
			s := &c.Sessions[j]
			if !s.Local() || !s.Enabled || !c.Enabled {
				continue
			}
			wanted[s.InterfaceName] = true
			want = append(want, a.localInterface(c, s))
		}
	}
	if err := t.Prune(func(name string) bool { return wanted[name] }); err != nil {
		a.log.Warn("remove local interfaces of sessions that are gone", "error", err)
	}
	return a.ensureLocals(want)
}

// localInterface is what the trunk is asked for.
func (a *Appliance) localInterface(t *config.Tunnel, s *config.Session) trunk.Interface {
	return trunk.Interface{Name: s.InterfaceName, Session: t.Name + "/" + s.Name, MTU: a.localMTU(t, s), KeepMTU: s.MTU == 0}
}

// ensureLocals makes local interfaces. The error is that of those that were not made; the others stand.
func (a *Appliance) ensureLocals(want []trunk.Interface) (map[string]bound, error) {
	made, err := a.trunk.Load().Ensure(want)
	if err != nil {
		a.log.Error("make local interfaces", "error", err)
	}
	mtus := make(map[string]int, len(want))
	for _, w := range want {
		mtus[w.Name] = w.MTU
	}
	bindings := make(map[string]bound, len(made))
	for _, b := range made {
		bindings[b.Name] = bound{Binding: b, MTU: mtus[b.Name]}
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
	if to := a.targets[hopKey(t)]; to != nil && to.hop.MTU > 0 {
		path = to.hop.MTU
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

// noteClient remembers the address of a PPP session's local interface: it is the PPPoE client's. The
// caller holds mu.
func (a *Appliance) noteClient(c *config.Session, bindings map[string]bound) {
	if !c.PPP() || !c.Local() {
		return
	}
	if b, ok := bindings[c.InterfaceName]; ok {
		if mac, err := net.ParseMAC(b.MAC); err == nil {
			a.clients[c.InterfaceName] = l2tp.MAC(mac)
		}
	}
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
