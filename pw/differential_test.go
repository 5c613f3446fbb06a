package pw

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"xwire/l2tp"
)

// world is a table and a reference with the same contents.
type world struct {
	t        testing.TB
	rng      *rand.Rand
	table    *Table
	ref      *reference
	tunnels  []TunnelID
	sessions []SessionID
	hops     []NextHopID
}

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

const worldPorts = 6

func newWorld(t testing.TB, rng *rand.Rand, workers int) *world {
	w := &world{t: t, rng: rng, table: NewTable(workers), ref: newReference()}
	for p := range uint16(worldPorts) {
		spec := PortSpec{Core: p < 2 || rng.IntN(3) == 0, MTU: pick(rng, 0, 0, 60, 1500)}
		w.table.SetPort(p, spec)
		w.ref.ports[p] = spec
	}
	for range 3 {
		spec := w.randomHop()
		id := w.table.AddNextHop(spec)
		w.hops = append(w.hops, id)
		w.ref.hops[id] = spec
	}
	for range 6 {
		w.addTunnel()
	}
	for range 30 {
		w.addSession()
	}
	return w
}

func (w *world) randomHop() NextHop {
	rng := w.rng
	hop := NextHop{Port: uint16(rng.IntN(2)), Src: l2tp.MAC{2, 0, 0, 0, 0, 1}, Dst: l2tp.MAC{2, 0, 0, 0, 0, byte(rng.Uint32())}, MTU: pick(rng, 0, 1500, 1600, 90)}
	for range pick(rng, 0, 0, 1, 2) {
		hop.Tags = append(hop.Tags, l2tp.Tag{TPID: pick[uint16](rng, 0x8100, 0x88a8), TCI: uint16(rng.Uint32())})
	}
	if rng.IntN(20) == 0 {
		hop.Port = NoPort
	}
	return hop
}

func (w *world) randomTunnel() TunnelSpec {
	rng := w.rng
	spec := TunnelSpec{Encap: pick(rng, l2tp.EncapIP, l2tp.EncapUDP), UDPChecksumTx: rng.IntN(2) == 0, UDPZeroChecksumRx: rng.IntN(2) == 0}
	addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + rng.IntN(2))})
	peer := netip.AddrFrom4([4]byte{198, 51, 100, byte(1 + rng.IntN(3))})
	if rng.IntN(2) == 0 {
		addr = netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 15: byte(1 + rng.IntN(2))})
		peer = netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 2: 9, 15: byte(1 + rng.IntN(3))})
	}
	lp, pp := uint16(0), uint16(0)
	if spec.Encap == l2tp.EncapUDP {
		lp, pp = pick[uint16](rng, 1701, 5000), pick[uint16](rng, 1701, 5001)
	}
	if rng.IntN(3) == 0 {
		spec.TTL, spec.TOS, spec.DF = pick[uint8](rng, 0, 5, 255), byte(rng.Uint32()), rng.IntN(2) == 0 && addr.Is4()
	}
	spec.Keyed = rng.IntN(3) == 0 && spec.Encap == l2tp.EncapIP && addr.Is6()
	spec.AnyPeerPort = rng.IntN(4) == 0 && spec.Encap == l2tp.EncapUDP
	if spec.Encap == l2tp.EncapUDP && rng.IntN(2) == 0 {
		spec.Version, spec.TID, spec.PTID = 2, uint16(1+rng.IntN(2)), uint16(1+rng.IntN(9))
	}
	spec.Local, spec.Peer = netip.AddrPortFrom(addr, lp), netip.AddrPortFrom(peer, pp)
	return spec
}

func (w *world) addTunnel() {
	spec := w.randomTunnel()
	id := must(w.table.AddTunnel(spec))(w.t)
	hop := pick(w.rng, append(w.hops, w.hops[0], 0)...)
	w.table.SetTunnelNextHop(id, hop)
	w.tunnels = append(w.tunnels, id)
	w.ref.tunnels[id] = refTunnel{spec, hop}
}

func (w *world) randomCookie(n int) l2tp.Cookie {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(w.rng.Uint32())
	}
	return must(l2tp.NewCookie(b))(w.t)
}

func (w *world) randomSession() SessionSpec {
	rng := w.rng
	s := SessionSpec{
		Tunnel:   pick(rng, w.tunnels...),
		SID:      uint32(1 + rng.IntN(20)),
		PSID:     1 + rng.Uint32()>>1,
		TxCookie: w.randomCookie(pick(rng, 0, 4, 8)),
		Sublayer: l2tp.Sublayer(rng.IntN(2)),
		Type:     pick(rng, l2tp.PWEth, l2tp.PWEthVLAN),
		Marking:  w.randomMarking(),
		Limits:   w.randomLimits(),
		AC:       Attachment{Port: uint16(1 + rng.IntN(worldPorts-1)), STPID: pick[uint16](rng, 0, 0x9100)},
	}
	n := pick(rng, 0, 4, 8)
	s.RxCookieCount = rng.IntN(3)
	for i := range s.RxCookieCount {
		s.RxCookies[i] = w.randomCookie(n)
	}
	s.AC.VLAN = VLANMatch{Kind: VLANKind(rng.IntN(5)), Lo: uint16(1 + rng.IntN(12))}
	switch s.AC.VLAN.Kind {
	case VLANAll, VLANUntagged:
		s.AC.VLAN.Lo = 0
	case VLANRange:
		s.AC.VLAN.Hi = s.AC.VLAN.Lo + uint16(rng.IntN(5))
	case VLANQinQ:
		s.AC.VLAN.C = uint16(1 + rng.IntN(4))
	}
	if k := s.AC.VLAN.Kind; k != VLANAll && k != VLANRange {
		s.AC.PW.Kind = PWKind(rng.IntN(3))
		if s.AC.PW.Kind == PWVID {
			s.AC.PW.VID = uint16(1 + rng.IntN(6))
		}
	}
	v2 := w.ref != nil && w.ref.tunnels[s.Tunnel].Version == 2
	if v2 {
		s.PSID, s.TxCookie, s.RxCookieCount, s.Sublayer = 1+s.PSID&0x7fff, l2tp.Cookie{}, 0, l2tp.SublayerNone
		s.RxCookies = [2]l2tp.Cookie{}
	}
	if v2 || rng.IntN(5) == 0 {
		s.Type = pick(rng, l2tp.PWPPP, l2tp.PWPPPAC)
		s.AC.PW = PWTags{}
		if k := s.AC.VLAN.Kind; k == VLANAll || k == VLANRange {
			s.AC.VLAN = VLANMatch{Kind: VLANUntagged}
		}
		s.PPPoE = PPPoE{SessionID: uint16(1 + rng.IntN(3)), Peer: l2tp.MAC{2, 5: byte(1 + rng.IntN(2))}, Own: l2tp.MAC{2, 5: 9}}
	}
	if rng.IntN(20) == 0 {
		s.AC.Port, s.PPPoE = NoPort, PPPoE{}
	}
	return s
}

// key makes a random session one that a keyed tunnel may have.
func (w *world) key(s *SessionSpec) {
	s.SID, s.TxCookie, s.RxCookieCount = 0, w.randomCookie(8), 1+w.rng.IntN(2)
	s.RxCookies = [2]l2tp.Cookie{w.randomCookie(8), w.randomCookie(8)}
}

func (w *world) addSession() {
	spec := w.randomSession()
	if w.ref.tunnels[spec.Tunnel].Keyed {
		w.key(&spec)
	}
	if id, err := w.table.AddSession(spec); err == nil {
		w.drain(id)
		w.sessions = append(w.sessions, id)
		w.ref.sessions[id] = spec
	}
}

// change does one random thing to both.
func (w *world) change() {
	rng := w.rng
	switch rng.IntN(8) {
	case 0:
		w.addTunnel()
	case 1, 2:
		w.addSession()
	case 3:
		if i := rng.IntN(len(w.sessions) + 1); i < len(w.sessions) {
			if err := w.table.RemoveSession(w.sessions[i]); err != nil {
				w.t.Fatal(err)
			}
			delete(w.ref.sessions, w.sessions[i])
			w.sessions = append(w.sessions[:i], w.sessions[i+1:]...)
		}
	case 4:
		if i := rng.IntN(len(w.sessions) + 1); i < len(w.sessions) {
			id, spec := w.sessions[i], w.randomSession()
			spec.Tunnel = w.ref.sessions[id].Tunnel
			if w.ref.tunnels[spec.Tunnel].Keyed {
				w.key(&spec)
			}
			if w.table.SetSession(id, spec) == nil {
				w.drain(id)
				w.ref.sessions[id] = spec
			}
		}
	case 5:
		id, spec := pick(rng, w.tunnels...), w.randomTunnel()
		if w.table.SetTunnel(id, spec) == nil {
			w.ref.tunnels[id] = refTunnel{spec, w.ref.tunnels[id].hop}
		}
	case 6:
		id, spec := pick(rng, w.hops...), w.randomHop()
		w.table.SetNextHop(id, spec)
		w.ref.hops[id] = spec
	case 7:
		i := rng.IntN(len(w.tunnels))
		id := w.tunnels[i]
		if len(w.tunnels) > 3 && w.table.RemoveTunnel(id) == nil {
			w.tunnels = append(w.tunnels[:i], w.tunnels[i+1:]...)
			delete(w.ref.tunnels, id)
		}
	}
}

// customer makes a frame of an attachment circuit, perhaps a session's.
func (w *world) customer(id SessionID) []byte {
	rng := w.rng
	if s := w.ref.sessions[id]; isPPP(s.Type) && rng.IntN(8) > 0 {
		return w.pppoeFrame(&s)
	}
	frame := []byte{2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 1, 2}
	switch rng.IntN(16) {
	case 0:
		copy(frame, "\xff\xff\xff\xff\xff\xff")
	case 1:
		frame[0] = 0x33
	}
	if id != 0 && rng.IntN(8) > 0 {
		s := w.ref.sessions[id]
		pcp := uint16(rng.IntN(16)) << 12
		switch v := s.AC.VLAN; v.Kind {
		case VLANSingle, VLANQinQ:
			frame = join(frame, acTags(&s, pcp))
		case VLANRange:
			frame = join(frame, tag(0x8100, pcp|v.Lo))
		}
		if s.AC.PW.Kind == PWVID && rng.IntN(2) == 0 {
			frame = join(frame[:12], tag(0x8100, pcp|s.AC.PW.VID))
		}
	} else {
		frame = w.anyTags(frame)
	}
	frame = join(frame, w.body())
	if rng.IntN(20) == 0 {
		frame = frame[:rng.IntN(len(frame))]
	}
	return frame
}

func (w *world) anyTags(frame []byte) []byte {
	rng := w.rng
	for range pick(rng, 0, 1, 1, 2, 2, 3) {
		frame = join(frame, tag(pick[uint16](rng, 0x8100, 0x88a8, 0x9100), uint16(rng.IntN(16))<<12|uint16(rng.IntN(18))))
	}
	return frame
}

// packet makes what a peer sends: the reference's encap of a session seen from the other side,
// then often spoilt in some field.
func (w *world) packet(id SessionID, spoil bool) []byte {
	rng := w.rng
	s := w.ref.sessions[id]
	t := w.ref.tunnels[s.Tunnel]
	far := newReference()
	hop := NextHop{Port: 1, MTU: 0}
	for range pick(rng, 0, 0, 1, 2) {
		hop.Tags = append(hop.Tags, l2tp.Tag{TPID: pick[uint16](rng, 0x8100, 0x88a8, 0x9100), TCI: uint16(rng.Uint32())})
	}
	far.hops[1] = hop
	t.Local, t.Peer, t.TID, t.PTID = t.Peer, t.Local, t.PTID, t.TID
	t.UDPChecksumTx = rng.IntN(2) == 0
	if t.TOS = 0; rng.IntN(4) == 0 {
		t.TOS = byte(rng.Uint32())
	}
	if t.AnyPeerPort && rng.IntN(2) == 0 {
		t.Local = netip.AddrPortFrom(t.Local.Addr(), uint16(rng.Uint32()))
	}
	far.tunnels[1] = refTunnel{t.TunnelSpec, 1}
	peer := SessionSpec{Tunnel: 1, PSID: s.SID, Sublayer: s.Sublayer}
	if t.Keyed { // any id, perhaps that of a session of another tunnel between these addresses
		peer.PSID = pick(rng, 0xffffffff, 0xffffffff, 1+rng.Uint32()>>1, uint32(1+rng.IntN(20)))
	}
	if s.RxCookieCount > 0 {
		peer.TxCookie = s.RxCookies[rng.IntN(s.RxCookieCount)]
	}
	inner := w.customer(id)
	if isPPP(s.Type) {
		inner = w.pppFrame()
	}
	harm := 1 << 30
	if spoil {
		harm = 1
	}
	switch rng.IntN(min(12*harm, 1<<30)) {
	case 0:
		peer.Sublayer ^= 1
	case 1:
		peer.TxCookie = w.randomCookie(pick(rng, 0, 4, 8))
	case 2:
		peer.PSID++
	case 5: // ends before cookie and sublayer may
		peer.TxCookie, peer.Sublayer, inner = l2tp.Cookie{}, l2tp.SublayerNone, inner[:rng.IntN(min(len(inner), 8)+1)]
	case 3:
		far.tunnels[1] = refTunnel{w.randomTunnel(), 1}
	case 4:
		if t.Encap == l2tp.EncapUDP {
			t.Encap, t.Version, t.TID, t.PTID = l2tp.EncapIP, 0, 0, 0
			t.Local, t.Peer = netip.AddrPortFrom(t.Local.Addr(), 0), netip.AddrPortFrom(t.Peer.Addr(), 0)
			far.tunnels[1] = refTunnel{t.TunnelSpec, 1}
		}
	}
	b := far.encap(1, &peer, 256, inner).bytes
	if u := far.tunnels[1]; u.v2() {
		tos, ttl, df := peer.marks(&u.TunnelSpec, nil)
		o, _ := u.wrap(hop, w.messageV2(u.PTID, uint16(peer.PSID), inner), tos, ttl, df)
		b = o.bytes
	}
	if b == nil {
		w.t.Fatal("the peer could not make a packet")
	}
	switch rng.IntN(min(8*harm, 1<<30)) {
	case 0: // a bit, sums not put right
		b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
	case 1: // a byte, IPv4 checksum put right
		at := 12 + rng.IntN(min(len(b)-12, 80))
		b[at] = pick(rng, 0, 17, 44, 43, 115, 0x46, 0x80, 0x40, 0x20, byte(rng.Uint32()))
		fixIPv4(b)
	case 2: // cut
		b = b[:rng.IntN(len(b))]
	case 4: // L2TP flags, or session id 0 over IP
		at := 14 + 4*len(tagsOf(b)) + 20
		if u16(b[at-22:]) == 0x86dd {
			at += 20
		}
		if t.Encap == l2tp.EncapUDP && len(b) > at+9 {
			b[at+8], b[at+9] = byte(rng.Uint32()), pick[byte](rng, 2, 3, 4)
		} else if t.Encap == l2tp.EncapIP && len(b) > at+4 {
			clear(b[at : at+4])
		}
	case 3: // padded
		b = join(b, make([]byte, rng.IntN(60)))
	}
	return b
}

func fixIPv4(b []byte) {
	at := 14 + 4*len(tagsOf(b))
	if len(b) >= at+20 && u16(b[at-2:]) == 0x0800 {
		l2tp.IPv4(b[at:]).SetChecksum()
	}
}

// ordered fails unless the frames of each session that came by one port with the same tags, in one
// direction, left in the order in which they came.
func (w *world) ordered(in, out []Frame, frames [][]byte, want []outcome) {
	w.t.Helper()
	came := make(map[uint64]int)
	for i, fr := range in {
		came[fr.Addr/minChunk] = i
	}
	type way struct {
		session SessionID
		encap   bool
		port    uint16
		tags    string
	}
	last := make(map[way]int)
	for _, fr := range out {
		i := came[fr.Addr/minChunk]
		k := way{want[i].session, want[i].delta.TxPackets > 0, fr.In, fmt.Sprint(tagsOf(frames[i]))}
		if fr.Out != NoPort && k.session != 0 {
			if i < last[k] {
				w.t.Fatalf("frame %d of session %d left behind frame %d", i, k.session, last[k])
			}
			last[k] = i
		}
	}
}

// check sends a batch through the table and compares with the reference.
func (w *world) check(r *rig, worker, n int) {
	w.t.Helper()
	var in []Frame
	var frames [][]byte
	var want []outcome
	// Frames come in rows of one session.
	var left int
	var id SessionID
	var port uint16
	var decap bool
	beforeDrops := make(map[uint16][NumDrops]uint64)
	for p := range uint16(worldPorts) {
		beforeDrops[p] = w.table.PortDrops(p)
	}
	before := make(map[SessionID]Counters)
	for id := range w.ref.sessions {
		before[id] = w.table.SessionCounters(id)
	}
	beforeInvalid := make(map[TunnelID]uint64)
	for id := range w.ref.tunnels {
		beforeInvalid[id] = w.table.TunnelCounters(id).RxInvalid
	}
	for i := range n {
		if left--; left < 0 {
			left, id = pick(w.rng, 0, 0, 1, 5, 70), 0
			port, decap = uint16(w.rng.IntN(worldPorts)), w.rng.IntN(2) == 0
			if len(w.sessions) > 0 {
				id = pick(w.rng, w.sessions...)
				if p := w.ref.sessions[id].AC.Port; p != NoPort {
					port = p
				}
			}
			if decap {
				port = uint16(w.rng.IntN(2))
			}
		}
		frame := w.customer(id)
		if decap && id != 0 {
			frame = w.packet(id, left == 0 || w.rng.IntN(12) == 0)
		}
		room := pick(w.rng, 256, 256, 256, 256, 256, encapRoom, encapRoom-1, 0)
		frames = append(frames, frame)
		in = append(in, r.put(i, port, room, frame))
		want = append(want, w.ref.process(port, room, frame))
	}
	out := w.table.Forwarder(worker).Process(r.mem, in, 1, r.out[:0])
	w.ordered(in, out, frames, want)
	out = backInOrder(w.t, in, out)
	wantDrops := beforeDrops
	wantCounters := before
	invalid := uint64(0)
	for i, fr := range out {
		o := want[i]
		fail := func(format string, args ...any) {
			w.t.Helper()
			w.t.Fatalf("frame %d at port %d, %x:\n%s", i, in[i].In, frames[i], fmt.Sprintf(format, args...))
		}
		if fr.Out != o.port {
			fail("out of port %d, want %d (%v); drops %v", fr.Out, o.port, o.why, dropsAt(w.table, in[i].In))
		}
		if o.port == NoPort {
			d := wantDrops[in[i].In]
			d[o.why]++
			wantDrops[in[i].In] = d
		} else if got := withoutRandom(r.bytes(fr)); !bytes.Equal(got, withoutRandom(o.bytes)) {
			fail("got  %x\nwant %x", got, o.bytes)
		}
		if o.session != 0 {
			c := wantCounters[o.session]
			c.add(&o.delta)
			wantCounters[o.session] = c
		}
		if o.invalid != 0 {
			invalid++
		}
	}
	for p, want := range wantDrops {
		if got := w.table.PortDrops(p); got != want {
			for i := range got {
				if got[i] != want[i] {
					w.t.Errorf("port %d %v: %d, want %d", p, Drop(i), got[i], want[i])
				}
			}
		}
	}
	for id, want := range wantCounters {
		got := w.table.SessionCounters(id)
		got.Suspect, want.Suspect = 0, 0
		if got != want {
			w.t.Errorf("session %d %+v:\ngot  %+v\nwant %+v", id, w.ref.sessions[id], got, want)
		}
	}
	gotInvalid := uint64(0)
	for id := range w.ref.tunnels {
		gotInvalid += w.table.TunnelCounters(id).RxInvalid - beforeInvalid[id]
	}
	if gotInvalid != invalid {
		w.t.Errorf("rx_invalid of all tunnels grew by %d, want %d", gotInvalid, invalid)
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
}

func TestProcessAgainstReference(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 30
	}
	for seed := range uint64(rounds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, rand.New(rand.NewPCG(seed, 7)), 2)
			r := newRig(t, w.table)
			for i := range 20 {
				w.check(r, i&1, 1+w.rng.IntN(150))
				for range w.rng.IntN(6) {
					w.change()
				}
			}
		})
	}
}

// FuzzProcess lets the fuzzer choose the world and mutate a packet's bytes.
func FuzzProcess(f *testing.F) {
	f.Add(uint64(1), []byte{})
	f.Add(uint64(2), []byte{0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, seed uint64, patch []byte) {
		w := newWorld(t, rand.New(rand.NewPCG(seed, 1)), 1)
		r := newRig(t, w.table)
		w.check(r, 0, 20)
		for range len(patch) % 5 {
			w.change()
		}
		w.check(r, 0, 20)
	})
}

// The random worlds must meet every reason to drop, or they prove little.
func TestRandomWorldsMeetEveryDrop(t *testing.T) {
	var met [NumDrops]bool
	for seed := range uint64(300) {
		w := newWorld(t, rand.New(rand.NewPCG(seed, 9)), 1)
		r := newRig(t, w.table)
		w.check(r, 0, 200)
		for p := range uint16(worldPorts) {
			for i, n := range w.table.PortDrops(p) {
				met[i] = met[i] || n > 0
			}
		}
	}
	// What depends on the frames before has properties of its own: see TestSequenceProperties.
	met[DropUnnumbered], met[DropOld], met[DropSessionGone] = true, true, true
	for i, ok := range met {
		if !ok && !ofReassembly(Drop(i)) {
			t.Errorf("%v never met", Drop(i))
		}
	}
}
