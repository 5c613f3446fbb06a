package pw

import (
	"encoding/binary"
	"slices"
	"sync"
	"testing"
	"time"

	"xwire/l2tp"
)

// TestEachNumberIsSentOnce: several workers have frames of one session at once, as for a moment they may while
// it changes workers. No number leaves twice, and none is missing but where a packet was dropped that had one
// already.
func TestEachNumberIsSentOnce(t *testing.T) {
	const workers, batches, size, mtu = 4, 100, 16, 400
	for name, c := range map[string]struct {
		tunnel  TunnelSpec
		session SessionSpec
		frame   []byte
		number  func(packet []byte) uint32
	}{
		"v3": {ip4, SessionSpec{SID: 100, PSID: 200, Sublayer: l2tp.SublayerDefault, Type: l2tp.PWEth, AC: Attachment{Port: 1}},
			join([]byte{2, 0, 0, 0, 0, 1}, []byte{2, 0, 0, 0, 0, 2}, []byte{8, 0}, make([]byte, 40)),
			func(p []byte) uint32 { return u32(p[14+20+4:]) & 0xffffff }},
		"v2": {v2udp4, pppoeSession(44, 33), wire(t, lines(fromClient, lcpOverPPPoE)...),
			func(p []byte) uint32 { return u32(p[14+20+8+6:]) >> 16 }},
	} {
		for _, tooLarge := range []bool{false, true} {
			t.Run(map[bool]string{false: name, true: name + " and frames that are dropped"}[tooLarge], func(t *testing.T) {
				table := NewTable(workers)
				table.SetPort(0, PortSpec{Core: true})
				table.SetPort(1, PortSpec{})
				c.session.Tunnel = must(table.AddTunnel(c.tunnel))(t)
				table.SetTunnelNextHop(c.session.Tunnel, table.AddNextHop(NextHop{Port: 0, MTU: mtu}))
				c.session.Sequence = Sequence{Send: true}
				id := must(table.AddSession(c.session))(t)
				long := slices.Concat(c.frame, make([]byte, mtu)) // and there is no spare for its fragments
				if c.session.PPPoE != (PPPoE{}) {
					binary.BigEndian.PutUint16(long[14+4:], 6+mtu)
				}
				var numbers [workers][]uint32
				var dropped [workers]int
				begin := make(chan struct{})
				var running sync.WaitGroup
				for w := range workers {
					r := newRig(t, table)
					running.Go(func() {
						<-begin
						for range batches {
							var in []Frame
							for i := range size {
								frame := c.frame
								if tooLarge && i%3 == w%3 {
									frame = long
								}
								in = append(in, r.put(i, 1, 256, frame))
							}
							for _, o := range table.Forwarder(w).Process(r.mem, in, int64(time.Second), r.out[:0]) {
								if o.Out == NoPort {
									dropped[w]++
								} else {
									numbers[w] = append(numbers[w], c.number(r.bytes(o)))
								}
							}
						}
					})
				}
				close(begin)
				running.Wait()
				all, drops := slices.Concat(numbers[:]...), 0
				for _, n := range dropped {
					drops += n
				}
				if total := workers * batches * size; len(all)+drops != total || (drops > 0) != tooLarge || len(all) < total/2 {
					t.Fatalf("%d sent and %d dropped of %d: %v", len(all), drops, total, dropsAt(table, 1))
				}
				sent := len(all)
				slices.Sort(all)
				if all = slices.Compact(all); len(all) != sent {
					t.Errorf("%d numbers left twice", sent-len(all))
				}
				if next := int(all[len(all)-1]) + 1; next > sent+drops {
					t.Errorf("%d packets with numbers up to %d, %d dropped", sent, next-1, drops)
				}
				if n, _ := table.Numbering(id); n.NS < all[len(all)-1]+1 || n.NS > uint32(sent+drops) {
					t.Errorf("the next number is %d after %d", n.NS, all[len(all)-1])
				}
			})
		}
	}
}
