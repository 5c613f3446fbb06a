package pw

import (
	"encoding/binary"

	"xwire/l2tp"
)

// invalidVersion counts a wrong version at the tunnel, if it is one's.
func (f *Forwarder) invalidVersion(b []byte, l *lookup) {
	fl := flowOf(b, l)
	t := f.table.tunnelOf(&fl)
	if t == nil && l.class.udp() {
		fl.class ^= classV2
		t = f.table.tunnelOf(&fl)
	}
	if t != nil {
		f.invalid.at(t.slot).add(1)
	}
}

// resolve compares the record found with the packet, and goes on looking behind a wrong one. 0 is
// none.
func (f *Forwarder) resolve(b []byte, l *lookup, x *index) uint32 {
	fl := flowOf(b, l)
	record := l.record
	for record != 0 && !f.finds(record, l.sid, &fl) {
		record = x.behind(l.tag, record)
	}
	if record != 0 {
		return record
	}
	if fl, ok := fl.fromAny(); ok {
		return f.search(x, l.sid, &fl)
	}
	if fl.class == classIP6 {
		return f.search(x, keyedID, &fl)
	}
	return 0
}

// search returns the record of the session with an id in a flow, or 0.
func (f *Forwarder) search(x *index, sid uint32, fl *flow) uint32 {
	tag := f.table.seeds.tag(fl, sid)
	record, place := x.first(tag)
	for record != 0 && !f.finds(record, sid, fl) {
		record, place = x.next(tag, place)
	}
	return record
}

// finds tells whether the record is that of the session.
func (f *Forwarder) finds(record, sid uint32, fl *flow) bool {
	d := f.sessions.at(record)
	return d.sid == sid && f.table.tunnels.at(d.rxTunnel).matches(fl)
}

// is6 tells whether a packet's addresses are the tunnel's, behind the first word of them.
func (t *tunnel) is6(b []byte, l *lookup) bool {
	p := b[l.l3:]
	if len(p) < l2tp.IPv6Len {
		return false
	}
	return t.key[1] == binary.LittleEndian.Uint64(p[16:]) && t.key[2] == binary.LittleEndian.Uint64(p[24:]) &&
		t.key[3] == binary.LittleEndian.Uint64(p[32:])
}

// decapLot decapsulates frames that quickRow or parseOuter has seen.
func (f *Forwarder) decapLot(mem []byte, fs []Frame, lot []lookup, now int64) {
	t := f.table
	x := t.decap.Load()
	f.fetch(lot, x, WayDecap)
	tunnel, tun := uint32(0), t.tunnels.at(0)
	forwarded, in := uint64(0), fs[lot[0].frame%burst].In
	for i := range lot {
		l := &lot[i]
		fr := &fs[l.frame%burst]
		b := bytesOf(mem, fr)
		d := f.sessions.at(l.record)
		if d.rxTunnel != tunnel {
			tunnel = d.rxTunnel
			tun = t.tunnels.at(tunnel)
		}
		if d.sid != l.sid || tun.key[0] != l.key0 || tun.ports != l.ports || tun.class != l.class || l.class.ip6() && !tun.is6(b, l) {
			if l.record = f.resolve(b, l, x); l.record == 0 {
				f.strange(b, fr, l)
				continue
			}
			d = f.sessions.at(l.record)
			tunnel = d.rxTunnel
			tun = t.tunnels.at(tunnel)
		}
		size := uint32(l.end) - uint32(l.at) // of the L2TP message
		n := size - uint32(d.rxLen)
		if i == len(lot)-1 || size < uint32(d.rxLen)+l2tp.EthernetLen || d.decapOp > decapCheckQuick || d.rxPort == NoPort {
			f.decapSlowly(mem, b, fr, l, d, tun, now)
			continue
		}
		m := (*[l2tp.SessionIDLen + l2tp.MaxCookieLen]byte)(b[l.at:])
		cookie := binary.LittleEndian.Uint64(m[l2tp.SessionIDLen:])
		if d.rxCookieLen < l2tp.MaxCookieLen {
			cookie &= 1<<(8*d.rxCookieLen%64) - 1
		}
		inner := uint32(l.at) + uint32(d.rxLen)
		state := t.ports[d.rxPort%MaxPorts].state.Load()
		limit := uint32(state >> 32)
		if cookie != d.rxCookie[0] || n > limit ||
			d.rxSublayer && b[inner-4]&^0x40 != 0 ||
			l.class.udp() && b[l.at-6]|b[l.at-5] != 0 || l.class == classUDP6 && !tun.zeroRx {
			f.decapSlowly(mem, b, fr, l, d, tun, now)
			continue
		}
		if d.decapOp != decapAsIs && !d.tagsQuick(b[inner:l.end]) {
			f.decapSlowly(mem, b, fr, l, d, tun, now)
			continue
		}
		if state&portOverlaps != 0 && f.foreign(d, state, b[inner:l.end]) {
			f.decapSlowly(mem, b, fr, l, d, tun, now)
			continue
		}
		d.rxPackets.add(1)
		if l.class.udp() {
			size += l2tp.FlagsLen
		}
		d.rxBytes.add(uint64(size))
		if d.rxCookieLen != 0 {
			d.rxFirst.add(1)
		}
		fr.Addr += uint64(inner)
		fr.Len = n
		fr.Out = d.rxPort
		f.lastDecap = l.record
		if fr.In != in {
			f.portCounters[in%MaxPorts].forwarded.add(forwarded)
			forwarded, in = 0, fr.In
		}
		forwarded++
	}
	f.portCounters[in%MaxPorts].forwarded.add(forwarded)
}

// tagsQuick tells that a frame's tags are as they ought to be and stay as they are.
func (d *session) tagsQuick(frame []byte) bool {
	if len(frame) < l2tp.EthernetLen+2*l2tp.TagLen {
		return false
	}
	b := (*[l2tp.EthernetLen + 2*l2tp.TagLen]byte)(frame)
	vid := binary.BigEndian.Uint16(b[14:]) & l2tp.VIDMask
	if !l2tp.IsTPID(binary.BigEndian.Uint16(b[12:])) || vid < d.rxVLAN[0] || vid > d.rxVLAN[1] {
		return false
	}
	return d.decapOp == decapCheckOuter ||
		l2tp.IsTPID(binary.BigEndian.Uint16(b[16:])) && binary.BigEndian.Uint16(b[18:])&l2tp.VIDMask == d.rxVLAN[2]
}

// decapSlowly is for packets that have something uncommon, and for the last of a lot, of which
// there is more to learn.
func (f *Forwarder) decapSlowly(mem, b []byte, fr *Frame, l *lookup, d *session, t *tunnel, now int64) {
	if d.decapOp&opExtra != 0 {
		f.decapExtra(mem, b, fr, l, d, t, now)
		return
	}
	inner := int(l.at) + int(d.rxLen)
	var head [longView]byte
	var tags uint64
	// Learnt is only what was looked at: where the packet ends in the middle of tags, they do not go
	// on in what is behind it.
	learn := l.record == f.lastDecap && len(b) >= len(head) && int(l.end) >= inner+streakMin
	f.lastDecap = l.record
	if learn {
		head = [len(head)]byte(b)
		tags = binary.LittleEndian.Uint64(b[inner+12:])
	}
	// Before tags are changed: that writes over cookie and sublayer.
	s := suspect(messageOf(b, l), d, true)
	why := f.decap(mem, b, fr, l, d, t)
	if why != dropNone {
		f.refuse(b, fr, l, d, t, why, now)
		return
	}
	f.rare(d).note(s, now)
	if learn {
		f.learnDecap(&head, tags, fr, l, d)
	}
}

// messageOf is an L2TPv3 message from behind its session id on.
func messageOf(b []byte, l *lookup) []byte { return b[int(l.at)+l2tp.SessionIDLen : l.end] }

// authentic verifies what is to be right before anything else is believed.
func (f *Forwarder) authentic(b []byte, l *lookup, d *session, t *tunnel) Drop {
	if t.class.udp() {
		present, ok := udpSumOK(b, l)
		if !ok {
			return DropUDPChecksum
		}
		if !present && t.class.ip6() && !t.zeroRx {
			return DropUDPZeroChecksum
		}
	}
	m := b[l.at:l.end]
	if len(m) < int(d.rxLen) {
		return DropShort
	}
	if d.rxCookieLen > 0 {
		w := uint64(binary.LittleEndian.Uint32(m[4:]))
		if d.rxCookieLen == 8 {
			w = binary.LittleEndian.Uint64(m[4:])
		}
		switch w {
		case d.rxCookie[0]:
			d.accepted(0, 1)
		case d.rxCookie[1]:
			d.accepted(1, 1)
		default:
			return DropCookieMismatch
		}
	}
	return dropNone
}

// sublayer looks at the flags of the default sublayer, if there is one.
func (f *Forwarder) sublayer(b []byte, l *lookup, d *session) Drop {
	if !d.defaultSublayer() {
		return dropNone
	}
	w := l2tp.Data(b[l.at:l.end]).Sublayer(int(d.rxCookieLen))
	if w&l2tp.SublayerV != 0 {
		return DropOAM
	}
	if w&(l2tp.SublayerB|l2tp.SublayerE) != 0 {
		return DropFragment
	}
	if w&l2tp.SublayerRest != 0 {
		f.rare(d).sublayerBits.add(1)
	}
	return dropNone
}

// countRx counts a packet that passed, delivered or not.
func (f *Forwarder) countRx(l *lookup, d *session) {
	d.rxPackets.add(1)
	d.rxBytes.add(uint64(l.messageLen()))
}

// messageLen is the length of an L2TP message as counters count it.
func (l *lookup) messageLen() uint32 {
	return uint32(l.end) - uint32(l.at) + l.class.flagsLen()
}

// decap moves the frame's start to the frame inside.
func (f *Forwarder) decap(mem, b []byte, fr *Frame, l *lookup, d *session, t *tunnel) Drop {
	if why := f.authentic(b, l, d, t); why != dropNone {
		return why
	}
	if why := f.sublayer(b, l, d); why != dropNone {
		return why
	}
	f.countRx(l, d)
	fr.Addr += uint64(l.at) + uint64(d.rxLen)
	fr.Len = uint32(l.end) - uint32(l.at) - uint32(d.rxLen)
	return f.deliver(mem, fr, d)
}

// deliver gives an Ethernet frame that came for the session to its attachment circuit.
func (f *Forwarder) deliver(mem []byte, fr *Frame, d *session) (why Drop) {
	addr, n := fr.Addr, fr.Len
	if n < l2tp.EthernetLen {
		return DropRuntInner
	}
	if d.port == NoPort {
		return DropNoAC
	}
	state := f.table.ports[d.port%MaxPorts].state.Load()
	if state&portOverlaps != 0 && f.foreign(d, state, mem[addr:addr+uint64(n)]) {
		return DropVLANMismatch
	}
	if d.tagOp() != decapAsIs {
		if addr, n, why = retagDecap(mem, addr, n, d); why != dropNone {
			return why
		}
	}
	if limit := uint32(state >> 32); n > limit {
		_, tags, _ := l2tp.Ethernet(mem[addr : addr+uint64(n)]).Tags()
		if n > limit+uint32(tags)*l2tp.TagLen {
			return DropOversizeAC
		}
	}
	fr.Addr, fr.Len = addr, n
	f.forward(fr, d.port)
	return dropNone
}

// refuse counts why a frame of a session was dropped.
func (f *Forwarder) refuse(b []byte, fr *Frame, l *lookup, d *session, t *tunnel, why Drop, now int64) {
	f.drop(fr, why)
	c := f.rare(d)
	switch why {
	case DropUDPChecksum, DropUDPZeroChecksum:
		return // not to be believed in anything, the session id included
	case DropShort:
		f.invalid.at(t.slot).add(1)
		return
	case DropCookieMismatch:
		c.rxCookieDiscards.add(1)
	case DropOAM:
		c.rxOAM.add(1)
		f.oam.add(SessionID(d.slot), b[int(l.at)+int(d.rxLen)-l2tp.VCCVLen:l.end], now)
	case DropFragment:
		c.rxFragments.add(1)
	case DropUnnumbered, DropOld:
		f.extraCounters.at(d.slot).rxSeqDiscards.add(1)
	}
	c.rxErrors.add(1)
	if why != DropOversizeAC {
		// What is refused for its tags still has them.
		c.note(suspect(messageOf(b, l), d, why != DropCookieMismatch), now)
	}
}

// note counts what suspect found. A frame that nothing is odd about ends a suspicion.
func (c *rareCounters) note(s Suspicion, now int64) {
	if s == 0 {
		if c.suspicion.Load() != 0 { // the peer's settings have been mended, or ours
			c.suspicion.Store(0)
		}
		return
	}
	c.suspect.add(1)
	c.suspicion.Store(uint64(now)&^0xffff | uint64(s))
}

// strange drops a packet of no session.
func (f *Forwarder) strange(b []byte, fr *Frame, l *lookup) {
	if l.class.udp() {
		if _, ok := udpSumOK(b, l); !ok {
			f.drop(fr, DropUDPChecksum)
			return
		}
	}
	fl := flowOf(b, l)
	why := f.table.stranger(&fl)
	if why == DropVersion {
		f.invalidVersion(b, l)
	}
	f.drop(fr, why)
}
