package appliance

import (
	"github.com/vishvananda/netlink"
)

// resize is one local interface whose route has another MTU now.
type resize struct {
	name     string
	from, to int
}

// resizeLocals has the MTU of local interfaces follow their routes', where mtu is not set. One that an
// operator has given another stays as it is. What routers further on tell does not change it: it comes
// and goes, and larger frames leave in fragments.
func (a *Appliance) resizeLocals() {
	for _, r := range a.resizes() {
		l, err := netlink.LinkByName(r.name)
		if err != nil || l.Attrs().MTU != r.from {
			continue
		}
		if err := netlink.LinkSetMTU(l, r.to); err != nil {
			a.log.Warn("MTU of local interface does not follow the route's", "interface", r.name, "mtu", r.to, "error", err)
			continue
		}
		a.log.Info("MTU of local interface follows the route's", "interface", r.name, "from", r.from, "to", r.to)
	}
}

// resizes finds them among the sessions of the targets whose MTU has changed.
func (a *Appliance) resizes() (list []resize) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.resized) == 0 {
		return nil
	}
	for s := range a.eachSession {
		if !s.standing || s.ifname() == "" || !a.resized[s.tunnel.target] {
			continue
		}
		c := s.config()
		if !c.Local() || c.MTU != 0 {
			continue
		}
		mtu := min(c.InterfaceMTU(&s.tunnel.Tunnel, s.tunnel.target.hop.MTU), a.trunkMTU)
		if mtu != int(s.mtu) {
			list = append(list, resize{s.ifname(), int(s.mtu), mtu})
			s.mtu = uint16(mtu)
		}
	}
	clear(a.resized)
	return list
}
