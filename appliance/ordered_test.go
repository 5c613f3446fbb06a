package appliance

import (
	"context"
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"xwire/l2tp"
	"xwire/pw"
	"xwire/rings"
)

// TestNumbersInOrder: the customer's frames of one session come by four queues, each another
// worker's, all at once. They leave with numbers in order, none twice.
func TestNumbersInOrder(t *testing.T) {
	const workers, perQueue = 4, 3000
	table := pw.NewTable(workers)
	table.SetPort(0, pw.PortSpec{Core: true})
	table.SetPort(1, pw.PortSpec{})
	tunnel, err := table.AddTunnel(pw.TunnelSpec{
		Encap: l2tp.EncapIP, Local: netip.MustParseAddrPort("192.0.2.1:0"), Peer: netip.MustParseAddrPort("198.51.100.7:0"),
	})
	if err != nil {
		t.Fatal(err)
	}
	table.SetTunnelNextHop(tunnel, table.AddNextHop(pw.NextHop{Port: 0}))
	id, err := table.AddSession(pw.SessionSpec{
		Tunnel: tunnel, SID: 100, PSID: 200, Sublayer: l2tp.SublayerDefault, Type: l2tp.PWEth,
		AC: pw.Attachment{Port: 1}, Sequence: pw.Sequence{Send: true},
	})
	if err != nil {
		t.Fatal(err)
	}

	arena, err := rings.NewArena(rings.ArenaConfig{Chunks: 65536})
	if err != nil {
		t.Fatal(err)
	}
	defer arena.Close()
	cfg := rings.FabricConfig{Arena: arena}
	for i := range workers {
		cfg.Workers = append(cfg.Workers, rings.WorkerConfig{CPU: -1, Handler: table.Forwarder(i)})
	}
	fabric, err := rings.NewFabric(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer fabric.Close()
	var next, wrong atomic.Uint32
	if _, err := fabric.AddFake(rings.PortConfig{Index: 0, Queues: []uint32{0, 1, 2, 3}, Workers: []int{0, 1, 2, 3}}, func(_ uint32, b []byte) {
		// Of one worker's call after the other.
		if word := binary.BigEndian.Uint32(b[14+20+4:]); word != 0x40000000|next.Load() {
			wrong.Add(1)
		}
		next.Add(1)
	}); err != nil {
		t.Fatal(err)
	}
	customer, err := fabric.AddFake(rings.PortConfig{Index: 1, Queues: []uint32{0, 1, 2, 3}, Workers: []int{0, 1, 2, 3}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error)
	go func() { ran <- fabric.Run(ctx) }()

	deadline := time.Now().Add(2 * soon)
	var queues sync.WaitGroup
	var given atomic.Uint32
	for q := range workers {
		queues.Go(func() {
			frame := make([]byte, 60)
			frame[12] = 8
			for range perQueue {
				// No more than the inboxes take.
				for (given.Load() > next.Load()+100 || !customer.Receive(q, frame)) && time.Now().Before(deadline) {
					time.Sleep(10 * time.Microsecond)
				}
				given.Add(1)
			}
		})
	}
	queues.Wait()
	for next.Load() < workers*perQueue && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	n, _ := table.Numbering(id)
	if next.Load() != workers*perQueue || wrong.Load() != 0 || n.NS != next.Load() {
		t.Errorf("%d of %d frames left, %d of them out of order; next number %d; %+v", next.Load(), workers*perQueue, wrong.Load(), n.NS, customer.Status())
	}
}
