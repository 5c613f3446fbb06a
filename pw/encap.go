package pw

import (
	"encoding/binary"

	"xwire/l2tp"
)

// encapLot encapsulates frames whose records are still to be found. Those that turn out to be no
// session's join those to decapsulate.
func (f *Forwarder) encapLot(mem []byte, fs []Frame, lot []lookup, decaps int, now int64) int {
	t := f.table
	x := t.ac.Load()
	f.fetch(lot, x, WayEncap)
	o := &f.outer
	var short [outerShort]byte
	var long [outerLong]byte
	tunnel := uint32(0)
	forwarded, in := uint64(0), fs[lot[0].frame%burst].In
	for i := range lot {
		l := &lot[i]
		fr := &fs[l.frame%burst]
		record := l.record
		d := f.sessions.at(record)
		if l.outer != 0 && (d.port != fr.In || d.c != l.inner || d.lo > l.outer || d.hi < l.outer) {
			record = f.resolveAC(fr.In, l, x)
			d = f.sessions.at(record)
		}
		if record == 0 {
			state := t.ports[fr.In%MaxPorts].state.Load()
			decaps = f.sortDecap(mem, bytesOf(mem, fr), fr, int(l.frame), state, decaps, now)
			continue
		}
		if d.tunnel != tunnel {
			tunnel = d.tunnel
			if o.tunnel != tunnel {
				o.compose(t, tunnel)
			}
			short, long = *(*[outerShort]byte)(o.hdr[outerLong-outerShort:]), o.hdr
		}
		addr, n := fr.Addr, fr.Len
		part := uint32(d.partLen) % 32
		if addr%minChunk < encapRoom || n+part > o.max || d.encapOp != 0 || i == len(lot)-1 && record == f.lastEncap {
			f.encapSlowly(mem, fr, d, record, now)
			continue
		}
		w := (*[encapWindow]byte)(mem[addr-encapWindow : addr : addr])
		word(w[encapWindow-16:], d.part[0:])
		word(w[encapWindow-8:], d.part[8:])
		e := encapWindow - part
		if o.len <= outerShort {
			*(*[outerShort]byte)(w[e-outerShort:]) = short
		} else {
			*(*[outerLong]byte)(w[e-outerLong:]) = long
		}
		l3len := n + part + o.l3
		ip := (*[12]byte)(w[e-o.l3:])
		if o.class.ip6() {
			binary.BigEndian.PutUint16(ip[4:], uint16(l3len-l2tp.IPv6Len))
		} else {
			id := uint32(f.ipID)
			f.ipID += f.ipIDStep
			s := o.ipSum + l3len + id
			s = s>>16 + s&0xffff
			s += s >> 16
			binary.BigEndian.PutUint32(ip[2:], l3len<<16|id)
			binary.BigEndian.PutUint16(ip[10:], ^uint16(s))
		}
		if o.class.udp() {
			u := (*[l2tp.UDPLen + l2tp.FlagsLen]byte)(w[e-l2tp.UDPLen-l2tp.FlagsLen:])
			binary.BigEndian.PutUint16(u[4:], uint16(n+part+l2tp.UDPLen+l2tp.FlagsLen))
		}
		fr.Addr = addr - uint64(part+o.len)
		fr.Len = n + part + o.len
		fr.Out = o.port
		if fr.In != in {
			f.portCounters[in%MaxPorts].forwarded.add(forwarded)
			forwarded, in = 0, fr.In
		}
		forwarded++
		d.txPackets.add(1)
		d.txBytes.add(uint64(n + part + o.flags))
		f.lastEncap = record
	}
	f.portCounters[in%MaxPorts].forwarded.add(forwarded)
	return decaps
}

// encapSlowly is for frames that have something uncommon, and for those after which a streak may
// begin.
func (f *Forwarder) encapSlowly(mem []byte, fr *Frame, d *session, record uint32, now int64) {
	if d.encapOp&opExtra != 0 {
		f.encapExtra(mem, fr, d, now)
		return
	}
	learn := record == f.lastEncap && fr.Len >= streakMin
	f.lastEncap = record
	if !learn {
		f.encap(mem, fr, d, &noExtra)
		return
	}
	tags := binary.LittleEndian.Uint64(mem[fr.Addr+12:])
	if f.encap(mem, fr, d, &noExtra); fr.Out != NoPort {
		f.learnEncap(fr, d, tags)
	}
}

// outer is what precedes the session part in the packets of one tunnel.
type outer struct {
	hdr    [outerLong]byte // right-aligned: addresses, tags, EtherType, IP, UDP, flags
	tunnel uint32          // record; 0: none
	max    uint32          // largest sum of session part and frame; 0: not to be sent, or by encap only
	len    uint32          // bytes used of hdr
	l3     uint32          // and from the IP header on
	ipSum  uint32
	flags  uint32 // bytes that counters count before the session part
	port   uint16
	class  class
}

const (
	outerShort = 40 // bytes: Ethernet without tags and IPv4 fit
	outerLong  = 80
)

// compose makes o the tunnel's.
func (o *outer) compose(t *Table, record uint32) {
	r := t.tunnels.at(record)
	h := t.hops.at(t.hopNow.at(r.hop.Load()).Load())
	*o = outer{tunnel: record, len: uint32(h.len) + uint32(r.hdrLen), l3: uint32(r.hdrLen) - 2, ipSum: uint32(r.ipSum), port: h.port, class: r.class}
	o.flags = r.class.flagsLen()
	copy(o.hdr[outerLong-int(r.hdrLen):], r.hdr[len(r.hdr)-int(r.hdrLen):])
	copy(o.hdr[outerLong-int(o.len):], h.hdr[len(h.hdr)-int(h.len):])
	if h.port != NoPort && h.mtu > o.l3 && !(r.sumTx && r.class.udp()) {
		o.max = h.mtu - o.l3
	}
}

// window is the room before a frame, and what encap writes there, right-aligned.
type window [encapWindow]byte

// write puts the constant parts of the headers there, back to front: each part is copied with a
// fixed size, and the next one covers what was too much.
func (w *window) write(d *session, t *tunnel, h *nextHop) {
	// Word by word: copies of arrays that might overlap are calls of memmove, and those by way of
	// a variable wait for it to be stored. No more is copied than needed, or a cache line more
	// would be written to.
	e := encapWindow - int(d.partLen)
	part := (*[16]byte)(w[encapWindow-16:])
	word(part[0:], d.part[0:])
	word(part[8:], d.part[8:])
	switch t.class &^ classV2 {
	case classIP4:
		o := (*[24]byte)(w[e-24:])
		word(o[0:], t.hdr[40:])
		word(o[8:], t.hdr[48:])
		word(o[16:], t.hdr[56:])
	case classUDP4:
		o := (*[40]byte)(w[e-40:])
		word(o[0:], t.hdr[24:])
		word(o[8:], t.hdr[32:])
		word(o[16:], t.hdr[40:])
		word(o[24:], t.hdr[48:])
		word(o[32:], t.hdr[56:])
	default:
		o := (*[56]byte)(w[e-56:])
		word(o[0:], t.hdr[8:])
		word(o[8:], t.hdr[16:])
		word(o[16:], t.hdr[24:])
		word(o[24:], t.hdr[32:])
		word(o[32:], t.hdr[40:])
		word(o[40:], t.hdr[48:])
		word(o[48:], t.hdr[56:])
	}
	e -= int(t.hdrLen)
	link := (*[24]byte)(w[e-24:])
	word(link[0:], h.hdr[0:])
	word(link[8:], h.hdr[8:])
	word(link[16:], h.hdr[16:])
}

// word copies eight bytes.
func word(dst, src []byte) { binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src)) }

// encap writes the outer headers before the frame and points it to them.
func (f *Forwarder) encap(mem []byte, fr *Frame, d *session, e *extra) {
	addr, n := fr.Addr, fr.Len
	if addr%minChunk < encapRoom {
		f.rare(d).txErrors.add(1)
		f.drop(fr, DropHeadroom)
		return
	}
	t := f.table.tunnels.at(d.tunnel)
	h := f.table.hops.at(f.table.hopNow.at(t.hop.Load()).Load())
	if h.port == NoPort {
		f.rare(d).txErrors.add(1)
		f.drop(fr, DropNoNextHop)
		return
	}
	if d.encapOp&^opExtra != 0 {
		addr, n = retagEncap(mem, addr, n, d)
	}
	if e.seq != nil && e.seq.sends() && d.v2() {
		numbered := d.description()
		ns := e.seq.tx.take(e.seq.mask)
		numbered.numberV2(uint16(ns))
		f.encapSized(mem, fr, addr, n, &numbered, e, t, h)
		if numbered.txPackets == 0 {
			e.seq.tx.giveBack(ns, e.seq.mask)
		}
		d.txPackets.add(uint64(numbered.txPackets))
		d.txBytes.add(uint64(numbered.txBytes))
		return
	}
	f.encapSized(mem, fr, addr, n, d, e, t, h)
}

// encapSized encapsulates the n bytes at addr if the packet is no larger than the MTU, or as the session
// has it.
func (f *Forwarder) encapSized(mem []byte, fr *Frame, addr uint64, n uint32, d *session, e *extra, t *tunnel, h *nextHop) {
	if l3len := uint32(t.hdrLen) - 2 + uint32(d.partLen) + n; l3len > h.mtu {
		f.encapOversize(mem, fr, addr, n, d, e, t, h)
		return
	}
	f.envelop(mem, fr, addr, n, d, e, t, h, partWhole)
	f.sent(fr, n, d, t, h)
}

// encapOversize is for a frame whose packet is larger than the MTU.
func (f *Forwarder) encapOversize(mem []byte, fr *Frame, addr uint64, n uint32, d *session, e *extra, t *tunnel, h *nextHop) {
	overhead := uint32(t.hdrLen) - 2 + uint32(d.partLen)
	switch {
	case e.answers && f.answer(mem, fr, addr, n, d, e, h.mtu-min(h.mtu, overhead)):
	case d.oversize == OversizePW:
		if f.cutUp(mem, fr, addr, n, d, e, t, h) {
			return
		}
	case d.oversize == OversizeFragment && overhead+n <= maxMTU:
		ns, numbered := f.envelop(mem, fr, addr, n, d, e, t, h, partWhole)
		if f.fragment(mem, fr, t.class.ip6(), uint32(h.len)+2, h.mtu) {
			f.sent(fr, n, d, t, h)
			return
		}
		if numbered {
			e.seq.tx.giveBack(ns, e.seq.mask)
		}
	}
	f.rare(d).txErrors.add(1)
	f.drop(fr, DropOversize)
}

// sent counts a packet with n bytes of a frame.
func (f *Forwarder) sent(fr *Frame, n uint32, d *session, t *tunnel, h *nextHop) {
	d.txPackets.add(1)
	d.txBytes.add(uint64(d.partLen) + uint64(t.class.flagsLen()) + uint64(n))
	f.forward(fr, h.port)
}

// envelop writes the headers of a packet of n bytes at addr, which are a frame or a piece of one. What the
// session's extra changes in them it changes between the headers' lengths and what is computed over all
// of it. It takes the packet's number ns, if it is numbered and not of L2TPv2.
func (f *Forwarder) envelop(mem []byte, fr *Frame, addr uint64, n uint32, d *session, e *extra, t *tunnel, h *nextHop, what part) (ns uint32, numbered bool) {
	l3len := uint32(t.hdrLen) - 2 + uint32(d.partLen) + n
	r := (*window)(mem[addr-encapWindow : addr])
	r.write(d, t, h)
	if e.seq != nil && e.seq.sends() && !d.v2() {
		ns, numbered = e.seq.tx.take(e.seq.mask), true
		binary.BigEndian.PutUint32(r[encapWindow-4:], l2tp.SublayerS|what.bits()|ns)
	}
	start := encapWindow - int(d.partLen) - int(t.hdrLen)
	l3 := r[start+2:]
	start -= int(h.len)

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
	sum := t.udpSum
	if e.marked {
		sum = l2tp.AddSum(sum, e.marking.mark(l3, t.class, f.marks))
	}
	if d.oversize == OversizePW && !t.class.ip6() { // RFC 4623 section 3: not both kinds of fragments
		l3[6] |= dontFragment >> 8
		l2tp.IPv4(l3).SetChecksum()
	}
	if t.class.udp() {
		u := l3[l3len-l4len:]
		binary.BigEndian.PutUint16(u[4:], uint16(l4len))
		if t.sumTx {
			message := mem[addr-uint64(d.partLen) : addr+uint64(n)]
			binary.BigEndian.PutUint16(u[6:], udpSum(sum, uint16(l4len), message))
		}
	}
	room := uint32(encapWindow - start)
	fr.Addr = addr - uint64(room)
	fr.Len = n + room
	fr.Out = h.port
	return ns, numbered
}
