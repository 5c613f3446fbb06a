package pw

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"xwire/l2tp"
)

// try sends a frame a few times, alone and in a row, with others of the world's between, and
// compares what comes out with the reference. Nothing outside the frame's chunk may change.
func (w *world) try(r *rig, port uint16, room int, frame []byte) {
	w.t.Helper()
	want := w.ref.process(port, room, frame)
	for round := range 4 {
		const at = 8
		guard := r.put(at-1, 0, 256, nil)
		in := []Frame{r.put(at, port, room, frame)}
		for i := range round * 3 {
			in = append(in, r.put(at+2+i, port, room, frame))
		}
		r.put(at+1, 0, 256, nil)
		before := w.table.PortDrops(port)
		out := w.table.Forwarder(0).Process(r.mem, in, 1, r.out[:0])
		for _, o := range backInOrder(w.t, in, out) {
			if o.Out != want.port {
				w.t.Fatalf("round %d: %x at port %d: out of %d, want %d (%v)", round, frame, port, o.Out, want.port, want.why)
			}
			if o.Out != NoPort && !bytes.Equal(withoutRandom(r.bytes(o)), withoutRandom(want.bytes)) {
				w.t.Fatalf("round %d: %x at port %d:\ngot  %x\nwant %x", round, frame, port, r.bytes(o), want.bytes)
			}
		}
		after := w.table.PortDrops(port)
		if want.port == NoPort && after[want.why] != before[want.why]+uint64(len(in)) {
			w.t.Fatalf("%x at port %d: drops %v, want %v", frame, port, dropsAt(w.table, port), want.why)
		}
		for _, chunk := range []int{at - 1, at + 1} {
			for i, b := range r.mem[chunk*minChunk : (chunk+1)*minChunk] {
				if b != 0xa5 {
					w.t.Fatalf("%x at port %d: byte %d of the chunk beside was written", frame, port, i)
				}
			}
		}
		_ = guard
	}
}

// fuzzWorld has sessions of every kind; the fuzzer chooses among a few of them.
func fuzzWorld(t testing.TB, seed uint8) (*world, *rig) {
	w := newWorld(t, rand.New(rand.NewPCG(uint64(seed), 3)), 1)
	return w, newRig(t, w.table)
}

// FuzzDecap gives arbitrary bytes to a core port.
func FuzzDecap(f *testing.F) {
	for seed := range uint8(4) {
		w, _ := fuzzWorld(f, seed)
		for range 20 {
			if len(w.sessions) > 0 {
				f.Add(seed, w.packet(pick(w.rng, w.sessions...), w.rng.IntN(2) == 0))
			}
		}
	}
	for _, c := range dropCases(f) {
		f.Add(uint8(0), c.frame)
	}
	f.Fuzz(func(t *testing.T, seed uint8, frame []byte) {
		if len(frame) > minChunk-256 {
			return
		}
		w, r := fuzzWorld(t, seed)
		w.try(r, 0, 256, frame)
	})
}

// FuzzEncap gives arbitrary bytes to a port with attachments.
func FuzzEncap(f *testing.F) {
	for seed := range uint8(4) {
		w, _ := fuzzWorld(f, seed)
		for range 20 {
			f.Add(seed, uint8(1+w.rng.IntN(5)), uint16(256), w.customer(0))
		}
	}
	f.Fuzz(func(t *testing.T, seed, port uint8, room uint16, frame []byte) {
		if len(frame)+int(room) > minChunk {
			return
		}
		w, r := fuzzWorld(t, seed)
		w.try(r, uint16(port%worldPorts), int(room), frame)
	})
}

// FuzzPair: what one end encapsulates the other end turns back into the same bytes, for any
// settings that both ends share.
func FuzzPair(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed, []byte("payload of some length"), seed%2 == 0)
	}
	f.Fuzz(func(t *testing.T, seed uint64, body []byte, long bool) {
		if len(body) > 1400 {
			return
		}
		rng := rand.New(rand.NewPCG(seed, 5))
		w := &world{t: t, rng: rng, tunnels: []TunnelID{1}}
		tun := w.randomTunnel()
		w.ref = &reference{tunnels: map[TunnelID]refTunnel{1: {TunnelSpec: tun}}}
		s := w.randomSession()
		s.Limits = Limits{}
		if s.Sublayer == l2tp.SublayerDefault || tun.Version == 2 {
			s.Sequence = w.randomSequence()
		}
		if tun.Keyed {
			w.key(&s)
		}
		tun.UDPZeroChecksumRx = tun.UDPZeroChecksumRx || !tun.UDPChecksumTx
		tun.AnyPeerPort = tun.Encap == l2tp.EncapUDP
		s.Marking.SourcePort = tun.AnyPeerPort && rng.IntN(2) == 0
		s.AC.Port = 1
		if isPPP(s.Type) {
			s.PPPoE = PPPoE{SessionID: 7, Peer: l2tp.MAC{2, 5: 1}, Own: l2tp.MAC{2, 5: 2}}
		}
		if tun.Version != 2 { // both ends' cookies, the peer's second one being what we send
			s.RxCookieCount, s.RxCookies = 2, [2]l2tp.Cookie{w.randomCookie(s.TxCookie.Len()), s.TxCookie}
		}
		c := wireCase{tunnel: tun, session: s}
		near, far := newRig(t, newWireBox(t, &c, false)), newRig(t, newWireBox(t, &c, true))

		pcp := uint16(rng.IntN(16)) << 12
		if s.AC.PW.Kind == PWNone { // priority is lost with the tags
			pcp = 0
		}
		tags := acTags(&s, pcp)
		if s.AC.VLAN.Kind == VLANRange {
			tags = tag(0x8100, pcp|(s.AC.VLAN.Lo+uint16(rng.IntN(int(s.AC.VLAN.Hi-s.AC.VLAN.Lo)+1))))
		}
		frame := join([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}, tags, []byte{8, 0}, body)
		want := frame
		if isPPP(s.Type) {
			ppp := join([]byte{0, 0x21}, body)
			want = s.refToPPPoE(ppp)
			frame = join(want[6:12], want[:6], want[12:])
		}
		for i := range 4 {
			out, packet := near.one(1, frame)
			if out != 0 {
				t.Fatalf("encap %d of %x: %v\n%+v", i, frame, dropsAt(near.table, 1), s)
			}
			if long { // padding behind the IP packet
				packet = append(packet, 1, 2, 3)
			}
			out, back := far.one(0, packet)
			if out != 1 || !bytes.Equal(back, want) {
				t.Fatalf("round %d: %x\nby way of %x\nbecame %x, %v\n%+v", i, frame, packet, back, dropsAt(far.table, 0), s)
			}
		}
	})
}
