package pw

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
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

// supplySpans gives the forwarder the last of the rig's spans.
func (r *rig) supplySpans() {
	f := r.table.Forwarder(0)
	f.spareSpans = f.spareSpans[:0]
	for i := rigSpans / 2; i < rigSpans; i++ {
		f.SupplySpans([]uint64{uint64(rigChunks*minChunk + i*rigSpan + 256)})
	}
}

// TestJumboFragments puts outer fragments together where the first lies, a span or a chunk, or in a spare span
// if there is one.
func TestJumboFragments(t *testing.T) {
	for _, tun := range sizedTunnels {
		for _, mtu := range []int{9000, 4000, 1500} {
			for _, spare := range []bool{true, false} {
				t.Run(fmt.Sprintf("%v/%v/%d/%v", tun.Local, tun.Encap, mtu, spare), func(t *testing.T) {
					near, far := reassembler(t, tun, mtu)
					withSpans(near, far)
					for _, n := range []int{8940, 8990, 9000, 9014} {
						for _, together := range []bool{false, true} {
							if spare {
								far.supplySpans()
							}
							carryFragments(t, near, far, mtu, payload(n, uint64(n)), together, spare || mtu > 1500)
						}
					}
					if f := far.table.Forwarder(0); f.Held() != 0 {
						t.Errorf("held %d", f.Held())
					}
				})
			}
		}
	}
}

// carryFragments has near send a frame, and wants far to deliver it or, if it has no room, to drop it.
func carryFragments(t *testing.T, near, far *rig, mtu int, frame []byte, together, room bool) {
	t.Helper()
	_, before := far.table.PortReassembled(0)
	drops := dropsAt(far.table, 0)["reassembly"]
	fragments := fragmentsOf(t, near, frame)
	for i, b := range fragments {
		if len(b)-14 > mtu || len(fragments) > 1 && i == 0 && len(b)-14 < mtu-7 {
			t.Errorf("%d bytes: fragment %d of %d has %d", len(frame), i, len(fragments), len(b)-14)
		}
	}
	var out []Frame
	if together {
		out = far.give(0, 1, fragments...)
	} else {
		for i, b := range fragments {
			out = append(out, far.give(i, 1, b)...)
		}
	}
	moved := 0
	if mtu == 1500 && room {
		moved = 1 // the chunk of the first comes back
	}
	got := far.delivered(out)
	_, merged := far.table.PortReassembled(0)
	switch {
	case len(out) != len(fragments)+moved:
		t.Errorf("%d bytes: %d frames came back for %d", len(frame), len(out), len(fragments))
	case !room && (len(got) != 0 || dropsAt(far.table, 0)["reassembly"] == drops):
		t.Errorf("%d bytes: %d frames, drops %v", len(frame), len(got), dropsAt(far.table, 0))
	case room && (len(got) != 1 || !bytes.Equal(got[0], frame) || int(merged-before) != len(out)-1):
		t.Errorf("%d bytes: %d frames or others, %d merged; drops %v", len(frame), len(got), merged-before, dropsAt(far.table, 0))
	}
}

// TestJumboFragmentsBackwards: so it is with those of which the first comes last.
func TestJumboFragmentsBackwards(t *testing.T) {
	for _, tun := range sizedTunnels {
		for _, mtu := range []int{9000, 4000, 1500} {
			t.Run(fmt.Sprintf("%v/%v/%d", tun.Local, tun.Encap, mtu), func(t *testing.T) {
				near, far := reassembler(t, tun, mtu)
				withSpans(near, far)
				for _, n := range []int{8990, 9014} {
					far.supplySpans()
					frame := payload(n, uint64(n))
					fragments := fragmentsOf(t, near, frame)
					slices.Reverse(fragments)
					var out []Frame
					for i, b := range fragments {
						out = append(out, far.give(i, 1, b)...)
					}
					if got := far.delivered(out); len(got) != 1 || !bytes.Equal(got[0], frame) {
						t.Errorf("%d bytes in %d fragments: %d frames or others; drops %v", n, len(fragments), len(got), dropsAt(far.table, 0))
					}
					// The chunk of the last fragment comes back too, where it was too short for the packet.
					if more := len(out) - len(fragments); more != 0 && more != 1 || far.table.Forwarder(0).Held() != 0 {
						t.Errorf("%d frames came back for %d", len(out), len(fragments))
					}
				}
			})
		}
	}
	near, far := reassembler(t, ip4, 1500)
	withSpans(near, far)
	far.table.Forwarder(0).spareSpans = nil
	fragments := fragmentsOf(t, near, payload(9014, 1))
	if far.give(0, 1, fragments[len(fragments)-1]); far.table.Forwarder(0).Held() != 0 || dropsAt(far.table, 0)["reassembly"] != 1 {
		t.Errorf("held %d without room, drops %v", far.table.Forwarder(0).Held(), dropsAt(far.table, 0))
	}
}

// TestJumboGivenUp: a packet of which fragments are missing gives its spare span back.
func TestJumboGivenUp(t *testing.T) {
	near, far := reassembler(t, ip4, 1500)
	withSpans(near, far)
	far.supplySpans()
	fragments := fragmentsOf(t, near, payload(9014, 1))
	out := far.give(0, 1, fragments[:4]...)
	if f := far.table.Forwarder(0); f.Held() != 1 || len(out) != 4 || f.SpareSpans() != rigSpans/2-1 {
		t.Errorf("held %d, %d frames came back, %d spare spans", f.Held(), len(out), f.SpareSpans())
	}
	late := far.table.Forwarder(0).Expire(far.mem, 1<<62, nil)
	if len(late) != 1 || late[0].Out != NoPort || late[0].Addr < rigChunks*minChunk {
		t.Errorf("given up: %+v", late)
	}
	if d := lostAt(far); d["reassembly_timeout"] != 1 || d["merged"] != 4 {
		t.Errorf("counted %v", d)
	}
}

// TestJumboPieces: so it is with a payload in pieces.
func TestJumboPieces(t *testing.T) {
	near, far := piecesBox(t, ip4, 1500, asIs)
	withSpans(near, far)
	for _, where := range []string{"chunk", "span", "spare", "spare", "chunk"} {
		frame := payload(9014, 1)
		var in []Frame
		for i, b := range fragmentsOf(t, near, frame) {
			in = append(in, far.put(i, 0, 256, b))
		}
		switch where {
		case "span": // as if it had been longer than a chunk
			b := bytes.Clone(far.bytes(in[0]))
			in[0].Addr = rigChunks*minChunk + 256
			copy(far.bytes(in[0]), b)
		case "spare":
			far.supplySpans()
		default:
			far.table.Forwarder(0).spareSpans = nil
		}
		lost := dropsAt(far.table, 0)["fragment"]
		out := far.table.Forwarder(0).Process(far.mem, in, 1, nil)
		got := far.delivered(out)
		switch {
		case where == "chunk" && (len(got) != 0 || dropsAt(far.table, 0)["fragment"] == lost || len(out) != len(in)):
			t.Errorf("%s: %d pieces became %d frames of %d; drops %v", where, len(in), len(got), len(out), dropsAt(far.table, 0))
		case where != "chunk" && (len(got) != 1 || !bytes.Equal(got[0], frame)):
			t.Errorf("%s: %d pieces became %d frames, or others; drops %v", where, len(in), len(got), dropsAt(far.table, 0))
		case where == "spare" && len(out) != len(in)+1:
			t.Errorf("%d frames came back for %d", len(out), len(in))
		}
	}
	if f := far.table.Forwarder(0); f.Held() != 0 {
		t.Errorf("held %d", f.Held())
	}
}

func TestJumboAllocations(t *testing.T) {
	for _, mtu := range []int{9000, 1500} {
		near, far := reassembler(t, ip4, mtu)
		withSpans(near, far)
		frame := payload(9014, 1)
		fragments := fragmentsOf(t, near, frame)
		in := make([]Frame, len(fragments))
		spans := make([]uint64, 1)
		if n := testing.AllocsPerRun(50, func() {
			near.supply()
			one := [1]Frame{near.put(0, 1, 256, frame)}
			near.out = near.table.Forwarder(0).Process(near.mem, one[:], 1, near.out[:0])
			for i, b := range fragments {
				in[i] = far.put(i, 0, 256, b)
			}
			if f := far.table.Forwarder(0); f.SpareSpans() == 0 {
				spans[0] = rigChunks*minChunk + 256
				f.SupplySpans(spans)
			}
			far.out = far.table.Forwarder(0).Process(far.mem, in, 1, far.out[:0])
		}); n != 0 {
			t.Errorf("MTU %d: %v allocations", mtu, n)
		}
		if d := dropsAt(far.table, 0); len(d) != 0 {
			t.Errorf("MTU %d: drops %v", mtu, d)
		}
	}
}
