package appliance

import (
	"fmt"

	"xwire/rings/steer"
)

// vlansChanged follows the VLAN devices over core ports: packets of tunnels are taken in their VLANs
// and in no others.
func (a *Appliance) vlansChanged() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.ports {
		if p.opened == nil || p.opened.program == nil {
			continue
		}
		if err := a.setDevices(p); err != nil {
			a.log.Warn("follow VLAN devices", "port", p.Name, "error", err)
		}
	}
}

// setDevices tells a port's steering program which VLAN devices are over it.
func (a *Appliance) setDevices(p *port) error {
	if !p.rules.Core {
		return nil // no packets of tunnels come by it
	}
	vlans := a.hops.VLANs(p.opened.info.Ifindex)
	stacks := make([]steer.Stack, len(vlans))
	for i, v := range vlans {
		for j, t := range v {
			stacks[i][j] = steer.Tag{TPID: t.TPID, VID: t.TCI}
		}
	}
	if err := p.opened.program.SetDevices(stacks); err != nil {
		return fmt.Errorf("steer %s: %w", p.Interface, err)
	}
	return nil
}
