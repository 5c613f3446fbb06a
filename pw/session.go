package pw

import (
	"encoding/binary"

	"xwire/l2tp"
)

// session is the description of one session, and one worker's counts of what it forwarded of it: 128
// bytes without pointers, of which a frame that nothing is odd about touches one cache line, that of
// its direction. Every worker has a copy, so that it writes to no line that another one reads.
//
// The description is immutable from its publication until every worker has left the batch in which
// it could have found it; a change writes another one, which counts from zero, and swaps the table
// entries.
type session struct {
	encapSide
	txPackets, txBytes counter
	rxSecond           counter // frames accepted by the second cookie

	decapSide
	rxPackets, rxBytes counter
	rxFirst            counter // frames accepted by the first cookie
}

// encapSide is what encap reads.
type encapSide struct {
	tunnel    uint32   // index of the tunnel record
	slot      uint32   // SessionID
	lo, hi, c uint16   // of the VLAN match; any identifier for lo is 0, for c is anyVID
	port      uint16   // AC, or NoPort
	part      [16]byte // right-aligned: peer's session id, tx cookie, sublayer
	partLen   uint8    // bytes used of part
	encapOp   uint8    // see tags.go
	kinds     uint8    // VLANKind | PWKind<<3 | default sublayer<<5 | PWEthVLAN<<6 | PPP<<7
	oversize  Oversize
	pwVID     uint16 // with kindPPP the PPPoE session id
	stpid     uint16
}

// decapSide is what decap reads. Values compared with frame bytes (rxCookie) are kept as a
// little-endian load of those bytes gives them.
type decapSide struct {
	sid         uint32    // L2TPv2: tunnel id and session id
	rxTunnel    uint32    // this and the next are of encapSide
	rxCookie    [2]uint64 // the second repeats the first where there is but one
	rxVLAN      [3]uint16 // lo, hi, c
	rxPort      uint16
	rxSublayer  bool  // the default one
	rxLen       uint8 // bytes from the session id to the inner frame: 4 + cookie + sublayer
	rxCookieLen uint8
	rxCookies   uint8 // how many
	decapOp     uint8
}

// seal writes to decap's side what it needs of encap's, which may be changed until then.
func (d *session) seal() {
	d.rxTunnel, d.rxPort, d.rxSublayer = d.tunnel, d.port, d.defaultSublayer()
	d.rxVLAN = [3]uint16{d.lo, d.hi, d.c}
}

// description is d without the counts.
func (d *session) description() session {
	return session{encapSide: d.encapSide, decapSide: d.decapSide}
}

// tunnelOf is the tunnel's record as read on a frame's way.
func (d *session) tunnelOf(way Way) uint32 {
	if way == WayEncap {
		return d.tunnel
	}
	return d.rxTunnel
}

// accepted counts n frames that came with the first cookie, 0, or the second.
func (d *session) accepted(cookie uint8, n uint64) {
	if cookie == 0 {
		d.rxFirst.add(n)
	} else {
		d.rxSecond.add(n)
	}
}

// addTo sums the counts into c.
func (d *session) addTo(c *Counters) {
	c.TxPackets += d.txPackets.load()
	c.TxBytes += d.txBytes.load()
	c.RxPackets += d.rxPackets.load()
	c.RxBytes += d.rxBytes.load()
	c.RxCookie[0] += d.rxFirst.load()
	c.RxCookie[1] += d.rxSecond.load()
}

const (
	kindDefaultSublayer = 1 << 5
	kindEthVLAN         = 1 << 6
	kindPPP             = 1 << 7

	// anyVID in an AC key stands for "whatever tag is there, or none".
	anyVID = 0xffff
)

func (d *session) vlanKind() VLANKind    { return VLANKind(d.kinds & 7) }
func (d *session) pwKind() PWKind        { return PWKind(d.kinds >> 3 & 3) }
func (d *session) ppp() bool             { return d.kinds&kindPPP != 0 }
func (d *session) defaultSublayer() bool { return d.kinds&kindDefaultSublayer != 0 }

func cookieWord(c l2tp.Cookie) uint64 {
	var b [8]byte
	copy(b[:], c.Bytes())
	return binary.LittleEndian.Uint64(b[:])
}

// pppoeID is the PPPoE session id of the attachment circuit, 0 for Ethernet.
func (d *session) pppoeID() uint16 {
	if d.ppp() {
		return d.pwVID
	}
	return 0
}

// describe writes what spec says, which has been checked, for a session of the tunnel t.
func (d *session) describe(spec *SessionSpec, t *tunnel, tunnel uint32, slot SessionID) {
	*d = session{encapSide: encapSide{
		tunnel: tunnel,
		slot:   uint32(slot),
		port:   spec.AC.Port,
		lo:     spec.AC.VLAN.Lo,
		hi:     spec.AC.VLAN.Hi,
		c:      spec.AC.VLAN.C,
		pwVID:  spec.AC.PW.VID,
		stpid:  spec.AC.STPID,
		kinds:  uint8(spec.AC.VLAN.Kind) | uint8(spec.AC.PW.Kind)<<3,

		oversize: spec.Oversize,
	}}
	d.sid = spec.SID
	switch spec.AC.VLAN.Kind {
	case VLANAll, VLANUntagged:
		d.lo, d.hi, d.c = 0, 0, anyVID
	case VLANSingle:
		d.hi, d.c = d.lo, anyVID
	case VLANRange:
		d.c = anyVID
	case VLANQinQ:
		d.hi = d.lo
	}
	if d.stpid == 0 {
		d.stpid = l2tp.TPIDS
	}
	if spec.Sublayer == l2tp.SublayerDefault {
		d.kinds |= kindDefaultSublayer
	}
	if spec.Type == l2tp.PWEthVLAN {
		d.kinds |= kindEthVLAN
	}
	if spec.AC.PW.Kind != PWVID {
		d.pwVID = 0
	}

	if isPPP(spec.Type) {
		d.kinds |= kindPPP
		d.hi = 0 // no Ethernet session's, whatever the tags
		if d.pwVID = spec.PPPoE.SessionID; d.port == NoPort {
			d.pwVID = 0
		}
	}
	if t.class.v2() {
		d.describeV2(t, uint16(spec.SID), uint16(spec.PSID))
		return
	}

	d.partLen = uint8(l2tp.SessionIDLen + spec.TxCookie.Len() + spec.Sublayer.Len())
	part := d.part[len(d.part)-int(d.partLen):]
	binary.BigEndian.PutUint32(part, spec.PSID)
	copy(part[4:], spec.TxCookie.Bytes())

	if n := spec.RxCookieCount; n > 0 && spec.RxCookies[0].Len() > 0 {
		d.rxCookies = uint8(n)
		d.rxCookieLen = uint8(spec.RxCookies[0].Len())
		d.rxCookie[0] = cookieWord(spec.RxCookies[0])
		d.rxCookie[1] = cookieWord(spec.RxCookies[n-1])
	}
	d.rxLen = uint8(l2tp.SessionIDLen) + d.rxCookieLen + uint8(spec.Sublayer.Len())
	if !d.ppp() {
		d.encapOp, d.decapOp = tagOps(d)
	}
}

// describeV2 writes the ids of an L2TPv2 session: packets are found by tunnel id and session id.
func (d *session) describeV2(t *tunnel, sid, psid uint16) {
	d.sid = uint32(t.tid)<<16 | uint32(sid)
	d.partLen, d.rxLen = l2tp.V2Len, l2tp.V2Len
	l2tp.EncodeV2(d.part[len(d.part)-l2tp.V2Len:], t.ptid, psid)
}

// numberV2 makes an L2TPv2 session's header one with a sequence number.
func (d *session) numberV2(ns uint16) {
	ids := binary.BigEndian.Uint32(d.part[len(d.part)-4:])
	d.partLen = l2tp.V2SequencedLen
	l2tp.EncodeV2Sequenced(d.part[len(d.part)-l2tp.V2SequencedLen:], uint16(ids>>16), uint16(ids), ns)
}

// moveTo gives an L2TPv2 session its tunnel's new ids.
func (d *session) moveTo(t *tunnel) {
	if d.v2() {
		d.sid = uint32(t.tid)<<16 | d.sid&0xffff
		binary.BigEndian.PutUint16(d.part[len(d.part)-int(d.partLen)+2:], t.ptid)
	}
}

// v2 tells an L2TPv2 session by its header's length, which is no multiple of 4.
func (d *session) v2() bool { return d.partLen%4 == 2 }

// spec is the way back, but for the tunnel's id.
func (d *session) spec() SessionSpec {
	part := d.part[len(d.part)-int(d.partLen):]
	s := SessionSpec{
		SID:           d.sid,
		PSID:          binary.BigEndian.Uint32(part),
		RxCookieCount: int(d.rxCookies),
		Type:          l2tp.PWEth,
		Oversize:      d.oversize,
		AC: Attachment{
			Port:  d.port,
			VLAN:  VLANMatch{Kind: d.vlanKind()},
			PW:    PWTags{Kind: d.pwKind(), VID: d.pwVID},
			STPID: d.stpid,
		},
	}
	if d.defaultSublayer() {
		s.Sublayer = l2tp.SublayerDefault
	}
	if d.kinds&kindEthVLAN != 0 {
		s.Type = l2tp.PWEthVLAN
	}
	if d.ppp() {
		s.Type, s.AC.PW.VID = l2tp.PWPPP, 0
	}
	switch s.AC.VLAN.Kind {
	case VLANSingle:
		s.AC.VLAN.Lo = d.lo
	case VLANRange:
		s.AC.VLAN.Lo, s.AC.VLAN.Hi = d.lo, d.hi
	case VLANQinQ:
		s.AC.VLAN.Lo, s.AC.VLAN.C = d.lo, d.c
	}
	if d.v2() {
		s.SID &= 0xffff
		s.PSID = uint32(binary.BigEndian.Uint16(part[4:]))
		return s
	}
	s.TxCookie, _ = l2tp.NewCookie(part[4 : len(part)-s.Sublayer.Len()])
	for i := range s.RxCookieCount {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], d.rxCookie[i])
		s.RxCookies[i], _ = l2tp.NewCookie(b[:d.rxCookieLen])
	}
	return s
}

// acKeys calls f with the key of every table entry under which encap finds the session; all and
// untagged have none, the port's record holds them.
func (d *session) acKeys(f func(acKey) bool) {
	if d.port == NoPort {
		return
	}
	if d.ppp() {
		f(acKey{d.port, d.lo, d.c, d.pwVID})
		return
	}
	switch d.vlanKind() {
	case VLANSingle, VLANRange, VLANQinQ:
		for v := d.lo; v <= d.hi; v++ {
			if !f(acKey{d.port, v, d.c, 0}) {
				return
			}
		}
	}
}

// hasAC tells whether encap finds the session under k.
func (d *session) hasAC(k acKey) bool {
	if k.pppoe != 0 {
		return d.ppp() && d.pwVID == k.pppoe && d.port == k.port && d.lo == k.outer && d.c == k.inner
	}
	return d.port == k.port && d.lo <= k.outer && k.outer <= d.hi && d.c == k.inner
}
