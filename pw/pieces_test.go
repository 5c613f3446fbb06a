package pw

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"xwire/l2tp"
)

// piecesBox is sizeBox with fragmentation inside the pseudowire.
func piecesBox(t testing.TB, tun TunnelSpec, mtu int, change func(*SessionSpec)) (near, far *rig) {
	near, far = sizeBox(t, tun, mtu, OversizeFragment)
	for _, r := range []*rig{near, far} {
		spec, _ := r.table.Session(1)
		spec.Oversize, spec.Sequence.Send = OversizePW, true
		change(&spec)
		if err := r.table.SetSession(1, spec); err != nil {
			t.Fatal(err)
		}
	}
	return near, far
}

func asIs(*SessionSpec) {}

// sublayerOf reads it from a packet of piecesBox.
func sublayerOf(b []byte) uint32 {
	at := 14 + 20
	if b[14]>>4 == 6 {
		at += 20
	}
	if proto := b[14+9-3*int(b[14]>>4/6)]; proto == 17 {
		at += 12
	}
	return u32(b[at+8:])
}

// RFC 4623 sections 3 and 4.1.
func TestPieces(t *testing.T) {
	for _, tun := range sizedTunnels {
		for _, mtu := range []int{1500, 1280, 576} {
			for _, n := range []int{60, 1400, 1514, 1518} {
				t.Run(fmt.Sprintf("%v/%v/%d/%d", tun.Local.Addr(), tun.Encap, mtu, n), func(t *testing.T) {
					near, far := piecesBox(t, tun, mtu, asIs)
					number := uint32(0)
					for round := range 3 {
						frame := payload(n, uint64(n+round))
						packets := fragmentsOf(t, near, frame)
						for i, b := range packets {
							want := partMiddle
							switch {
							case len(packets) == 1:
								want = partWhole
							case i == 0:
								want = partFirst
							case i == len(packets)-1:
								want = partLast
							}
							w := sublayerOf(b)
							if partOf(w) != want || w&l2tp.SublayerS == 0 || w&0xffffff != number || len(b)-14 > mtu || i < len(packets)-1 && len(b)-14 < mtu {
								t.Errorf("packet %d of %d: %d bytes, sublayer %#x, want part %d and number %d", i, len(packets), len(b)-14, w, want, number)
							}
							if b[14]>>4 == 4 && b[14+6] != 0x40 {
								t.Errorf("packet %d: flags %#x, want DF alone", i, b[14+6])
							}
							number++
						}
						var out []Frame
						if round == 1 {
							out = far.give(0, 1, packets...)
						} else {
							for i, b := range packets {
								out = append(out, far.give(i, 1, b)...)
							}
						}
						if got := far.delivered(out); len(got) != 1 || !bytes.Equal(got[0], frame) || len(out) != len(packets) {
							t.Fatalf("%d packets became %d frames, %d delivered; drops %v", len(packets), len(out), len(got), dropsAt(far.table, 0))
						}
					}
					near1, far1 := near.table.SessionCounters(1), far.table.SessionCounters(1)
					if near1.TxPackets != uint64(number) || near1.TxPackets != far1.RxPackets || near1.TxBytes != far1.RxBytes || far1.RxErrors != 0 {
						t.Errorf("sent %+v\nreceived %+v", near1, far1)
					}
				})
			}
		}
	}
}

func TestPiecesMissing(t *testing.T) {
	for _, reorder := range []time.Duration{0, time.Second / 2} {
		for _, tt := range []struct {
			name   string
			order  string // of two payloads of three packets each
			passes int
			drops  map[string]uint64 // without reordering
		}{
			{"all", "012345", 2, nil},
			{"the first lost", "12345", 1, map[string]uint64{"fragment": 2}},
			{"the middle lost", "02345", 1, map[string]uint64{"fragment": 2}},
			{"the last lost", "01345", 1, map[string]uint64{"fragment": 1}},
			{"several lost", "0145", 0, map[string]uint64{"fragment": 3}},
			{"one twice", "0112345", 2, map[string]uint64{"old": 1}},
			{"swapped", "021345", 1, map[string]uint64{"fragment": 2, "old": 1}},
		} {
			t.Run(fmt.Sprintf("%s/%v", tt.name, reorder), func(t *testing.T) {
				near, far := piecesBox(t, ip4, 576, func(s *SessionSpec) { s.Sequence.Reorder = reorder })
				far.give(100, 1, fragmentsOf(t, near, payload(60, 1))...) // so that a first one is missed
				packets := append(fragmentsOf(t, near, payload(1514, 1)), fragmentsOf(t, near, payload(1500, 2))...)
				if len(packets) != 6 {
					t.Fatalf("%d packets", len(packets))
				}
				var out []Frame
				for i, c := range tt.order {
					out = append(out, far.give(i, 2, packets[c-'0'])...)
				}
				f := far.table.Forwarder(0)
				out = f.Expire(far.mem, 1e9-1, out) // what waits for others
				out = f.Expire(far.mem, 1<<62, out) // and what waits for pieces
				want := tt.passes
				if tt.name == "swapped" && reorder != 0 {
					want = 2
				}
				if got := far.delivered(out); len(got) != want || len(out) != len(tt.order) || f.Held() != 0 || f.Deadline() != 0 {
					t.Errorf("%d of %d frames came back, %d delivered, want %d; held %d, drops %v", len(out), len(tt.order), len(got), want, f.Held(), dropsAt(far.table, 0))
				}
				if got := dropsAt(far.table, 0); reorder == 0 && tt.drops != nil && fmt.Sprint(got) != fmt.Sprint(tt.drops) {
					t.Errorf("drops %v, want %v", got, tt.drops)
				}
			})
		}
	}
}

// A session that is not told to does not put pieces together, and without a number they have no order.
func TestPiecesRefused(t *testing.T) {
	near, far := piecesBox(t, ip4, 576, asIs)
	_, other := sizeBox(t, ip4, 576, OversizeFragment)
	packets := fragmentsOf(t, near, payload(1514, 1))
	if out := other.give(0, 1, packets...); len(other.delivered(out)) != 0 || dropsAt(other.table, 0)["fragment"] != 3 {
		t.Errorf("drops %v", dropsAt(other.table, 0))
	}
	for i := range packets {
		packets[i][14+20+8] &^= 0x40
	}
	if out := far.give(0, 1, packets...); len(far.delivered(out)) != 0 || dropsAt(far.table, 0)["fragment"] != 3 || far.table.Forwarder(0).Held() != 0 {
		t.Errorf("without numbers: drops %v", dropsAt(far.table, 0))
	}
	for _, bad := range []func(*SessionSpec){
		func(s *SessionSpec) { s.Sublayer = l2tp.SublayerNone },
		func(s *SessionSpec) { s.Sequence.Send = false },
		func(s *SessionSpec) { s.Sequence.Follow = true },
		func(s *SessionSpec) { s.Marking.DF = DFClear },
	} {
		spec, _ := near.table.Session(1)
		if bad(&spec); near.table.SetSession(1, spec) == nil {
			t.Errorf("%+v was taken", spec)
		}
	}
}

// However many sessions have pieces held, they are bounded, and each frame comes back.
func TestPiecesAreBounded(t *testing.T) {
	const sessions = 2 * mostPieces
	near, far := piecesBox(t, ip4, 576, asIs)
	spec, _ := far.table.Session(1)
	for i := range sessions - 1 {
		spec.SID, spec.AC.VLAN = uint32(10+i), VLANMatch{Kind: VLANSingle, Lo: uint16(1 + i)}
		must(far.table.AddSession(spec))(t)
	}
	packet := fragmentsOf(t, near, payload(1514, 1))[0]
	f := far.table.Forwarder(0)
	back := map[uint64]bool{}
	given := 0
	for i := range sessions - 1 {
		binary.BigEndian.PutUint32(packet[34:], uint32(10+i))
		if given++; i == rigChunks-1 {
			t.Fatal("too few chunks")
		}
		for _, o := range far.give(i, int64(i), packet) {
			if o.Out != NoPort || back[o.Addr/minChunk] {
				t.Fatalf("gave back %+v", o)
			}
			back[o.Addr/minChunk] = true
		}
	}
	if f.Held() != mostPieces || len(back) != given-mostPieces {
		t.Errorf("%d held, %d of %d came back", f.Held(), len(back), given)
	}
	for i := range 10 {
		if err := far.table.RemoveSession(SessionID(sessions - i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(f.Expire(far.mem, 1<<62, nil)); n != mostPieces || f.Held() != 0 {
		t.Errorf("%d expired, %d held", n, f.Held())
	}
}

// A payload whose session goes is not counted at the session that gets its place.
func TestPiecesOfARemovedSession(t *testing.T) {
	near, far := piecesBox(t, ip4, 576, asIs)
	far.give(0, 1, fragmentsOf(t, near, payload(1514, 1))[0])
	s, _ := far.table.Session(1)
	if err := far.table.RemoveSession(1); err != nil {
		t.Fatal(err)
	}
	far.give(1, 1) // a batch passes
	far.table.SessionCounters(1)
	id := must(far.table.AddSession(s))(t)
	far.table.Forwarder(0).Expire(far.mem, 1<<62, nil)
	if c := far.table.SessionCounters(id); id != 1 || c != (Counters{}) || dropsAt(far.table, 0)["fragment"] != 1 {
		t.Errorf("session %d has counted %+v, the port %v", id, c, dropsAt(far.table, 0))
	}
}

func TestPiecesDoNotAllocate(t *testing.T) {
	near, far := piecesBox(t, udp6, 576, asIs)
	f, g := near.table.Forwarder(0), far.table.Forwarder(0)
	far.table.SetTunnel(1, with(udp6, func(s *TunnelSpec) { s.Local, s.Peer, s.UDPZeroChecksumRx = udp6.Peer, udp6.Local, true }))
	frame := payload(1514, 1)
	out, back, in := make([]Frame, 0, 256), make([]Frame, 0, 256), make([]Frame, 1)
	delivered := 0
	if n := testing.AllocsPerRun(50, func() {
		near.supply()
		in[0] = Frame{Addr: 256, Len: uint32(len(frame)), In: 1}
		copy(near.mem[256:], frame)
		out = f.Process(near.mem, in, 1, out[:0])
		for i := range out {
			out[i].In, out[i].Out = 0, NoPort
		}
		copy(far.mem, near.mem)
		back = g.Process(far.mem, out, 1, back[:0])
		for _, fr := range back {
			if fr.Out == 1 {
				delivered++
			}
		}
	}); n != 0 || delivered != 51 {
		t.Errorf("%v allocations, %d frames delivered; want 0, 51; drops %v", n, delivered, dropsAt(far.table, 0))
	}
}

// FuzzPieces loses, repeats and swaps packets: what comes out went in, and every frame comes back once.
func FuzzPieces(f *testing.F) {
	for seed := range uint64(10) {
		f.Add(seed, uint16(300+100*seed), uint8(seed))
	}
	f.Fuzz(func(t *testing.T, seed uint64, mtu uint16, kind uint8) {
		if mtu < 150 || mtu > 1500 {
			return
		}
		rng := rand.New(rand.NewPCG(seed, 2))
		near, far := piecesBox(t, sizedTunnels[kind%4], int(mtu), func(s *SessionSpec) {
			if kind&4 != 0 {
				s.Sequence.Reorder = time.Millisecond
			}
		})
		want := map[string]bool{}
		var packets [][]byte
		for i := range 6 {
			frame := payload(60+rng.IntN(1450), seed+uint64(i))
			want[string(frame)] = true
			for _, b := range fragmentsOf(t, near, frame) {
				switch rng.IntN(12) {
				case 0:
				case 1:
					packets = append(packets, b, b)
				case 2:
					packets = append(packets, b)
					if n := len(packets); n > 1 {
						packets[n-1], packets[n-2] = packets[n-2], packets[n-1]
					}
				default:
					packets = append(packets, b)
				}
			}
		}
		if len(packets) > rigChunks {
			return
		}
		fw := far.table.Forwarder(0)
		back := map[uint64]bool{}
		for i, b := range packets {
			out := far.give(i, int64(i)*100_000, b)
			if d := fw.Deadline(); rng.IntN(3) == 0 && d != 0 {
				out = fw.Expire(far.mem, d, out)
			}
			if i == len(packets)-1 {
				out = fw.Expire(far.mem, 1<<61, out)
				out = fw.Expire(far.mem, 1<<62, out)
			}
			for _, got := range far.delivered(out) {
				if !want[string(got)] {
					t.Fatalf("delivered %x", got)
				}
			}
			for _, o := range out {
				if back[o.Addr/minChunk] {
					t.Fatalf("chunk %d came back twice", o.Addr/minChunk)
				}
				back[o.Addr/minChunk] = true
			}
		}
		if len(back) != len(packets) || fw.Held() != 0 {
			t.Fatalf("%d of %d frames came back, %d held; drops %v", len(back), len(packets), fw.Held(), dropsAt(far.table, 0))
		}
	})
}

// Whichever packet of a payload met congestion, the payload tells it or is dropped (RFC 6040, RFC 3168
// section 5.3), and the next one is not concerned.
func TestPiecesTellOfCongestion(t *testing.T) {
	for _, inner := range []uint8{ect0, notECT} {
		for hit := range 3 {
			t.Run(fmt.Sprintf("inner %d/packet %d", inner, hit), func(t *testing.T) {
				near, far := piecesBox(t, ip4, 576, func(s *SessionSpec) { s.Marking = Marking{ECN: true} })
				frame := append(tcpFrame(false, 0, 0), make([]byte, 1300)...)
				setTOS(frame[14:], inner)
				for round, want := range []uint8{ce, inner} {
					packets := fragmentsOf(t, near, frame)
					if len(packets) != 3 {
						t.Fatalf("%d packets, want 3", len(packets))
					}
					if round == 0 {
						setTOS(packets[hit][14:], ce)
					}
					got := far.delivered(far.give(0, 1, packets...))
					if want == ce && inner == notECT {
						if c := far.table.SessionCounters(1); len(got) != 0 || c.RxECNDiscards != 1 {
							t.Errorf("%d delivered, %+v", len(got), c)
						}
						continue
					}
					if len(got) != 1 || tosOf(got[0][14:]) != want || refSum(got[0][14:34]) != 0xffff {
						t.Fatalf("round %d: %d delivered, %x; drops %v", round, len(got), got, dropsAt(far.table, 0))
					}
				}
			})
		}
	}
}
