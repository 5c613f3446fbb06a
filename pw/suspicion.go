package pw

import (
	"encoding/binary"
	"fmt"

	"xwire/l2tp"
)

// Suspicion is what a frame tells of the peer's settings when it only makes sense under others
// than ours. 0 is none. A frame's header does not carry these settings, so this is a guess from
// where an Ethernet frame with a well-known type would begin; one odd frame proves nothing.
type Suspicion uint16

// A suspicion holds the cookie's length and the sublayer as they seem to be and as they are
// configured here.
const (
	suspectSet         Suspicion = 1 << 15
	suspectCookieValue Suspicion = 1 << 14 // settings agree, the cookie's value does not

	suspectCookieShift     = 0 // 4 bits each, bytes
	suspectOwnCookieShift  = 4
	suspectSublayer        = 1 << 8
	suspectOwnSublayer     = 1 << 9
	suspectCookieMask      = 15
	suspectCookieUncertain = 1 << 10
)

func newSuspicion(cookie int, sublayer bool, ownCookie int, ownSublayer bool) Suspicion {
	s := suspectSet | Suspicion(cookie)<<suspectCookieShift | Suspicion(ownCookie)<<suspectOwnCookieShift
	if sublayer {
		s |= suspectSublayer
	}
	if ownSublayer {
		s |= suspectOwnSublayer
	}
	return s
}

// Cookie returns the cookie's length in bytes as the peer seems to send it, and as it is expected.
func (s Suspicion) Cookie() (peer, own int) {
	return int(s >> suspectCookieShift & suspectCookieMask), int(s >> suspectOwnCookieShift & suspectCookieMask)
}

// Sublayer returns the sublayer as the peer seems to send it, and as it is expected.
func (s Suspicion) Sublayer() (peer, own l2tp.Sublayer) {
	if s&suspectSublayer != 0 {
		peer = l2tp.SublayerDefault
	}
	if s&suspectOwnSublayer != 0 {
		own = l2tp.SublayerDefault
	}
	return peer, own
}

// String returns a sentence, or "" for none.
func (s Suspicion) String() string {
	if s == 0 {
		return ""
	}
	if s&suspectCookieValue != 0 {
		return "peer seems to send another cookie than rx_cookie, of the same length"
	}
	peerCookie, ownCookie := s.Cookie()
	peerSub, ownSub := s.Sublayer()
	text := ""
	if peerSub != ownSub {
		seen := "no sublayer"
		if peerSub == l2tp.SublayerDefault {
			seen = "a 4-byte sublayer"
		}
		text = fmt.Sprintf("peer seems to send %s; l2spec_type is %v", seen, ownSub)
	}
	if peerCookie != ownCookie {
		seen, own := "no cookie", "rx_cookie is not set"
		if peerCookie > 0 {
			seen = fmt.Sprintf("a cookie of %d bytes", peerCookie)
		}
		if ownCookie > 0 {
			own = fmt.Sprintf("rx_cookie has %d", ownCookie)
		}
		if text != "" {
			text += "; and "
		}
		text += fmt.Sprintf("peer seems to send %s; %s", seen, own)
	}
	return text
}

// suspect looks at an L2TP message from behind its session id on and guesses whether the peer's
// settings are ours. It allocates nothing, but is too slow for every frame: the first delivered
// of a batch and those with a reason to doubt are enough, as a wrong setting spoils them all.
func suspect(message []byte, d *session, cookieOK bool) Suspicion {
	if d.ppp() {
		return 0
	}
	own := int(d.rxLen) - l2tp.SessionIDLen
	if plausible(message, own) && !tagged(message, own) {
		if cookieOK || d.rxCookieLen == 0 {
			return 0
		}
		return suspectSet | suspectCookieValue | newSuspicion(int(d.rxCookieLen), d.defaultSublayer(), int(d.rxCookieLen), d.defaultSublayer())
	}
	for at := 0; at <= l2tp.MaxCookieLen+4; at += l2tp.TagLen {
		if at == own || !plausible(message, at) {
			continue
		}
		// What precedes the frame is a sublayer if it looks like one of a frame that is no
		// fragment: all zero, or a sequence number.
		cookie, sublayer := at, false
		if at == 12 || at >= 4 && (message[at-4] == 0x40 || binary.BigEndian.Uint32(message[at-4:]) == 0) {
			cookie, sublayer = at-4, true
		}
		return newSuspicion(cookie, sublayer, int(d.rxCookieLen), d.defaultSublayer())
	}
	return 0
}

// tagged tells whether what begins at own may be a tagged frame that begins before: cut off in
// front by as much as its tags have, it has its type in the right place too. An untagged frame with
// a tag's identifier in its source address is less likely.
func tagged(b []byte, own int) bool {
	for tags := 1; tags <= 2; tags++ {
		if at := own - tags*l2tp.TagLen; at >= 0 && plausible(b, at) {
			if _, n, _ := l2tp.Ethernet(b[at:]).Tags(); n >= tags {
				return true
			}
		}
	}
	return false
}

// plausible tells whether the bytes at b[at:] look like an Ethernet frame of a common kind.
func plausible(b []byte, at int) bool {
	if len(b) < at+l2tp.EthernetLen+2 {
		return false
	}
	b = b[at:]
	_, n, typ := l2tp.Ethernet(b).Tags()
	rest := b[l2tp.EthernetLen+n*l2tp.TagLen:]
	first := byte(0)
	if len(rest) > 0 {
		first = rest[0]
	}
	switch typ {
	case l2tp.TypeIPv4:
		return first>>4 == 4
	case l2tp.TypeIPv6:
		return first>>4 == 6
	case 0x0806, // ARP
		0x8847, 0x8848, // MPLS
		0x8863, 0x8864, // PPPoE
		0x8809, 0x88cc, 0x8902, 0x88f7, 0x88e5, // slow protocols, LLDP, CFM, PTP, MACsec
		l2tp.TPIDC, l2tp.TPIDS, l2tp.TPIDQ: // a third tag
		return true
	}
	// A length, and an LLC header of spanning tree or SNAP behind it.
	return typ <= 1500 && len(rest) > 1 && rest[1] == first && (first == 0x42 || first == 0xaa)
}
