package steer

import "fmt"

// Stats counts what the program did with the frames of one port since it was attached. Each frame
// is in exactly one of the numbers.
type Stats struct {
	EncapRedirected uint64 // of an attachment circuit, to a socket
	DecapRedirected uint64 // L2TP data messages to us, to a socket
	L2CPDropped     uint64 // dropped because of L2CPDrop
	Heard           uint64 // control messages to tunnels that were added by AddControl, handed up

	// To the kernel:
	NoSocket    uint64 // ours, but no socket on the RX queue they came by
	L2CPHost    uint64 // because of L2CPHost
	Control     uint64 // L2TP control messages to our tunnel addresses (T bit, or session id 0)
	Short       uint64 // to our tunnel addresses, too short for a data message
	Fragments   uint64 // outer fragments to our tunnel addresses, of no packet of which the first one was redirected
	Options     uint64 // with IPv4 options or IPv6 extension headers, to our tunnel addresses
	ForeignMAC  uint64 // data messages and PPPoE sessions of ours, but to another station's MAC, or a group's
	ForeignVLAN uint64 // data messages to us, in a VLAN without a device over the port
	Unknown     uint64 // data messages of no session added, to an address that is shared
	Other       uint64 // everything else
}

// Redirected is the number of frames given to sockets; what a socket could not take is in the
// socket's own statistics.
func (s Stats) Redirected() uint64 { return s.EncapRedirected + s.DecapRedirected }

// ToKernel names what was left to the kernel although it is about our tunnels or circuits, by the
// reason; what never occurred is not there.
func (s Stats) ToKernel() map[string]uint64 {
	m := make(map[string]uint64)
	for _, r := range []struct {
		name string
		n    uint64
	}{
		{"no_socket", s.NoSocket}, {"l2cp", s.L2CPHost}, {"control", s.Control}, {"short", s.Short}, {"fragment", s.Fragments},
		{"ip_options", s.Options}, {"foreign_mac", s.ForeignMAC}, {"foreign_vlan", s.ForeignVLAN}, {"unknown_session", s.Unknown},
	} {
		if r.n > 0 {
			m[r.name] = r.n
		}
	}
	return m
}

// Stats reads the counters, summed over CPUs.
func (p *Program) Stats() (Stats, error) {
	n, err := p.outcomes()
	if err != nil {
		return Stats{}, fmt.Errorf("read the statistics of %s: %w", p.cfg.Name, err)
	}
	return Stats{
		EncapRedirected: n[steerOutcomeENCAP_REDIRECTED],
		DecapRedirected: n[steerOutcomeDECAP_REDIRECTED],
		L2CPDropped:     n[steerOutcomeL2CP_DROPPED],
		Heard:           n[steerOutcomeCONTROL_HEARD],
		NoSocket:        n[steerOutcomeNO_SOCKET],
		L2CPHost:        n[steerOutcomeL2CP_HOST],
		Control:         n[steerOutcomeCONTROL],
		Short:           n[steerOutcomeSHORT],
		Fragments:       n[steerOutcomeFRAGMENT_SEEN],
		Options:         n[steerOutcomeOPTIONS_SEEN],
		ForeignMAC:      n[steerOutcomeFOREIGN_MAC],
		ForeignVLAN:     n[steerOutcomeFOREIGN_VLAN],
		Unknown:         n[steerOutcomeUNKNOWN_SESSION],
		Other:           n[steerOutcomeOTHER],
	}, nil
}

func (p *Program) outcomes() (n [steerOutcomeOUTCOMES]uint64, err error) {
	for i := range n {
		var cpus []uint64
		if err := p.objs.Stats.Lookup(uint32(i), &cpus); err != nil {
			return n, err
		}
		for _, c := range cpus {
			n[i] += c
		}
	}
	return n, nil
}
