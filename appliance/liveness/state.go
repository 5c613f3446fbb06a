package liveness

import (
	"net/netip"
	"time"

	"xwire/l2tp"
)

// State is what is known of a tunnel's peer.
type State uint8

const (
	Unknown State = iota // nothing is asked, or nothing was answered yet
	Up                   // it acknowledged the last HELLO
	Down                 // it did not, however often that was sent
)

var states = [...]string{"unknown", "up", "down"}

func (s State) String() string { return states[s] }

// Tunnel is a static tunnel to watch.
type Tunnel struct {
	Name        string
	VRF         string // device; empty: the main table
	Local, Peer netip.AddrPort
	TID, PTID   uint32
	Version     uint8 // 2 or 3
	Encap       l2tp.Encap

	// Yields leaves the messages over UDP to any program that has the port, not only to one that has
	// a socket for the very same peer.
	Yields bool

	Hello  time.Duration // without a message from the peer before a HELLO is sent; 0: none is
	Retry  time.Duration // before a HELLO is sent again, doubled each time up to 8 s; 0: 1 s
	Sends  int           // of one HELLO, before the peer is down; 0: 3
	Window int           // control messages in flight; 0: 4
}

// Status is how a tunnel's peer does.
type Status struct {
	State    State
	Reason   string        // why it is unknown or down
	Since    time.Time     // when State changed last; zero: never
	Heard    time.Time     // when its last message came; zero: never
	Interval time.Duration // between HELLOs; 0: none are sent
	Sent     uint64        // control messages: HELLOs, repetitions and acknowledgements
	Received uint64        // control messages
}

// Change is news of one tunnel.
type Change struct {
	Tunnel string
	From   State
	Status Status
}
