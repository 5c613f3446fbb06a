package pw

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
)

const (
	rigSpans = 16
	rigSpan  = 12288
)

// withSpans makes room for jumbo frames in boxes that have frames put together.
func withSpans(rigs ...*rig) {
	for _, r := range rigs {
		r.mem = make([]byte, rigChunks*minChunk+rigSpans*rigSpan)
		r.table.Reassemble(Layout{Chunk: minChunk, Spans: rigChunks * minChunk, Span: rigSpan})
	}
}

func TestLayout(t *testing.T) {
	spans := Layout{Chunk: 4096, Spans: 3 * 4096, Span: 12288}
	for _, tt := range []struct {
		l         Layout
		addr, end uint64
	}{
		{Layout{}, 0, 2048},
		{Layout{}, 2047, 2048},
		{Layout{}, 2048, 4096},
		{Layout{Chunk: 4096}, 2048, 4096},
		{Layout{Chunk: 4096}, 1<<40 + 4095, 1<<40 + 4096},
		{spans, 3*4096 - 1, 3 * 4096},
		{spans, 3 * 4096, 6 * 4096},
		{spans, 5*4096 + 7, 6 * 4096},
		{spans, 6*4096 - 1, 6 * 4096},
		{spans, 6 * 4096, 9 * 4096},
	} {
		if got := tt.l.End(tt.addr); got != tt.end {
			t.Errorf("%+v: a frame at %d has room until %d, want %d", tt.l, tt.addr, got, tt.end)
		}
	}
}

// checkPacket wants lengths and checksums of the outer headers right.
func checkPacket(t *testing.T, b []byte) {
	t.Helper()
	ip := b[14:]
	hdr, proto, pseudo := 20, ip[9], uint16(0)
	if ip[0]>>4 == 4 {
		if refSum(ip[:20]) != 0xffff || int(u16(ip[2:])) != len(ip) {
			t.Errorf("IPv4 header %x of a packet of %d bytes", ip[:20], len(ip))
		}
		pseudo = refSum(ip[12:20])
	} else {
		hdr, proto = 40, ip[6]
		if int(u16(ip[4:])) != len(ip)-40 {
			t.Errorf("IPv6 header %x of a packet of %d bytes", ip[:40], len(ip))
		}
		pseudo = refSum(ip[8:40])
	}
	if proto != 17 {
		return
	}
	udp := ip[hdr:]
	if int(u16(udp[4:])) != len(udp) || u16(udp[6:]) == 0 {
		t.Errorf("UDP header %x of a packet of %d bytes", udp[:8], len(ip))
	}
	sum := binary.BigEndian.AppendUint16(nil, pseudo)
	sum = binary.BigEndian.AppendUint16(sum, 17)
	sum = binary.BigEndian.AppendUint16(sum, uint16(len(udp)))
	sum = append(sum, udp...)
	if got := refSum(sum); got != 0xffff {
		t.Errorf("UDP checksum %x makes a sum of %#x", udp[6:8], got)
	}
}

// TestJumbo: frames longer than a chunk go both ways as others do.
func TestJumbo(t *testing.T) {
	for _, tun := range sizedTunnels {
		t.Run(fmt.Sprintf("%v/%v", tun.Local, tun.Encap), func(t *testing.T) {
			near, far := reassembler(t, tun, 9100)
			withSpans(near, far)
			for _, n := range []int{60, minChunk - 257, minChunk - 256, minChunk - 255, minChunk, 2*minChunk - 256, 2*minChunk + 1, 8999, 9014, 9018} {
				for round := range 3 {
					frame := payload(n, uint64(n+round))
					packets := fragmentsOf(t, near, frame)
					if len(packets) != 1 {
						t.Fatalf("%d bytes: %d packets", n, len(packets))
					}
					checkPacket(t, packets[0])
					if got := far.delivered(far.give(0, 1, packets...)); len(got) != 1 || !bytes.Equal(got[0], frame) {
						t.Fatalf("%d bytes: %d frames came, or others; drops %v", n, len(got), dropsAt(far.table, 0))
					}
				}
			}
		})
	}
}

// TestJumboFragments puts outer fragments together where the first lies: in a span, or in a chunk, which
// may be too small for all.
func TestJumboFragments(t *testing.T) {
	for _, tun := range sizedTunnels {
		for _, mtu := range []int{9000, 4000, 1500} {
			t.Run(fmt.Sprintf("%v/%v/%d", tun.Local, tun.Encap, mtu), func(t *testing.T) {
				near, far := reassembler(t, tun, mtu)
				withSpans(near, far)
				refused := uint64(0)
				for _, n := range []int{8950, 8958, 8990, 9000, 9014} {
					frame := payload(n, uint64(n))
					fragments := fragmentsOf(t, near, frame)
					for i, b := range fragments {
						if len(b)-14 > mtu || len(fragments) > 1 && i == 0 && len(b)-14 < mtu-7 {
							t.Errorf("%d bytes: fragment %d of %d has %d bytes", n, i, len(fragments), len(b)-14)
						}
					}
					var out []Frame
					for i, b := range fragments {
						out = append(out, far.give(i, 1, b)...)
					}
					got := far.delivered(out)
					if mtu == 1500 {
						refused++
						if d := dropsAt(far.table, 0); len(got) != 0 || len(out) != len(fragments) || d["reassembly"] < refused {
							t.Errorf("%d bytes: %d frames, %d of %d fragments came back, drops %v", n, len(got), len(out), len(fragments), d)
						}
					} else if len(got) != 1 || !bytes.Equal(got[0], frame) || len(out) != len(fragments) {
						t.Errorf("%d bytes: %d fragments became %d frames; drops %v", n, len(fragments), len(got), dropsAt(far.table, 0))
					}
				}
				if f := far.table.Forwarder(0); f.Held() != 0 {
					t.Errorf("held %d", f.Held())
				}
			})
		}
	}
}

// TestJumboPieces: a payload in pieces is put together where the first one lies.
func TestJumboPieces(t *testing.T) {
	near, far := piecesBox(t, ip4, 1500, asIs)
	withSpans(near, far)
	for round := range 4 {
		frame := payload(9014, uint64(round))
		var in []Frame
		for i, b := range fragmentsOf(t, near, frame) {
			in = append(in, far.put(i, 0, 256, b))
		}
		wide := round < 3
		if wide { // as if it had been longer than a chunk
			b := bytes.Clone(far.bytes(in[0]))
			in[0].Addr = rigChunks*minChunk + 256
			copy(far.bytes(in[0]), b)
		}
		got := far.delivered(far.table.Forwarder(0).Process(far.mem, in, 1, nil))
		if wide && (len(got) != 1 || !bytes.Equal(got[0], frame)) || !wide && len(got) != 0 {
			t.Errorf("round %d: %d pieces became %d frames; drops %v", round, len(in), len(got), dropsAt(far.table, 0))
		}
	}
	if f, d := far.table.Forwarder(0), dropsAt(far.table, 0); f.Held() != 0 || d["fragment"] == 0 {
		t.Errorf("held %d, drops %v", f.Held(), d)
	}
}

func TestJumboAllocations(t *testing.T) {
	near, far := reassembler(t, ip4, 9000)
	withSpans(near, far)
	frame := payload(9014, 1)
	fragments := fragmentsOf(t, near, frame)
	in := make([]Frame, len(fragments))
	if n := testing.AllocsPerRun(50, func() {
		near.supply()
		one := [1]Frame{near.put(0, 1, 256, frame)}
		near.out = near.table.Forwarder(0).Process(near.mem, one[:], 1, near.out[:0])
		for i, b := range fragments {
			in[i] = far.put(i, 0, 256, b)
		}
		far.out = far.table.Forwarder(0).Process(far.mem, in, 1, far.out[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
