package pw

import "testing"

// The latest suspicion of all workers is the session's, also when the box has been up for years.
func TestLatestSuspicion(t *testing.T) {
	table := NewTable(2)
	hop := table.AddNextHop(NextHop{Port: 0})
	id := must(table.AddTunnel(TunnelSpec{Local: addrPort("192.0.2.1:1701"), Peer: addrPort("198.51.100.1:1701")}))(t)
	table.SetTunnelNextHop(id, hop)
	s := must(table.AddSession(SessionSpec{Tunnel: id, SID: 1, PSID: 1, Type: 5, AC: Attachment{Port: NoPort}}))(t)
	for _, now := range []int64{1 << 20, 1<<48 - 1<<20, 1<<48 + 1<<20, 1 << 49, 1<<61 + 1<<20} {
		for worker := range 2 {
			want := newSuspicion(4*worker, true, 0, false)
			table.Forwarder(worker).rare(table.session(table.slots.at(uint32(s)).record)).note(want, now+int64(worker)<<20)
			if got := table.Suspicion(s); got != want {
				t.Errorf("at %d: %v, want %v", now, got, want)
			}
		}
	}
}

// A suspicion ends with the first frame that says otherwise: once settings agree nobody is told of old
// ones.
func TestSuspicionEnds(t *testing.T) {
	h := newHostile(t)
	id := h.session(1, Attachment{Port: 1})
	frame := customer(0x0806)
	if out, _ := h.one(0, h.packet(1, append([]byte{1, 2, 3, 4}, frame...), nil)); out != 1 {
		t.Fatalf("out of %d", out)
	}
	if h.table.Suspicion(id) == 0 {
		t.Fatal("no suspicion of a peer that sends a cookie")
	}
	if out, _ := h.one(0, h.packet(1, frame, nil)); out != 1 {
		t.Fatalf("out of %d", out)
	}
	if s := h.table.Suspicion(id); s != 0 {
		t.Errorf("still %v", s)
	}
}
