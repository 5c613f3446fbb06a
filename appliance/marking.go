package appliance

import (
	"xwire/config"
	"xwire/pw"
)

// marking leaves to the tunnel what the session does not say. Tags of the trunk are not the customer's.
func marking(c *config.Session, ac pw.Attachment) (p pw.Marking) {
	m := &c.Marking
	p = pw.Marking{TTL: m.TTL, TTLInner: m.TTLInner, PCP: m.PCP, DSCP: m.DSCP, ECN: m.ECN, FlowLabel: m.FlowLabel, SourcePort: m.FlowPort}
	switch {
	case m.DFInner:
		p.DF = pw.DFInner
	case m.DFGiven && m.DF:
		p.DF = pw.DFSet
	case m.DFGiven:
		p.DF = pw.DFClear
	}
	switch {
	case m.TOSInner:
		p.TOSFrom = pw.TOSInner
	case m.TOSGiven:
		p.TOSFrom, p.TOS = pw.TOSFixed, m.TOS
	}
	if m.PCP && c.Local() {
		p.Skip = 1
		if ac.VLAN.Kind == pw.VLANQinQ {
			p.Skip = 2
		}
	}
	return p
}

func limits(l config.Limits) (p pw.Limits) {
	p.Tx.Bits, p.Tx.Burst = l.Tx()
	p.Rx.Bits, p.Rx.Burst = l.Rx()
	p.Broadcast, p.Multicast, p.UnknownUnicast = l.Broadcast, l.Multicast, l.UnknownUcast
	return p
}
