package pw

import (
	"encoding/binary"

	"xwire/l2tp"
)

// encapOp is what happens to a frame's tags on the way into the pseudowire.
const (
	encapPops        = 3      // mask: how many tags are popped
	encapPush        = 1 << 2 // then the pseudowire's tag is pushed
	encapPopPriority = 1 << 3 // one is popped if it is there: it can only be a priority tag
)

// decapOp is what happens to the tags on the way out of it.
const (
	decapAsIs       = iota
	decapCheckOuter // the outer tag must be one of lo to hi
	decapCheckQinQ  // lo and c

	decapRewriteOuter  // there must be a tag, its identifier becomes lo
	decapCheckUntagged // none, or a priority tag
	decapPush          // the attachment circuit's are pushed
	decapReplace       // the outer tag must be pwVID, and is replaced by the attachment circuit's

	decapCheckQuick = decapCheckQinQ // the last of those that tagsQuick knows
)

func tagOps(d *session) (encap, decap uint8) {
	pops := uint8(0)
	switch d.vlanKind() {
	case VLANUntagged:
		pops = encapPopPriority
	case VLANSingle:
		pops = 1
	case VLANQinQ:
		pops = 2
	}
	switch d.pwKind() {
	case PWNone:
		if d.vlanKind() == VLANUntagged { // a tag left inside would lead into another's VLAN
			return pops, decapCheckUntagged
		}
		return pops, decapPush
	case PWVID:
		return pops | encapPush, decapReplace
	}
	switch d.vlanKind() {
	case VLANUntagged:
		return 0, decapCheckUntagged
	case VLANSingle:
		if d.kinds&kindEthVLAN != 0 {
			return 0, decapRewriteOuter
		}
		return 0, decapCheckOuter
	case VLANRange:
		return 0, decapCheckOuter
	case VLANQinQ:
		return 0, decapCheckQinQ
	}
	return 0, decapAsIs
}

// tagOp is decapOp without what is not about tags.
func (d *session) tagOp() uint8 { return d.decapOp &^ opExtra }

const pcpMask = 0xf000 // PCP and DEI

// pops tells how many tags retagEncap takes off a frame.
func (d *session) pops(b []byte) int {
	if d.encapOp&encapPopPriority != 0 && len(b) >= l2tp.EthernetLen+l2tp.TagLen && l2tp.IsTPID(l2tp.Ethernet(b).Type()) {
		return 1
	}
	return int(d.encapOp & encapPops)
}

// innerLen is how long a frame of the session will be inside the pseudowire.
func (d *session) innerLen(b []byte) uint32 {
	n := len(b) - l2tp.TagLen*d.pops(b)
	if d.encapOp&encapPush != 0 {
		n += l2tp.TagLen
	}
	return uint32(n)
}

// retagEncap changes the tags of the frame of n bytes at addr, which is the session's, and returns
// where it is then. It writes up to four bytes before the frame.
func retagEncap(mem []byte, addr uint64, n uint32, d *session) (uint64, uint32) {
	b := mem[addr : addr+uint64(n)]
	pops := d.pops(b)
	var tci uint16
	if pops > 0 {
		tci = binary.BigEndian.Uint16(b[14:]) & pcpMask
	}
	macs := *(*[12]byte)(b)
	addr += uint64(l2tp.TagLen * pops)
	n -= uint32(l2tp.TagLen * pops)
	if d.encapOp&encapPush != 0 {
		addr -= l2tp.TagLen
		n += l2tp.TagLen
		tag := (*[4]byte)(mem[addr+12:])
		binary.BigEndian.PutUint16(tag[0:], l2tp.TPIDC)
		binary.BigEndian.PutUint16(tag[2:], tci|d.pwVID)
	}
	*(*[12]byte)(mem[addr:]) = macs
	return addr, n
}

// retagDecap checks and changes the tags of the frame of n bytes at addr, which came for the
// session and has at least an Ethernet header, and returns where it is then. It writes up to eight
// bytes before the frame, where the L2TP and IP headers were. why is dropNone if all is well.
func retagDecap(mem []byte, addr uint64, n uint32, d *session) (_ uint64, _ uint32, why Drop) {
	b := mem[addr : addr+uint64(n)]
	tagged := len(b) >= l2tp.EthernetLen+l2tp.TagLen && l2tp.IsTPID(l2tp.Ethernet(b).Type())
	var tci uint16
	if tagged {
		tci = binary.BigEndian.Uint16(b[14:])
	}
	vid := tci & l2tp.VIDMask

	switch d.tagOp() {
	case decapAsIs:
		return addr, n, dropNone
	case decapCheckUntagged:
		if vid != 0 {
			return addr, n, DropVLANMismatch
		}
		return addr, n, dropNone
	case decapRewriteOuter:
		if !tagged {
			return addr, n, DropVLANMissing
		}
		binary.BigEndian.PutUint16(b[14:], tci&pcpMask|d.lo)
		return addr, n, dropNone
	case decapCheckOuter, decapCheckQinQ:
		if !tagged || vid == 0 {
			return addr, n, DropVLANMissing
		}
		if vid < d.lo || vid > d.hi {
			return addr, n, DropVLANMismatch
		}
		if d.tagOp() == decapCheckOuter {
			return addr, n, dropNone
		}
		if len(b) < l2tp.EthernetLen+2*l2tp.TagLen || !l2tp.IsTPID(binary.BigEndian.Uint16(b[16:])) {
			return addr, n, DropVLANMissing
		}
		if binary.BigEndian.Uint16(b[18:])&l2tp.VIDMask != d.c {
			return addr, n, DropVLANMismatch
		}
		return addr, n, dropNone
	case decapReplace:
		if !tagged || vid == 0 {
			return addr, n, DropVLANMissing
		}
		if vid != d.pwVID {
			return addr, n, DropVLANMismatch
		}
		if d.vlanKind() == VLANUntagged && len(b) >= l2tp.EthernetLen+2*l2tp.TagLen &&
			l2tp.IsTPID(binary.BigEndian.Uint16(b[16:])) && binary.BigEndian.Uint16(b[18:])&l2tp.VIDMask != 0 {
			return addr, n, DropVLANMismatch
		}
	}

	// Pop one or none, push none, one or two.
	macs := *(*[12]byte)(b)
	pcp := uint16(0)
	if d.tagOp() == decapReplace {
		pcp = tci & pcpMask
		addr += l2tp.TagLen
		n -= l2tp.TagLen
	}
	switch d.vlanKind() {
	case VLANSingle:
		addr -= l2tp.TagLen
		n += l2tp.TagLen
		tag := (*[4]byte)(mem[addr+12:])
		binary.BigEndian.PutUint16(tag[0:], l2tp.TPIDC)
		binary.BigEndian.PutUint16(tag[2:], pcp|d.lo)
	case VLANQinQ:
		addr -= 2 * l2tp.TagLen
		n += 2 * l2tp.TagLen
		tags := (*[8]byte)(mem[addr+12:])
		binary.BigEndian.PutUint16(tags[0:], d.stpid)
		binary.BigEndian.PutUint16(tags[2:], pcp|d.lo)
		binary.BigEndian.PutUint16(tags[4:], l2tp.TPIDC)
		binary.BigEndian.PutUint16(tags[6:], pcp|d.c)
	}
	*(*[12]byte)(mem[addr:]) = macs
	return addr, n, dropNone
}
