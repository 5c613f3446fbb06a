package pw

import (
	"encoding/binary"
	"math/bits"

	"xwire/l2tp"
)

// encapStreak is what encap wrote for the last session.
type encapStreak struct {
	hdr        window
	mask, want uint64 // of the frame's bytes 12 to 20, little-endian
	span       uint64 // a frame may be this much longer than streakMin
	in, out    uint16
	class      class
	sumTx      bool
	retag      bool
	pops       uint8  // bytes of tags popped
	pushes     uint8  // bytes of the tag pushed
	tag, pcp   uint32 // what is pushed, and the mask of what it takes from what is popped, little-endian
	udpSum     uint16
	ipSum      uint32
	over       uint32 // bytes between the outer IP header's first and the inner frame's
	udpOver    uint32 // and from the UDP header on
	part       uint32 // bytes of session id, cookie and sublayer
	hdrLen     uint32 // bytes before the inner frame
	d          *session
}

const (
	windowShort = 64 // bytes of the window that most headers fit in
	windowLong  = 96
	windowView  = encapWindow + streakMin
)

// encapRow encapsulates the frames that go on with the streak and returns how many. Nothing is
// called in its loop: that would cost the registers.
func (f *Forwarder) encapRow(mem []byte, fs []Frame) int {
	m := &f.encapStreak
	if len(fs) == 0 || fs[0].In != m.in || m.in == noPort {
		return 0
	}
	// Copies between two places in memory that might overlap would be calls of memmove.
	short := *(*[windowShort]byte)(m.hdr[encapWindow-windowShort:])
	long := *(*[windowLong]byte)(m.hdr[encapWindow-windowLong:])
	id, idStep := uint32(f.ipID), uint32(f.ipIDStep)
	var bytes uint64
	i := 0
	for ; i < len(fs); i++ {
		fr := &fs[i]
		addr, n := fr.Addr, uint64(fr.Len)
		if fr.In != m.in || addr%minChunk < encapRoom || n-streakMin > m.span {
			break
		}
		w := (*[windowView]byte)(mem[addr-encapWindow : addr+streakMin : addr+streakMin])
		var tags uint64
		if m.mask != 0 { // else the frame's own bytes need not even be in the cache
			tags = binary.LittleEndian.Uint64(w[encapWindow+12:])
			if (tags^m.want)&m.mask != 0 {
				break
			}
		}
		if m.retag {
			dst, src := binary.LittleEndian.Uint64(w[encapWindow:]), binary.LittleEndian.Uint32(w[encapWindow+8:])
			addr += uint64(m.pops) - uint64(m.pushes)
			n += uint64(m.pushes) - uint64(m.pops)
			w = (*[windowView]byte)(mem[addr-encapWindow : addr+streakMin : addr+streakMin])
			binary.LittleEndian.PutUint64(w[encapWindow:], dst)
			binary.LittleEndian.PutUint32(w[encapWindow+8:], src)
			if m.pushes != 0 {
				binary.LittleEndian.PutUint32(w[encapWindow+12:], m.tag|uint32(tags)&m.pcp)
			}
		}
		if m.hdrLen <= windowShort {
			*(*[windowShort]byte)(w[encapWindow-windowShort:]) = short
		} else {
			*(*[windowLong]byte)(w[encapWindow-windowLong:]) = long
		}
		l3len := uint32(n) + m.over
		l3 := (encapWindow - m.over) % encapWindow
		if m.class.ip6() {
			binary.BigEndian.PutUint16(w[l3+4:], uint16(l3len-l2tp.IPv6Len))
		} else {
			s := m.ipSum + l3len + id&0xffff
			s = s>>16 + s&0xffff
			s += s >> 16
			binary.BigEndian.PutUint32(w[l3+2:], l3len<<16|id&0xffff)
			binary.BigEndian.PutUint16(w[l3+10:], ^uint16(s))
			id += idStep
		}
		if m.class.udp() {
			binary.BigEndian.PutUint16(w[(encapWindow-m.udpOver)%encapWindow+4:], uint16(uint32(n)+m.udpOver))
		}
		bytes += n
		fr.Addr = addr - uint64(m.hdrLen)
		fr.Len = uint32(n) + m.hdrLen
		fr.Out = m.out
	}
	f.ipID = uint16(id)
	if i == 0 {
		return 0
	}
	if m.sumTx {
		for j := range fs[:i] {
			fr := &fs[j]
			n := uint64(fr.Len)
			u := mem[fr.Addr+uint64(m.hdrLen-m.udpOver) : fr.Addr+n]
			sum := udpSum(m.udpSum, uint16(len(u)), u[l2tp.UDPLen+l2tp.FlagsLen:])
			binary.BigEndian.PutUint16(u[6:], sum)
		}
	}
	k := uint64(i)
	bytes += k * uint64(m.part)
	if m.class.udp() {
		bytes += k * l2tp.FlagsLen
	}
	m.d.txPackets.add(k)
	m.d.txBytes.add(bytes)
	f.portCounters[m.in%MaxPorts].forwarded.add(k)
	return i
}

// udpSum completes a UDP checksum from the sum of what is constant.
func udpSum(constant, length uint16, message []byte) uint16 {
	s := l2tp.Sum(constant, message)
	s = ^l2tp.AddSum(l2tp.AddSum(s, length), length)
	if s == 0 {
		return 0xffff
	}
	return s
}

// learnEncap begins a streak behind a frame of a session; tags are its bytes 12 to 20 as they were
// received.
func (f *Forwarder) learnEncap(fr *Frame, d *session, tags uint64) {
	t := f.table.tunnels.at(d.tunnel)
	h := f.table.hops.at(f.table.hopNow.at(t.hop.Load()).Load())
	m := &f.encapStreak
	over := uint32(t.hdrLen) - 2 + uint32(d.partLen)
	hdrLen := over + 2 + uint32(h.len)
	*m = encapStreak{
		in: noPort, out: h.port,
		class: t.class, sumTx: t.sumTx && t.class.udp(), udpSum: t.udpSum, ipSum: uint32(t.ipSum),
		over: over, part: uint32(d.partLen), hdrLen: hdrLen,
		d: d,
	}
	m.hdr.write(d, t, h)
	m.udpOver = m.part + l2tp.FlagsLen + l2tp.UDPLen
	if d.encapOp != 0 {
		m.retag = true
		m.pops = d.encapOp & encapPops * l2tp.TagLen
		if d.encapOp&encapPopPriority != 0 && l2tp.IsTPID(bits.ReverseBytes16(uint16(tags))) {
			m.pops = l2tp.TagLen
		}
		if d.encapOp&encapPush != 0 {
			m.pushes = l2tp.TagLen
			m.tag = uint32(bits.ReverseBytes16(d.pwVID))<<16 | uint32(bits.ReverseBytes16(l2tp.TPIDC))
			if m.pops != 0 {
				m.pcp = pcpLittle
			}
		}
	}
	largest := int(h.mtu) - int(over) + int(m.pops) - int(m.pushes)
	if h.port == NoPort || largest < streakMin {
		return
	}
	m.in = fr.In
	m.span = uint64(largest - streakMin)
	// What attachment has looked at: nothing, the type, the tag, or both tags.
	const typ, vid = 0xffff, 0xff0f0000 // little-endian
	state := f.table.ports[fr.In%MaxPorts].state.Load()
	if state&(portUntagged|portVLAN) != 0 {
		m.mask = typ
		if l2tp.IsTPID(bits.ReverseBytes16(uint16(tags))) {
			m.mask |= vid
			if state&portQinQ != 0 {
				m.mask |= typ << 32
				if l2tp.IsTPID(bits.ReverseBytes16(uint16(tags >> 32))) {
					m.mask |= vid << 32
				}
			}
		}
	}
	m.want = tags & m.mask
	if !f.settled() {
		m.in = noPort
	}
}
