package pw

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xwire/l2tp"
)

// Sessions get and lose numbers, fragments, marks, limits, answers, circuits and each other while workers
// forward what is theirs. Every frame comes back once, and the one session that is left alone keeps its
// numbers.
func TestFeaturesChangeWhileForwarding(t *testing.T) {
	const workers, sessions = 3, 8
	table := NewTable(workers)
	table.Reassemble(Layout{Chunk: minChunk})
	table.SetPort(0, PortSpec{Core: true})
	hop := table.AddNextHop(NextHop{Port: 0, MTU: 600})
	add := func(tun TunnelSpec) TunnelID {
		id := must(table.AddTunnel(tun))(t)
		table.SetTunnelNextHop(id, hop)
		return id
	}
	eth, ppp := add(ip4), add(v2udp4)
	plain := func(i uint32) SessionSpec {
		return SessionSpec{
			Tunnel: eth, SID: i, PSID: i, Sublayer: l2tp.SublayerDefault, Type: l2tp.PWEth,
			AC: Attachment{Port: 1, VLAN: VLANMatch{Kind: VLANSingle, Lo: uint16(i)}},
		}
	}
	circuit := func(i uint32) SessionSpec {
		s := pppoeSession(i, i)
		s.Tunnel, s.PPPoE.SessionID = ppp, uint16(i)
		return s
	}
	steady := plain(1)
	steady.Sequence.Send = true
	steadyID := must(table.AddSession(steady))(t)
	var ids []SessionID
	for i := range uint32(sessions) {
		ids = append(ids, must(table.AddSession(plain(2+i)))(t), must(table.AddSession(circuit(2+i)))(t))
	}

	var stop atomic.Bool
	var running sync.WaitGroup
	var mine [workers]uint64
	for n := range workers {
		running.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 2))
			r, f := newRig(t, table), table.Forwarder(n)
			w := &world{t: t, rng: rng}
			free := make([]int, rigChunks/2) // the other half is spare
			for i := range free {
				free[i] = i
			}
			number, given, back, now := 0, 0, 0, int64(1e9)
			next := uint32(0)
			see := func(out []Frame) {
				for _, o := range out {
					if chunk := int(o.Addr / minChunk); chunk < rigChunks/2 {
						free = append(free, chunk)
						back++
					}
					if o.Out != 0 || o.Len < 60 {
						continue
					}
					b := r.bytes(o)
					if b[14] != 0x45 || b[23] != l2tp.ProtoL2TP || u32(b[34:]) != 1 {
						continue
					}
					if word := u32(b[38:]); word != l2tp.SublayerS|next {
						t.Errorf("the steady session sent %#x, want number %d", word, next)
						stop.Store(true)
					}
					next++
				}
			}
			frame := func() (uint16, []byte) {
				i := uint32(1 + rng.IntN(1+sessions))
				size := 60 + rng.IntN(900)
				if i == 1 {
					size = 60
				}
				switch rng.IntN(4) {
				case 0:
					return 1, join([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}, tag(0x8100, uint16(i)), []byte{8, 0, 0x45}, make([]byte, size))
				case 1:
					s := circuit(i)
					return 1, join(s.PPPoE.Own[:], s.PPPoE.Peer[:], s.refToPPPoE(append([]byte{0, 0x21, 0x45}, make([]byte, size)...))[12:])
				case 2:
					number++
					p := numbered(t, (number+rng.IntN(3))&0xffffff, 0)
					if rng.IntN(2) == 0 {
						p[38] = byte(rng.IntN(4)) << 4 // with any B and E, perhaps without a number
					}
					p[34+3] = byte(i)
					return 0, p
				}
				m := w.messageV2(v2udp4.TID, uint16(i), append([]byte{0xff, 3, 0, 0x21, 0x45}, make([]byte, 40)...))
				p := join(wire(t, lines(linkHeader, []string{"0800 4500 0000 0000 0000 4011 0000", "c6 33 64 07", "c0 00 02 01", "06a6 06a5 0000 0000"})...), m)
				p[17], p[39] = byte(28+len(m)), byte(8+len(m))
				fixIPv4(p)
				return 0, p
			}
			var to [1]uint8
			for !stop.Load() {
				r.supplyTo(f)
				var in []Frame
				for range 1 + rng.IntN(40) {
					if len(free) == 0 {
						break
					}
					chunk := free[len(free)-1]
					port, b := frame()
					fr := r.put(chunk, port, 256, b)
					// What is another worker's goes there.
					if f.Keep(r.mem, []Frame{fr}, workers, to[:]); to[0] != stay && int(to[0]) != n {
						continue
					}
					free = free[:len(free)-1]
					in = append(in, fr)
				}
				given += len(in)
				see(f.Process(r.mem, in, now, nil))
				if now += int64(rng.IntN(2e6)); rng.IntN(4) == 0 {
					see(f.Expire(r.mem, now, nil))
				}
				if back+f.Held() != given {
					t.Errorf("worker %d: %d frames given, %d back, %d held", n, given, back, f.Held())
					return
				}
			}
			for f.Deadline() != 0 {
				now = max(now, f.Deadline())
				see(f.Expire(r.mem, now, nil))
			}
			if back != given || f.Held() != 0 {
				t.Errorf("worker %d: %d frames given, %d back, %d held at the end", n, given, back, f.Held())
			}
			mine[n] = uint64(next)
		})
	}

	rng := rand.New(rand.NewPCG(4, 4))
	changes := 0
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end) && !stop.Load(); changes++ {
		k := rng.IntN(len(ids))
		i := uint32(2 + k/2)
		s := plain(i)
		if k%2 == 1 {
			s = circuit(i)
			s.PPPoE.Learn = rng.IntN(2) == 0
		}
		s.Sequence = Sequence{Send: rng.IntN(2) == 0, Require: rng.IntN(4) == 0, Follow: rng.IntN(4) == 0}
		s.Sequence.Reorder = pick[time.Duration](rng, 0, time.Microsecond, time.Millisecond)
		s.MSS, s.AnswerTooBig, s.Oversize = pick(rng, 0, MSSByPath), rng.IntN(3) == 0, Oversize(rng.IntN(3))
		if s.Oversize == OversizePW && k%2 == 1 {
			s.Oversize = OversizeDrop // L2TPv2 has no others
		}
		if s.Oversize == OversizePW {
			s.Sequence.Send, s.Sequence.Follow = true, false
		}
		s.Marking = Marking{TTLInner: rng.IntN(2) == 0, ECN: rng.IntN(2) == 0, FlowLabel: rng.IntN(2) == 0}
		s.Limits = Limits{Rx: pick(rng, Rate{}, openRate, Rate{Bits: 1e6, Burst: 1600}), UnknownUnicast: pick[uint32](rng, 0, 100)}
		switch other := ids[rng.IntN(len(ids))]; rng.IntN(6) {
		case 0: // switched with another, if that is free and of its kind
			s.AC.Port, s.PPPoE = NoPort, PPPoE{}
			table.SetSession(ids[k], s)
			table.Join(ids[k], other)
		case 1:
			table.Part(ids[k])
		case 2:
			if err := table.RemoveSession(ids[k]); err != nil {
				t.Error(err)
			}
			ids[k] = must(table.AddSession(s))(t)
		default:
			if err := table.SetSession(ids[k], s); err != nil {
				t.Error(err)
			}
		}
	}
	stop.Store(true)
	running.Wait()
	var total uint64
	for _, n := range mine {
		total += n
	}
	if c := table.SessionCounters(steadyID); c.TxPackets != total || c.TxErrors != 0 || total < 20 || changes < 100 {
		t.Errorf("%d numbers of the steady session seen, %d changes, counted %+v", total, changes, c)
	}
}

// For a moment two workers may have frames of one session, while it is getting numbers or its tunnel another
// address: neither touches what the other holds, and who comes later holds once nobody does.
func TestTwoWorkersOfOneSession(t *testing.T) {
	table, id := sequenceBox(t, 2, Sequence{Send: true, Reorder: time.Millisecond})
	var rigs [2]*rig
	for i := range rigs {
		rigs[i] = newRig(t, table)
	}
	give := func(w, chunk, number int) (out []Frame) {
		return table.Forwarder(w).Process(rigs[w].mem, []Frame{rigs[w].put(chunk, 0, 256, numbered(t, number, number))}, 1, nil)
	}
	held := func(when string, want0, want1 int) {
		t.Helper()
		if a, b := table.Forwarder(0).Held(), table.Forwarder(1).Held(); a != want0 || b != want1 {
			t.Fatalf("%s: held %d and %d, want %d and %d", when, a, b, want0, want1)
		}
	}
	give(0, 0, 0)
	give(0, 1, 2)
	held("worker 0 waits for 1", 1, 0)
	for i, number := range []int{2, 4, 3, 5} { // begins with any number, and does not wait
		if out := give(1, i, number); len(out) != 1 || (out[0].Out == 1) != (number != 3) {
			t.Fatalf("worker 1, number %d: %+v", number, out)
		}
	}
	held("worker 1 has some", 1, 0)
	if out := give(0, 2, 1); len(out) != 2 || out[0].Out != 1 || out[1].Out != 1 {
		t.Fatalf("worker 0 got what it waited for: %+v", out)
	}
	held("nobody waits", 0, 0)
	give(1, 4, 7)
	held("worker 1 waits for 6", 0, 1)
	if out := give(0, 3, 9); len(out) != 1 || out[0].Out != 1 {
		t.Fatalf("worker 0 has to wait for nothing: %+v", out)
	}
	if out := table.Forwarder(1).Expire(rigs[1].mem, 1e9, nil); len(out) != 1 || out[0].Out != 1 {
		t.Fatalf("worker 1's time is over: %+v", out)
	}
	held("at the end", 0, 0)
	if n, _ := table.Numbering(id); n.NR != 8 || n.Lost != 1+6+1 {
		t.Errorf("numbers stand at %+v", n)
	}

	// A payload in pieces is one worker's too.
	near, far := piecesBox(t, ip4, 576, asIs)
	s, _ := far.table.Session(1)
	tunnel, _, _ := far.table.Tunnel(s.Tunnel)
	both := NewTable(2)
	both.SetPort(0, PortSpec{Core: true})
	s.Tunnel = must(both.AddTunnel(tunnel))(t)
	must(both.AddSession(s))(t)
	for i := range rigs {
		rigs[i] = newRig(t, both)
	}
	whole, cut := fragmentsOf(t, near, payload(60, 1)), fragmentsOf(t, near, payload(1514, 2))
	if len(cut) != 3 {
		t.Fatalf("%d pieces, want 3", len(cut))
	}
	process := func(w, chunk int, packet []byte) []Frame {
		return both.Forwarder(w).Process(rigs[w].mem, []Frame{rigs[w].put(chunk, 0, 256, packet)}, 1, nil)
	}
	process(0, 0, cut[0])
	if out := process(1, 0, whole[0]); len(out) != 1 || out[0].Out != 1 {
		t.Errorf("a whole payload at worker 1: %+v", out)
	}
	if out := process(1, 1, cut[1]); len(out) != 1 || out[0].Out != NoPort || dropsAt(both, 0)["fragment"] != 1 {
		t.Errorf("a piece of worker 0's at worker 1: %+v, %v", out, dropsAt(both, 0))
	}
	process(0, 1, cut[1])
	if got := rigs[0].delivered(process(0, 2, cut[2])); len(got) != 1 || !slices.Equal(got[0], payload(1514, 2)) {
		t.Errorf("worker 0 put together %d frames", len(got))
	}
	process(1, 2, fragmentsOf(t, near, payload(1514, 3))[0])
	if both.Forwarder(0).Held() != 0 || both.Forwarder(1).Held() != 1 {
		t.Errorf("held %d and %d, want 0 and 1", both.Forwarder(0).Held(), both.Forwarder(1).Held())
	}
}
