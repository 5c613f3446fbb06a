package steer

import "fmt"

// PPPoE names a PPPoE session (RFC 2516) of a port.
type PPPoE struct {
	S       uint16 // S-VLAN or only VLAN; 0: untagged, or with a priority tag
	C       uint16 // C-VLAN; AnyVLAN: none
	Session uint16 // 1 to 65534
}

func (c PPPoE) check() error {
	if c.Session == 0 || c.Session == 0xffff {
		return fmt.Errorf("PPPoE session %d is not within 1-65534", c.Session)
	}
	if c.S == 0 && c.C == AnyVLAN {
		return nil
	}
	return checkVLAN(c.S, c.C)
}

func (c PPPoE) key() steerPppoe { return steerPppoe{Svid: c.S, Cvid: c.C, Session: c.Session} }

// AddPPPoE takes a PPPoE session's data frames, to a MAC address of the port, for an attachment
// circuit. Discovery stays with the kernel.
func (p *Program) AddPPPoE(c PPPoE) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("add a PPPoE session to %s: %w", p.cfg.Name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.pppoes.first(c.key(), func(k steerPppoe) error { return p.objs.Pppoes.Put(k, uint32(0)) })
	if err == nil {
		err = p.rulePPPoE()
	}
	if err != nil {
		return fmt.Errorf("add PPPoE session %d to %s: %w", c.Session, p.cfg.Name, err)
	}
	return nil
}

// RemovePPPoE takes back one AddPPPoE.
func (p *Program) RemovePPPoE(c PPPoE) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("remove a PPPoE session from %s: %w", p.cfg.Name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.pppoes.last(c.key(), func(k steerPppoe) error { return p.objs.Pppoes.Delete(k) })
	if err == nil {
		err = p.rulePPPoE()
	}
	if err != nil {
		return fmt.Errorf("remove PPPoE session %d from %s: %w", c.Session, p.cfg.Name, err)
	}
	return nil
}

// rulePPPoE has the program look for PPPoE sessions only while there are some.
func (p *Program) rulePPPoE() error {
	port := p.port
	port.Rule &^= steerRuleRULE_PPPOE
	if len(p.pppoes) > 0 {
		port.Rule |= steerRuleRULE_PPPOE
	}
	if port == p.port {
		return nil
	}
	return p.setPort(port)
}
