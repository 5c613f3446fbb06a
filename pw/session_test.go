package pw

import (
	"reflect"
	"testing"

	"xwire/l2tp"
)

// A frame touches one cache line of its session: what a direction reads and counts lies in it.
func TestSessionLayout(t *testing.T) {
	s := reflect.TypeFor[session]()
	if s.Size() != 128 {
		t.Errorf("a session has %d bytes, want 128", s.Size())
	}
	for _, tt := range []struct {
		field    string
		from, to uintptr
	}{
		{"encapSide", 0, 64},
		{"txPackets", 0, 64},
		{"txBytes", 0, 64},
		{"decapSide", 64, 128},
		{"rxPackets", 64, 128},
		{"rxBytes", 64, 128},
		{"rxFirst", 64, 128},
	} {
		f, ok := s.FieldByName(tt.field)
		if !ok {
			t.Fatalf("session has no %s", tt.field)
		}
		if end := f.Offset + f.Type.Size(); f.Offset < tt.from || end > tt.to {
			t.Errorf("%s is at %d to %d, want it in %d to %d", tt.field, f.Offset, end, tt.from, tt.to)
		}
	}
	if n := reflect.TypeFor[rareCounters]().Size(); n != 64 {
		t.Errorf("rareCounters have %d bytes, want 64", n)
	}
}

// Nothing that was counted is lost or counted twice when a session is changed, while a worker still
// counts by what it was and after; nor when it goes.
func TestCountsOutliveChanges(t *testing.T) {
	table := NewTable(2)
	tunnel := must(table.AddTunnel(ip4))(t)
	spec := SessionSpec{Tunnel: tunnel, SID: 1, PSID: 1, Type: l2tp.PWEth, AC: Attachment{Port: 1}}
	id := must(table.AddSession(spec))(t)
	other := spec
	other.SID, other.PSID, other.AC.Port = 2, 2, 2
	must(table.AddSession(other))(t)
	want := Counters{}
	count := func(worker int, record uint32, n uint64) {
		d := table.Forwarder(worker).sessions.at(record)
		d.txPackets.add(n)
		d.txBytes.add(100 * n)
		d.rxPackets.add(2 * n)
		d.rxBytes.add(200 * n)
		d.accepted(0, n)
		d.accepted(1, n)
		table.Forwarder(worker).rare(d).rxErrors.add(n)
		want.add(&Counters{TxPackets: n, TxBytes: 100 * n, RxPackets: 2 * n, RxBytes: 200 * n, RxCookie: [2]uint64{n, n}, RxErrors: n})
	}
	check := func(when string) {
		t.Helper()
		if got := table.SessionCounters(id); got != want {
			t.Errorf("%s: the session's are\n%+v, want\n%+v", when, got, want)
		}
		if got := table.TunnelCounters(tunnel); got != want {
			t.Errorf("%s: the tunnel's are\n%+v, want\n%+v", when, got, want)
		}
	}
	record := func() uint32 { return table.slots.at(uint32(id)).record }
	count(0, record(), 1)
	count(1, record(), 10)
	check("first")
	late := table.Forwarder(1)
	for round := range uint64(4) {
		late.epoch.enter()
		was := record()
		spec.PSID++
		if err := table.SetSession(id, spec); err != nil {
			t.Fatal(err)
		}
		if record() == was {
			t.Fatal("the session has its record still")
		}
		check("changed")
		count(1, was, 100+round)
		check("a late frame")
		count(0, record(), 1000)
		check("a frame by what is new")
		late.epoch.leave()
		check("the late worker has gone")
	}
	// Those that use the records again count for themselves.
	more := spec
	more.SID, more.PSID, more.AC.Port = 3, 3, 3
	third := must(table.AddSession(more))(t)
	if got := table.SessionCounters(third); got != (Counters{}) {
		t.Errorf("another session begins with %+v", got)
	}
	late.epoch.enter()
	was := record()
	if err := table.RemoveSession(id); err != nil {
		t.Fatal(err)
	}
	count(1, was, 7)
	if got := table.TunnelCounters(tunnel); got != want {
		t.Errorf("removed: the tunnel's are\n%+v, want\n%+v", got, want)
	}
	late.epoch.leave()
	if got := table.TunnelCounters(tunnel); got != want {
		t.Errorf("gone: the tunnel's are\n%+v, want\n%+v", got, want)
	}
	if len(table.retired) != 0 {
		t.Errorf("retired records are counted still: %v", table.retired)
	}
}
