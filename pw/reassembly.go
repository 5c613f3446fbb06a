package pw

import (
	"bytes"
	"encoding/binary"

	"xwire/l2tp"
)

const (
	// reassemblyTime is how long, in nanoseconds, the fragments of a packet may take: the peer sends them
	// at once, and the identifications of IPv4 come again soon.
	reassemblyTime = 1_000_000_000

	// partialSets times partialWays packets are put together at a time by one worker. Each holds the
	// chunk of its first fragment.
	partialSets = 64
	partialWays = 4

	// maxSpans is in how many pieces, with gaps between them, a packet may lie there.
	maxSpans = 8

	fragmentOffset = 0x1fff // of the IPv4 flags and offset word
	ecnCE          = 3
	someCE         = 1 << ecnCE
	someNotECT     = 1 << 0
)

// packetKey names the fragments of one packet: RFC 791 section 3.2, RFC 8200 section 4.5.
type packetKey struct {
	addrs [4]uint64 // source and destination as in flow
	id    uint32
	proto uint8 // over IPv4 only
	ip6   bool
	used  bool
}

// fragment is what the headers of one say.
type fragment struct {
	key   packetKey
	l3    uint32 // where the IP header begins
	body  uint32 // where its data begin
	n     uint32 // how many they are, in bytes
	at    uint32 // where they are in the packet's data
	next  uint8  // protocol of the data
	ecn   uint8
	more  bool
	valid bool
}

// span is a range of a packet's data.
type span struct{ from, to uint32 }

// partial is a packet of which fragments are missing. The room of the one that came first takes the data of all.
type partial struct {
	key   packetKey
	due   int64 // when it is given up
	frame Frame
	l3    uint32
	body  uint32
	total uint32 // bytes of data, once the last fragment is there; until then 0
	have  uint32
	next  uint8
	early bool  // the first fragment is not there, nor what its headers say
	ecn   uint8 // which values of it fragments have, as bits
	n     uint8 // of spans
	spans [maxSpans]span
}

// reassembly puts one worker's fragments together.
type reassembly struct {
	held     int
	due      int64 // not after the first partial's; 0: none
	partials [partialSets][partialWays]partial
	homes    [partialSets * partialWays]fragmentHome
	head     [256]byte // of a first fragment, made a packet of its own
}

// Reassemble has outer fragments put together where the one that came first lies, or in a span of SupplySpans: a
// packet for which there is no room is dropped. Fragments that come before the first of their packet wait for it
// for a moment, while no others need their room. Without Reassemble all fragments are dropped. It is called
// before the first Process.
func (t *Table) Reassemble(l Layout) {
	for _, f := range t.workers {
		f.reassembly = &reassembly{}
		f.layout = l
	}
}

// PortReassembled returns how many packets that the port received in fragments were put together, and
// how many frames went into them, and into those that are not complete: all fragments but the first.
func (t *Table) PortReassembled(p uint16) (packets, merged uint64) {
	if p >= MaxPorts {
		return 0, 0
	}
	for _, f := range t.workers {
		packets += f.portCounters[p].reassembled.load()
		merged += f.portCounters[p].merged.load()
	}
	return packets, merged
}

// readFragment reads the headers of a frame that parseOuter found to be a fragment.
func readFragment(b []byte, l *lookup) (g fragment) {
	p := b[l.l3:]
	g.l3 = uint32(l.l3)
	g.key.used = true
	if p[0]>>4 == 6 { // l.class is not set yet
		end := l2tp.IPv6Len + int(binary.BigEndian.Uint16(p[4:]))
		if end <= l2tp.IPv6Len+fragmentHeaderLen {
			return g
		}
		h := p[l2tp.IPv6Len:]
		word := uint32(binary.BigEndian.Uint16(h[2:]))
		for i := range g.key.addrs {
			g.key.addrs[i] = binary.LittleEndian.Uint64(p[8+8*i:])
		}
		g.key.ip6, g.key.id = true, binary.BigEndian.Uint32(h[4:])
		g.next, g.at, g.more, g.ecn = h[0], word&^7, word&1 != 0, p[1]>>4&3
		g.body = g.l3 + l2tp.IPv6Len + fragmentHeaderLen
		g.n = uint32(end) - l2tp.IPv6Len - fragmentHeaderLen
	} else {
		end := uint32(binary.BigEndian.Uint16(p[2:]))
		if end <= l2tp.IPv4Len {
			return g
		}
		word := uint32(binary.BigEndian.Uint16(p[6:]))
		g.key.addrs[0] = binary.LittleEndian.Uint64(p[12:])
		g.key.id, g.key.proto = uint32(binary.BigEndian.Uint16(p[4:])), p[9]
		g.next, g.at, g.more, g.ecn = p[9], word&fragmentOffset*8, word&moreFragments != 0, p[1]&3
		g.body = g.l3 + l2tp.IPv4Len
		g.n = end - l2tp.IPv4Len
	}
	ours := g.next == l2tp.ProtoUDP || g.next == l2tp.ProtoL2TP
	g.valid = ours && (!g.more || g.n%8 == 0) && g.at+g.n <= maxMTU
	return g
}

// hash places a packet; it must not be foreseeable, or a stranger could push others' packets out.
func (k *packetKey) hash(s *seeds) uint64 {
	a := fold(k.addrs[0]^s[0], k.addrs[1]^s[1]) ^ fold(k.addrs[2]^s[2], k.addrs[3]^s[3])
	h := fold(a, (uint64(k.id)<<8|uint64(k.proto))^s[4])
	return h ^ h>>32
}

// reassemble takes one fragment. True means that fr is the whole packet now; otherwise it is held, or
// goes back as dropped.
func (f *Forwarder) reassemble(mem []byte, fr *Frame, l *lookup, now int64) bool {
	r := f.reassembly
	b := bytesOf(mem, fr)
	g := readFragment(b, l)
	if !g.valid {
		f.drop(fr, DropReassembly)
		return false
	}
	if g.at == 0 && !g.more { // a packet for itself, whatever else has its identification (RFC 6946 section 4)
		p := g.begun(fr)
		f.assemble(mem, &p, fr)
		return true
	}
	set := &r.partials[g.key.hash(&f.table.seeds)%partialSets]
	p := (*partial)(nil)
	for i := range set {
		if set[i].key == g.key {
			p = &set[i]
		}
	}
	if g.at == 0 && p != nil && p.has(mem, b[g.body:g.body+g.n]) {
		f.merged(fr) // a second copy
		return false
	}
	if g.at == 0 && (p == nil || !p.follows(&g)) {
		if p == nil {
			p = oldest(set)
		}
		if p.key.used { // one of another packet, though perhaps with the same identification
			f.giveUp(p, DropReassembly)
		}
		f.begin(p, fr, g.begun(fr), now+reassemblyTime)
		return false
	}
	if p == nil {
		f.wait(mem, vacant(set), fr, &g, now)
		return false
	}
	known, ok := p.add(&g)
	if known {
		f.merged(fr) // a second copy
		return false
	}
	if !ok || !f.widen(mem, &p.frame, p.body+g.at+g.n) {
		f.drop(fr, DropReassembly)
		f.giveUp(p, DropReassembly)
		return false
	}
	copy(mem[p.frame.Addr+uint64(p.body+g.at):], b[g.body:g.body+g.n])
	if g.at == 0 {
		p.lead(mem, b, &g, now)
	}
	f.merged(fr)
	if p.early || p.total == 0 || p.have != p.total {
		return false
	}
	f.emit(*fr)
	f.unsettled = true
	f.assemble(mem, p, fr)
	f.vacate(p)
	return true
}

// merged gives back a fragment whose data are elsewhere now.
func (f *Forwarder) merged(fr *Frame) {
	fr.Out = NoPort
	f.portCounters[fr.In%MaxPorts].merged.add(1)
}

// oldest chooses where a new packet goes: a free place, or that of the one that came first.
func oldest(set *[partialWays]partial) *partial {
	p := &set[0]
	for i := range set {
		if !set[i].key.used {
			return &set[i]
		}
		if set[i].due < p.due {
			p = &set[i]
		}
	}
	return p
}

// begun is the packet of which the fragment fr is the first to come.
func (g *fragment) begun(fr *Frame) partial {
	p := partial{
		key: g.key, frame: *fr, l3: g.l3, body: g.body, next: g.next, ecn: 1 << g.ecn, early: g.at != 0,
		spans: [maxSpans]span{{g.at, g.at + g.n}}, n: 1, have: g.n,
	}
	if !g.more {
		p.total = g.at + g.n
	}
	return p
}

// has tells whether the packet's data begin with those.
func (p *partial) has(mem, data []byte) bool {
	to := uint32(0)
	for _, s := range p.spans[:p.n] {
		if s.from == 0 {
			to = s.to
		}
	}
	if to < uint32(len(data)) {
		return false
	}
	at := p.frame.Addr + uint64(p.body)
	return bytes.Equal(mem[at:at+uint64(len(data))], data)
}

// begin holds the fragment fr, with which a packet begins.
func (f *Forwarder) begin(p *partial, fr *Frame, begun partial, due int64) {
	r := f.reassembly
	*p = begun
	p.due = due
	if r.held == 0 || p.due < r.due {
		r.due = p.due
	}
	r.held++
	f.held++
	fr.Out = gone
	f.unsettled = true
}

// add notes what another fragment brings. known: that was there before. A fragment that overlaps
// another or goes beyond the packet's end makes the packet a bad one (RFC 8200 section 4.5), and so do
// some that met congestion among others that cannot tell (RFC 3168 section 5.3).
func (p *partial) add(g *fragment) (known, ok bool) {
	s := span{g.at, g.at + g.n}
	for _, o := range p.spans[:p.n] {
		if s.from >= o.from && s.to <= o.to {
			return true, true
		}
		if s.from < o.to && o.from < s.to || !g.more && o.to > s.to {
			return false, false
		}
	}
	if p.total != 0 && s.to > p.total || !g.more && p.total != 0 {
		return false, false
	}
	if p.ecn |= 1 << g.ecn; p.ecn&someCE != 0 && p.ecn&someNotECT != 0 {
		return false, false
	}
	if !g.more {
		p.total = s.to
	}
	p.have += g.n
	for i := range p.spans[:p.n] {
		switch o := &p.spans[i]; {
		case o.to == s.from:
			o.to = s.to
			return false, true
		case o.from == s.to:
			o.from = s.from
			return false, true
		}
	}
	if p.n == maxSpans {
		return false, false
	}
	p.spans[p.n] = s
	p.n++
	return false, true
}

// assemble makes fr the packet that p has become.
func (f *Forwarder) assemble(mem []byte, p *partial, fr *Frame) {
	total := max(p.total, p.have)
	whole := p.frame
	whole.Len = p.body + total
	b := bytesOf(mem, &whole)
	at := p.l3
	if p.key.ip6 {
		copy(b[fragmentHeaderLen:p.body], b[:p.l3+l2tp.IPv6Len])
		at += fragmentHeaderLen
		whole.Addr += fragmentHeaderLen
		whole.Len -= fragmentHeaderLen
	}
	p.unfragment(b[at:], total)
	*fr = whole
	f.portCounters[fr.In%MaxPorts].reassembled.add(1)
}

// unfragment makes the IP header of the first fragment that of the packet. One fragment that met
// congestion is enough for all.
func (p *partial) unfragment(ip []byte, total uint32) {
	if p.key.ip6 {
		binary.BigEndian.PutUint16(ip[4:], uint16(total))
		ip[6] = p.next
		if p.ecn&someCE != 0 {
			ip[1] |= ecnCE << 4
		}
		return
	}
	binary.BigEndian.PutUint16(ip[2:], uint16(l2tp.IPv4Len+total))
	binary.BigEndian.PutUint16(ip[6:], 0)
	if p.ecn&someCE != 0 {
		ip[1] |= ecnCE
	}
	binary.BigEndian.PutUint16(ip[10:], 0)
	binary.BigEndian.PutUint16(ip[10:], ^l2tp.Sum(0, ip[:l2tp.IPv4Len]))
}

// giveUp drops what is held of a packet.
func (f *Forwarder) giveUp(p *partial, why Drop) {
	f.drop(&p.frame, why)
	f.emit(p.frame)
	f.unsettled = true
	f.vacate(p)
}

func (f *Forwarder) vacate(p *partial) {
	p.key.used = false
	f.reassembly.held--
	f.held--
}

// expireFragments gives up the packets whose time is over.
func (f *Forwarder) expireFragments(now int64) {
	r := f.reassembly
	if r == nil || r.held == 0 || now < r.due {
		return
	}
	r.due = 1<<63 - 1
	for i := range r.partials {
		for j := range r.partials[i] {
			p := &r.partials[i][j]
			switch {
			case !p.key.used:
			case p.due <= now && p.early:
				f.giveUp(p, DropIPFragment)
			case p.due <= now:
				f.giveUp(p, DropReassemblyLate)
			default:
				r.due = min(r.due, p.due)
			}
		}
	}
}

// fragmentsDue tells when expireFragments has something to do next; 0 is never.
func (f *Forwarder) fragmentsDue() int64 {
	if f.reassembly == nil || f.reassembly.held == 0 {
		return 0
	}
	return f.reassembly.due
}
