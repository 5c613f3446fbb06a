package pw

import (
	"encoding/binary"
	"net/netip"

	"xwire/l2tp"
)

// reference is what Process ought to do, one frame at a time, by searching lists: slow, without
// any of the tricks of the product.
type reference struct {
	hops     map[NextHopID]NextHop
	tunnels  map[TunnelID]refTunnel
	sessions map[SessionID]SessionSpec
	ports    map[uint16]PortSpec
}

type refTunnel struct {
	TunnelSpec
	hop NextHopID
}

// outcome is what becomes of a frame. The identification and flow label are not foreseen: the
// bytes have 0 there, and the IPv4 checksum is right for that.
type outcome struct {
	port    uint16
	why     Drop // if port is NoPort
	bytes   []byte
	session SessionID // whose counters change by delta
	delta   Counters
	invalid TunnelID // whose RxInvalid changes by one
}

func newReference() *reference {
	return &reference{
		hops:     make(map[NextHopID]NextHop),
		tunnels:  make(map[TunnelID]refTunnel),
		sessions: make(map[SessionID]SessionSpec),
		ports:    make(map[uint16]PortSpec),
	}
}

func dropped(why Drop) outcome { return outcome{port: NoPort, why: why} }

func (r *reference) process(in uint16, room int, frame []byte) outcome {
	if len(frame) < 14 {
		return dropped(DropRunt)
	}
	if id, s := r.attachment(in, frame); s != nil {
		return r.encap(id, s, room, frame)
	}
	if r.ports[in].Core {
		return r.decap(frame)
	}
	return dropped(DropNoAttachment)
}

func u16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func u32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }

// tagsOf returns the VLAN TCIs of a frame, at most two.
func tagsOf(frame []byte) (tcis []uint16) {
	for at := 12; len(tcis) < 2 && len(frame) >= at+6; at += 4 {
		if t := u16(frame[at:]); t != 0x8100 && t != 0x88a8 && t != 0x9100 {
			break
		}
		tcis = append(tcis, u16(frame[at+2:]))
	}
	return tcis
}

func (r *reference) attachment(port uint16, frame []byte) (best SessionID, spec *SessionSpec) {
	tcis := tagsOf(frame)
	outer, inner := -1, -1
	if len(tcis) > 0 {
		outer = int(tcis[0] & 0xfff)
	}
	if len(tcis) > 1 {
		inner = int(tcis[1] & 0xfff)
	}
	rank := 0
	for id, s := range r.sessions {
		if s.AC.Port != port {
			continue
		}
		v, got := s.AC.VLAN, 0
		switch {
		case isPPP(s.Type):
			got = s.refRank(frame)
		case v.Kind == VLANAll:
			got = 1
		case v.Kind == VLANUntagged && outer <= 0:
			got = 2
		case v.Kind == VLANSingle && outer == int(v.Lo):
			got = 2
		case v.Kind == VLANRange && outer >= int(v.Lo) && outer <= int(v.Hi):
			got = 2
		case v.Kind == VLANQinQ && outer == int(v.Lo) && inner == int(v.C):
			got = 3
		}
		if got > rank {
			rank, best, spec = got, id, &s
		}
	}
	return best, spec
}

func tag(tpid, tci uint16) []byte {
	return []byte{byte(tpid >> 8), byte(tpid), byte(tci >> 8), byte(tci)}
}

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// acTags are the tags of a session's attachment circuit.
func acTags(s *SessionSpec, pcp uint16) []byte {
	stpid := s.AC.STPID
	if stpid == 0 {
		stpid = 0x88a8
	}
	switch s.AC.VLAN.Kind {
	case VLANSingle:
		return tag(0x8100, pcp|s.AC.VLAN.Lo)
	case VLANQinQ:
		return join(tag(stpid, pcp|s.AC.VLAN.Lo), tag(0x8100, pcp|s.AC.VLAN.C))
	}
	return nil
}

func (r *reference) encap(id SessionID, s *SessionSpec, room int, frame []byte) outcome {
	fail := func(why Drop) outcome {
		return outcome{port: NoPort, why: why, session: id, delta: Counters{TxErrors: 1}}
	}
	t := r.tunnels[s.Tunnel]
	tos, ttl, df := s.marks(&t.TunnelSpec, frame)
	if isPPP(s.Type) {
		ppp, why := s.refFromPPPoE(frame)
		if why == DropPPPoEAddress {
			return dropped(why)
		}
		if why != dropNone {
			return fail(why)
		}
		_, _, h := refPPPoE(frame)
		room += len(frame) - len(h) + 6 - 2
		frame = ppp
	}
	if s.Limits.Tx == shutRate {
		o := fail(DropPoliced)
		o.delta.TxRateDiscards = 1
		return o
	}
	if room < encapRoom {
		return fail(DropHeadroom)
	}
	hop, ok := r.hops[t.hop]
	if !ok || hop.Port == NoPort {
		return fail(DropNoNextHop)
	}
	if s.AC.PW.Kind != PWKeep {
		pops := map[VLANKind]int{VLANSingle: 1, VLANQinQ: 2}[s.AC.VLAN.Kind]
		if s.AC.VLAN.Kind == VLANUntagged && len(tagsOf(frame)) > 0 {
			pops = 1
		}
		pcp := uint16(0)
		if pops > 0 {
			pcp = tagsOf(frame)[0] & 0xf000
		}
		var push []byte
		if s.AC.PW.Kind == PWVID {
			push = tag(0x8100, pcp|s.AC.PW.VID)
		}
		frame = join(frame[:12], push, frame[12+4*pops:])
	}
	message := binary.BigEndian.AppendUint32(nil, s.PSID)
	message = join(message, s.TxCookie.Bytes(), make([]byte, s.Sublayer.Len()), frame)
	if t.Encap == l2tp.EncapUDP {
		message = join([]byte{0, 3, 0, 0}, message)
	}
	if t.v2() {
		message = binary.BigEndian.AppendUint32([]byte{0, 2}, uint32(t.PTID)<<16|s.PSID)
		message = join(message, frame)
	}
	if o, ok := t.wrap(hop, message, tos, ttl, df); ok {
		o.session, o.delta = id, Counters{TxPackets: 1, TxBytes: uint64(len(message))}
		return o
	}
	return fail(DropOversize)
}

// wrap puts the outer headers before a message. False: it is too large.
func (t *refTunnel) wrap(hop NextHop, message []byte, tos, ttl byte, df bool) (outcome, bool) {
	local, peer := t.Local.Addr().AsSlice(), t.Peer.Addr().AsSlice()
	proto := byte(115)
	if t.Encap == l2tp.EncapUDP {
		proto = 17
	}
	l4 := message
	if t.Encap == l2tp.EncapUDP {
		n := uint16(8 + len(message))
		head := binary.BigEndian.AppendUint16(nil, t.Local.Port())
		head = binary.BigEndian.AppendUint16(head, t.Peer.Port())
		head = binary.BigEndian.AppendUint16(head, n)
		sum := uint16(0)
		if t.UDPChecksumTx {
			pseudo := join(local, peer, []byte{0, 17, byte(n >> 8), byte(n)})
			sum = ^refSum(join(pseudo, head, []byte{0, 0}, message))
			if sum == 0 {
				sum = 0xffff
			}
		}
		l4 = join(binary.BigEndian.AppendUint16(head, sum), message)
	}
	var ip []byte
	if len(local) == 4 {
		n := uint16(20 + len(l4))
		ip = join([]byte{0x45, tos, byte(n >> 8), byte(n), 0, 0, 0, 0, ttl, proto, 0, 0}, local, peer)
		if df {
			ip[6] = 0x40
		}
		binary.BigEndian.PutUint16(ip[10:], ^refSum(ip))
	} else {
		n := uint16(len(l4))
		ip = join([]byte{0x60 | tos>>4, tos << 4, 0, 0, byte(n >> 8), byte(n), proto, ttl}, local, peer)
	}
	mtu := hop.MTU
	if mtu == 0 {
		mtu = 65535
	}
	if len(ip)+len(l4) > mtu {
		return outcome{}, false
	}
	eth := join(hop.Dst[:], hop.Src[:])
	for _, g := range hop.Tags {
		eth = join(eth, tag(g.TPID, g.TCI))
	}
	typ := []byte{0x08, 0x00}
	if len(local) == 16 {
		typ = []byte{0x86, 0xdd}
	}
	return outcome{port: hop.Port, bytes: join(eth, typ, ip, l4)}, true
}

// refSum is RFC 1071 word by word.
func refSum(b []byte) uint16 {
	s := uint32(0)
	for i := range b {
		w := uint32(b[i])
		if i%2 == 0 {
			w <<= 8
		}
		s += w
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

func (r *reference) decap(frame []byte) outcome {
	tcis := tagsOf(frame)
	p := frame[14+4*len(tcis):]
	var src, dst netip.Addr
	var proto byte
	var l4, addrs []byte
	switch u16(frame[12+4*len(tcis):]) {
	case 0x0800:
		if len(p) < 20 {
			return dropped(DropIPLength)
		}
		if p[0]>>4 != 4 || p[0]&15 < 5 {
			return dropped(DropIPHeader)
		}
		if p[0]&15 > 5 {
			return dropped(DropIPOptions)
		}
		n := int(u16(p[2:]))
		if n < 20 || n > len(p) {
			return dropped(DropIPLength)
		}
		if refSum(p[:20]) != 0xffff {
			return dropped(DropIPChecksum)
		}
		if u16(p[6:])&0x3fff != 0 {
			return dropped(DropIPFragment)
		}
		src, dst = netip.AddrFrom4([4]byte(p[12:])), netip.AddrFrom4([4]byte(p[16:]))
		proto, addrs, l4 = p[9], p[12:20], p[20:n]
	case 0x86dd:
		if len(p) < 40 {
			return dropped(DropIPLength)
		}
		if p[0]>>4 != 6 {
			return dropped(DropIPHeader)
		}
		n := 40 + int(u16(p[4:]))
		if n > len(p) {
			return dropped(DropIPLength)
		}
		src, dst = netip.AddrFrom16([16]byte(p[8:])), netip.AddrFrom16([16]byte(p[24:]))
		proto, addrs, l4 = p[6], p[8:40], p[40:n]
		switch proto {
		case 0, 43, 60:
			return dropped(DropIPOptions)
		case 44:
			return dropped(DropIPFragment)
		}
	default:
		return dropped(DropNotIP)
	}
	encap, version := l2tp.EncapIP, byte(3)
	var sport, dport uint16
	message := l4
	sumOK, sumThere := true, true
	switch proto {
	case 115:
		if len(l4) < 4 {
			return dropped(DropShort)
		}
		if u32(l4) == 0 {
			return dropped(DropControl)
		}
	case 17:
		encap = l2tp.EncapUDP
		if len(l4) < 8 || int(u16(l4[4:])) < 8 || int(u16(l4[4:])) > len(l4) {
			return dropped(DropUDPLength)
		}
		l4 = l4[:u16(l4[4:])]
		sport, dport = u16(l4), u16(l4[2:])
		if sumThere = u16(l4[6:]) != 0; sumThere {
			sumOK = refSum(join(addrs, []byte{0, 17, l4[4], l4[5]}, l4)) == 0xffff
		}
		message = l4[8:]
		if len(message) < 2 {
			return dropped(DropShort)
		}
		if message[0]&0x80 != 0 {
			return dropped(DropControl)
		}
		version = message[1] & 15
		if version != 2 && version != 3 {
			o := dropped(DropVersion)
			for id, t := range r.tunnels {
				if t.takes(encap, src, sport, dst, dport) {
					o.invalid = id
				}
			}
			return o
		}
		if version == 3 && len(message) < 8 || len(message) < 6 || len(message) < 8 && message[0]&0x40 != 0 {
			return dropped(DropShort)
		}
	default:
		return dropped(DropNotL2TP)
	}
	bytes := uint64(len(message))
	v2 := version == 2
	if encap == l2tp.EncapUDP && !v2 {
		message = message[4:]
	}
	ids, payload := u32(message), 4
	if v2 {
		ids, payload = refV2(message)
	}
	id, s := r.addressee(encap, src, sport, dst, dport, v2, ids)
	if s != nil {
		if !sumOK {
			return dropped(DropUDPChecksum)
		}
		if !sumThere && src.Is6() && !r.tunnels[s.Tunnel].UDPZeroChecksumRx {
			return dropped(DropUDPZeroChecksum)
		}
		if payload < 0 {
			return outcome{port: NoPort, why: DropOffset, session: id, delta: Counters{RxErrors: 1}}
		}
		o := r.deliver(id, s, message[payload:], bytes, refTOS(p))
		o.session = id
		if o.why == DropShort && o.port == NoPort {
			o.session, o.invalid = 0, s.Tunnel
		}
		return o
	}
	if !sumOK {
		return dropped(DropUDPChecksum)
	}
	own, other := false, TunnelID(0)
	for id, t := range r.tunnels {
		if t.takes(encap, src, sport, dst, dport) && t.v2() == v2 {
			own = true
		} else if t.takes(encap, src, sport, dst, dport) {
			other = id
		}
	}
	if !own && other != 0 {
		return outcome{port: NoPort, why: DropVersion, invalid: other}
	}
	return dropped(r.stranger(src, dst, encap, sport, dport))
}

// takes tells whether a packet is the tunnel's.
func (t *TunnelSpec) takes(encap l2tp.Encap, src netip.Addr, sport uint16, dst netip.Addr, dport uint16) bool {
	return t.Encap == encap && t.Local == netip.AddrPortFrom(dst, dport) && t.Peer.Addr() == src &&
		(t.Peer.Port() == sport || t.AnyPeerPort)
}

// addressee prefers a tunnel that names the port, and a session that names its id.
func (r *reference) addressee(encap l2tp.Encap, src netip.Addr, sport uint16, dst netip.Addr, dport uint16, v2 bool, ids uint32) (best SessionID, spec *SessionSpec) {
	for id, s := range r.sessions {
		t := r.tunnels[s.Tunnel]
		if (uint32(t.TID)<<16|s.SID == ids || t.Keyed) && t.v2() == v2 && t.takes(encap, src, sport, dst, dport) && (spec == nil || !t.AnyPeerPort && !t.Keyed) {
			best, spec = id, &s
		}
	}
	return best, spec
}

func (r *reference) stranger(src, dst netip.Addr, encap l2tp.Encap, sport, dport uint16) Drop {
	any := func(f func(refTunnel) bool) bool {
		for _, t := range r.tunnels {
			if f(t) {
				return true
			}
		}
		return false
	}
	local := func(t refTunnel) bool { return t.Local.Addr() == dst }
	pair := func(t refTunnel) bool { return local(t) && t.Peer.Addr() == src }
	switch {
	case any(func(t refTunnel) bool {
		return t.takes(encap, src, sport, dst, dport)
	}):
		return DropUnknownSession
	case any(func(t refTunnel) bool { return pair(t) && t.Encap == encap }):
		return DropWrongPort
	case any(pair):
		return DropWrongEncap
	case any(func(t refTunnel) bool { return local(t) && t.Encap == encap && t.Local.Port() == dport }):
		return DropUnknownPeer
	case any(func(t refTunnel) bool { return local(t) && t.Encap == encap }):
		return DropWrongPort
	case any(local):
		return DropWrongEncap
	case any(func(t refTunnel) bool { return t.Local.Addr().Is4() == dst.Is4() }):
		return DropWrongDestination
	}
	return DropWrongFamily
}

// deliver takes what follows the session id to the attachment circuit.
func (r *reference) deliver(id SessionID, s *SessionSpec, m []byte, bytes uint64, tos byte) (o outcome) {
	o.port = NoPort
	cookieLen := 0
	if s.RxCookieCount > 0 {
		cookieLen = s.RxCookies[0].Len()
	}
	if len(m) < cookieLen+s.Sublayer.Len() {
		o.why = DropShort
		return o
	}
	o.delta.RxErrors = 1
	if cookieLen > 0 {
		accepted := -1
		for i := s.RxCookieCount - 1; i >= 0; i-- {
			if string(s.RxCookies[i].Bytes()) == string(m[:cookieLen]) {
				accepted = i
			}
		}
		if accepted < 0 {
			o.why = DropCookieMismatch
			o.delta.RxCookieDiscards = 1
			return o
		}
		o.delta.RxCookie[accepted] = 1
	}
	if s.Sublayer == l2tp.SublayerDefault {
		first := m[cookieLen]
		if first&0x80 != 0 {
			o.why = DropOAM
			o.delta.RxOAM = 1
			return o
		}
		if first&0x30 != 0 {
			o.why = DropFragment
			o.delta.RxFragments = 1
			return o
		}
		if first&0x0f != 0 {
			o.delta.SublayerBits = 1
		}
	}
	o.delta.RxPackets, o.delta.RxBytes = 1, bytes
	frame := m[cookieLen+s.Sublayer.Len():]
	if s.Marking.ECN {
		var ok bool
		if isPPP(s.Type) {
			frame, ok = refCongestionPPP(frame, tos)
		} else {
			frame, ok = refCongestion(frame, tos)
		}
		if !ok {
			o.why = DropECN
			o.delta.RxECNDiscards = 1
			return o
		}
	}
	if isPPP(s.Type) {
		return r.deliverPPP(s, frame, o)
	}
	if why, delta := s.refLimits(frame); why != dropNone {
		o.why = why
		o.delta.add(&delta)
		return o
	}
	if len(frame) < 14 {
		o.why = DropRuntInner
		return o
	}
	if s.AC.Port == NoPort {
		o.why = DropNoAC
		return o
	}
	frame, o.why = refRetag(s, frame)
	if o.why != dropNone {
		return o
	}
	if owner, other := r.attachment(s.AC.Port, frame); other != nil && owner != id {
		o.why = DropVLANMismatch
		return o
	}
	if mtu := r.ports[s.AC.Port].MTU; mtu > 0 && len(frame) > mtu+14+4*len(tagsOf(frame)) {
		o.why = DropOversizeAC
		return o
	}
	o.delta.RxErrors = 0
	o.port, o.bytes = s.AC.Port, frame
	return o
}

func refRetag(s *SessionSpec, frame []byte) ([]byte, Drop) {
	tcis := tagsOf(frame)
	vid := func(i int) uint16 {
		if i < len(tcis) {
			return tcis[i] & 0xfff
		}
		return 0
	}
	v := s.AC.VLAN
	switch s.AC.PW.Kind {
	case PWNone:
		if v.Kind == VLANUntagged && vid(0) != 0 {
			return nil, DropVLANMismatch
		}
		return join(frame[:12], acTags(s, 0), frame[12:]), dropNone
	case PWVID:
		if vid(0) == 0 {
			return nil, DropVLANMissing
		}
		if vid(0) != s.AC.PW.VID {
			return nil, DropVLANMismatch
		}
		if v.Kind == VLANUntagged && vid(1) != 0 {
			return nil, DropVLANMismatch
		}
		return join(frame[:12], acTags(s, tcis[0]&0xf000), frame[16:]), dropNone
	}
	switch v.Kind {
	case VLANUntagged:
		if vid(0) != 0 {
			return nil, DropVLANMismatch
		}
	case VLANSingle, VLANRange, VLANQinQ:
		if v.Kind == VLANSingle && s.Type == l2tp.PWEthVLAN {
			if len(tcis) == 0 {
				return nil, DropVLANMissing
			}
			frame = join(frame)
			binary.BigEndian.PutUint16(frame[14:], tcis[0]&0xf000|v.Lo)
			return frame, dropNone
		}
		if vid(0) == 0 {
			return nil, DropVLANMissing
		}
		if v.Kind == VLANRange && (vid(0) < v.Lo || vid(0) > v.Hi) || v.Kind != VLANRange && vid(0) != v.Lo {
			return nil, DropVLANMismatch
		}
		if v.Kind == VLANQinQ {
			if len(tcis) < 2 {
				return nil, DropVLANMissing
			}
			if vid(1) != v.C {
				return nil, DropVLANMismatch
			}
		}
	}
	return frame, dropNone
}
