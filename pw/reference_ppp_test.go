package pw

import (
	"encoding/binary"

	"xwire/l2tp"
)

func (t *refTunnel) v2() bool { return t.Version == 2 }

// refPPPoE returns the VLAN identifiers of a frame of PPPoE session data, or -1 and -1, and the
// PPPoE header with all behind it; nil: it is no such frame.
func refPPPoE(frame []byte) (outer, inner int, header []byte) {
	tcis := tagsOf(frame)
	outer, inner = 0, -1
	if len(tcis) > 0 {
		outer = int(tcis[0] & 0xfff)
	}
	if len(tcis) > 1 {
		inner = int(tcis[1] & 0xfff)
	}
	at := 12 + 4*len(tcis)
	if len(frame) < at+8 || u16(frame[at:]) != 0x8864 {
		return -1, -1, nil
	}
	return outer, inner, frame[at+2:]
}

// rank tells how well a frame fits a PPP session's circuit: 0 not at all, 1 but for its addresses.
func (s *SessionSpec) refRank(frame []byte) int {
	outer, inner, header := refPPPoE(frame)
	if header == nil || u16(header[2:]) != s.PPPoE.SessionID {
		return 0
	}
	switch v := s.AC.VLAN; v.Kind {
	case VLANUntagged:
		if outer != 0 || inner >= 0 {
			return 0
		}
	case VLANSingle:
		if outer != int(v.Lo) || inner >= 0 {
			return 0
		}
	case VLANQinQ:
		if outer != int(v.Lo) || inner != int(v.C) {
			return 0
		}
	}
	if l2tp.MAC(frame) == s.PPPoE.Own && l2tp.MAC(frame[6:]) == s.PPPoE.Peer {
		return 2
	}
	return 1
}

// refFromPPPoE returns the PPP frame as L2TP carries it.
func (s *SessionSpec) refFromPPPoE(frame []byte) ([]byte, Drop) {
	if s.refRank(frame) < 2 {
		return nil, DropPPPoEAddress
	}
	_, _, h := refPPPoE(frame)
	n := int(u16(h[4:]))
	if h[0] != 0x11 || h[1] != 0 || n == 0 || n > len(h)-6 {
		return nil, DropPPPoEHeader
	}
	return join([]byte{0xff, 3}, h[6:6+n]), dropNone
}

// refToPPPoE makes the frame that a circuit gets of a PPP frame.
func (s *SessionSpec) refToPPPoE(ppp []byte) []byte {
	head := []byte{0x88, 0x64, 0x11, 0}
	head = binary.BigEndian.AppendUint16(head, s.PPPoE.SessionID)
	head = binary.BigEndian.AppendUint16(head, uint16(len(ppp)))
	return join(s.PPPoE.Peer[:], s.PPPoE.Own[:], acTags(s, 0), head, ppp)
}

// deliverPPP takes a PPP frame to its PPPoE session.
func (r *reference) deliverPPP(s *SessionSpec, frame []byte, o outcome) outcome {
	if len(frame) >= 2 && frame[0] == 0xff && frame[1] == 3 {
		frame = frame[2:]
	}
	why, delta := s.refLimits(frame)
	switch mtu := r.ports[s.AC.Port].MTU; {
	case why != dropNone:
		o.why = why
		o.delta.add(&delta)
	case len(frame) == 0:
		o.why = DropRuntInner
	case s.AC.Port == NoPort:
		o.why = DropNoAC
	case mtu > 0 && 6+len(frame) > mtu:
		o.why = DropOversizeAC
	default:
		o.delta.RxErrors = 0
		o.port, o.bytes = s.AC.Port, s.refToPPPoE(frame)
	}
	return o
}

// refCongestionPPP does what refCongestion does, in a PPP frame.
func refCongestionPPP(b []byte, tos byte) ([]byte, bool) {
	head := 0
	if len(b) >= 2 && b[0] == 0xff && b[1] == 3 {
		head = 2
	}
	ethernet := join(make([]byte, 12), []byte{0x88, 0x64, 0x11, 0, 0, 1, 0, 0}, b[head:])
	ethernet, ok := refCongestion(ethernet, tos)
	if !ok {
		return nil, false
	}
	return join(b[:head], ethernet[20:]), true
}

// refV2 reads an L2TPv2 header: tunnel id and session id, and where the payload begins, or -1.
func refV2(m []byte) (ids uint32, payload int) {
	at := 2
	if m[0]&0x40 != 0 {
		at += 2
	}
	ids = u32(m[at:])
	at += 4
	if m[0]&0x08 != 0 {
		at += 4
	}
	if m[0]&0x02 != 0 {
		if len(m) < at+2 {
			return ids, -1
		}
		at += 2 + int(u16(m[at:]))
	}
	if at > len(m) {
		at = -1
	}
	return ids, at
}
