package pw

import (
	"encoding/binary"
	"math/bits"

	"xwire/l2tp"
)

// Of several sessions on a port, encap gives a frame to the most particular one. Decap asks the
// same question the other way round: a frame that would leave with tags of which encap says that
// they are another session's is dropped, or one customer could send into another's circuit. Only
// sessions for all, single and range can have such frames. On a port where none of those frames
// can be another's, which is one without portOverlaps, nobody asks.

// sharing counts the sessions of a port by outer identifier.
type sharing struct {
	// outers has, for each identifier, outerWhole if a session has it whatever the inner one is, and
	// the number of sessions with a pair. nil: there was none yet.
	outers *[l2tp.VIDMask + 1]uint16
	shared int // identifiers with both
}

const outerWhole = 1 << 15

// count adds a session that is attached to the port (by 1), or takes it away (by -1).
func (s *sharing) count(d *session, by int) {
	if d.lo == 0 {
		return // all or untagged
	}
	if s.outers == nil {
		s.outers = new([l2tp.VIDMask + 1]uint16)
	}
	step := uint16(by)
	if d.c == anyVID {
		step = outerWhole // of which there is one at most: to add it is to take it away
	}
	for v := d.lo; v <= d.hi; v++ {
		o := &s.outers[v&l2tp.VIDMask]
		if *o > outerWhole {
			s.shared--
		}
		if *o += step; *o > outerWhole {
			s.shared++
		}
	}
}

// mixed tells whether a session of the port could send frames that are another's.
func (a *attachments) mixed() bool {
	return a.all != 0 && (a.untagged != 0 || a.vlans != 0) || a.sharing.shared != 0
}

// mixable tells whether the session could have frames that are another's.
func (d *session) mixable() bool {
	k := d.vlanKind()
	return k == VLANAll || k == VLANSingle || k == VLANRange
}

// foreign tells whether the frame b that came for d, whose port has portOverlaps in its state, would
// leave with the tags of another session. b has its tags as the peer sent them, and at least an
// Ethernet header. What d refuses for its tags anyway is not asked.
func (f *Forwarder) foreign(d *session, state uint64, b []byte) bool {
	if !d.mixable() {
		return false
	}
	vid, tagged := vidAt(b, l2tp.EthernetLen)
	k := acKey{d.port, d.lo, anyVID, 0}
	inner := l2tp.EthernetLen + l2tp.TagLen // where the tag is that will be the inner one
	switch d.tagOp() {
	case decapAsIs:
		if vid == 0 {
			return uint32(f.table.ports[d.port%MaxPorts].catch.Load()>>32) != 0
		}
		k.outer = vid
	case decapCheckOuter:
		if vid < d.lo || vid > d.hi {
			return false
		}
		k.outer = vid
	case decapRewriteOuter:
		if !tagged {
			return false
		}
	case decapReplace:
		if !tagged || vid != d.pwVID {
			return false
		}
	case decapPush:
		inner = l2tp.EthernetLen
	}
	if vid, tagged := vidAt(b, inner); tagged && state&portQinQ != 0 && f.owned(acKey{k.port, k.outer, vid, 0}) {
		return true
	}
	return d.tagOp() == decapAsIs && f.owned(k)
}

// vidAt reads the identifier of the tag whose TPID ends at b[at:]. False: there is none.
func vidAt(b []byte, at int) (vid uint16, tagged bool) {
	if len(b) < at+l2tp.TagLen || !l2tp.IsTPID(binary.BigEndian.Uint16(b[at-2:])) {
		return 0, false
	}
	return binary.BigEndian.Uint16(b[at:]) & l2tp.VIDMask, true
}

// owned tells whether a session has the key.
func (f *Forwarder) owned(k acKey) bool {
	t := f.table
	x := t.ac.Load()
	tag := t.seeds.acTag(k)
	record, place := x.first(tag)
	for record != 0 && !f.sessions.at(record).hasAC(k) {
		record, place = x.next(tag, place)
	}
	return record != 0
}

// foreignMask has 1 where foreign looks, in a frame's bytes 12 to 20 as a little-endian word: one
// with the same bits there gets the same answer.
func (d *session) foreignMask(state, tags uint64) (mask uint64) {
	const typ, vid = 0xffff, 0xff0f0000
	if state&portOverlaps == 0 || !d.mixable() {
		return 0
	}
	mask = typ
	if !l2tp.IsTPID(bits.ReverseBytes16(uint16(tags))) {
		return mask
	}
	mask |= vid
	if state&portQinQ != 0 {
		mask |= typ << 32
		if l2tp.IsTPID(bits.ReverseBytes16(uint16(tags >> 32))) {
			mask |= vid << 32
		}
	}
	return mask
}
