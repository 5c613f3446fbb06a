package pw

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"xwire/l2tp"
)

// PPPoE is the attachment circuit of a PPP pseudowire: one PPPoE session (RFC 2516) of a port, in
// the VLAN of SessionSpec.AC. Its frames of session data alone are the session's; discovery, and
// what comes from or goes to other addresses, is not. The zero value is none.
type PPPoE struct {
	SessionID uint16   // 1 to 65534
	Peer      l2tp.MAC // whose frames are taken, and to whom they are sent
	Own       l2tp.MAC // to which they come, and from which they are sent; zero: the port's
	Learn     bool     // whoever sends to Own is the peer from then on: for circuits with no one else on them
}

// check tells what is wrong with a session's circuit and its pseudowire's type.
func (s *SessionSpec) checkPPP() error {
	if !isPPP(s.Type) {
		if s.PPPoE != (PPPoE{}) {
			return fmt.Errorf("PPPoE session %d as the circuit of an %v pseudowire: must be ppp", s.PPPoE.SessionID, s.Type)
		}
		return nil
	}
	if s.AC.Port == NoPort {
		return nil
	}
	p, v := &s.PPPoE, s.AC.VLAN
	switch {
	case p.SessionID == 0 || p.SessionID == 0xffff:
		return fmt.Errorf("PPPoE session %d: must be 1 to 65534", p.SessionID)
	case p.Peer[0]&1 != 0 || p.Own[0]&1 != 0 || p.Peer == l2tp.MAC{}:
		return fmt.Errorf("PPPoE session %d from %x to %x: must be between the addresses of two stations", p.SessionID, p.Peer, p.Own)
	case v.Kind != VLANUntagged && v.Kind != VLANSingle && v.Kind != VLANQinQ || s.AC.PW.Kind != PWKeep:
		return fmt.Errorf("PPPoE session %d in VLAN %v: must be untagged or of one VLAN, which is not carried", p.SessionID, v)
	}
	return nil
}

func isPPP(t l2tp.PWType) bool { return t == l2tp.PWPPP || t == l2tp.PWPPPAC }

// circuit is a PPPoE circuit, ready for use.
type circuit struct {
	PPPoE
	hdr  [pppoeRoom]byte // right-aligned: room for the addresses, tags, EtherType, PPPoE header without length
	len  uint32          // bytes used of hdr
	peer *atomic.Uint64  // as it was learnt last, or as it is given: state, which outlives a change of the session
}

const pppoeRoom = l2tp.EthernetLen + 2*l2tp.TagLen + l2tp.PPPoELen

// newCircuit returns nil for a session without. old is the session's until now, or nil.
func newCircuit(s *SessionSpec, old *circuit) *circuit {
	if !isPPP(s.Type) || s.AC.Port == NoPort {
		return nil
	}
	c := &circuit{PPPoE: s.PPPoE, len: l2tp.EthernetLen + l2tp.PPPoELen}
	var tags []l2tp.Tag
	switch s.AC.VLAN.Kind {
	case VLANSingle:
		tags = []l2tp.Tag{{TPID: l2tp.TPIDC, TCI: s.AC.VLAN.Lo}}
	case VLANQinQ:
		stpid := s.AC.STPID
		if stpid == 0 {
			stpid = l2tp.TPIDS
		}
		tags = []l2tp.Tag{{TPID: stpid, TCI: s.AC.VLAN.Lo}, {TPID: l2tp.TPIDC, TCI: s.AC.VLAN.C}}
	}
	c.len += uint32(len(tags) * l2tp.TagLen)
	if old != nil && old.PPPoE == c.PPPoE {
		c.peer = old.peer
	} else {
		c.peer = new(atomic.Uint64)
		c.peer.Store(macWord(c.Peer))
	}
	b := c.hdr[len(c.hdr)-int(c.len):]
	for i, tag := range tags {
		binary.BigEndian.PutUint16(b[12+4*i:], tag.TPID)
		binary.BigEndian.PutUint16(b[14+4*i:], tag.TCI)
	}
	binary.BigEndian.PutUint16(b[len(b)-8:], l2tp.TypePPPoESession)
	l2tp.PPPoE(b[len(b)-6:]).Encode(c.SessionID, 0)
	return c
}

// own is our address in the circuit of a port.
func (c *circuit) own(p *port) uint64 {
	if c.Own != (l2tp.MAC{}) {
		return macWord(c.Own)
	}
	return p.mac.Load()
}

// addressed tells whether a frame comes from the circuit's peer to us.
func (c *circuit) addressed(p *port, b []byte) bool {
	return macWord([6]byte(b)) == c.own(p) && (c.Learn && b[6]&1 == 0 || macWord([6]byte(b[6:])) == c.peer.Load())
}

// macWord is an address as a word, which can be read and written whole.
func macWord(m l2tp.MAC) uint64 {
	return uint64(binary.BigEndian.Uint16(m[:]))<<32 | uint64(binary.BigEndian.Uint32(m[2:]))
}

func putMAC(b []byte, w uint64) {
	binary.BigEndian.PutUint16(b, uint16(w>>32))
	binary.BigEndian.PutUint32(b[2:], uint32(w))
}

// pppoeSession returns the record of the session whose PPPoE session a frame of the port names, or
// 0. Where it is another station's, encap finds that out.
func (f *Forwarder) pppoeSession(p uint16, b []byte) (record uint32) {
	t := f.table
	tags, n, typ := l2tp.Ethernet(b).Tags()
	at := l2tp.EthernetLen + n*l2tp.TagLen
	if typ != l2tp.TypePPPoESession || len(b) < at+l2tp.PPPoELen {
		return 0
	}
	k := acKey{p, tags[0].VID(), anyVID, l2tp.PPPoE(b[at:]).SessionID()}
	if n == 2 {
		k.inner = tags[1].VID()
	}
	if k.pppoe == 0 {
		return 0
	}
	x := t.ac.Load()
	tag := t.seeds.acTag(k)
	found, place := x.first(tag)
	for found != 0 {
		if d := f.sessions.at(found); d.hasAC(k) {
			record = found
			if c := t.extraOf(d.slot).circuit; c != nil && c.addressed(&t.ports[p%MaxPorts], b) {
				return found
			}
		}
		found, place = x.next(tag, place)
	}
	return record
}

// fromPPPoE moves a frame's start to the PPP frame inside, and its end to where that ends.
func (c *circuit) fromPPPoE(p *port, b []byte, fr *Frame) Drop {
	if !c.addressed(p, b) {
		return DropPPPoEAddress
	}
	_, n, _ := l2tp.Ethernet(b).Tags()
	at := l2tp.EthernetLen + n*l2tp.TagLen
	h := l2tp.PPPoE(b[at:])
	if !h.Valid() || h.Len() == 0 {
		return DropPPPoEHeader
	}
	if c.Learn {
		if peer := macWord([6]byte(b[6:])); peer != c.peer.Load() {
			c.peer.Store(peer)
		}
	}
	fr.Addr += uint64(at) + l2tp.PPPoELen
	fr.Len = uint32(h.Len())
	return dropNone
}

// trimPPP takes off what L2TP has before a PPP frame's protocol.
func trimPPP(mem []byte, fr *Frame) {
	n := uint32(len(l2tp.TrimPPP(bytesOf(mem, fr))))
	fr.Addr += uint64(fr.Len - n)
	fr.Len = n
}

// padPPP puts it on.
func padPPP(mem []byte, fr *Frame) {
	fr.Addr -= l2tp.PPPAddressControlLen
	fr.Len += l2tp.PPPAddressControlLen
	binary.BigEndian.PutUint16(mem[fr.Addr:], l2tp.PPPAddressControl)
}

// deliverPPP gives a PPP frame that came for the session to its PPPoE session.
func (f *Forwarder) deliverPPP(mem []byte, fr *Frame, d *session, e *extra) Drop {
	c := e.circuit
	if c == nil || d.port == NoPort {
		return DropNoAC
	}
	p := &f.table.ports[d.port%MaxPorts]
	if limit := uint32(p.state.Load() >> 32); l2tp.EthernetLen+l2tp.PPPoELen+fr.Len > limit {
		return DropOversizeAC
	}
	if fr.Addr%minChunk < uint64(c.len) {
		return DropHeadroom
	}
	binary.BigEndian.PutUint16(mem[fr.Addr-2:], uint16(fr.Len))
	copy(mem[fr.Addr-uint64(c.len):fr.Addr-2], c.hdr[len(c.hdr)-int(c.len):])
	fr.Addr -= uint64(c.len)
	putMAC(mem[fr.Addr:], c.peer.Load())
	putMAC(mem[fr.Addr+6:], c.own(p))
	fr.Len += c.len
	f.forward(fr, d.port)
	return dropNone
}

// pppoeVLANs counts the PPPoE sessions of a port by VLAN: a VLAN may have those or an Ethernet
// session, for that one would have theirs too.
type pppoeVLANs map[[2]uint16]int

var errPPPoE = errors.New("PPPoE sessions have a part of it")

// clash tells whether an Ethernet session would have PPPoE sessions' frames. was is what it was
// before, if anything.
func (v pppoeVLANs) clash(d, was *session) error {
	for vlan, n := range v {
		if was.ppp() && was.port == d.port && vlan == [2]uint16{was.lo, was.c} && n == 1 {
			continue // its own
		}
		outer, inner := vlan[0], vlan[1]
		mine := false
		switch d.vlanKind() {
		case VLANAll:
			mine = true
		case VLANUntagged:
			mine = outer == 0
		case VLANSingle, VLANRange:
			mine = d.lo <= outer && outer <= d.hi
		case VLANQinQ:
			mine = d.lo == outer && (d.c == inner || inner == anyVID)
		}
		if mine {
			return fmt.Errorf("port %d VLAN %v: %w", d.port, d.spec().AC.VLAN, errPPPoE)
		}
	}
	return nil
}

// clashPPPoE finds another session that has frames of d's PPPoE session e.circuit.
func (t *Table) clashPPPoE(d *session, e *extra) error {
	there := uint32(0) // its slot
	other := func(record uint32) {
		if slot := t.session(record).slot; record != 0 && slot != d.slot {
			there = slot
		}
	}
	find := func(k acKey, same func(slot uint32) bool) {
		x := t.ac.Load()
		tag := t.seeds.acTag(k)
		record, i := x.first(tag)
		for ; record != 0; record, i = x.next(tag, i) {
			if s := t.session(record); s.hasAC(k) && same(s.slot) {
				other(record)
			}
		}
	}
	a := &t.attached[d.port]
	other(a.all)
	if d.lo == 0 {
		other(a.untagged)
	} else {
		any := func(uint32) bool { return true }
		find(acKey{d.port, d.lo, anyVID, 0}, any)
		find(acKey{d.port, d.lo, d.c, 0}, any)
	}
	find(acKey{d.port, d.lo, d.c, d.pppoeID()}, func(slot uint32) bool {
		c := t.extraOf(slot).circuit
		return c != nil && c.Peer == e.circuit.Peer
	})
	if there != 0 {
		return &ClashError{SessionID(there), fmt.Sprintf("port %d VLAN %v PPPoE session %d", d.port, d.spec().AC.VLAN, d.pppoeID())}
	}
	return nil
}
