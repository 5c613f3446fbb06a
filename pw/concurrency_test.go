package pw

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xwire/l2tp"
)

// Sessions, tunnels and next hops come, change and go while workers forward. A session that is
// left alone must lose nothing, whatever happens beside it, and every frame must come back.
func TestChangesWhileForwarding(t *testing.T) {
	const workers = 2
	table := NewTable(workers)
	table.SetPort(0, PortSpec{Core: true})
	hop := table.AddNextHop(NextHop{Port: 0, Dst: l2tp.MAC{2, 0, 0, 0, 0, 1}})
	tunnel := must(table.AddTunnel(ip4))(t)
	table.SetTunnelNextHop(tunnel, hop)
	session := func(sid uint32, vlan uint16) SessionSpec {
		return SessionSpec{
			Tunnel: tunnel, SID: sid, PSID: sid, Type: l2tp.PWEth, RxCookieCount: 1,
			RxCookies: [2]l2tp.Cookie{cookie(t, "0102030405060708")},
			AC:        Attachment{Port: 1, VLAN: VLANMatch{Kind: VLANSingle, Lo: vlan}, PW: PWTags{Kind: PWNone}},
		}
	}
	steady := must(table.AddSession(session(1, 1)))(t)

	var stop atomic.Bool
	var sent [workers]uint64
	var running sync.WaitGroup
	for w := range workers {
		running.Add(1)
		go func() {
			defer running.Done()
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			r := newRig(t, table)
			customer := func(vlan uint16) []byte {
				return join([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}, tag(0x8100, vlan), []byte{8, 0, 0x45}, make([]byte, 50))
			}
			far := newReference()
			far.hops[1] = NextHop{}
			far.tunnels[1] = refTunnel{TunnelSpec{Encap: ip4.Encap, Local: ip4.Peer, Peer: ip4.Local}, 1}
			var packets [][]byte
			for sid := range uint32(8) {
				o := far.encap(1, &SessionSpec{Tunnel: 1, PSID: sid + 1, TxCookie: cookie(t, "0102030405060708")}, 256, customer(1))
				packets = append(packets, o.bytes)
			}
			for !stop.Load() {
				var in []Frame
				mine := make([]bool, 0, 64)
				for i := range 1 + rng.IntN(64) {
					n := rng.IntN(8)
					if rng.IntN(4) > 0 {
						n = 0
					}
					mine = append(mine, n == 0)
					if rng.IntN(2) == 0 {
						in = append(in, r.put(i, 1, 256, customer(uint16(1+n))))
					} else {
						in = append(in, r.put(i, 0, 256, packets[n]))
					}
				}
				out := table.Forwarder(w).Process(r.mem, in, 1, r.out[:0])
				if len(out) != len(in) {
					t.Errorf("%d frames in, %d out", len(in), len(out))
				}
				for i, o := range out {
					if !mine[i] {
						continue
					}
					if o.Out == NoPort {
						t.Errorf("a frame of the steady session was dropped: %v %v", dropsAt(table, 0), dropsAt(table, 1))
						return
					}
					// By whichever next hop, the frame must be whole.
					if b := r.bytes(o); o.Out == 0 && len(b) != 14+20+4+65 && len(b) != 18+20+4+65 {
						t.Errorf("packet of %d bytes", len(b))
						return
					}
					sent[w]++
				}
			}
		}()
	}

	rng := rand.New(rand.NewPCG(9, 9))
	ids := make(map[SessionID]SessionSpec)
	var tunnels []TunnelID
	end := time.Now().Add(time.Second)
	for time.Now().Before(end) {
		n := uint32(2 + rng.IntN(7))
		spec := session(n, uint16(n))
		switch rng.IntN(8) {
		case 0, 1, 2:
			if id, err := table.AddSession(spec); err == nil {
				ids[id] = spec
			}
		case 3:
			for id := range ids {
				if err := table.RemoveSession(id); err != nil {
					t.Error(err)
				}
				delete(ids, id)
				break
			}
		case 4:
			for id := range ids {
				if table.SetSession(id, spec) == nil {
					ids[id] = spec
				}
				break
			}
		case 5:
			next := NextHop{Port: 0, Dst: l2tp.MAC{2, 0, 0, 0, 0, byte(n)}}
			if n%2 == 0 {
				next.Tags = []l2tp.Tag{{TPID: 0x8100, TCI: uint16(n)}}
			}
			table.SetNextHop(hop, next)
		case 6:
			other := ip4
			other.Peer = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(len(tunnels) >> 8), byte(len(tunnels))}), 0)
			id := must(table.AddTunnel(other))(t)
			tunnels = append(tunnels, id)
			// Enough sessions for indexes to be replaced by larger ones.
			for i := range uint32(40) {
				must(table.AddSession(SessionSpec{Tunnel: id, SID: 100 + i, PSID: 1, Type: l2tp.PWEth, AC: Attachment{Port: NoPort}}))(t)
			}
		case 7:
			same := ip4
			same.UDPChecksumTx = n%2 == 0
			if err := table.SetTunnel(tunnel, same); err != nil {
				t.Error(err)
			}
			spec := session(1, 1)
			spec.TxCookie = l2tp.Cookie{}
			if err := table.SetSession(steady, spec); err != nil {
				t.Error(err)
			}
		}
	}
	stop.Store(true)
	running.Wait()
	total := uint64(0)
	for _, n := range sent {
		total += n
	}
	c := table.SessionCounters(steady)
	if c.TxPackets+c.RxPackets != total || c.TxErrors+c.RxErrors != 0 {
		t.Errorf("%d frames of the steady session were forwarded, counted %+v", total, c)
	}
	t.Logf("%d frames of the steady session beside %d other tunnels", total, len(tunnels))
}

// What was removed is used again, with counters from zero, when the workers have moved on and not
// before.
func TestGrace(t *testing.T) {
	table := NewTable(2)
	id := must(table.AddTunnel(ip4))(t)
	spec := SessionSpec{Tunnel: id, SID: 1, PSID: 1, Type: l2tp.PWEth, AC: Attachment{Port: 1}}
	first := must(table.AddSession(spec))(t)
	f := table.Forwarder(1)
	f.epoch.enter()
	f.sessions.at(table.slots.at(uint32(first)).record).txPackets.add(7)
	if err := table.RemoveSession(first); err != nil {
		t.Fatal(err)
	}
	second := must(table.AddSession(spec))(t)
	if second == first {
		t.Fatal("a slot was used again while a worker could still count there")
	}
	if c := table.TunnelCounters(id); c.TxPackets != 7 {
		t.Errorf("tunnel's TxPackets = %d, want 7 from the session under removal", c.TxPackets)
	}
	f.epoch.leave()
	if err := table.RemoveSession(second); err != nil {
		t.Fatal(err)
	}
	third := must(table.AddSession(spec))(t)
	if third != first && third != second {
		t.Errorf("session %d, want %d or %d again", third, first, second)
	}
	if c := table.SessionCounters(third); c != (Counters{}) {
		t.Errorf("counters begin with %+v", c)
	}
	if c := table.TunnelCounters(id); c.TxPackets != 7 {
		t.Errorf("tunnel's TxPackets = %d, want 7 from the removed session", c.TxPackets)
	}
}
