package appliance

import (
	"slices"
	"time"

	"xwire/config"
	"xwire/rings/steer"
)

// share is what of a port's frames sessions take.
type share struct {
	whole, untagged bool
	vlans           map[tags]bool
	pppoes          map[steer.PPPoE]int // of how many clients
}

func newShare() share {
	return share{vlans: make(map[tags]bool), pppoes: make(map[steer.PPPoE]int)}
}

// circuitMove is what changes on a port.
type circuitMove struct{ leave, come share }

// circuitMoves is what changes on the ports, by name.
type circuitMoves map[string]*circuitMove

// circuitMoves finds what sessions give up and what they take. The caller holds mu.
func (a *Appliance) circuitMoves(set *changeSet) circuitMoves {
	moves := make(circuitMoves)
	of := func(name string) *circuitMove {
		if moves[name] == nil {
			moves[name] = &circuitMove{newShare(), newShare()}
		}
		return moves[name]
	}
	for i := range set.sessions {
		c := &set.sessions[i]
		if c.s != nil && c.ran && onPort(c.from) {
			of(c.from.Attach).leave.add(c.from)
		}
		if c.runs() && onPort(c.to) {
			of(c.to.Attach).come.add(c.to)
		}
	}
	for _, m := range moves {
		m.settle()
	}
	return moves
}

func onPort(s *config.Session) bool { return !s.Local() && !s.Switched() }

func (k *share) add(s *config.Session) {
	var p port
	p.attach(s)
	for _, t := range p.pppoes {
		k.pppoes[t]++
	}
	k.whole, k.untagged = k.whole || p.rules.Whole, k.untagged || p.rules.Untagged
	for _, t := range p.vlans {
		k.vlans[t] = true
	}
}

// settle leaves alone what one session gives up and another takes.
func (m *circuitMove) settle() {
	for t := range m.leave.vlans {
		if m.come.vlans[t] {
			delete(m.leave.vlans, t)
			delete(m.come.vlans, t)
		}
	}
	for t, n := range m.leave.pppoes {
		n = min(n, m.come.pppoes[t])
		m.leave.pppoes[t] -= n
		m.come.pppoes[t] -= n
	}
	m.leave.whole, m.leave.untagged = m.leave.whole && !m.come.whole, m.leave.untagged && !m.come.untagged
}

// leave has the steering programs no longer take what no session wants.
func (moves circuitMoves) leave(a *Appliance) {
	for name, m := range moves {
		p := a.portNamed(name)
		if p == nil {
			continue
		}
		if len(m.leave.vlans) > 0 {
			p.vlans = slices.DeleteFunc(p.vlans, func(t tags) bool { return m.leave.vlans[t] })
			if o := p.opened; o != nil && o.program != nil {
				for t := range m.leave.vlans {
					a.warnChange("steer VLAN no more", name, o.program.RemoveVLAN(t.outer, t.inner))
				}
			}
		}
		for t, n := range m.leave.pppoes {
			for range n {
				if i := slices.Index(p.pppoes, t); i >= 0 {
					p.pppoes = slices.Delete(p.pppoes, i, i+1)
				}
				if o := p.opened; o != nil && o.program != nil {
					a.warnChange("steer PPPoE session no more", name, o.program.RemovePPPoE(t))
				}
			}
		}
	}
}

// come has the steering programs take what sessions want now, and sets the ports' rules.
func (moves circuitMoves) come(a *Appliance) {
	for name, m := range moves {
		p := a.portNamed(name)
		if p == nil {
			continue
		}
		was := p.rules
		p.rules.Whole = p.rules.Whole && !m.leave.whole || m.come.whole
		p.rules.Untagged = p.rules.Untagged && !m.leave.untagged || m.come.untagged
		p.rules.Core = !p.rules.Whole
		for t := range m.come.vlans {
			p.vlans = append(p.vlans, t)
		}
		for t, n := range m.come.pppoes {
			p.pppoes = append(p.pppoes, slices.Repeat([]steer.PPPoE{t}, n)...)
		}
		if p.opened == nil || p.opened.program == nil {
			continue
		}
		for t := range m.come.vlans {
			a.warnChange("steer VLAN", name, p.opened.program.AddVLAN(t.outer, t.inner))
		}
		for t, n := range m.come.pppoes {
			for range n {
				a.warnChange("steer PPPoE session", name, p.opened.program.AddPPPoE(t))
			}
		}
		if p.rules != was {
			a.setRules(p)
		}
		a.setPromiscuous(p)
	}
}

// setRules puts an open port's rules into force.
func (a *Appliance) setRules(p *port) {
	p.rules.L2CP = steer.L2CP(p.L2CP)
	a.table.SetPort(p.index, p.spec())
	a.warnChange("set devices of port", p.Name, a.setDevices(p))
	a.warnChange("set rules of port", p.Name, p.opened.program.SetRules(p.rules))
}

// setPromiscuous has an open port take frames to any MAC as long as attachment circuits lie on it.
func (a *Appliance) setPromiscuous(p *port) {
	o := p.opened
	switch {
	case p.access() && o.promisc == nil:
		c, err := a.host.Promiscuous(p.Interface)
		if err != nil {
			a.warnChange("make port promiscuous", p.Name, err)
			return
		}
		o.promisc = c
	case !p.access() && o.promisc != nil:
		a.warnChange("leave promiscuous mode", p.Name, o.promisc.Close())
		o.promisc = nil
	}
}

// commitPorts adds, changes and removes ports. The supervisor opens those that are closed then.
func (a *Appliance) commitPorts(list []config.Delta[config.Port]) {
	for i := range list {
		d := &list[i]
		if d.New == nil {
			if p := a.portNamed(d.Old.Name); p != nil {
				a.closePort(p)
				a.former[p.Name] = p
				a.ports = slices.DeleteFunc(a.ports, func(q *port) bool { return q == p })
			}
			continue
		}
		if d.Old == nil {
			p := &port{Port: *d.New}
			p.rules.Core, p.rules.L2CP = true, steer.L2CP(d.New.L2CP)
			a.addPort(p)
			continue
		}
		p := a.portNamed(d.New.Name)
		if p == nil {
			continue
		}
		reset := config.PortEffect(d) == config.PortReset
		if reset {
			a.closePort(p)
			p.reason, p.retry = "its configuration changed", time.Time{}
		}
		p.Port = *d.New
		p.rules.L2CP = steer.L2CP(p.L2CP)
		if p.opened != nil && p.opened.program != nil && slices.Contains(d.Keys, "l2cp") {
			a.setRules(p)
		}
	}
	a.tellPorts()
}
