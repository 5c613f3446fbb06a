package pw

import (
	"encoding/binary"
	"math/bits"

	"xwire/l2tp"
)

// decapStreak is what a packet of the last session looked like: words of its bytes from 12 on,
// little-endian, with a mask of those bits that all of the session's packets have in common.
type decapStreak struct {
	mask, want         [longWords]uint64
	tagMask, tagWant   uint64 // the same of the inner frame's bytes 12 to 20
	in, out            uint16
	class              class
	cookie             uint8 // which was accepted
	long, retag, check bool
	pseudo             uint16 // sum of UDP's pseudo header without the length
	summed             bool   // with UDP checksums, or rightly without
	pops, pushes       uint8  // bytes of tags
	pcp                uint64 // mask of what pushed tags take from the popped one
	tags               uint64 // what is pushed, little-endian
	udp                uint32 // where the UDP header is
	at                 uint32 // where the session id is
	inner              uint32 // where the inner frame is
	span               uint32 // an inner frame may be this much longer than streakMin
	d                  *session
}

// Words are compared at fixed places of the outer headers, and at the end of the L2TP header: not
// behind it, where the next cache line may begin.
const (
	fixedShort = 3 // words from byte 12 on, then two before the inner frame, which begins at 38 to 52
	fixedLong  = 5 // then four, where it begins behind 52
	longWords  = 9
	shortView  = 12 + 8*(fixedShort+2)
	longView   = 12 + 8*longWords
)

// place is where word i is in the packet.
func (m *decapStreak) place(i int) int {
	switch {
	case !m.long && i >= fixedShort:
		return int(m.inner) - 8*(fixedShort+2-i)
	case m.long && i >= fixedLong:
		return int(m.inner) - 8*(longWords-i)
	}
	return 12 + 8*i
}

// decapRow decapsulates the packets that go on with the streak and returns how many. Nothing is
// called in its loop.
func (f *Forwarder) decapRow(mem []byte, fs []Frame) int {
	m := &f.decapStreak
	if len(fs) == 0 || fs[0].In != m.in || m.in == noPort {
		return 0
	}
	sums := uint64(0)
	if m.summed {
		sums = m.rightSums(mem, fs)
	}
	var total uint64
	i := 0
	for ; i < len(fs); i++ {
		fr := &fs[i]
		addr, size := fr.Addr, fr.Len
		if fr.In != m.in || size < shortView {
			break
		}
		b := (*[shortView]byte)(mem[addr : addr+shortView : addr+shortView])
		w0 := binary.LittleEndian.Uint64(b[12:])
		w1 := binary.LittleEndian.Uint64(b[20:])
		w2 := binary.LittleEndian.Uint64(b[28:])
		diff := (w0^m.want[0])&m.mask[0] | (w1^m.want[1])&m.mask[1] | (w2^m.want[2])&m.mask[2]
		inner := addr + uint64(m.inner)
		if m.long {
			if size < longView {
				break
			}
			h := (*[32]byte)(mem[inner-32 : inner : inner])
			diff |= (binary.LittleEndian.Uint64(b[36:])^m.want[3])&m.mask[3] |
				(binary.LittleEndian.Uint64(b[44:])^m.want[4])&m.mask[4] |
				(binary.LittleEndian.Uint64(h[0:])^m.want[5])&m.mask[5] |
				(binary.LittleEndian.Uint64(h[8:])^m.want[6])&m.mask[6] |
				(binary.LittleEndian.Uint64(h[16:])^m.want[7])&m.mask[7] |
				(binary.LittleEndian.Uint64(h[24:])^m.want[8])&m.mask[8]
		} else {
			h := (*[16]byte)(mem[inner-16 : inner : inner])
			diff |= (binary.LittleEndian.Uint64(h[0:])^m.want[3])&m.mask[3] |
				(binary.LittleEndian.Uint64(h[8:])^m.want[4])&m.mask[4]
		}
		if diff != 0 {
			break
		}
		var end uint32 // of the outer IP packet
		if m.class.ip6() {
			end = uint32(bits.ReverseBytes16(uint16(w0>>48))) + l2tp.EthernetLen + l2tp.IPv6Len
		} else {
			end = uint32(bits.ReverseBytes16(uint16(w0>>32))) + l2tp.EthernetLen
			// The header's 20 bytes as three words; see ipv4ChecksumOK. The last sum cannot carry.
			s, c := bits.Add64(w0>>16, w1, 0)
			s, c = bits.Add64(s, w2<<16, c)
			if (s+c)%0xffff != 0 {
				break
			}
		}
		n := end - m.inner
		if end > size || n-streakMin > m.span {
			break
		}
		if m.class.udp() {
			if m.summed {
				if sums>>(i%burst)&1 == 0 {
					break
				}
			} else {
				u := (*[8]byte)(mem[addr+uint64(m.udp) : addr+uint64(m.udp)+8 : addr+uint64(m.udp)+8])
				if uint32(binary.BigEndian.Uint16(u[4:])) != end-m.udp || u[6]|u[7] != 0 {
					break
				}
			}
		}
		addr = inner
		if m.check {
			in := (*[20]byte)(mem[addr : addr+20 : addr+20])
			tags := binary.LittleEndian.Uint64(in[12:])
			if (tags^m.tagWant)&m.tagMask != 0 {
				break
			}
			if m.retag {
				dst, src := binary.LittleEndian.Uint64(in[0:]), binary.LittleEndian.Uint32(in[8:])
				addr += uint64(m.pops) - uint64(m.pushes)
				n += uint32(m.pushes) - uint32(m.pops)
				in = (*[20]byte)(mem[addr : addr+20 : addr+20])
				binary.LittleEndian.PutUint64(in[0:], dst)
				binary.LittleEndian.PutUint32(in[8:], src)
				tags = tags<<32 | tags&0xffffffff
				if tags = m.tags | tags&m.pcp; m.pushes == 2*l2tp.TagLen {
					binary.LittleEndian.PutUint64(in[12:], tags)
				} else if m.pushes != 0 {
					binary.LittleEndian.PutUint32(in[12:], uint32(tags))
				}
			}
		}
		fr.Addr, fr.Len, fr.Out = addr, n, m.out
		total += uint64(end)
	}
	if i == 0 {
		return 0
	}
	k := uint64(i)
	m.d.rxPackets.add(k)
	bytes := total - k*uint64(m.at)
	if m.class.udp() {
		bytes += k * l2tp.FlagsLen
	}
	m.d.rxBytes.add(bytes)
	if m.d.rxCookieLen > 0 {
		m.d.accepted(m.cookie, k)
	}
	f.portCounters[m.in%MaxPorts].forwarded.add(k)
	return i
}

// rightSums returns a bit for each packet whose UDP length is that of the IP packet, and whose
// checksum is there and right. Those behind one without the bit are not looked at.
func (m *decapStreak) rightSums(mem []byte, fs []Frame) (right uint64) {
	l4 := uint64(m.udp)
	for i := range fs {
		fr := &fs[i]
		if fr.In != m.in || uint64(fr.Len) < l4+l2tp.UDPLen {
			break
		}
		p := mem[fr.Addr : fr.Addr+uint64(fr.Len)]
		u := (*[l2tp.UDPLen]byte)(p[l4:])
		var n uint64
		if m.class.ip6() {
			n = uint64(binary.BigEndian.Uint16(p[18:]))
		} else {
			n = uint64(binary.BigEndian.Uint16(p[16:])) - l2tp.IPv4Len
		}
		if uint64(binary.BigEndian.Uint16(u[4:])) != n || n < l2tp.UDPLen || l4+n > uint64(len(p)) {
			break
		}
		if u[6]|u[7] == 0 || l2tp.Sum(l2tp.AddSum(m.pseudo, uint16(n)), p[l4:l4+n]) != 0xffff {
			break
		}
		right |= 1 << i
	}
	return right
}

// learnDecap begins a streak behind a packet of a session; head is its beginning as it was received.
func (f *Forwarder) learnDecap(head *[longView]byte, tags uint64, fr *Frame, l *lookup, d *session) {
	m := &f.decapStreak
	if l.l3 != l2tp.EthernetLen || f.table.ports[fr.In%MaxPorts].state.Load()&portAttached != 0 {
		return
	}
	inner := int(l.at) + int(d.rxLen)
	*m = decapStreak{
		in: noPort, out: fr.Out,
		class: l.class, long: inner > shortView,
		at: uint32(l.at), inner: uint32(inner),
		d: d,
	}
	state := f.table.ports[fr.Out%MaxPorts].state.Load()
	m.learnTags(d, tags, state)
	limit := min(state>>32, 1<<16)
	largest := int(limit) - int(m.pushes) + int(m.pops)
	if largest < streakMin || d.defaultSublayer() && head[inner-4]&0x0f != 0 { // reserved bits are counted the long way
		return
	}
	m.in = fr.In
	m.span = uint32(largest - streakMin)

	// mask has 1 where bits must agree, byte by byte from the frame's byte 12 on.
	var mask [8 * longWords]byte
	set := func(from, to int, v byte) {
		for i := from; i < to; i++ {
			mask[i-12] = v
		}
	}
	set(12, 14, 0xff)
	l4, addrLen := l2tp.EthernetLen+l2tp.IPv4Len, 4
	if l.class.ip6() {
		l4, addrLen = l2tp.EthernetLen+l2tp.IPv6Len, 16
		set(14, 15, 0xf0) // version
		set(20, 21, 0xff) // next header
		set(22, l4, 0xff) // addresses
	} else {
		set(14, 15, 0xff) // version and header length
		set(20, 21, 0x3f) // fragment
		set(21, 22, 0xff)
		set(23, 24, 0xff) // protocol
		set(26, l4, 0xff) // addresses
	}
	if l.class.udp() {
		m.udp = uint32(l4)
		m.pseudo = l2tp.PseudoSum(head[l4-2*addrLen:l4-addrLen], head[l4-addrLen:l4], l2tp.ProtoUDP)
		m.summed = head[l4+6]|head[l4+7] != 0
		set(l4, l4+4, 0xff)    // ports
		set(l4+8, l4+9, 0x80)  // T
		set(l4+9, l4+10, 0x0f) // version
	}
	cookie := int(l.at) + l2tp.SessionIDLen
	set(int(l.at), cookie+int(d.rxCookieLen), 0xff)
	if d.defaultSublayer() {
		s := cookie + int(d.rxCookieLen)
		set(s, s+1, 0xbf) // all but S
	}
	for i := range m.mask {
		at := m.place(i)
		if i >= fixedShort+2 && !m.long {
			break
		}
		m.mask[i] = binary.LittleEndian.Uint64(mask[at-12:])
		m.want[i] = binary.LittleEndian.Uint64(head[at:])
	}
	w := uint64(0)
	if d.rxCookieLen == 4 {
		w = uint64(binary.LittleEndian.Uint32(head[cookie:]))
	} else {
		w = binary.LittleEndian.Uint64(head[cookie:])
	}
	if w != d.rxCookie[0] {
		m.cookie = 1
	}
	if !f.settled() {
		m.in = noPort
	}
}

// learnTags says what is looked at and done in the inner frame, whose bytes 12 to 20 are tags, and
// which leaves by a port with this state.
func (m *decapStreak) learnTags(d *session, tags, state uint64) {
	const typ, tag = 0xffff, 0xff0fffff // little-endian; a tag without PCP and DEI
	const both = tag<<32 | tag
	tpidC := uint64(bits.ReverseBytes16(l2tp.TPIDC))
	swap := func(v uint16) uint64 { return uint64(bits.ReverseBytes16(v)) }
	switch d.decapOp {
	case decapCheckUntagged:
		m.tagMask = typ
		if l2tp.IsTPID(bits.ReverseBytes16(uint16(tags))) {
			m.tagMask = tag
		}
	case decapCheckOuter:
		m.tagMask = tag
	case decapReplace:
		m.tagMask = tag
		if d.vlanKind() == VLANUntagged { // what follows is no tag, or a priority tag
			m.tagMask |= typ << 32
			if l2tp.IsTPID(bits.ReverseBytes16(uint16(tags >> 32))) {
				m.tagMask = both
			}
		}
	case decapCheckQinQ:
		m.tagMask = both
	case decapRewriteOuter:
		m.tagMask = typ
	}
	m.tagMask |= d.foreignMask(state, tags)
	m.tagWant = tags & m.tagMask
	m.check = d.decapOp != decapAsIs || m.tagMask != 0
	switch d.decapOp {
	case decapRewriteOuter:
		m.retag, m.pops, m.pushes = true, l2tp.TagLen, l2tp.TagLen
		m.tags, m.pcp = tags&typ|swap(d.lo)<<16, pcpLittle
	case decapReplace, decapPush:
		m.retag = true
		if d.decapOp == decapReplace {
			m.pops, m.pcp = l2tp.TagLen, pcpLittle<<32|pcpLittle
		}
		switch d.vlanKind() {
		case VLANSingle:
			m.pushes, m.tags = l2tp.TagLen, swap(d.lo)<<16|tpidC
		case VLANQinQ:
			m.pushes, m.tags = 2*l2tp.TagLen, swap(d.c)<<48|tpidC<<32|swap(d.lo)<<16|swap(d.stpid)
		}
	}
}
