package pw

import (
	"encoding/binary"

	"xwire/l2tp"
)

// attachment finds what is known of a frame's session from the port's record: the session, or the
// key to look for. False means that no session of the port can have it.
func (t *Table) attachment(p uint16, state uint64, b []byte, l *lookup) bool {
	l.record, l.outer = 0, 0
	catch := t.ports[p%MaxPorts].catch.Load()
	if state&(portUntagged|portVLAN) != 0 {
		tags, n, _ := l2tp.Ethernet(b).Tags()
		switch vid := tags[0].VID(); {
		case vid == 0:
			if state&portUntagged != 0 {
				l.record = uint32(catch >> 32)
				return true
			}
		case state&portVLAN != 0:
			l.outer, l.inner = vid, anyVID
			if n == 2 && state&portQinQ != 0 {
				l.inner = tags[1].VID()
			}
			l.tag = t.seeds.acTag(acKey{p, l.outer, l.inner})
			return true
		}
	}
	if state&portAll != 0 {
		l.record = uint32(catch)
		return true
	}
	return false
}

// resolveAC compares the record found with the key, and goes on looking: behind a wrong one, then
// without the inner tag, then for what takes all. 0 is none.
func (t *Table) resolveAC(p uint16, l *lookup, x *index) uint32 {
	if l.outer == 0 {
		return l.record
	}
	record, place := l.record, int(l.place)
	for k := (acKey{p, l.outer, l.inner}); ; k.inner = anyVID {
		for record != 0 {
			if t.sessions.at(record).hasAC(k) {
				return record
			}
			record, place = x.next(l.tag, place)
		}
		if k.inner == anyVID {
			break
		}
		k.inner = anyVID
		l.tag = t.seeds.acTag(k)
		record, place = x.next(l.tag, x.start(l.tag))
	}
	return uint32(t.ports[p%MaxPorts].catch.Load())
}

// encapLot encapsulates frames whose records are still to be found. Those that turn out to be no
// session's join those to decapsulate.
func (f *Forwarder) encapLot(mem []byte, fs []Frame, lot []lookup, decaps int) int {
	x := f.table.ac.Load()
	f.fetch(lot, x)
	for i := range lot {
		l := &lot[i]
		fr := &fs[l.frame]
		record := l.record
		if l.outer != 0 && !f.table.sessions.at(record).hasAC(acKey{fr.In, l.outer, l.inner}) {
			record = f.table.resolveAC(fr.In, l, x)
		}
		if record == 0 {
			state := f.table.ports[fr.In%MaxPorts].state.Load()
			decaps = f.sortDecap(bytesOf(mem, fr), fr, int(l.frame), state, decaps)
			continue
		}
		d := f.table.sessions.at(record)
		if i == len(lot)-1 && record == f.lastEncap && fr.Len >= streakMin {
			tags := binary.LittleEndian.Uint64(mem[fr.Addr+12:])
			if f.encap(mem, fr, d); fr.Out != NoPort {
				f.learnEncap(fr, d, tags)
			}
		} else {
			f.encap(mem, fr, d)
		}
		f.lastEncap = record
	}
	return decaps
}

// window is the room before a frame, and what encap writes there, right-aligned.
type window [encapWindow]byte

// write puts the constant parts of the headers there, back to front: each part is copied with a
// fixed size, and the next one covers what was too much.
func (w *window) write(d *session, t *tunnel, h *nextHop) {
	// By way of variables: what might overlap would be copied by a call of memmove.
	part, outer, link := d.part, t.hdr, h.hdr
	e := encapWindow - int(d.partLen)
	*(*[16]byte)(w[encapWindow-16:]) = part
	*(*[64]byte)(w[e-64:]) = outer
	e -= int(t.hdrLen)
	*(*[24]byte)(w[e-24:]) = link
}

// encap writes the outer headers before the frame and points it to them.
func (f *Forwarder) encap(mem []byte, fr *Frame, d *session) {
	c := f.counters.at(d.slot)
	addr, n := fr.Addr, fr.Len
	if addr%minChunk < encapRoom {
		c.txErrors.add(1)
		f.drop(fr, DropHeadroom)
		return
	}
	t := f.table.tunnels.at(d.tunnel)
	h := f.table.hops.at(f.table.hopNow.at(t.hop.Load()).Load())
	if h.port == NoPort {
		c.txErrors.add(1)
		f.drop(fr, DropNoNextHop)
		return
	}
	if d.encapOp != 0 {
		addr, n = retagEncap(mem, addr, n, d)
	}
	l3len := uint32(t.hdrLen) - 2 + uint32(d.partLen) + n
	if l3len > h.mtu {
		c.txErrors.add(1)
		f.drop(fr, DropOversize)
		return
	}

	r := (*window)(mem[addr-encapWindow : addr])
	r.write(d, t, h)
	e := encapWindow - int(d.partLen) - int(t.hdrLen)
	l3 := r[e+2:]
	e -= int(h.len)

	l4len := l3len
	if t.class.ip6() {
		l4len -= l2tp.IPv6Len
		binary.BigEndian.PutUint16(l3[4:], uint16(l4len))
	} else {
		id := f.ipID
		f.ipID += f.ipIDStep
		s := uint32(t.ipSum) + l3len + uint32(id)
		s = s>>16 + s&0xffff
		s += s >> 16
		binary.BigEndian.PutUint32(l3[2:], l3len<<16|uint32(id))
		binary.BigEndian.PutUint16(l3[10:], ^uint16(s))
		l4len -= l2tp.IPv4Len
	}
	bytes := uint64(d.partLen) + uint64(n)
	if t.class.udp() {
		bytes += l2tp.FlagsLen
		u := l3[l3len-l4len:]
		binary.BigEndian.PutUint16(u[4:], uint16(l4len))
		if t.sumTx {
			message := mem[addr-uint64(d.partLen) : addr+uint64(n)]
			binary.BigEndian.PutUint16(u[6:], udpSum(t.udpSum, uint16(l4len), message))
		}
	}
	room := uint32(encapWindow - e)
	fr.Addr = addr - uint64(room)
	fr.Len = n + room
	c.txPackets.add(1)
	c.txBytes.add(bytes)
	f.forward(fr, h.port)
}
