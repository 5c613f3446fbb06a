package pw

import "encoding/binary"

// refInside finds the IP header behind up to two tags and PPPoE, and the outermost tag, behind skip
// tags that are not counted.
func refInside(frame []byte, skip int) (ip []byte, pcp int) {
	pcp = -1
	at, tags := 12, 0
	isTag := func() bool {
		if len(frame) < at+6 {
			return false
		}
		t := u16(frame[at:])
		return t == 0x8100 || t == 0x88a8 || t == 0x9100
	}
	for ; tags < skip+2 && isTag(); tags++ {
		if tags == skip {
			pcp = int(frame[at+2] >> 5)
		}
		at += 4
	}
	if len(frame) < at+2 {
		return nil, pcp
	}
	typ := u16(frame[at:])
	p := frame[at+2:]
	if typ == 0x8864 && len(p) >= 8 {
		typ = map[uint16]uint16{0x21: 0x0800, 0x57: 0x86dd}[u16(p[6:])]
		p = p[8:]
	}
	if typ == 0x0800 && len(p) >= 20 && p[0]>>4 == 4 && p[0]&15 >= 5 || typ == 0x86dd && len(p) >= 40 && p[0]>>4 == 6 {
		return p, pcp
	}
	return nil, pcp
}

func refTOS(ip []byte) byte {
	switch {
	case ip == nil:
		return 0
	case ip[0]>>4 == 4:
		return ip[1]
	}
	return ip[0]<<4 | ip[1]>>4
}

// marks tells what the outer header of a frame says.
func (s *SessionSpec) marks(t *TunnelSpec, frame []byte) (tos, ttl byte, df bool) {
	m := &s.Marking
	tos, ttl, df = t.TOS, t.TTL, t.DF
	if m.TTL != 0 {
		ttl = m.TTL
	}
	if ttl == 0 {
		ttl = 64
	}
	ip, pcp := refInside(frame, int(m.Skip))
	if m.TTLInner && ip != nil {
		if ttl = ip[8]; ip[0]>>4 == 6 {
			ttl = ip[7]
		}
		ttl = max(ttl, 1)
	}
	switch {
	case m.DF == DFSet, m.DF == DFClear:
		df = m.DF == DFSet
	case m.DF == DFInner && ip != nil:
		df = ip[0]>>4 == 6 || ip[6]&0x40 != 0
	}
	switch m.TOSFrom {
	case TOSFixed:
		tos = m.TOS
	case TOSInner:
		tos = refTOS(ip) / 4 * 4
	}
	if m.PCP && pcp >= 0 {
		tos = m.DSCP[pcp] * 4
	}
	if m.ECN {
		tos = tos/4*4 + refTOS(ip)%4
	}
	return tos, ttl, df
}

// refCongestion is RFC 6040 for a frame that came in an outer header with this TOS. False: drop.
func refCongestion(frame []byte, outer byte) ([]byte, bool) {
	ip, _ := refInside(frame, 0)
	if ip == nil {
		return frame, true
	}
	was := refTOS(ip) & 3
	is := [4][4]byte{ // by inner, then by outer: not-ECT, ECT(1), ECT(0), CE
		{0, 0, 0, 9},
		{1, 1, 1, 3},
		{2, 1, 2, 3},
		{3, 3, 3, 3},
	}[was][outer&3]
	if is == 9 {
		return nil, false
	}
	frame = join(frame)
	ip, _ = refInside(frame, 0)
	if ip[0]>>4 == 6 {
		ip[1] = ip[1]&0xcf | is<<4
	} else {
		// Whatever the checksum was wrong by it still is.
		sum := uint32(^u16(ip[10:])) + uint32(^u16(ip))
		ip[1] = ip[1]&0xfc | is
		sum += uint32(u16(ip))
		if is == was {
			return frame, true
		}
		for sum > 0xffff {
			sum = sum&0xffff + sum>>16
		}
		binary.BigEndian.PutUint16(ip[10:], ^uint16(sum))
	}
	return frame, true
}

// randomMarking marks in all ways that a reference can foresee.
func (w *world) randomMarking() (m Marking) {
	rng := w.rng
	if rng.IntN(3) > 0 {
		return m
	}
	m = Marking{
		TTL: pick[uint8](rng, 0, 1, 255), DF: DF(rng.IntN(4)), TOSFrom: TOSFrom(rng.IntN(3)), PCP: rng.IntN(2) == 0,
		ECN: rng.IntN(2) == 0, FlowLabel: rng.IntN(2) == 0, Skip: uint8(rng.IntN(3)),
	}
	m.TTLInner = m.TTL == 0 && rng.IntN(2) == 0
	if m.TOSFrom == TOSFixed {
		m.TOS = byte(rng.Uint32())
	}
	for i := range m.DSCP {
		m.DSCP[i] = byte(rng.IntN(64))
	}
	return m
}

// body is what a frame has behind its MACs and tags.
func (w *world) body() (b []byte) {
	rng := w.rng
	random := func(n int) {
		for range n {
			b = append(b, byte(rng.Uint32()))
		}
	}
	switch rng.IntN(7) {
	case 6: // TCP that announces an MSS of 1460
		b = tcpFrame(rng.IntN(2) == 0, 0, 2, 2, 4, 1460>>8, 1460&255)[12:]
	case 0:
		b = []byte{8, 0, 0x45}
		random(19 + rng.IntN(20))
	case 1:
		b = []byte{0x86, 0xdd, 0x60 | byte(rng.IntN(16))}
		random(39 + rng.IntN(20))
	case 2:
		b = join([]byte{0x88, 0x64, 0x11, 0, 0, 1, 0, 60}, pick(rng, []byte{0, 0x21, 0x45}, []byte{0, 0x57, 0x60}, []byte{0xc0, 0x21, 1}))
		random(60)
	default:
		b = join(pick(rng, []byte{8, 0, 0x45}, []byte{8, 0, 0x45}, []byte{8, 0, 0x45}, []byte{0x86, 0xdd, 0x60}, []byte{8, 6, 0}))
		random(rng.IntN(200))
	}
	return b
}
