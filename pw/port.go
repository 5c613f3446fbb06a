package pw

import (
	"sync/atomic"
)

// port is what workers read of a port: which kinds of attachments it has, so that a frame is
// looked at no further than it needs.
type port struct {
	// state is the largest frame to be sent, without its tags, in bytes (upper half) and flags.
	state atomic.Uint64
	// catch holds the sessions without a VLAN identifier: untagged (upper half), all (lower half).
	catch atomic.Uint64
	// mac is the address of its own, in the lower 48 bits.
	mac atomic.Uint64
}

const (
	portCore     = 1 << iota
	portOverlaps // some of its sessions could send frames that are another's: see owner.go
	portAll
	portUntagged
	portVLAN // any outer identifier, QinQ included
	portQinQ
	portPPPoE   // some of its sessions are PPPoE sessions
	portSeveral // some of its sessions have several VLANs, or what pairs leave of one

	portAttached = portAll | portUntagged | portVLAN | portPPPoE
)

const noLimit = 1<<32 - 1

// attachments is the control plane's side of a port.
type attachments struct {
	sharing       sharing
	pppoe         pppoeVLANs
	spec          PortSpec
	all, untagged uint32 // session records
	vlans         int    // sessions
	qinq, ranges  int    // among them
}

func (a *attachments) publish(p *port) {
	state := uint64(noLimit) << 32
	if a.spec.MTU > 0 {
		state = uint64(a.spec.MTU+14) << 32
	}
	if a.spec.Core {
		state |= portCore
	}
	if a.mixed() {
		state |= portOverlaps
	}
	if a.all != 0 {
		state |= portAll
	}
	if a.untagged != 0 {
		state |= portUntagged
	}
	if a.vlans != 0 {
		state |= portVLAN
	}
	if a.qinq != 0 {
		state |= portQinQ
	}
	if len(a.pppoe) > 0 {
		state |= portPPPoE
	}
	if a.ranges != 0 || a.qinq != 0 && a.qinq != a.vlans {
		state |= portSeveral
	}
	p.mac.Store(macWord(a.spec.MAC))
	p.catch.Store(uint64(a.untagged)<<32 | uint64(a.all))
	p.state.Store(state)
}
