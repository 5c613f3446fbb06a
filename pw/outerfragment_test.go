package pw

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"xwire/l2tp"
)

// sizeBox has two boxes with one session between them, over a path of the MTU. Worker 0 of the near
// one has spare chunks, the upper half of the rig's memory.
func sizeBox(t testing.TB, tun TunnelSpec, mtu int, o Oversize) (near, far *rig) {
	box := func(tun TunnelSpec, mtu int, sid, psid uint32) *rig {
		table := NewTable(1)
		table.SetPort(0, PortSpec{Core: true})
		hop := table.AddNextHop(NextHop{Port: 0, Src: l2tp.MAC{2, 0, 0, 0, 0, 1}, Dst: l2tp.MAC{2, 0, 0, 0, 0, 2}, MTU: mtu})
		id := must(table.AddTunnel(tun))(t)
		table.SetTunnelNextHop(id, hop)
		must(table.AddSession(SessionSpec{
			Tunnel: id, SID: sid, PSID: psid, TxCookie: cookie(t, "01020304"), RxCookieCount: 1,
			RxCookies: [2]l2tp.Cookie{cookie(t, "01020304")}, Sublayer: l2tp.SublayerDefault, Type: l2tp.PWEth,
			AC: Attachment{Port: 1}, Oversize: o,
		}))(t)
		return newRig(t, table)
	}
	back := tun
	back.Local, back.Peer = tun.Peer, tun.Local
	near, far = box(tun, mtu, 1, 2), box(back, 0, 2, 1)
	near.supply()
	return near, far
}

// supply gives worker 0 the chunks of the upper half as spares, and takes back those that it has.
func (r *rig) supply() { r.supplyTo(r.table.Forwarder(0)) }

func (r *rig) supplyTo(f *Forwarder) {
	f.spare = f.spare[:0]
	for i := rigChunks / 2; i < rigChunks; i++ {
		f.spare = append(f.spare, uint64(i*minChunk+256))
	}
}

func payload(n int, seed uint64) []byte {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	copy(b[12:], "\x08\x00")
	return b
}

// whole puts the fragments of one packet together and fails unless each is right and in order.
func whole(t testing.TB, mtu int, fragments [][]byte) []byte {
	t.Helper()
	var packet []byte
	for i, b := range fragments {
		last := i == len(fragments)-1
		ip := b[14:]
		if len(ip) > mtu || !last && len(ip) < mtu-7 {
			t.Fatalf("fragment %d of %d: %d bytes, MTU %d", i, len(fragments), len(ip), mtu)
		}
		at, more, hdr := 0, false, 20
		if ip[0]>>4 == 4 {
			flags := binary.BigEndian.Uint16(ip[6:])
			at, more = int(flags&0x1fff)*8, flags&0x2000 != 0
			if refSum(ip[:20]) != 0xffff || int(u16(ip[2:])) != len(ip) || flags&0xc000 != 0 {
				t.Fatalf("fragment %d: header %x", i, ip[:20])
			}
			if !bytes.Equal(ip[4:6], fragments[0][18:20]) {
				t.Fatalf("fragment %d: identification %x", i, ip[4:6])
			}
		} else {
			off := binary.BigEndian.Uint16(ip[42:])
			at, more, hdr = int(off&^7), off&1 != 0, 48
			if ip[6] != 44 || int(u16(ip[4:])) != len(ip)-40 || ip[41] != 0 || !bytes.Equal(ip[44:48], fragments[0][58:62]) {
				t.Fatalf("fragment %d: header %x", i, ip[:48])
			}
		}
		if i == 0 {
			packet = append(packet, b[:14+min(hdr, 40)]...)
			if hdr == 48 {
				packet[14+6] = ip[40]
			}
		}
		head := 14 + min(hdr, 40)
		if at != len(packet)-head || more == last {
			t.Fatalf("fragment %d of %d begins at %d, want %d; more: %v", i, len(fragments), at, len(packet)-head, more)
		}
		packet = append(packet, ip[hdr:]...)
	}
	if ip := packet[14:]; ip[0]>>4 == 4 {
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
		binary.BigEndian.PutUint32(ip[6:], binary.BigEndian.Uint32(ip[6:])&0xffff)
		ip[10], ip[11] = 0, 0
		binary.BigEndian.PutUint16(ip[10:], ^uint16(refSum(ip[:20])))
	} else {
		binary.BigEndian.PutUint16(ip[4:], uint16(len(ip)-40))
	}
	return packet
}

// RFC 791 section 3.2 and RFC 8200 section 4.5: what is cut comes together to what it was.
func TestOuterFragments(t *testing.T) {
	for _, tun := range []TunnelSpec{ip4, with(udp4, func(s *TunnelSpec) { s.UDPChecksumTx = true }), ip6, with(udp6, func(s *TunnelSpec) { s.UDPChecksumTx = true })} {
		for _, mtu := range []int{1500, 1280, 576, 100} {
			for _, n := range []int{60, 1400, 1450, 1514, 1518} {
				t.Run(fmt.Sprintf("%v/%v/%d/%d", tun.Local, tun.Encap, mtu, n), func(t *testing.T) {
					near, far := sizeBox(t, tun, mtu, OversizeFragment)
					frame := payload(n, uint64(n))
					for range 3 {
						checkFragments(t, near, far, mtu, frame)
					}
					if drops := dropsAt(near.table, 1); len(drops) != 0 {
						t.Errorf("dropped %v", drops)
					}
				})
			}
		}
	}
}

func checkFragments(t testing.TB, near, far *rig, mtu int, frame []byte) {
	t.Helper()
	near.supply()
	in := []Frame{near.put(0, 1, 256, frame)}
	near.out = near.table.Forwarder(0).Process(near.mem, in, 1, near.out[:0])
	var fragments [][]byte
	for _, f := range near.out {
		if f.Out != 0 || f.In != 1 {
			t.Fatalf("fragment %+v", f)
		}
		fragments = append(fragments, bytes.Clone(near.bytes(f)))
	}
	packet := fragments[0]
	if len(fragments) > 1 {
		packet = whole(t, mtu, fragments)
	}
	if out, got := far.one(0, packet); out != 1 || !bytes.Equal(got, frame) {
		t.Fatalf("%d fragments came together to port %d, %x, want %x; drops %v", len(fragments), out, got, frame, dropsAt(far.table, 0))
	}
}

// The kernel's first fragment is as large as the path allows (1500 and 62 bytes over IPv4, section 1.7
// of the facts: 1448 bytes of data over IPv6).
func TestOuterFragmentSizes(t *testing.T) {
	for _, tt := range []struct {
		tun  TunnelSpec
		want []uint32
	}{{ip4, []uint32{14 + 1500, 14 + 20 + 1526 - 1480}}, {ip6, []uint32{14 + 48 + 1448, 14 + 48 + 1526 - 1448}}} {
		near, _ := sizeBox(t, tt.tun, 1500, OversizeFragment)
		near.out = near.table.Forwarder(0).Process(near.mem, []Frame{near.put(0, 1, 256, payload(1514, 1))}, 1, near.out[:0])
		if len(near.out) != 2 || near.out[0].Len != tt.want[0] || near.out[1].Len != tt.want[1] {
			t.Errorf("%v: %+v, want lengths %v", tt.tun.Local, near.out, tt.want)
		}
	}
}

// Small frames among large ones keep their order, and every chunk comes back once.
func TestOuterFragmentsAmongOthers(t *testing.T) {
	near, _ := sizeBox(t, ip4, 1500, OversizeFragment)
	var in []Frame
	for i := range 120 {
		n := 1514
		if i%3 == 0 {
			n = 100
		}
		frame := payload(n, 7)
		binary.BigEndian.PutUint32(frame[14:], uint32(i))
		in = append(in, near.put(i, 1, 256, frame))
	}
	out := near.table.Forwarder(0).Process(near.mem, in, 1, make([]Frame, 0, 512))
	if len(out) != 200 {
		t.Fatalf("%d frames, want 200", len(out))
	}
	number, chunks := uint32(0), map[uint64]bool{}
	for i := 0; i < len(out); i++ {
		b := near.bytes(out[i])
		if got := binary.BigEndian.Uint32(b[14+20+12+14:]); got != number {
			t.Fatalf("frame %d: number %d, want %d", i, got, number)
		}
		if chunks[out[i].Addr/minChunk] {
			t.Fatalf("frame %d: chunk %d is there twice", i, out[i].Addr/minChunk)
		}
		chunks[out[i].Addr/minChunk] = true
		if number++; len(b) > 200 {
			if i++; u16(near.bytes(out[i])[20:]) != 1480/8 {
				t.Fatalf("frame %d is not the rest of the one before", i)
			}
			chunks[out[i].Addr/minChunk] = true
		}
	}
	if c := near.table.SessionCounters(1); c.TxPackets != 120 || c.TxErrors != 0 {
		t.Errorf("counts %+v", c)
	}
	if n := near.table.PortForwarded(1); n != 200 {
		t.Errorf("%d forwarded, want 200: rings counts those that were made as received", n)
	}
}

func TestOversizeDropped(t *testing.T) {
	near, _ := sizeBox(t, ip4, 1500, OversizeDrop)
	none, _ := sizeBox(t, ip4, 1500, OversizeFragment)
	none.table.Forwarder(0).spare = nil
	for _, r := range []*rig{near, none} {
		if out, _ := r.one(1, payload(1514, 1)); out != NoPort || dropsAt(r.table, 1)["oversize"] != 1 {
			t.Errorf("out of %d, drops %v", out, dropsAt(r.table, 1))
		}
		if out, _ := r.one(1, payload(1400, 1)); out != 0 {
			t.Errorf("a frame that fits went out of %d", out)
		}
	}
}

func TestOuterFragmentsDoNotAllocate(t *testing.T) {
	near, _ := sizeBox(t, udp6, 1500, OversizeFragment)
	f, frame := near.table.Forwarder(0), payload(1514, 1)
	out := make([]Frame, 0, 256)
	in := make([]Frame, 64)
	if n := testing.AllocsPerRun(50, func() {
		near.supply()
		for i := range in {
			in[i] = Frame{Addr: uint64(i*minChunk + 256), Len: uint32(len(frame)), In: 1}
			copy(near.mem[in[i].Addr:], frame)
		}
		out = f.Process(near.mem, in, 1, out[:0])
	}); n != 0 || len(out) != 128 {
		t.Errorf("%v allocations for %d frames, want 0 for 128", n, len(out))
	}
}

func FuzzOuterFragments(f *testing.F) {
	f.Add([]byte("0123456789ab\x08\x00payload"), uint16(100), uint8(0))
	f.Add(payload(1514, 1), uint16(1500), uint8(3))
	f.Fuzz(func(t *testing.T, frame []byte, mtu uint16, kind uint8) {
		if len(frame) < l2tp.EthernetLen || len(frame) > 1600 || mtu < 68 || mtu > 1700 {
			return
		}
		near, far := sizeBox(t, []TunnelSpec{ip4, udp4, ip6, with(udp6, func(s *TunnelSpec) { s.UDPChecksumTx = true })}[kind%4], int(mtu), OversizeFragment)
		checkFragments(t, near, far, int(mtu), frame)
	})
}
