package config

import (
	"net/netip"

	"xwire/l2tp"
)

// Unknown is what becomes of data messages to a tunnel's local address whose session is none of ours.
type Unknown uint8

// In the order of the key's values.
const (
	UnknownDrop   Unknown = iota // dropped and counted
	UnknownKernel                // left to the kernel: its own L2TP, and daemons, may use address and port too
)

var unknowns = [...]string{"drop", "kernel"}

func (u Unknown) String() string { return unknowns[u] }

// inheritUnknown gives a tunnel without the key what [appliance] says.
func (t *tunnelDraft) inheritUnknown(given keySet, a *Appliance) {
	if t.UnknownGiven = tables["tunnel"].holds(given, "unknown"); !t.UnknownGiven {
		t.Unknown = a.Unknown
	}
}

// end is where tunnels end: what is asked of messages there holds for all of them.
type end struct {
	encap l2tp.Encap
	local netip.AddrPort
}

// clashingUnknowns reports tunnels of one local address and port that differ: the session of a message
// that nobody knows does not tell whose tunnel it is.
func (l *loader) clashingUnknowns() {
	ends := map[end]*tunnelDraft{}
	for _, t := range l.tunnels {
		if !t.Enabled || !t.Local.IsValid() {
			continue
		}
		at := end{t.Encap, t.Local}
		switch first := ends[at]; {
		case first == nil:
			ends[at] = t
		case first.Unknown != t.Unknown:
			problems{l, "tunnel", &t.draft}.errorf("unknown", `is %q here and %q in tunnel %q (%s), whose local address is the same; say one of them in both`,
				t.Unknown, first.Unknown, first.Name, first.Pos)
		}
	}
}
