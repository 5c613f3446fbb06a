package pw

import (
	"encoding/binary"

	"xwire/l2tp"
)

// outerTag hashes what parseOuter found.
func (t *Table) outerTag(b []byte, l *lookup) uint32 {
	fl := flowOf(b, l)
	return t.seeds.tag(&fl, l2tp.Data(b[l.at:]).SessionID())
}

// invalidVersion counts a wrong version at the tunnel, if it is one's.
func (f *Forwarder) invalidVersion(b []byte, l *lookup) {
	fl := flowOf(b, l)
	if t := f.table.tunnelOf(&fl); t != nil {
		f.invalid.at(t.slot).add(1)
	}
}

// resolve compares the record found with the packet, and goes on looking behind a wrong one.
func (t *Table) resolve(l *lookup, fl *flow, sid uint32, x *index) (*session, *tunnel) {
	place := int(l.place)
	for l.record != 0 {
		d := t.sessions.at(l.record)
		if d.sid == sid {
			if r := t.tunnels.at(d.tunnel); r.matches(fl) {
				return d, r
			}
		}
		l.record, place = x.next(l.tag, place)
	}
	return nil, nil
}

// decapLot decapsulates frames that parseOuter has seen.
func (f *Forwarder) decapLot(mem []byte, fs []Frame, lot []lookup, now int64) {
	x := f.table.decap.Load()
	f.fetch(lot, x)
	sampled := false
	var head [longView]byte
	var tags uint64
	for i := range lot {
		l := &lot[i]
		fr := &fs[l.frame]
		b := bytesOf(mem, fr)
		fl := flowOf(b, l)
		d, t := f.table.resolve(l, &fl, l2tp.Data(b[l.at:]).SessionID(), x)
		if d == nil {
			f.strange(b, fr, l, &fl)
			continue
		}
		c := f.counters.at(d.slot)
		inner := int(l.at) + int(d.rxLen)
		learn := i == len(lot)-1 && l.record == f.lastDecap && len(b) >= max(len(head), inner+20)
		if learn {
			head = [len(head)]byte(b)
			tags = binary.LittleEndian.Uint64(b[inner+12:])
		}
		f.lastDecap = l.record
		why := f.decap(mem, b, fr, l, d, t, c)
		if why != dropNone {
			f.refuse(b, fr, l, d, t, c, why, now)
			continue
		}
		if !sampled && d.decapOp != decapReplace {
			sampled = true
			f.suspect(b, l, d, c, true, now)
		}
		if learn {
			f.learnDecap(&head, tags, fr, l, d)
		}
	}
}

// decap moves the frame's start to the frame inside.
func (f *Forwarder) decap(mem, b []byte, fr *Frame, l *lookup, d *session, t *tunnel, c *sessionCounters) Drop {
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
			c.rxCookie[0].add(1)
		case d.rxCookie[1]:
			c.rxCookie[1].add(1)
		default:
			return DropCookieMismatch
		}
	}
	if d.defaultSublayer() {
		w := l2tp.Data(m).Sublayer(int(d.rxCookieLen))
		if w&l2tp.SublayerV != 0 {
			return DropOAM
		}
		if w&(l2tp.SublayerB|l2tp.SublayerE) != 0 {
			return DropFragment
		}
		if w&l2tp.SublayerRest != 0 {
			c.sublayerBits.add(1)
		}
	}
	bytes := uint64(len(m))
	if t.class.udp() {
		bytes += l2tp.FlagsLen
	}
	c.rxPackets.add(1)
	c.rxBytes.add(bytes)

	n := uint32(len(m)) - uint32(d.rxLen)
	addr := fr.Addr + uint64(l.at) + uint64(d.rxLen)
	if n < l2tp.EthernetLen {
		return DropRuntInner
	}
	if d.port == NoPort {
		return DropNoAC
	}
	if d.decapOp != decapAsIs {
		var why Drop
		if addr, n, why = retagDecap(mem, addr, n, d); why != dropNone {
			return why
		}
	}
	if limit := uint32(f.table.ports[d.port%MaxPorts].state.Load() >> 32); n > limit {
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
func (f *Forwarder) refuse(b []byte, fr *Frame, l *lookup, d *session, t *tunnel, c *sessionCounters, why Drop, now int64) {
	f.drop(fr, why)
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
	case DropFragment:
		c.rxFragments.add(1)
	}
	c.rxErrors.add(1)
	if why != DropOversizeAC {
		f.suspect(b, l, d, c, why != DropCookieMismatch, now)
	}
}

// suspect looks whether the peer's settings seem to be other than ours. It does so after tags were
// changed, so not where the type's place has changed, which only decapReplace does.
func (f *Forwarder) suspect(b []byte, l *lookup, d *session, c *sessionCounters, cookieOK bool, now int64) {
	s := suspect(b[int(l.at)+l2tp.SessionIDLen:l.end], d, cookieOK)
	if s == 0 {
		return
	}
	c.suspect.add(1)
	c.suspicion.store(uint64(now)<<16 | uint64(s))
}

// strange drops a packet of no session.
func (f *Forwarder) strange(b []byte, fr *Frame, l *lookup, fl *flow) {
	if l.class.udp() {
		if _, ok := udpSumOK(b, l); !ok {
			f.drop(fr, DropUDPChecksum)
			return
		}
	}
	f.drop(fr, f.table.stranger(fl))
}
