package pw

import "xwire/l2tp"

// Marks remember parts of tunnels, so that a packet that belongs to no session can be told why.
// They are an index without records: a tag of 32 bits that is there by chance only makes the
// reason for a drop a wrong one, once in millions. markFlow alone leads to the tunnel's record
// and is compared with it.
type markKind uint8

const (
	markFlow   markKind = iota // all that tells a tunnel
	markPair                   // without ports
	markLocal                  // local address and port
	markAddr                   // local address
	markFamily                 // IP version
	numMarks
)

// markHash hashes the part of a received packet's flow that a kind is about.
func (s *seeds) markHash(k markKind, f *flow) uint64 {
	src, dst := [2]uint64{f.key[0], f.key[1]}, [2]uint64{f.key[2], f.key[3]}
	if !f.class.ip6() {
		src, dst = [2]uint64{f.key[0] & 0xffffffff}, [2]uint64{f.key[0] >> 32}
	}
	srcPort, dstPort := uint64(f.ports&0xffff), uint64(f.ports>>16)
	switch k {
	case markPair:
		srcPort, dstPort = 0, 0
	case markLocal:
		src, srcPort = [2]uint64{}, 0
	case markAddr:
		src, srcPort, dstPort = [2]uint64{}, 0, 0
	case markFamily:
		src, dst, srcPort, dstPort = [2]uint64{}, [2]uint64{}, 0, 0
	}
	c := f.class
	if k != markFlow {
		c &^= classV2
	}
	if k == markFamily {
		c &^= 1
	}
	h := fold(src[0]^s[0], src[1]^s[1]) ^ fold(dst[0]^s[2], dst[1]^s[3])
	h = fold(h, srcPort<<48|dstPort<<32|uint64(c)<<8|uint64(k)^s[4])
	return fold(h^s[5], s[1])
}

// addMarks and removeMarks count how many tunnels have a part in common.
func (t *Table) addMarks(record uint32) {
	f := t.tunnels.at(record).flow()
	put(&t.marks, uint32(t.seeds.markHash(markFlow, &f)), record)
	for k := markFlow + 1; k < numMarks; k++ {
		h := t.seeds.markHash(k, &f)
		if t.markRefs[h]++; t.markRefs[h] == 1 {
			put(&t.marks, uint32(h), 1)
		}
	}
}

func (t *Table) removeMarks(record uint32) {
	f := t.tunnels.at(record).flow()
	t.marks.Load().remove(uint32(t.seeds.markHash(markFlow, &f)), record)
	for k := markFlow + 1; k < numMarks; k++ {
		h := t.seeds.markHash(k, &f)
		if t.markRefs[h]--; t.markRefs[h] == 0 {
			delete(t.markRefs, h)
			t.marks.Load().remove(uint32(h), 1)
		}
	}
}

func (t *Table) marked(k markKind, f flow, encap l2tp.Encap) bool {
	f.class = classOf(f.class.ip6(), encap)
	tag := uint32(t.seeds.markHash(k, &f))
	x := t.marks.Load()
	record, _ := x.first(tag)
	return record != 0
}

// tunnelOf returns a tunnel with the packet's flow, or one that takes any port of its peer, or nil.
func (t *Table) tunnelOf(f *flow) *tunnel {
	r := t.tunnelNamed(f)
	if r == nil {
		if any, ok := f.fromAny(); ok {
			r = t.tunnelNamed(&any)
		}
	}
	return r
}

func (t *Table) tunnelNamed(f *flow) *tunnel {
	tag := uint32(t.seeds.markHash(markFlow, f))
	x := t.marks.Load()
	record, i := x.first(tag)
	for record != 0 {
		if r := t.tunnels.at(record); r.matches(f) {
			return r
		}
		record, i = x.next(tag, i)
	}
	return nil
}

// stranger tells why a packet belongs to no session.
func (t *Table) stranger(f *flow) Drop {
	own, other := l2tp.EncapIP, l2tp.EncapUDP
	if f.class.udp() {
		own, other = other, own
	}
	switch {
	case t.tunnelOf(f) != nil:
		return DropUnknownSession
	case f.class.udp() && t.tunnelOf(&flow{f.class ^ classV2, f.ports, f.key}) != nil:
		return DropVersion
	case t.marked(markPair, *f, own):
		return DropWrongPort
	case t.marked(markPair, *f, other):
		return DropWrongEncap
	case t.marked(markLocal, *f, own):
		return DropUnknownPeer
	case t.marked(markAddr, *f, own):
		return DropWrongPort
	case t.marked(markAddr, *f, other):
		return DropWrongEncap
	case t.marked(markFamily, *f, own):
		return DropWrongDestination
	}
	return DropWrongFamily
}
