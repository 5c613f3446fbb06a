package appliance

import (
	"errors"

	"xwire/appliance/liveness"
	"xwire/config"
)

// circuits are the attachment circuits that are down because the peer of their tunnel is. The
// supervisor owns them.
type circuits struct {
	locals map[string]bool // local interfaces without carrier
	links  map[string]bool // interfaces of ports that are set down
}

// followPeers takes down the circuits of tunnels whose peers are down, where on_down says so, and
// puts the others back.
func (a *Appliance) followPeers() {
	want := a.cutTunnels()
	for name := range a.circuits.locals {
		if !want.locals[name] {
			a.setCarrier(name, true)
			delete(a.circuits.locals, name)
		}
	}
	for name := range a.circuits.links {
		if !want.links[name] {
			a.setLink(name, true)
			delete(a.circuits.links, name)
		}
	}
	for name := range want.locals {
		if !a.circuits.locals[name] && a.setCarrier(name, false) {
			a.circuits.locals[name] = true
		}
	}
	for name := range want.links {
		if !a.circuits.links[name] && a.setLink(name, false) {
			a.circuits.links[name] = true
		}
	}
}

// cutTunnels stops or begins sending into tunnels as their peers do, and names the circuits that
// are to be down.
func (a *Appliance) cutTunnels() circuits {
	want := circuits{locals: make(map[string]bool), links: make(map[string]bool)}
	if a.circuits.locals == nil {
		a.circuits = circuits{locals: make(map[string]bool), links: make(map[string]bool)}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.tunnels {
		if t.target == nil {
			t.cut = false
			continue
		}
		cut := false
		if t.OnDown == config.OnDownACDown {
			s, ok := a.peers.Status(t.Name)
			cut = ok && s.State == liveness.Down
		}
		if cut {
			a.table.SetTunnelNextHop(t.id, 0)
			a.wantDown(t, want)
		} else if t.cut {
			a.table.SetTunnelNextHop(t.id, t.target.id)
		}
		if t.cut != cut {
			t.cut = cut
			a.unsettled.target(t.target)
			a.wakeSupervisor()
		}
	}
	return want
}

// wantDown adds a tunnel's circuits that can be taken down. A VLAN of a port cannot: other VLANs
// share the link.
func (a *Appliance) wantDown(t *tunnel, want circuits) {
	for _, s := range t.sessions {
		if !s.standing {
			continue
		}
		c := s.config()
		switch p := a.portNamed(c.Attach); {
		case c.Local():
			want.locals[c.InterfaceName] = true
		case p != nil && c.VLAN.Kind == config.VLANAll:
			want.links[p.Interface] = true
		}
	}
}

func (a *Appliance) setCarrier(name string, on bool) bool {
	err := a.trunk.Load().SetCarrier(name, on)
	a.tellCircuit("local interface", name, on, err)
	return err == nil
}

func (a *Appliance) setLink(name string, up bool) bool {
	err := a.host.SetLink(name, up)
	a.tellCircuit("port", name, up, err)
	return err == nil
}

func (a *Appliance) tellCircuit(kind, name string, up bool, err error) {
	switch {
	case err != nil && up:
		a.log.Warn("attachment circuit stays down", "interface", name, "kind", kind, "error", err)
	case err != nil:
		a.log.Debug("attachment circuit stays up", "interface", name, "kind", kind, "error", err)
	case up:
		a.log.Info("attachment circuit up again", "interface", name, "kind", kind)
	default:
		a.log.Warn("attachment circuit down with its tunnel", "interface", name, "kind", kind)
	}
}

// circuitsUp puts back at a stop what is down. Links are in the host's journal, which is put back
// as a whole.
func (a *Appliance) circuitsUp() {
	var errs []error
	for name := range a.circuits.locals {
		errs = append(errs, a.trunk.Load().SetCarrier(name, true))
	}
	if err := errors.Join(errs...); err != nil {
		a.log.Warn("give local interfaces their carrier back", "error", err)
	}
}
