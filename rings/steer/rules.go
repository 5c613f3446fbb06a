package steer

import "fmt"

// L2CP says what becomes of the layer-2 control protocols of a customer (STP, LACP, LLDP: frames
// to 01-80-C2-00-00-00 to -0F) where they would go into a pseudowire.
type L2CP uint8

// The choices of the port key l2cp.
const (
	L2CPTunnel L2CP = iota // carried like any frame
	L2CPDrop               // dropped, and counted
	L2CPHost               // left to the kernel of this box
)

// String gives the value of the port key l2cp.
func (l L2CP) String() string {
	switch l {
	case L2CPTunnel:
		return "tunnel"
	case L2CPDrop:
		return "drop"
	case L2CPHost:
		return "host"
	}
	return fmt.Sprintf("l2cp %d", uint8(l))
}

// PortRules are the rules of a port that are no list. The zero value takes no frame but those of
// the VLANs added.
type PortRules struct {
	Core     bool // L2TP data messages to our tunnel addresses
	Whole    bool // every frame belongs to an attachment circuit
	Untagged bool // frames without a tag, or with a priority tag (VID 0), do
	L2CP     L2CP
}

// SetRules puts rules in force, all in one step. It leaves VLANs, PPPoE sessions and MAC addresses alone.
func (p *Program) SetRules(r PortRules) error {
	var word steerRule
	if r.Core {
		word |= steerRuleRULE_CORE
	}
	if r.Whole {
		word |= steerRuleRULE_WHOLE
	}
	if r.Untagged {
		word |= steerRuleRULE_UNTAGGED
	}
	switch r.L2CP {
	case L2CPDrop:
		word |= steerRuleRULE_L2CP_DROP
	case L2CPHost:
		word |= steerRuleRULE_L2CP_HOST
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	port := p.port
	port.Rule = word | port.Rule&(steerRuleRULE_MAC|steerRuleRULE_PPPOE)
	if err := p.setPort(port); err != nil {
		return fmt.Errorf("set the rules of %s: %w", p.cfg.Name, err)
	}
	return nil
}
