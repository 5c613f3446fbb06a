package pw

import (
	"fmt"
	"slices"
	"testing"

	"xwire/l2tp"
)

const testSecond = 1_000_000_000

// limited is sizeBox with limits on the near session.
func limited(t testing.TB, l Limits) (near, far *rig) {
	near, far = sizeBox(t, ip4, 0, OversizeDrop)
	spec, _ := near.table.Session(1)
	spec.Limits = l
	if err := near.table.SetSession(1, spec); err != nil {
		t.Fatal(err)
	}
	if got, _ := near.table.Session(1); got != spec {
		t.Errorf("reads back as %+v, want %+v", got, spec)
	}
	return near, far
}

// at sends a frame through worker 0 at a time, and tells whether it was forwarded.
func (r *rig) at(now int64, port uint16, frame []byte) bool {
	r.t.Helper()
	r.out = r.table.Forwarder(0).Process(r.mem, []Frame{r.put(0, port, 256, frame)}, now, r.out[:0])
	if len(r.out) != 1 {
		r.t.Fatalf("%d frames came back", len(r.out))
	}
	return r.out[0].Out != NoPort
}

func addressed(dst, src l2tp.MAC, n int) []byte {
	b := payload(n, 1)
	copy(b, dst[:])
	copy(b[6:], src[:])
	return b
}

// A rate holds in its direction, for every frame by its length, and is counted there.
func TestRates(t *testing.T) {
	const frame, packets = 1000, 3000
	r := Rate{Bits: 8_000_000, Burst: 20_000}
	for _, c := range []struct {
		name   string
		limits Limits
		tx, rx bool
	}{{"tx", Limits{Tx: r}, true, false}, {"rx", Limits{Rx: r}, false, true}, {"both", Limits{Tx: r, Rx: r}, true, true}} {
		t.Run(c.name, func(t *testing.T) {
			near, far := limited(t, c.limits)
			b := addressed(l2tp.MAC{2, 1}, l2tp.MAC{2, 2}, frame)
			_, packet := far.one(1, b)
			sent, came := uint64(0), uint64(0)
			const gap = 500_000 // of 1000 bytes: twice the rate
			for i := range int64(packets) {
				if near.at(1e15+i*gap, 1, b) {
					sent++
				}
				if near.at(1e15+i*gap, 0, packet) {
					came++
				}
			}
			most := (r.Burst + r.Bits/8*(packets-1)*gap/testSecond) / frame
			want := func(limited bool) uint64 {
				if limited {
					return most
				}
				return packets
			}
			if sent != want(c.tx) || came != want(c.rx) {
				t.Errorf("%d sent and %d came, want %d and %d", sent, came, want(c.tx), want(c.rx))
			}
			k := near.table.SessionCounters(1)
			if k.TxRateDiscards != packets-sent || k.TxErrors != packets-sent || k.TxPackets != sent ||
				k.RxRateDiscards != packets-came || k.RxErrors != packets-came || k.RxPackets != packets {
				t.Errorf("counts %+v", k)
			}
			if d := dropsAt(near.table, 1)["policed"] + dropsAt(near.table, 0)["policed"]; d != 2*packets-sent-came {
				t.Errorf("%d drops", d)
			}
			assertNoAllocs(t, near, 1, 256, b)
			assertNoAllocs(t, near, 0, 256, packet)
		})
	}
}

// Bytes are those inside the pseudowire: tags that are popped do not count, nor do cookie and sublayer.
func TestRateCountsTheFrameInside(t *testing.T) {
	near, _ := limited(t, Limits{Tx: Rate{8, 100}})
	spec, _ := near.table.Session(1)
	spec.AC.VLAN, spec.AC.PW = VLANMatch{Kind: VLANQinQ, Lo: 5, C: 6}, PWTags{Kind: PWVID, VID: 7}
	must(0, near.table.SetSession(1, spec))(t)
	frame := customer(0x0800, tag(0x88a8, 5), tag(0x8100, 6))
	const outside = 100 + l2tp.TagLen // two tags become one
	fits := append(frame, make([]byte, outside)...)[:outside]
	long := append(slices.Clone(fits), 0)
	if near.at(1e15, 1, long) {
		t.Error("101 bytes inside passed a burst of 100")
	}
	if !near.at(1e15, 1, fits) {
		t.Errorf("100 bytes inside did not pass a burst of 100: %v", dropsAt(near.table, 1))
	}
}

// A change of the limits keeps what is used up; limits taken away are forgotten.
func TestLimitsChange(t *testing.T) {
	near, _ := limited(t, Limits{Tx: Rate{8_000, 1000}})
	b := addressed(l2tp.MAC{2, 1}, l2tp.MAC{2, 2}, 1000)
	set := func(l Limits) {
		spec, _ := near.table.Session(1)
		spec.Limits = l
		must(0, near.table.SetSession(1, spec))(t)
	}
	if !near.at(1e15, 1, b) || near.at(1e15, 1, b) {
		t.Fatal("the burst is not one frame")
	}
	set(Limits{Tx: Rate{8_000, 1000}, Broadcast: 1})
	if near.at(1e15, 1, b) {
		t.Error("a change of something else filled the bucket")
	}
	set(Limits{Tx: Rate{80_000_000, 1000}, Broadcast: 1})
	if !near.at(1e15, 1, b) || near.at(1e15, 1, b) {
		t.Error("a bucket of another rate does not begin full")
	}
	set(Limits{})
	if !near.at(1e15, 1, b) {
		t.Error("without limits it is dropped")
	}
	set(Limits{Tx: Rate{8_000, 1000}})
	if !near.at(1e15, 1, b) {
		t.Error("a new bucket is not full")
	}
}

// Storm limits are for their kinds of frames towards the customer, and for nothing else.
func TestStormLimits(t *testing.T) {
	broadcast, multicast := l2tp.MAC{255, 255, 255, 255, 255, 255}, l2tp.MAC{0x33, 0x33, 0, 0, 0, 1}
	known, unknown := l2tp.MAC{2, 0, 0, 0, 0, 1}, l2tp.MAC{2, 0, 0, 0, 0, 2}
	far := l2tp.MAC{2, 9}
	near, peer := limited(t, Limits{Broadcast: 10, Multicast: 20, UnknownUnicast: 30})
	packet := func(dst l2tp.MAC) []byte { _, p := peer.one(1, addressed(dst, far, 60)); return p }
	if !near.at(1e15, 1, addressed(far, known, 60)) {
		t.Fatal("the customer's frame is dropped")
	}
	for _, c := range []struct {
		name string
		dst  l2tp.MAC
		want int
	}{{"broadcast", broadcast, 10}, {"multicast", multicast, 20}, {"unknown", unknown, 30}, {"known", known, 1000}} {
		for second := range int64(3) {
			came := 0
			for range 1000 {
				if near.at(1e15+second*2*testSecond, 0, packet(c.dst)) {
					came++
				}
			}
			if came != c.want {
				t.Errorf("%s in second %d: %d frames, want %d", c.name, second, came, c.want)
			}
		}
	}
	k := near.table.SessionCounters(1)
	if want := uint64(3 * (990 + 980 + 970)); k.RxStormDiscards != want || k.RxErrors != want || dropsAt(near.table, 0)["storm"] != want {
		t.Errorf("%d counted, %d errors, %v; want %d", k.RxStormDiscards, k.RxErrors, dropsAt(near.table, 0), want)
	}
	// Five minutes without a frame, and nobody knows the address any more.
	came := 0
	for range 100 {
		if near.at(1e15+400*testSecond, 0, packet(known)) {
			came++
		}
	}
	if came != 30 {
		t.Errorf("%d frames to an address of long ago, want 30", came)
	}
	for range 100 { // the other way nothing is limited
		if !near.at(1e15, 1, addressed(broadcast, known, 60)) {
			t.Fatal("the customer's broadcast is dropped")
		}
	}
	assertNoAllocs(t, near, 0, 256, packet(unknown))
	assertNoAllocs(t, near, 1, 256, addressed(far, known, 60))
}

// Both legs of a switched pair hold their own limits.
func TestLimitsBetweenSessions(t *testing.T) {
	table, a, b := joinBox(t)
	r := newRig(t, table)
	for id, l := range map[SessionID]Limits{a: {Rx: Rate{8_000, 200}}, b: {Tx: Rate{8_000, 60}}} {
		spec, _ := table.Session(id)
		spec.Limits = l
		must(0, table.SetSession(id, spec))(t)
	}
	packet := wire(t, dropIP4...)
	for range 10 {
		r.at(1e15, 0, packet)
	}
	ca, cb := table.SessionCounters(a), table.SessionCounters(b)
	if ca.RxPackets != 10 || ca.RxRateDiscards != 3 || cb.TxPackets != 2 || cb.TxRateDiscards != 5 || dropsAt(table, 0)["policed"] != 8 {
		t.Errorf("rx leg %+v\ntx leg %+v\n%v", ca, cb, dropsAt(table, 0))
	}
}

func TestLimitsThatAreNone(t *testing.T) {
	for _, l := range []Limits{
		{Tx: Rate{Bits: 1}}, {Rx: Rate{Bits: MaxRate + 1, Burst: 1}}, {Rx: Rate{Bits: 1, Burst: MaxBurst + 1}}, {Broadcast: MaxLimit + 1},
	} {
		if l.check() == nil {
			t.Errorf("%+v is taken", l)
		}
	}
}

// The table forgets the oldest first, and is right about every address that it remembers.
func TestMACTable(t *testing.T) {
	var table macTable
	s := newSeeds()
	const minute = 60 * int64(testSecond)
	for i := range uint64(MaxMACs / 4) {
		table.learn(0x020000000000+i, &s, minute)
	}
	known := 0
	for i := range uint64(MaxMACs / 4) {
		if table.knows(0x020000000000+i, &s, 2*minute) {
			known++
		}
	}
	if known < MaxMACs/4*98/100 {
		t.Errorf("%d of %d addresses known in a table for %d", known, MaxMACs/4, MaxMACs)
	}
	for i := range uint64(100_000) {
		if table.knows(0x040000000000+i, &s, 2*minute) {
			t.Fatalf("address %d was never seen", i)
		}
	}
	for i := range uint64(20 * MaxMACs) { // a flood
		table.learn(0x060000000000+i, &s, 3*minute)
	}
	table.learn(0x020000000000, &s, 4*minute)
	if !table.knows(0x020000000000, &s, 4*minute) || table.knows(0x020000000000, &s, 10*minute) {
		t.Error("the newest is not known, or still known after six minutes")
	}
	for _, mac := range []uint64{0, broadcastMAC, groupMAC | 5} {
		if table.learn(mac, &s, minute); table.knows(mac, &s, minute) {
			t.Errorf("%012x is learnt", mac)
		}
	}
}

// Workers that share a session's frames share its limits.
func TestLimitsOfSeveralWorkers(t *testing.T) {
	const workers, packets, gap = 3, 2000, 20_000
	table := NewTable(workers)
	table.SetPort(0, PortSpec{Core: true})
	tunnel := must(table.AddTunnel(ip4))(t)
	table.SetTunnelNextHop(tunnel, table.AddNextHop(NextHop{}))
	r := Rate{Bits: 80_000_000, Burst: 10_000}
	must(table.AddSession(SessionSpec{Tunnel: tunnel, SID: 1, PSID: 1, Type: l2tp.PWEth, AC: Attachment{Port: 1},
		Limits: Limits{Tx: r, UnknownUnicast: 5}}))(t)
	done := make(chan struct{})
	for w := range workers {
		go func() {
			defer func() { done <- struct{}{} }()
			rig := newRig(t, table)
			for i := range int64(packets) {
				b := addressed(l2tp.MAC{2, 1}, l2tp.MAC{2, 2, byte(w), byte(i)}, 500)
				rig.out = table.Forwarder(w).Process(rig.mem, []Frame{rig.put(0, 1, 256, b)}, 1e15+i*gap, rig.out[:0])
			}
		}()
	}
	for range workers {
		<-done
	}
	sent := table.SessionCounters(1).TxPackets
	if most := (r.Burst + r.Bits/8*packets*gap/testSecond) / 500; sent > most || sent < most*9/10 {
		t.Errorf("%s sent, want at most %d and not much less", fmt.Sprint(sent), most)
	}
}
