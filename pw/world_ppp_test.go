package pw

import "encoding/binary"

// pppFrame makes a PPP frame as a peer may send it in L2TP.
func (w *world) pppFrame() (b []byte) {
	switch w.rng.IntN(5) {
	case 4:
		return join([]byte{0xff, 3, 0, 0x21}, tcpFrame(false, 0, 2, 2, 4, 1460>>8, 1460&255)[14:])
	case 0:
		b = []byte{0xff, 3, 0, 0x21, 0x45, byte(w.rng.Uint32())}
	case 1:
		b = []byte{0xc0, 0x21}
	case 2:
		b = []byte{0xff, 3, 0x21}
	}
	for range w.rng.IntN(90) {
		b = append(b, byte(w.rng.Uint32()))
	}
	return b
}

// pppoeFrame makes a frame of a session's PPPoE session, often spoilt in some field.
func (w *world) pppoeFrame(s *SessionSpec) []byte {
	rng := w.rng
	p := *s
	p.PPPoE.Own, p.PPPoE.Peer = s.PPPoE.Peer, s.PPPoE.Own
	ppp := w.pppFrame()
	switch rng.IntN(12) {
	case 0:
		p.PPPoE.Own[5]++
	case 1:
		p.PPPoE.Peer[5]++
	case 2:
		p.PPPoE.SessionID++
	}
	b := p.refToPPPoE(ppp)
	if s.AC.VLAN.Kind == VLANUntagged && rng.IntN(4) == 0 {
		b = join(b[:12], tag(0x8100, 0xe000), b[12:])
	}
	at := len(b) - len(ppp) - 6
	switch rng.IntN(10) {
	case 0:
		b[at+rng.IntN(2)] ^= 1 << rng.IntN(8)
	case 1:
		binary.BigEndian.PutUint16(b[at+4:], u16(b[at+4:])+uint16(rng.IntN(5)-2))
	case 2:
		b = b[:len(b)-rng.IntN(len(ppp)+8)]
	case 3:
		b = join(b, make([]byte, rng.IntN(60)))
	}
	return b
}

// messageV2 makes an L2TPv2 data message of any form.
func (w *world) messageV2(tid, sid uint16, payload []byte) []byte {
	rng := w.rng
	b := binary.BigEndian.AppendUint16(nil, 2|uint16(rng.Uint32())&pick[uint16](rng, 0, 0x4b00, 0x7ff0))
	if b[0]&0x40 != 0 {
		b = append(b, byte(rng.Uint32()), byte(rng.Uint32()))
	}
	b = binary.BigEndian.AppendUint16(b, tid)
	b = binary.BigEndian.AppendUint16(b, sid)
	if b[0]&0x08 != 0 {
		b = append(b, byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32()))
	}
	if b[0]&0x02 != 0 {
		n := pick(rng, 0, 1, 5)
		b = join(b, []byte{0, byte(n)}, make([]byte, n))
		if rng.IntN(8) == 0 {
			b[len(b)-n-2] = 1
		}
	}
	return join(b, payload)
}
