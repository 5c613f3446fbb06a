package pw

import (
	"encoding/binary"

	"xwire/l2tp"
)

// fragmentHome remembers what was answered for a packet's first fragment: those that follow it do not
// say whose they are.
type fragmentHome struct {
	hash uint64
	to   uint8
	kept bool
}

func (r *reassembly) home(hash uint64) *fragmentHome { return &r.homes[hash%uint64(len(r.homes))] }

// spreadFragment answers Spread for a fragment: for the first one as for the packet, by what it says of
// the session, and for those that follow it the same. Those that come before it stay here, and so does then the
// first one, unless its session's packets must be one worker's.
func (f *Forwarder) spreadFragment(b []byte, l *lookup, n uint64) uint8 {
	g, h, ok := f.fragmentOf(b, l)
	if !ok {
		return stay
	}
	home := f.reassembly.home(h)
	if g.at != 0 {
		if home.hash == h {
			return home.to
		}
		return stay
	}
	packet := f.reassembly.alone(b, &g)
	*home = fragmentHome{hash: h, to: f.spreadDecap(packet, n)}
	if f.reassembly.awaits(&g.key, h) && !f.ordered(f.findDecap(packet)) {
		home.to = stay
	}
	return home.to
}

// keptFragment answers kept for a fragment for which Spread has named a worker; false for what is none.
func (f *Forwarder) keptFragment(b []byte, in uint16) bool {
	l := &f.toDecap[0] // free between two bursts
	if len(b) < l2tp.EthernetLen || f.table.ports[in%MaxPorts].state.Load()&portCore == 0 || parseOuter(b, l) != DropIPFragment {
		return false
	}
	g, h, ok := f.fragmentOf(b, l)
	if !ok {
		return false
	}
	home := f.reassembly.home(h)
	if home.hash != h {
		return false
	}
	if g.at == 0 {
		home.kept = f.kept(f.reassembly.alone(b, &g), in)
	}
	return home.kept
}

func (f *Forwarder) fragmentOf(b []byte, l *lookup) (g fragment, hash uint64, ok bool) {
	if f.reassembly == nil {
		return g, 0, false
	}
	g = readFragment(b, l)
	return g, g.key.hash(&f.table.seeds), g.valid
}

// alone makes of the beginning of a first fragment a packet of its own, which is valid until the next.
func (r *reassembly) alone(b []byte, g *fragment) []byte {
	size := min(g.n, uint32(len(r.head))-g.body)
	copy(r.head[:], b[:g.body+size])
	p, start := partial{key: g.key, next: g.next}, uint32(0)
	if g.key.ip6 {
		start = fragmentHeaderLen
		copy(r.head[start:g.body], b[:g.l3+l2tp.IPv6Len])
	}
	p.unfragment(r.head[start+g.l3:], size)
	if g.next == l2tp.ProtoUDP && size >= l2tp.UDPLen {
		binary.BigEndian.PutUint16(r.head[g.body+4:], uint16(size))
	}
	return r.head[start : g.body+size]
}
