package pw

import (
	"encoding/binary"
	"math/bits"

	"xwire/l2tp"
)

// tagRow does what attachment does for a row of tagged frames of one port whose sessions are found by
// their tags, as state says. It fills lot and returns how many; what it does not take is for a closer
// look. Nothing is called in its loop.
func (s *seeds) tagRow(mem []byte, fs []Frame, first int, state uint64, lot []lookup) int {
	in := fs[first].In
	qinq := state&portQinQ != 0
	outerType, innerType := bits.ReverseBytes16(l2tp.TPIDC), bits.ReverseBytes16(l2tp.TPIDC) // of the frame before
	i := 0
	for ; i < len(lot) && first+i < len(fs); i++ {
		fr := &fs[first+i]
		addr := fr.Addr
		if fr.In != in || fr.Len < streakMin {
			break
		}
		h := (*[streakMin]byte)(mem[addr : addr+streakMin : addr+streakMin])
		w := binary.LittleEndian.Uint64(h[12:])
		if typ := uint16(w); typ != outerType {
			if !l2tp.IsTPID(bits.ReverseBytes16(typ)) {
				break
			}
			outerType = typ
		}
		outer, inner := bits.ReverseBytes16(uint16(w>>16))&l2tp.VIDMask, uint16(anyVID)
		if outer == 0 {
			break
		}
		if typ := uint16(w >> 32); qinq && (typ == innerType || l2tp.IsTPID(bits.ReverseBytes16(typ))) {
			innerType = typ
			inner = bits.ReverseBytes16(uint16(w>>48)) & l2tp.VIDMask
		}
		l := &lot[i]
		l.record, l.frame = 0, uint8(first+i)
		l.outer, l.inner = outer, inner
		l.tag = s.acTag(acKey{in, outer, inner, 0})
	}
	return i
}

// attachment finds what is known of a frame's session from the port's record: the session, or the
// key to look for. False means that no session of the port can have it. The frame has at least an
// Ethernet header.
func (f *Forwarder) attachment(p uint16, state uint64, b []byte, l *lookup) bool {
	t := f.table
	l.record, l.outer, l.inner, l.tag = 0, 0, 0, 0
	if state&portPPPoE != 0 {
		if l.record = f.pppoeSession(p, b); l.record != 0 {
			return true
		}
	}
	if state&(portUntagged|portVLAN) != 0 {
		outer, inner := uint16(0), uint16(anyVID)
		if l2tp.IsTPID(binary.BigEndian.Uint16(b[12:14])) && len(b) >= l2tp.EthernetLen+l2tp.TagLen {
			outer = binary.BigEndian.Uint16(b[14:16]) & l2tp.VIDMask
			if state&portQinQ != 0 && l2tp.IsTPID(binary.BigEndian.Uint16(b[16:18])) && len(b) >= l2tp.EthernetLen+2*l2tp.TagLen {
				inner = binary.BigEndian.Uint16(b[18:20]) & l2tp.VIDMask
			}
		}
		if outer != 0 && state&portVLAN != 0 {
			l.outer, l.inner = outer, inner
			l.tag = t.seeds.acTag(acKey{p, outer, inner, 0})
			return true
		}
		if outer == 0 && state&portUntagged != 0 {
			// The session may have gone since state was read: then record is 0.
			if l.record = uint32(t.ports[p%MaxPorts].catch.Load() >> 32); l.record != 0 {
				return true
			}
		}
	}
	if state&portAll != 0 {
		l.record = uint32(t.ports[p%MaxPorts].catch.Load())
	}
	return l.record != 0
}

// resolveAC goes on looking when the record found was not the key's: behind it, then without the
// inner tag, then for what takes all. 0 is none.
func (f *Forwarder) resolveAC(p uint16, l *lookup, x *index) uint32 {
	record := l.record
	for k := (acKey{p, l.outer, l.inner, 0}); ; {
		for record != 0 {
			if f.sessions.at(record).hasAC(k) {
				return record
			}
			record = x.behind(l.tag, record)
		}
		if k.inner == anyVID {
			return uint32(f.table.ports[p%MaxPorts].catch.Load())
		}
		k.inner = anyVID
		l.tag = f.table.seeds.acTag(k)
		record, _ = x.first(l.tag)
	}
}
