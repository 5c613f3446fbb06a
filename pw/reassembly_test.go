package pw

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"xwire/l2tp"
)

// fragmentsOf has near send a frame and returns the packet's fragments.
func fragmentsOf(t testing.TB, near *rig, frame []byte) (fragments [][]byte) {
	t.Helper()
	near.supply()
	near.out = near.table.Forwarder(0).Process(near.mem, []Frame{near.put(0, 1, 256, frame)}, 1, near.out[:0])
	for _, f := range near.out {
		if f.Out != 0 {
			t.Fatalf("fragment %+v", f)
		}
		fragments = append(fragments, bytes.Clone(near.bytes(f)))
	}
	return fragments
}

// reassembler is a far end that puts fragments together.
func reassembler(t testing.TB, tun TunnelSpec, mtu int) (near, far *rig) {
	near, far = sizeBox(t, tun, mtu, OversizeFragment)
	far.table.Reassemble(Layout{Chunk: minChunk})
	return near, far
}

// give has far process frames, each in a chunk of its own from first on.
func (r *rig) give(first int, now int64, frames ...[]byte) (out []Frame) {
	r.t.Helper()
	var in []Frame
	for i, b := range frames {
		in = append(in, r.put(first+i, 0, 256, b))
	}
	return r.table.Forwarder(0).Process(r.mem, in, now, nil)
}

// delivered returns the frames that went to the attachment circuit.
func (r *rig) delivered(out []Frame) (frames [][]byte) {
	for _, f := range out {
		if f.Out == 1 {
			frames = append(frames, bytes.Clone(r.bytes(f)))
		} else if f.Out != NoPort {
			r.t.Fatalf("frame %+v", f)
		}
	}
	return frames
}

var sizedTunnels = []TunnelSpec{ip4, with(udp4, func(s *TunnelSpec) { s.UDPChecksumTx = true }), ip6, with(udp6, func(s *TunnelSpec) { s.UDPChecksumTx = true })}

func TestReassembly(t *testing.T) {
	for _, tun := range sizedTunnels {
		for _, mtu := range []int{1500, 1280, 576} {
			for _, n := range []int{1450, 1514, 1518} {
				t.Run(fmt.Sprintf("%v/%v/%d/%d", tun.Local, tun.Encap, mtu, n), func(t *testing.T) {
					near, far := reassembler(t, tun, mtu)
					frame := payload(n, uint64(n))
					for round := range 3 {
						fragments := fragmentsOf(t, near, frame)
						if len(fragments) == 1 {
							continue
						}
						rest := fragments[round%2:] // in any order, some with the first one first
						rand.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
						var out []Frame
						for i, b := range fragments { // one at a time
							out = append(out, far.give(i, 1, b)...)
						}
						if got := far.delivered(out); len(got) != 1 || !bytes.Equal(got[0], frame) || len(out) != len(fragments) {
							t.Fatalf("%d fragments became %d frames, %d delivered; drops %v", len(fragments), len(out), len(got), dropsAt(far.table, 0))
						}
						out = far.give(0, 1, fragmentsOf(t, near, frame)...) // in one batch
						if got := far.delivered(out); len(got) != 1 || !bytes.Equal(got[0], frame) {
							t.Fatalf("in one batch: %x", got)
						}
					}
					packets, _ := far.table.PortReassembled(0)
					if f, d := far.table.Forwarder(0), dropsAt(far.table, 0); f.Held() != 0 || f.Deadline() != 0 || len(d) != 0 || packets%6 != 0 {
						t.Errorf("held %d, drops %v, %d reassembled", f.Held(), d, packets)
					}
				})
			}
		}
	}
}

// lostAt is dropsAt, with what was merged.
func lostAt(r *rig) map[string]uint64 {
	m := dropsAt(r.table, 0)
	if _, merged := r.table.PortReassembled(0); merged != 0 {
		m["merged"] = merged
	}
	return m
}

// ofReassembly tells of reasons that only tables with Reassemble have.
func ofReassembly(d Drop) bool { return d == DropReassembly || d == DropReassemblyLate }

// edit changes a fragment and puts its checksum right.
func edit(b []byte, change func(ip []byte)) []byte {
	b = bytes.Clone(b)
	change(b[14:])
	fixIPv4(b)
	return b
}

func TestReassemblyRefuses(t *testing.T) {
	offset := func(by int) func([]byte) {
		return func(ip []byte) {
			if ip[0]>>4 == 4 {
				binary.BigEndian.PutUint16(ip[6:], uint16(int(u16(ip[6:]))+by))
			} else {
				binary.BigEndian.PutUint16(ip[42:], uint16(int(u16(ip[42:]))+8*by))
			}
		}
	}
	id := func(ip []byte) { ip[4+40*int(ip[0]>>4/6)]++ }
	other := func(ip []byte) { // with the same UDP checksum
		n := len(ip)
		ip[n-4], ip[n-3], ip[n-2], ip[n-1] = ip[n-2], ip[n-1], ip[n-4], ip[n-3]
	}
	ecn := func(v byte) func([]byte) {
		return func(ip []byte) {
			if ip[0]>>4 == 4 {
				ip[1] |= v
			} else {
				ip[1] |= v << 4
			}
		}
	}
	for _, tun := range []TunnelSpec{sizedTunnels[0], sizedTunnels[3]} {
		near, _ := reassembler(t, tun, 576)
		a, b, c := func() ([]byte, []byte, []byte) {
			f := fragmentsOf(t, near, payload(1514, 1))
			return f[0], f[1], f[2]
		}()
		for _, tt := range []struct {
			name   string
			give   [][]byte
			drops  map[string]uint64
			held   int
			passes int
			early  int // of those held
		}{
			{"later ones only", [][]byte{b, c}, map[string]uint64{"merged": 1}, 1, 0, 1},
			{"the first one last", [][]byte{b, c, a}, map[string]uint64{"merged": 2}, 0, 1, 0},
			{"backwards", [][]byte{c, b, a}, map[string]uint64{"merged": 2}, 0, 1, 0},
			{"the first one between", [][]byte{c, a, b}, map[string]uint64{"merged": 2}, 0, 1, 0},
			{"the first one last, and others again", [][]byte{c, b, c, b, a}, map[string]uint64{"merged": 4}, 0, 1, 0},
			{"the first one last, of another packet", [][]byte{b, c, edit(a, id)}, map[string]uint64{"merged": 1}, 2, 0, 1},
			{"later ones that overlap, and the first", [][]byte{c, edit(c, offset(1)), a}, map[string]uint64{"reassembly": 2}, 1, 0, 0},
			{"a later one that the first overlaps", [][]byte{edit(b, offset(-1)), a, b, c}, map[string]uint64{"reassembly": 1, "merged": 2}, 0, 1, 0},
			{"later ones of which some met congestion", [][]byte{edit(b, ecn(3)), c, a}, map[string]uint64{"reassembly": 2}, 1, 0, 0},
			{"the first one cannot tell of congestion", [][]byte{edit(b, ecn(3)), edit(c, ecn(2)), a}, map[string]uint64{"reassembly": 2, "merged": 1}, 0, 0, 0},
			{"one missing", [][]byte{a, c}, map[string]uint64{"merged": 1}, 1, 0, 0},
			{"one twice", [][]byte{a, b, b, c}, map[string]uint64{"merged": 3}, 0, 1, 0},
			{"the first one twice", [][]byte{a, a, b, c}, map[string]uint64{"merged": 3}, 0, 1, 0},
			{"the first one again, later", [][]byte{a, c, a, b}, map[string]uint64{"merged": 3}, 0, 1, 0},
			{"the identification again", [][]byte{a, b, edit(a, other), b, c}, map[string]uint64{"merged": 3, "reassembly": 1}, 0, 1, 0},
			{"another packet's", [][]byte{a, edit(b, id), c}, map[string]uint64{"merged": 1}, 2, 0, 1},
			{"overlap", [][]byte{a, edit(b, offset(-1)), c}, map[string]uint64{"reassembly": 2}, 1, 0, 1},
			{"beyond the end", [][]byte{a, c, edit(b, offset(100))}, map[string]uint64{"merged": 1, "reassembly": 2}, 0, 0, 0},
			{"larger than a chunk", [][]byte{a, edit(b, offset(150))}, map[string]uint64{"reassembly": 2}, 0, 0, 0},
			{"all met congestion", [][]byte{edit(a, ecn(2)), edit(b, ecn(3)), edit(c, ecn(2))}, map[string]uint64{"merged": 2}, 0, 1, 0},
			{"some met congestion, others cannot tell", [][]byte{a, edit(b, ecn(3)), c}, map[string]uint64{"reassembly": 2}, 1, 0, 1},
		} {
			t.Run(fmt.Sprintf("%v/%s", tun.Local.Addr(), tt.name), func(t *testing.T) {
				_, far := reassembler(t, tun, 576)
				out := far.give(0, 1, tt.give...)
				f := far.table.Forwarder(0)
				if got := far.delivered(out); len(got) != tt.passes || len(out)+f.Held() != len(tt.give) || f.Held() != tt.held {
					t.Errorf("%d of %d frames came out, %d delivered, %d held; want %d delivered, %d held", len(out), len(tt.give), len(got), f.Held(), tt.passes, tt.held)
				}
				if got := lostAt(far); fmt.Sprint(got) != fmt.Sprint(tt.drops) {
					t.Errorf("drops %v, want %v", got, tt.drops)
				}
				if tt.held == 0 {
					return
				}
				if tt.early > 0 {
					if d := f.Deadline(); d != 1+earlyTime || len(f.Expire(far.mem, d-1, nil)) != 0 {
						t.Errorf("those without a first one are due at %d", d)
					}
					if late := f.Expire(far.mem, 1+earlyTime, nil); len(late) != tt.early || late[0].Out != NoPort || dropsAt(far.table, 0)["ip_fragment"] != uint64(tt.early) {
						t.Errorf("after a moment: %+v, drops %v", late, dropsAt(far.table, 0))
					}
				}
				first := tt.held - tt.early
				if d := f.Deadline(); first > 0 && (d != 1+reassemblyTime || len(f.Expire(far.mem, d-1, nil)) != 0) {
					t.Errorf("due at %d", d)
				}
				late := f.Expire(far.mem, 1+reassemblyTime, nil)
				if len(late) != first || f.Held() != 0 || f.Deadline() != 0 || dropsAt(far.table, 0)["reassembly_timeout"] != uint64(first) {
					t.Errorf("after a second: %+v, drops %v", late, dropsAt(far.table, 0))
				}
			})
		}
	}
}

// A packet that is whole behind a fragment header (RFC 6946) has nothing to do with others of its
// identification.
func TestReassemblyLeavesAtomicFragmentsAlone(t *testing.T) {
	near, far := reassembler(t, ip6, 600)
	long, short := payload(1000, 1), payload(100, 2)
	fragments := fragmentsOf(t, near, long)
	whole := fragmentsOf(t, near, short)[0]
	atomic := join(whole[:14+40], fragments[0][14+40:14+48], whole[14+40:])
	atomic[14+40+3] &^= 1 // more
	atomic[14+6] = nextFragment
	binary.BigEndian.PutUint16(atomic[14+4:], uint16(len(atomic)-14-40))
	got := far.delivered(far.give(0, 1, fragments[0], atomic, fragments[1]))
	if len(got) != 2 || !bytes.Equal(got[0], short) || !bytes.Equal(got[1], long) {
		t.Errorf("delivered %x; drops %v", got, dropsAt(far.table, 0))
	}
}

// However many packets begin, with whichever fragment, no more are held than there is room for, and each chunk
// comes back. Those that begin with a later one do not take the place of others.
func TestReassemblyIsBounded(t *testing.T) {
	for which := range 2 {
		t.Run(fmt.Sprint(which), func(t *testing.T) { boundedBy(t, which) })
	}
	near, far := reassembler(t, ip4, 1500)
	f := far.table.Forwarder(0)
	const room = partialSets * partialWays
	far.mem = make([]byte, (10*room+1)*minChunk)
	for n := range 10 * room {
		far.give(n, 1, fragmentsOf(t, near, payload(1514, 1))[0])
	}
	first := f.Held()
	for range 4 * room {
		far.give(10*room, 1, fragmentsOf(t, near, payload(1514, 1))[1])
	}
	if n := len(f.Expire(far.mem, 1+reassemblyTime, nil)); n != first || dropsAt(far.table, 0)["reassembly_timeout"] != uint64(first) {
		t.Errorf("%d of %d are left, drops %v", n, first, dropsAt(far.table, 0))
	}
}

func boundedBy(t *testing.T, which int) {
	near, far := reassembler(t, ip4, 1500)
	f := far.table.Forwarder(0)
	const room = partialSets * partialWays
	far.mem = make([]byte, (room+1)*minChunk)
	held := map[uint64]bool{}
	for n := range 4 * room {
		chunk := 0
		for held[uint64(chunk)] {
			chunk++
		}
		held[uint64(chunk)] = true
		for _, o := range far.give(chunk, int64(n), fragmentsOf(t, near, payload(1514, 1))[which]) {
			if o.Out != NoPort || !held[o.Addr/minChunk] {
				t.Fatalf("gave back %+v", o)
			}
			delete(held, o.Addr/minChunk)
		}
		if f.Held() != len(held) || f.Held() > room {
			t.Fatalf("says it holds %d, holds %d", f.Held(), len(held))
		}
	}
	if n := len(f.Expire(far.mem, 1<<62, nil)); n != len(held) || f.Held() != 0 {
		t.Errorf("%d of %d expired, %d held", n, len(held), f.Held())
	}
}

func TestReassemblyDoesNotAllocate(t *testing.T) {
	near, far := reassembler(t, udp6, 1500)
	f, fragments := far.table.Forwarder(0), fragmentsOf(t, near, payload(1514, 1))
	odd := fragmentsOf(t, near, payload(1514, 1))[0]
	out, in := make([]Frame, 0, 256), make([]Frame, 3)
	if n := testing.AllocsPerRun(50, func() {
		for i, b := range [][]byte{fragments[0], odd, fragments[1]} {
			in[i] = Frame{Addr: uint64(i*minChunk + 256), Len: uint32(len(b)), Out: NoPort}
			copy(far.mem[in[i].Addr:], b)
		}
		out = f.Process(far.mem, in, 1, out[:0])
		out = f.Expire(far.mem, 1<<62, out)
	}); n != 0 || len(out) != 3 {
		t.Errorf("%v allocations for %d frames, want 0 for 3", n, len(out))
	}
}

// A packet's fragments go where its session's whole packets go.
func TestSpreadFragments(t *testing.T) {
	for _, tun := range sizedTunnels {
		t.Run(fmt.Sprintf("%v/%v", tun.Local.Addr(), tun.Encap), func(t *testing.T) {
			near, far := reassembler(t, tun, 1500)
			f := far.table.Forwarder(0)
			const workers = 200
			ask := func(b []byte) uint8 {
				var to [1]uint8
				f.Spread(far.mem, []Frame{far.put(0, 0, 256, b)}, workers, to[:])
				return to[0]
			}
			whole, fragments := fragmentsOf(t, near, payload(200, 1)), fragmentsOf(t, near, payload(1514, 1))
			if to := ask(fragments[1]); to != stay {
				t.Errorf("a later fragment alone goes to worker %d", to)
			}
			for i, b := range append(whole, fragments...) {
				if to, want := ask(b), ask(whole[0]); to != want || to == stay {
					t.Errorf("packet %d goes to worker %d, want %d", i, to, want)
				}
			}
		})
	}
}

// A first fragment whose packet's others came before it, and are held here, stays here with those that follow it,
// unless its session's packets must all be one worker's.
func TestSpreadEarlyFragments(t *testing.T) {
	for _, numbered := range []bool{false, true} {
		near, far := reassembler(t, ip4, 576)
		spec, _ := far.table.Session(1)
		spec.Sequence.Require = numbered
		if err := far.table.SetSession(1, spec); err != nil {
			t.Fatal(err)
		}
		f := far.table.Forwarder(0)
		ask := func(b []byte) uint8 {
			var to [1]uint8
			f.Spread(far.mem, []Frame{far.put(9, 0, 256, b)}, 200, to[:])
			return to[0]
		}
		home := ask(fragmentsOf(t, near, payload(60, 1))[0])
		fragments := fragmentsOf(t, near, payload(1514, 1))
		if to := ask(fragments[2]); to != stay {
			t.Errorf("an early fragment goes to worker %d", to)
		}
		far.give(0, 1, fragments[2])
		want := stay
		if numbered {
			want = home
		}
		for i, b := range fragments[:2] {
			if to := ask(b); to != want {
				t.Errorf("numbered %v: fragment %d goes to worker %d, want %d", numbered, i, to, want)
			}
		}
	}
}

// Fragments of a session with sequence numbers are kept at its worker, as its whole packets are; those of
// others stay where they are.
func TestKeepFragments(t *testing.T) {
	for _, numbered := range []bool{false, true} {
		near, far := reassembler(t, ip4, 1500)
		far.table.AddSession(SessionSpec{Tunnel: 1, SID: 77, PSID: 77, Sublayer: l2tp.SublayerDefault, Type: l2tp.PWEth, Sequence: Sequence{Send: true}, AC: Attachment{Port: 2}})
		spec, _ := far.table.Session(1)
		spec.Sequence.Send = numbered
		if err := far.table.SetSession(1, spec); err != nil {
			t.Fatal(err)
		}
		f := far.table.Forwarder(0)
		f.worker = 199 // another than the answer
		var in []Frame
		for i, b := range append(fragmentsOf(t, near, payload(200, 1)), fragmentsOf(t, near, payload(1514, 1))...) {
			in = append(in, far.put(i, 0, 256, b))
		}
		spread, keep := make([]uint8, 3), make([]uint8, 3)
		f.Spread(far.mem, in, 190, spread)
		f.Keep(far.mem, in, 190, keep)
		for i := range keep {
			want := stay
			if numbered {
				want = spread[0]
			}
			if keep[i] != want || spread[i] == stay {
				t.Errorf("numbered %v: frame %d is kept at %d, want %d", numbered, i, keep[i], want)
			}
		}
	}
}

// FuzzReassembly cuts packets anyhow, mixes the pieces, and spoils some: what comes out is a packet that
// went in, and every frame is given back once or held.
func FuzzReassembly(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, uint16(400+seed*60), uint8(seed), []byte{byte(seed)})
	}
	f.Fuzz(func(t *testing.T, seed uint64, mtu uint16, kind uint8, patch []byte) {
		if mtu < 120 || mtu > 1500 {
			return
		}
		rng := rand.New(rand.NewPCG(seed, 1))
		near, far := reassembler(t, sizedTunnels[kind%4], int(mtu))
		var frames [][]byte
		want := map[string]bool{}
		for i := range 3 {
			frame := payload(60+rng.IntN(1450), seed+uint64(i))
			want[string(frame)] = true
			frames = append(frames, fragmentsOf(t, near, frame)...)
		}
		spoilt := false
		for i := range frames {
			if j := rng.IntN(i + 1); rng.IntN(4) == 0 {
				frames[i], frames[j] = frames[j], frames[i]
			}
		}
		for _, p := range patch {
			b := frames[int(p)%len(frames)]
			if at := 14 + rng.IntN(min(len(b)-14, 56)); p != 0 {
				b[at] ^= p
				fixIPv4(b)
				spoilt = true
			}
		}
		given, held := 0, 0
		chunks := map[uint64]bool{}
		fw := far.table.Forwarder(0)
		for i, b := range frames {
			if len(b)+256 > minChunk || i >= rigChunks {
				return
			}
			out := far.give(i, int64(i), b)
			if i == len(frames)-1 {
				out = fw.Expire(far.mem, 1<<62, out)
			}
			for _, got := range far.delivered(out) {
				if !spoilt && !want[string(got)] {
					t.Fatalf("delivered %x", got)
				}
			}
			for _, o := range out {
				if chunks[o.Addr/minChunk] {
					t.Fatalf("chunk %d came back twice", o.Addr/minChunk)
				}
				chunks[o.Addr/minChunk] = true
			}
			given, held = given+len(out), fw.Held()
		}
		if given != len(frames) || held != 0 {
			t.Fatalf("%d of %d frames came back, %d held", given, len(frames), held)
		}
		_, merged := far.table.PortReassembled(0)
		total := far.table.PortForwarded(0) + merged
		for _, n := range far.table.PortDrops(0) {
			total += n
		}
		if int(total) != len(frames) {
			t.Fatalf("%d frames counted, %d given; drops %v", total, len(frames), dropsAt(far.table, 0))
		}
	})
}
