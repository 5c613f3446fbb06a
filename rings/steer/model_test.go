package steer

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
)

// model is the decision of steer.c written a second time, by offsets and without its maps, for
// the port that FuzzVerdict sets up: core; untagged is nobody's; VLANs 100 and 200.20 are ours, and
// C-VLAN 7 and S-VLAN 7 with C-VLAN 8 have devices; the addresses that end in 4 are shared, with what
// share adds; tunnel 9 is heard; PPPoE session 1 is ours untagged, and 2 in VLAN 300.
func model(frame []byte) steerOutcome {
	at, typ := 14, binary.BigEndian.Uint16(frame[12:])
	var vids, tpids []uint16
	for len(vids) < 2 && (typ == 0x8100 || typ == 0x88a8 || typ == 0x9100) && len(frame) >= at+4 {
		tpids = append(tpids, typ)
		vids = append(vids, binary.BigEndian.Uint16(frame[at:])&0xfff)
		typ = binary.BigEndian.Uint16(frame[at+2:])
		at += 4
	}
	if len(vids) > 0 && vids[0] == 100 || len(vids) == 2 && vids[0] == 200 && vids[1] == 20 {
		return steerOutcomeENCAP_REDIRECTED
	}
	if h := frame[at:]; typ == 0x8864 && len(h) >= 6 && h[1] == 0 {
		session := binary.BigEndian.Uint16(h[2:])
		ours := session == 1 && (len(vids) == 0 || len(vids) == 1 && vids[0] == 0) || session == 2 && len(vids) == 1 && vids[0] == 300
		if ours && [6]byte(frame) == [6]byte(ownMAC) {
			return steerOutcomeENCAP_REDIRECTED
		} else if ours {
			return steerOutcomeFOREIGN_MAC
		}
	}
	o := modelIP(typ, frame[at:])
	if o == steerOutcomeDECAP_REDIRECTED && [6]byte(frame) != [6]byte(ownMAC) {
		return steerOutcomeFOREIGN_MAC
	}
	if o == steerOutcomeCONTROL_HEARD && ([6]byte(frame) != [6]byte(ownMAC) || !modelDevice(tpids, vids) || len(frame)-at > 1500) {
		return steerOutcomeCONTROL
	}
	if o == steerOutcomeDECAP_REDIRECTED && !modelDevice(tpids, vids) {
		return steerOutcomeFOREIGN_VLAN
	}
	return o
}

func modelDevice(tpids, vids []uint16) bool {
	tags := ""
	for i := range tpids {
		if tpids[i] == 0x9100 {
			return false
		}
		if vids[i] != 0 {
			tags += fmt.Sprintf("%x:%d ", tpids[i], vids[i])
		}
	}
	return tags == "" || tags == "8100:7 " || tags == "88a8:7 8100:8 "
}

func modelIP(typ uint16, ip []byte) steerOutcome {
	var src, dst netip.Addr
	var proto, next byte
	var rest []byte
	fragment, options := false, false
	later := false
	switch {
	case typ == 0x0800 && len(ip) >= 20 && ip[0]>>4 == 4:
		dst, proto, rest = netip.AddrFrom4([4]byte(ip[16:])), ip[9], ip[20:]
		fragment = binary.BigEndian.Uint16(ip[6:])&0x3fff != 0
		options = ip[0]&0xf != 5
		later = ip[7] != 0 || ip[6]&0x1f != 0
	case typ == 0x86dd && len(ip) >= 40 && ip[0]>>4 == 6:
		dst, proto, rest = netip.AddrFrom16([16]byte(ip[24:])), ip[6], ip[40:]
		src = netip.AddrFrom16([16]byte(ip[8:]))
		fragment = proto == 44
		options = proto == 0 || proto == 43 || proto == 60
		if fragment || options {
			proto = 115
		}
		if fragment && len(rest) >= 8 {
			later = rest[2] != 0 || rest[3]&0xf8 != 0
			next, rest = rest[0], rest[8:]
		} else {
			later = true // or cut short
		}
	default:
		return steerOutcomeOTHER
	}
	if typ == 0x0800 {
		next = proto
	}
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	six := netip.MustParseAddr("2001:db8::1")
	shared := dst == sharedAddr || dst == sharedAddr6
	if dst != one && dst != two && dst != six && !shared || proto != 115 && proto != 17 {
		return steerOutcomeOTHER
	}
	switch {
	case fragment:
		if !later && !options && modelTransport(next, rest, src, dst) == steerOutcomeDECAP_REDIRECTED {
			return steerOutcomeDECAP_REDIRECTED
		}
		return steerOutcomeFRAGMENT_SEEN
	case options:
		return steerOutcomeOPTIONS_SEEN
	}
	return modelTransport(proto, rest, src, dst)
}

func modelTransport(proto byte, b []byte, src, dst netip.Addr) steerOutcome {
	o := steerOutcomeOTHER
	shared := dst == sharedAddr || dst == sharedAddr6
	switch {
	case proto == 115:
		o = modelSession(b)
		if shared && o == steerOutcomeDECAP_REDIRECTED && binary.BigEndian.Uint32(b) != 1 && (dst != sharedAddr6 || src != keyedPeer) {
			o = steerOutcomeUNKNOWN_SESSION
		}
	case proto == 17 && dst != netip.MustParseAddr("192.0.2.2"): // that one has no UDP
		o = modelUDP(b)
		if shared && o == steerOutcomeDECAP_REDIRECTED {
			o = modelShared(b[8:])
		}
		if dst == tunnelAddr && o == steerOutcomeCONTROL && modelHeard(b[8:]) {
			o = steerOutcomeCONTROL_HEARD
		}
	}
	return o
}

// modelShared is for a data message over UDP to a shared address, where tunnel 1 session 2 of version
// 2 and session 1 of version 3 are known.
func modelShared(b []byte) steerOutcome {
	at, want := 4, uint32(1)
	switch b[1] & 0xf {
	case 2:
		if at, want = 2, 1<<16|2; b[0]&0x40 != 0 {
			at = 4
		}
	case 3:
	default:
		return steerOutcomeUNKNOWN_SESSION
	}
	switch {
	case len(b) < at+4:
		return steerOutcomeSHORT
	case binary.BigEndian.Uint32(b[at:]) != want:
		return steerOutcomeUNKNOWN_SESSION
	}
	return steerOutcomeDECAP_REDIRECTED
}

// modelHeard is for a control message: those to tunnel 9 are heard.
func modelHeard(b []byte) bool {
	switch {
	case len(b) < 8:
		return false
	case b[1]&0xf == 2:
		return binary.BigEndian.Uint16(b[4:]) == 9
	}
	return b[1]&0xf == 3 && binary.BigEndian.Uint32(b[4:]) == 9
}

func modelSession(b []byte) steerOutcome {
	if len(b) < 4 {
		return steerOutcomeSHORT
	}
	if binary.BigEndian.Uint32(b) == 0 {
		return steerOutcomeCONTROL
	}
	return steerOutcomeDECAP_REDIRECTED
}

func modelUDP(b []byte) steerOutcome {
	if len(b) < 8 || binary.BigEndian.Uint16(b[2:]) != 1701 {
		return steerOutcomeOTHER
	}
	size := int(binary.BigEndian.Uint16(b[4:])) - 8
	if len(b) < 10 || size < 2 {
		return steerOutcomeSHORT
	}
	least := 12
	if b[9]&0xf == 2 {
		least = 8
	}
	switch {
	case b[8]&0x80 != 0:
		return steerOutcomeCONTROL
	case size < least:
		return steerOutcomeSHORT
	}
	return steerOutcomeDECAP_REDIRECTED
}

// FuzzVerdict holds the program in the kernel against the model: same action, same counter.
func FuzzVerdict(f *testing.F) {
	for _, frame := range [][]byte{
		overUDP(hello(3, 0, 9)), overUDP(hello(2, 9, 0)), overUDP(hello(3, 0, 8)),
		arp, overIP(ownMAC), overIP(otherMAC), overUDP(dataV3), overUDP(controlV3), overUDP(dataV2), overUDP(nil),
		arpIn(tag(0x8100, 100)), arpIn(tag(0x88a8, 200), tag(0x8100, 20)), overIP(ownMAC, tag(0x9100, 7), tag(0x8100, 8)),
		overIP(ownMAC, tag(0x88a8, 7), tag(0x8100, 8)), overIP(ownMAC, tag(0x8100, 7)), overIP(ownMAC, tag(0x8100, 0), tag(0x8100, 7)),
		join(ether(ownMAC), typeIPv6, ipv6(115, 1), session1), join(ether(ownMAC), typeIPv6, ipv6(17, 1), udp(1701, dataV3)),
		join(ether(ownMAC), typeIPv6, ipv6(44, 1), make([]byte, 12)), join(ether(ownMAC), typeIPv6, ipv6(44, 1), []byte{115, 0, 0, 1, 0, 0, 0, 1}, session1),
		join(ether(ownMAC), typeIPv4, ipv4(115, 1, func(h []byte) { h[6] = 0x20 }), session1), join(ether(ownMAC), typeIPv4, ipv4(17, 1, func(h []byte) { h[6] = 0x20 }), udp(1701, dataV3)),
		join(ether(ownMAC), typeIPv4, ipv4(17, 2, nil), udp(1701, dataV3)),
		toShared(ipv4(115, 4, nil), session1), toShared(ipv4(115, 4, nil), session7), toShared(ipv4(17, 4, nil), udp(1701, dataV3)),
		toShared(ipv4(17, 4, nil), udp(1701, dataV2)), toShared(ipv6(17, 4), udp(1701, dataV2Length)), toShared(ipv6(115, 4), session1),
		join(ether(ownMAC), typeSession, pppoe(0, 1)), join(ether(ownMAC), tag(0x8100, 300), typeSession, pppoe(0, 2)),
		join(ether(otherMAC), typeSession, pppoe(0, 1)), join(ether(ownMAC), typeSession, pppoe(0, 2)),
		toShared(fromKeyed(115), session7), toShared(ipv6(115, 4), session7), toShared(fromKeyed(44), []byte{115, 0, 0, 1, 0, 0, 0, 1}, session7),
		toShared(ipv4(115, 4, func(h []byte) { h[6] = 0x20 }), session7), toShared(ipv4(115, 4, func(h []byte) { h[6] = 0x20 }), session1),
	} {
		f.Add(frame)
		f.Add(frame[:max(14, len(frame)-3)])
	}
	b := newBench(f)
	b.core(f)
	b.share(f)
	b.hear(f)
	b.vlan(f, b.p.AddVLAN, 100, AnyVLAN)
	b.vlan(f, b.p.AddVLAN, 200, 20)
	b.devices(f, Stack{{0x8100, 7}}, Stack{{0x88a8, 7}, {0x8100, 8}})
	b.pppoe(f, b.p.AddPPPoE, PPPoE{C: AnyVLAN, Session: 1}, PPPoE{S: 300, C: AnyVLAN, Session: 2})
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) < 14 || len(frame) > 2000 {
			return
		}
		b.forget(t)
		before := b.outcomes(t)
		action, err := b.p.objs.XwireSteer.Run(&ebpf.RunOptions{Data: frame})
		if err != nil {
			t.Fatal(err)
		}
		want := model(frame)
		after := b.outcomes(t)
		for o := range after {
			moved := after[o] - before[o]
			if is := steerOutcome(o) == want; is && moved != 1 || !is && moved != 0 {
				t.Errorf("outcome %d counted %d, want outcome %d counted once", o, moved, want)
			}
		}
		wantAction := uint32(xdpPass)
		if want == steerOutcomeCONTROL_HEARD {
			wantAction = xdpDrop
			if _, err := b.s.ReadControl(); err != nil {
				t.Fatal(err)
			}
		}
		if want == steerOutcomeENCAP_REDIRECTED || want == steerOutcomeDECAP_REDIRECTED {
			wantAction = xdpRedirect
		}
		if action != wantAction {
			t.Errorf("action = %d, want %d", action, wantAction)
		}
	})
}

// forget has the program know no first fragment, as the model does.
func (b bench) forget(t testing.TB) {
	var p, first steerPacket
	for b.p.objs.Taken.NextKey(nil, &first) == nil && p != first {
		if p = first; b.p.objs.Taken.Delete(p) != nil {
			t.Fatal("forget a packet")
		}
	}
}

func (b bench) outcomes(t testing.TB) [steerOutcomeOUTCOMES]uint64 {
	t.Helper()
	n, err := b.p.outcomes()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// BenchmarkVerdict has the kernel repeat the program on one frame; ns/frame is what the kernel says.
func BenchmarkVerdict(b *testing.B) {
	s := newBench(b)
	s.core(b)
	s.vlan(b, s.p.AddVLAN, 100, AnyVLAN)
	s.vlan(b, s.p.AddVLAN, 200, 20)
	s.devices(b, Stack{{0x8100, 7}})
	s.share(b)
	for _, c := range []struct {
		name  string
		frame []byte
	}{
		{"kernel's", arp},
		{"decap/IPv4/IP", overIP(ownMAC)},
		{"decap/IPv6/UDP", join(ether(ownMAC), typeIPv6, ipv6(17, 1), udp(1701, dataV3))},
		{"decap/IPv4/IP, shared", toShared(ipv4(115, 4, nil), session1)},
		{"decap/IPv4/IP in a VLAN", overIP(ownMAC, tag(0x8100, 7))},
		{"encap/VLAN", arpIn(tag(0x8100, 100))},
		{"encap/QinQ", arpIn(tag(0x88a8, 200), tag(0x8100, 20))},
	} {
		b.Run(c.name, func(b *testing.B) {
			_, each, err := s.p.objs.XwireSteer.Benchmark(c.frame, b.N, b.ResetTimer)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(each.Nanoseconds()), "ns/frame")
		})
	}
}
