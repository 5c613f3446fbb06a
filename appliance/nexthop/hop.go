package nexthop

import (
	"net/netip"
	"slices"
	"time"

	"xwire/l2tp"
)

// Key is what a next hop depends on. Many tunnels share one.
type Key struct {
	Peer  netip.Addr // a zone is honoured: link-local peers
	Local netip.Addr // the source address; invalid or unspecified: the kernel chooses
	VRF   string     // name of a VRF device; empty: the main table's side
}

// State tells whether packets can be sent, and if not, what is missing.
type State uint8

// Only Resolved carries traffic. Every other state ends by itself when the kernel's tables change.
const (
	Resolved    State = iota
	NoAddress         // the local address is not on this box, or not usable yet (IPv6 DAD)
	NoRoute           // the kernel has no route, or one that rejects
	NoNeighbour       // the MAC address is being asked for, or nobody answers
	LinkDown          // the route's device or one under it is down or has no carrier
	NotAPort          // the route leaves by something that no port lies under
)

func (s State) String() string {
	switch s {
	case Resolved:
		return "resolved"
	case NoAddress:
		return "no_address"
	case NoRoute:
		return "no_route"
	case NoNeighbour:
		return "no_neighbour"
	case LinkDown:
		return "link_down"
	case NotAPort:
		return "not_a_port"
	}
	return "unknown"
}

// Hop is the answer for one key. Src, Dst and Tags hold only when State is Resolved; Ifindex, Src,
// Tags and MTU are filled as far as they are known in the other states.
type Hop struct {
	Key     Key
	State   State
	Reason  string // empty when Resolved; else a sentence for people, such as "route to 198.51.100.7 leaves by eth7, which is no port"
	Ifindex int    // of the port; of NotAPort: of the interface, or bond of interfaces, to make one
	Src     l2tp.MAC
	Dst     l2tp.MAC
	Tags    []l2tp.Tag // outermost first; shared, not to be written
	MTU     int        // largest outer IP packet in bytes: the route's MTU or the smallest one of the devices
	Since   time.Time  // when it last became different
	Pending bool       // of NoNeighbour: it is being resolved, and has not failed
}

// same compares all that a reader of a Hop acts on; Since is not part of it.
func (h *Hop) same(o *Hop) bool {
	return h.State == o.State && h.Reason == o.Reason && h.Ifindex == o.Ifindex && h.Src == o.Src &&
		h.Dst == o.Dst && h.MTU == o.MTU && slices.Equal(h.Tags, o.Tags)
}
