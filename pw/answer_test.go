package pw

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"xwire/l2tp"
)

// answerBox is the near box of sizeBox with answers, for frames with these tags inside a session of port 1.
func answerBox(t testing.TB, tun TunnelSpec, o Oversize, change func(*SessionSpec)) *rig {
	near, _ := sizeBox(t, tun, 1500, o)
	spec, ok := near.table.Session(1)
	if !ok {
		t.Fatal("no session")
	}
	spec.AnswerTooBig = true
	change(&spec)
	if err := near.table.SetSession(1, spec); err != nil {
		t.Fatal(err)
	}
	return near
}

// innerPacket is a customer's frame of n bytes, with a packet in it.
func innerPacket(typ uint16, n int, tags ...[]byte) []byte {
	b := join([]byte{2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8}, join(tags...), []byte{byte(typ >> 8), byte(typ)})
	ip := make([]byte, n-len(b))
	for i := range ip {
		ip[i] = byte(i)
	}
	if typ == l2tp.TypeIPv4 {
		l2tp.IPv4(ip).Encode(&l2tp.IPv4Fields{DF: true, TotalLen: uint16(len(ip)), TTL: 9, Protocol: 17, Src: [4]byte{10, 0, 0, 1}, Dst: [4]byte{10, 0, 0, 2}})
	} else {
		l2tp.IPv6(ip).Encode(&l2tp.IPv6Fields{PayloadLen: uint16(len(ip) - 40), NextHeader: 17, HopLimit: 9, Src: [16]byte{0x20, 1, 15: 1}, Dst: [16]byte{0x20, 1, 15: 2}})
	}
	return append(b, ip...)
}

// checkAnswer wants the one answer to frame, which says that packets of mtu bytes fit.
func checkAnswer(t *testing.T, frame, got []byte, mtu int) {
	t.Helper()
	l2 := 14 + 4*len(tagsOf(frame))
	ip, of := got[l2:], frame[l2:]
	if !bytes.Equal(got[:6], frame[6:12]) || !bytes.Equal(got[6:12], frame[:6]) || !bytes.Equal(got[12:l2], frame[12:l2]) {
		t.Errorf("answer to %x begins %x", frame[:l2], got[:l2])
	}
	var icmp []byte
	var told int
	if of[0]>>4 == 4 {
		if len(ip) != 576 || refSum(ip[:20]) != 0xffff || int(u16(ip[2:])) != len(ip) || ip[9] != 1 || !bytes.Equal(ip[12:16], of[16:20]) || !bytes.Equal(ip[16:20], of[12:16]) {
			t.Errorf("answer's header %x", ip[:20])
		}
		icmp = ip[20:]
		if told = int(u16(icmp[6:])); refSum(icmp) != 0xffff || u16(icmp) != 0x0304 {
			t.Errorf("answer %x", icmp[:8])
		}
	} else {
		if len(ip) != 1280 || int(u16(ip[4:])) != len(ip)-40 || ip[6] != 58 || !bytes.Equal(ip[8:24], of[24:40]) || !bytes.Equal(ip[24:40], of[8:24]) {
			t.Errorf("answer's header %x", ip[:40])
		}
		icmp = ip[40:]
		pseudo := join(ip[8:40], binary.BigEndian.AppendUint32(nil, uint32(len(icmp))), []byte{0, 0, 0, 58})
		if told = int(u32(icmp[4:])); refSum(join(pseudo, icmp)) != 0xffff || u16(icmp) != 0x0200 {
			t.Errorf("answer %x", icmp[:8])
		}
	}
	if told != mtu || !bytes.HasPrefix(of, icmp[8:]) {
		t.Errorf("answer tells an MTU of %d, want %d, and quotes %x", told, mtu, icmp[8:40])
	}
}

func TestAnswerTooBig(t *testing.T) {
	single := func(s *SessionSpec) { s.AC.VLAN = VLANMatch{Kind: VLANSingle, Lo: 100} }
	popped := func(s *SessionSpec) { single(s); s.AC.PW.Kind = PWNone }
	edit := func(frame []byte, at int, with ...byte) []byte {
		copy(frame[14+at:], with)
		fixIPv4(frame)
		return frame
	}
	const fits = 1500 - 20 - 12 // of the frame, over IPv4
	for _, tt := range []struct {
		name   string
		frame  []byte
		o      Oversize
		change func(*SessionSpec)
		mtu    int // of the answer; 0: none
		sent   int // packets to the core
	}{
		{"IPv4", innerPacket(0x0800, 1514), OversizeFragment, nil, fits - 14, 0},
		{"IPv4, by one byte", innerPacket(0x0800, fits+1), OversizeFragment, nil, fits - 14, 0},
		{"IPv4 that fits", innerPacket(0x0800, fits), OversizeFragment, nil, 0, 1},
		{"IPv6", innerPacket(0x86dd, 1514), OversizeDrop, nil, fits - 14, 0},
		{"in a VLAN", innerPacket(0x0800, 1518, tag(0x8100, 0x6064)), OversizeFragment, single, fits - 18, 0},
		{"in a VLAN that is taken off", innerPacket(0x86dd, 1518, tag(0x8100, 100)), OversizeFragment, popped, fits - 14, 0},
		{"IPv4 that may be fragmented", edit(innerPacket(0x0800, 1514), 6, 0), OversizeFragment, nil, 0, 2},
		{"the same, to be dropped", edit(innerPacket(0x0800, 1514), 6, 0), OversizeDrop, nil, 0, 0},
		{"a later fragment", edit(innerPacket(0x0800, 1514), 6, 0x40, 1), OversizeFragment, nil, 0, 2},
		{"an ICMP error", edit(innerPacket(0x0800, 1514), 9, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 3), OversizeFragment, nil, 0, 2},
		{"an ICMPv6 error", edit(innerPacket(0x86dd, 1514), 6, 58), OversizeFragment, nil, fits - 14, 0},
		{"from nobody", edit(innerPacket(0x0800, 1514), 12, 0, 0, 0, 0), OversizeFragment, nil, 0, 2},
		{"to a group", edit(innerPacket(0x86dd, 1514), 24, 0xff, 2), OversizeFragment, nil, 0, 2},
		{"no IP", payload(1514, 3), OversizeFragment, nil, 0, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.change == nil {
				tt.change = func(*SessionSpec) {}
			}
			if tt.name == "an ICMPv6 error" {
				tt.frame[14+40], tt.mtu, tt.sent = 2, 0, 2
			}
			near := answerBox(t, ip4, tt.o, tt.change)
			near.supply()
			out := near.table.Forwarder(0).Process(near.mem, []Frame{near.put(0, 1, 256, tt.frame)}, 1e9, nil)
			sent, answers := 0, 0
			for _, fr := range out {
				switch fr.Out {
				case 0:
					sent++
				case 1:
					answers++
					checkAnswer(t, tt.frame, near.bytes(fr), tt.mtu)
				}
			}
			if want := min(tt.mtu, 1); sent != tt.sent || answers != want {
				t.Errorf("%d packets sent, %d answers; want %d, %d; drops %v", sent, answers, tt.sent, want, dropsAt(near.table, 1))
			}
			c := near.table.SessionCounters(1)
			if want := uint64(1 - min(tt.sent, 1)); c.TxErrors != want || dropsAt(near.table, 1)["oversize"] != want {
				t.Errorf("counts %+v, drops %v", c, dropsAt(near.table, 1))
			}
		})
	}
}

// However many packets are too large, answers are few; and there is no other cost than that.
func TestAnswersAreLimited(t *testing.T) {
	near := answerBox(t, udp6, OversizeFragment, func(*SessionSpec) {})
	f, frame := near.table.Forwarder(0), innerPacket(0x0800, 1514)
	out, in := make([]Frame, 0, 256), make([]Frame, 64)
	answers, now := 0, int64(1e9)
	if n := testing.AllocsPerRun(50, func() {
		near.supply()
		for i := range in {
			in[i] = near.put(i, 1, 256, frame)
		}
		out = f.Process(near.mem, in, now, out[:0])
		for _, fr := range out {
			if fr.Out == 1 {
				answers++
			}
		}
	}); n != 0 || answers != answerBurst+1 {
		t.Errorf("%v allocations, %d answers at once; want 0, %d", n, answers, answerBurst+1)
	}
	for range 10 {
		now += answerEvery
		near.supply()
		for _, fr := range f.Process(near.mem, []Frame{near.put(0, 1, 256, frame)}, now, out[:0]) {
			if fr.Out == 1 {
				answers++
			}
		}
	}
	if want := answerBurst + 11; answers != want {
		t.Errorf("%d answers, want %d", answers, want)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(innerPacket(0x0800, 600))
	f.Add(innerPacket(0x86dd, 1400, tag(0x8100, 5)))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > minChunk-256 {
			return
		}
		near := answerBox(t, ip4, OversizeDrop, func(*SessionSpec) {})
		near.table.SetNextHop(1, NextHop{Port: 0, MTU: 300})
		near.supply()
		out := near.table.Forwarder(0).Process(near.mem, []Frame{near.put(0, 1, 256, frame)}, 1e9, nil)
		for _, fr := range out {
			if fr.Out == 1 {
				near.bytes(fr)
				if len(out) != 2 {
					t.Fatal(fmt.Sprint(out))
				}
			}
		}
	})
}

// A client's packet that is too large for the path gets its answer in PPPoE.
func TestAnswerTooBigInPPP(t *testing.T) {
	for _, typ := range []uint16{l2tp.TypeIPv4, l2tp.TypeIPv6} {
		s := pppoeSession(44, 33)
		s.AnswerTooBig, s.AC.VLAN = true, VLANMatch{Kind: VLANSingle, Lo: 100}
		near := pppBox(t, v2udp4, s)
		near.table.SetNextHop(1, NextHop{Port: 0, MTU: 1400})
		near.supply()
		ip := innerPacket(typ, 1450)[14:]
		protocol := map[uint16][]byte{l2tp.TypeIPv4: {0, 0x21}, l2tp.TypeIPv6: {0, 0x57}}[typ]
		frame := s.refToPPPoE(join(protocol, ip))
		frame = join(frame[6:12], frame[:6], frame[12:])
		out := near.table.Forwarder(0).Process(near.mem, []Frame{near.put(0, 1, 256, frame)}, 1e9, nil)
		answers := 0
		for _, fr := range out {
			if fr.Out != 1 {
				continue
			}
			answers++
			got := near.bytes(fr)
			const head = 14 + 4 + 6 + 2
			if want := s.refToPPPoE(join(protocol, got[head:])); !bytes.Equal(got, want) {
				t.Errorf("%#x: answer begins %x, want %x", typ, got[:head], want[:head])
			}
			// checkAnswer knows Ethernet: the same packets there.
			macs := []byte{2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, byte(typ >> 8), byte(typ)}
			checkAnswer(t, join(macs, ip), join(macs[6:12], macs[:6], macs[12:], got[head:]), 1400-20-8-6-4)
		}
		if answers != 1 || dropsAt(near.table, 1)["oversize"] != 1 {
			t.Errorf("%#x: %d answers, drops %v, of %d frames", typ, answers, dropsAt(near.table, 1), len(out))
		}
	}
}
