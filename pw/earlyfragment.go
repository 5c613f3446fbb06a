package pw

// earlyTime is how long, in nanoseconds, fragments wait for the first of their packet. It is short: nothing that
// they say tells one packet from the next with the same identification (RFC 4963).
const earlyTime = 50_000_000

// vacant chooses where the packet of an early fragment goes: a free place, or that of the oldest other packet
// whose first fragment is not there. nil: all are of packets that have theirs.
func vacant(set *[partialWays]partial) (p *partial) {
	for i := range set {
		q := &set[i]
		if !q.key.used {
			return q
		}
		if q.early && (p == nil || q.due < p.due) {
			p = q
		}
	}
	return p
}

// wait holds a fragment that came before the first of its packet, in the place p.
func (f *Forwarder) wait(mem []byte, p *partial, fr *Frame, g *fragment, now int64) {
	if p == nil {
		f.drop(fr, DropIPFragment)
		return
	}
	begun := g.begun(fr)
	if !f.widen(mem, &begun.frame, g.body+g.at+g.n) {
		f.drop(fr, DropReassembly)
		return
	}
	if p.key.used {
		f.giveUp(p, DropIPFragment)
	}
	data := mem[begun.frame.Addr+uint64(g.body):]
	copy(data[g.at:], data[:g.n])
	f.begin(p, fr, begun, now+earlyTime)
}

// follows tells whether what is there of a packet is what follows the first fragment g.
func (p *partial) follows(g *fragment) bool {
	if !p.early || p.body != g.body {
		return false
	}
	for _, s := range p.spans[:p.n] {
		if s.from < g.n {
			return false
		}
	}
	return p.n < maxSpans || p.begins(g.n)
}

// begins tells whether something of the packet is there that begins at an offset.
func (p *partial) begins(at uint32) bool {
	for _, s := range p.spans[:p.n] {
		if s.from == at {
			return true
		}
	}
	return false
}

// lead gives a packet the headers of its first fragment b.
func (p *partial) lead(mem, b []byte, g *fragment, now int64) {
	p.early, p.due = false, now+reassemblyTime
	p.l3, p.next = g.l3, g.next
	copy(mem[p.frame.Addr:], b[:g.body])
}

// awaits tells whether fragments are held of a packet whose first one is not there.
func (r *reassembly) awaits(key *packetKey, hash uint64) bool {
	set := &r.partials[hash%partialSets]
	for i := range set {
		if set[i].early && set[i].key == *key {
			return true
		}
	}
	return false
}
