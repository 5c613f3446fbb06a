package steer

import "fmt"

// AddMAC makes an address one to which data messages may come on this port: its own, and those
// of interfaces above it. Group addresses never match.
func (p *Program) AddMAC(addr [6]byte) error {
	if addr[0]&1 != 0 {
		return fmt.Errorf("add MAC %x to %s: it is a group's", addr, p.cfg.Name)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.macs.first(steerMac{Addr: addr}, p.storeMAC); err != nil {
		return fmt.Errorf("add MAC %x to %s: %w", addr, p.cfg.Name, err)
	}
	return nil
}

// RemoveMAC takes back one AddMAC.
func (p *Program) RemoveMAC(addr [6]byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.macs.last(steerMac{Addr: addr}, p.dropMAC); err != nil {
		return fmt.Errorf("remove MAC %x from %s: %w", addr, p.cfg.Name, err)
	}
	return nil
}

// storeMAC puts an address into the map, and beside the rules if that place is free: the address
// there costs no look into the map.
func (p *Program) storeMAC(k steerMac) error {
	if err := p.objs.Macs.Put(k, uint32(0)); err != nil {
		return err
	}
	if p.port.Rule&steerRuleRULE_MAC != 0 {
		return nil
	}
	port := p.port
	port.Mac, port.Rule = k, port.Rule|steerRuleRULE_MAC
	return p.setPort(port)
}

func (p *Program) dropMAC(k steerMac) error {
	if err := p.objs.Macs.Delete(k); err != nil {
		return err
	}
	if p.port.Mac != k {
		return nil
	}
	port := p.port
	port.Mac, port.Rule = steerMac{}, port.Rule&^steerRuleRULE_MAC
	return p.setPort(port)
}

func (p *Program) setPort(port steerPort) error {
	if err := p.objs.ThisPort.Put(uint32(0), port); err != nil {
		return err
	}
	p.port = port
	return nil
}
