package scenarios

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// Checksum says what a hand-made packet's UDP checksum is.
type checksum int

const (
	sumRight checksum = iota
	sumWrong
	sumZero
)

// packet is a hand-made L2TPv3 data message from host 1 to box 0, and what can be wrong with one.
// It is built without the code under test.
type packet struct {
	src, dst         netip.Addr
	srcPort, dstPort uint16 // both 0: protocol 115
	flags            uint16 // UDP; 0: 3, data and version 3
	sid              uint32
	cookie           string // hex
	sublayer         string // hex; "": none
	inner            []byte
	tos              byte
	sum              checksum
	tags             []lab.Tag
	options          []byte // IPv4 options, or an IPv6 extension header whose first byte is its type
	fragment         uint16 // flags and offset of IPv4
	passes           bool   // the box leaves it to its kernel
}

// message is what follows IP.
func (p *packet) message() []byte {
	var b []byte
	if p.dstPort != 0 {
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
		flags := p.flags
		if flags == 0 {
			flags = 3
		}
		b = binary.BigEndian.AppendUint32(b, uint32(flags)<<16)
	}
	b = binary.BigEndian.AppendUint32(b, p.sid)
	b = append(b, unhex(p.cookie)...)
	b = append(b, unhex(p.sublayer)...)
	b = append(b, p.inner...)
	if p.dstPort == 0 {
		return b
	}
	binary.BigEndian.PutUint16(b, p.srcPort)
	binary.BigEndian.PutUint16(b[2:], p.dstPort)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	if p.sum != sumZero {
		pseudo := append(p.src.AsSlice(), p.dst.AsSlice()...)
		pseudo = append(pseudo, 0, 17, byte(len(b)>>8), byte(len(b)))
		s := onesSum(append(pseudo, b...))
		if p.sum == sumWrong {
			s ^= 0x0101
		}
		binary.BigEndian.PutUint16(b[6:], s)
	}
	return b
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// onesSum is the Internet checksum, the slow way.
func onesSum(b []byte) uint16 {
	var s uint32
	for i, c := range b {
		s += uint32(c) << (8 * (1 - i&1))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

// frame is the packet on the wire between two stations.
func (p *packet) frame(dst, src []byte) []byte {
	m := p.message()
	b := append(append([]byte{}, dst...), src...)
	for _, t := range p.tags {
		b = binary.BigEndian.AppendUint16(b, t.TPID)
		b = binary.BigEndian.AppendUint16(b, t.TCI)
	}
	proto := byte(115)
	if p.dstPort != 0 {
		proto = 17
	}
	if p.dst.Is4() {
		ip := []byte{0x45, p.tos, 0, 0, 0x12, 0x34, byte(p.fragment >> 8), byte(p.fragment), 64, proto, 0, 0}
		ip = append(append(append(ip, p.src.AsSlice()...), p.dst.AsSlice()...), p.options...)
		ip[0] = 0x40 | byte(len(ip)/4)
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+len(m)))
		binary.BigEndian.PutUint16(ip[10:], onesSum(ip))
		return append(append(append(b, 0x08, 0x00), ip...), m...)
	}
	var extension []byte
	if len(p.options) > 0 {
		extension = append([]byte{proto}, p.options[1:]...)
		proto = p.options[0]
	}
	n := len(extension) + len(m)
	ip := []byte{0x60 | p.tos>>4, p.tos << 4, 0, 0, byte(n >> 8), byte(n), proto, 64}
	ip = append(append(append(ip, p.src.AsSlice()...), p.dst.AsSlice()...), extension...)
	return append(append(append(b, 0x86, 0xdd), ip...), m...)
}

// to is the packet that box 0 expects of the wire, carrying inner.
func (w *wire) to(inner []byte) packet {
	p := packet{src: w.addr(1), dst: w.addr(0), sid: w.sid[0], cookie: w.cookie[0], inner: inner}
	if w.udp {
		p.src, p.srcPort = w.endpoint(1).Addr(), w.endpoint(1).Port()
		p.dst, p.dstPort = w.endpoint(0).Addr(), w.endpoint(0).Port()
	}
	if w.sublayer == "default" {
		p.sublayer = "00000000"
	}
	return p
}

// inject sends hand-made packets to box 0 from host 1 (core) and returns once the box is done with those
// that it takes, and its kernel has got the others.
func (w *world) inject(t *testing.T, ps ...packet) {
	t.Helper()
	dst, err := w.hosts[0].MAC("core0")
	must(t, err)
	src, err := w.hosts[1].MAC("core0")
	must(t, err)
	var frames [][]byte
	var taken uint64
	for _, p := range ps {
		frames = append(frames, p.frame(dst, src))
		if !p.passes {
			taken++
		}
	}
	before := portOf(t, w.boxes[0], "core0").Received
	must(t, w.hosts[1].SendFrames("core0", frames...))
	if taken < uint64(len(ps)) {
		// What goes the same way behind them is answered after they came.
		lossless(t, "the link behind hand-made packets", w.hosts[1], core4[0], lab.PingConfig{})
	}
	for deadline := time.Now().Add(soon); ; time.Sleep(2 * time.Millisecond) {
		p := portOf(t, w.boxes[0], "core0")
		if p.Received >= before+taken && p.Received == p.Sent+dropsOf(p) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("of %d hand-made packets for the box, %d are received: %+v", taken, p.Received-before, p)
		}
	}
}

// differences are the drop reasons that grew.
func differences(before, after map[string]uint64) map[string]uint64 {
	d := map[string]uint64{}
	for reason, n := range after {
		if n != before[reason] {
			d[reason] = n - before[reason]
		}
	}
	return d
}

// verdict sends a packet several times and tells how many frames came to site 0, which drops the
// core port counted and what the session's counters gained.
func (w *world) verdict(t *testing.T, x *wire, p packet, times int) (delivered int, drops map[string]uint64, gained, after api.Session) {
	t.Helper()
	if w.seen == nil {
		var err error
		w.seen, err = w.sites[0].Capture("eth0")
		must(t, err)
	}
	old := len(received(w.seen, 0))
	ports, before := portOf(t, w.boxes[0], "core0").Drops, sessionOf(t, w.boxes[0], x.session())
	ps := make([]packet, times)
	for i := range ps {
		ps[i] = p
	}
	w.inject(t, ps...)
	drops = differences(ports, portOf(t, w.boxes[0], "core0").Drops)
	want := times
	if p.passes {
		want = 0
	}
	for _, n := range drops {
		want -= int(n)
	}
	if want == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	delivered = len(received(w.seen, old+max(want, 0))) - old
	after = sessionOf(t, w.boxes[0], x.session())
	gained.RxPackets = after.RxPackets - before.RxPackets
	gained.RxErrors = after.RxErrors - before.RxErrors
	gained.RxCookieDiscards = after.RxCookieDiscards - before.RxCookieDiscards
	gained.Suspect = after.Suspect - before.Suspect
	gained.OAM = after.OAM - before.OAM
	gained.Fragments = after.Fragments - before.Fragments
	gained.SublayerBits = after.SublayerBits - before.SublayerBits
	return delivered, drops, gained, after
}
