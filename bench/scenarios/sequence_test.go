package scenarios

import (
	"encoding/binary"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"sync"
	"testing"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// TestSequence sends packets with chosen numbers, "-" for none, and reads at the customer's what was
// delivered, in its order, by the packets' places in the script.
func TestSequence(t *testing.T) {
	w := pair(t, shape{})
	none := [2]string{"none", "none"}
	for n, c := range []struct {
		name, keys, script string
		delivered          string
		drops              map[string]uint64
		oos, lost, resyncs uint64
	}{
		{name: "absent", keys: "", script: "5 3 3 -", delivered: "0 1 2 3"},
		{name: "recv_seq", keys: "recv_seq = true", script: "- 0 - 1", delivered: "1 3", drops: map[string]uint64{"unnumbered": 2}},
		{name: "seqnum", keys: "seqnum = true", script: "0 - 1", delivered: "0 2", drops: map[string]uint64{"unnumbered": 1}},
		{name: "lns_mode", keys: "send_seq = true\nlns_mode = true", script: "- 0", delivered: "1", drops: map[string]uint64{"unnumbered": 1}},
		{name: "lns_mode without numbers", keys: "send_seq = true", script: "- 0", delivered: "0 1"},
		{name: "one loss", keys: "send_seq = true", script: "0 2 3 4 5 6 7 8", delivered: "0 1 2 3 4 5 6 7", lost: 1},
		{name: "swap", keys: "send_seq = true", script: "0 2 1 3", delivered: "0 1 3", drops: map[string]uint64{"old": 1}, oos: 1, lost: 1},
		{name: "wrap", keys: "send_seq = true", script: "16777214 16777215 0 1", delivered: "0 1 2 3"},
		{name: "reorder", keys: "send_seq = true\nreorder_timeout = 10000", script: "16777214 0 16777215 1", delivered: "0 2 1 3"},
		// Nothing comes behind the last ones: a timer has them delivered.
		{name: "time-out", keys: "send_seq = true\nreorder_timeout = 40", script: "0 2 3", delivered: "0 1 2", lost: 1},
		{name: "peer restarts", keys: "recv_seq = true", script: "100 101 0 1 2 3 4 5", delivered: "0 1 6 7", drops: map[string]uint64{"old": 4}, oos: 4, resyncs: 1},
		{name: "resync_after", keys: "recv_seq = true\nresync_after = 1", script: "100 101 0 1 2 3", delivered: "0 1 3 4 5", drops: map[string]uint64{"old": 1}, oos: 1, resyncs: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := &wire{name: "x", sid: [2]uint32{10, 20}, sublayer: "default", vlan: vlanOf(0), pwVLAN: none, ofSession: c.keys + "\n", udp: n%2 == 1, six: n%3 == 2}
			box := w.start(t, 0, config(0, x))
			seen, err := w.sites[0].Capture("eth0")
			must(t, err)
			defer seen.Close()
			var ps []packet
			for i, word := range strings.Fields(c.script) {
				p := x.to(append(tagged(1), 0xbe, byte(i)))
				if word != "-" {
					var number uint32
					_, err := fmt.Sscan(word, &number)
					must(t, err)
					p.sublayer = fmt.Sprintf("%08x", 0x40000000|number)
				}
				ps = append(ps, p)
			}
			w.inject(t, ps...)
			var got string
			until(t, "frames are delivered", func() (bool, string) {
				var list []string
				for _, f := range seen.Frames() {
					if b := f.Frame; len(b) > 60 && b[len(b)-2] == 0xbe {
						list = append(list, fmt.Sprint(b[len(b)-1]))
					}
				}
				got = strings.Join(list, " ")
				return len(list) >= len(strings.Fields(c.delivered)), got
			})
			if got != c.delivered {
				t.Errorf("delivered %s, want %s", got, c.delivered)
			}
			p, s := portOf(t, box, "core0"), sessionOf(t, box, x.session())
			if !maps.Equal(p.Drops, c.drops) && len(p.Drops)+len(c.drops) > 0 || p.Held != 0 {
				t.Errorf("drops %v, want %v; %d held", p.Drops, c.drops, p.Held)
			}
			discards := c.drops["unnumbered"] + c.drops["old"]
			if s.RxSeqDiscards != discards || s.RxErrors != discards || s.RxOOSPackets != c.oos || s.SeqLost != c.lost || s.SeqResyncs != c.resyncs {
				t.Errorf("rx_seq_discards %d, rx_errors %d, rx_oos_packets %d, lost %d, resyncs %d, want %d, %d, %d, %d, %d",
					s.RxSeqDiscards, s.RxErrors, s.RxOOSPackets, s.SeqLost, s.SeqResyncs, discards, discards, c.oos, c.lost, c.resyncs)
			}
			must(t, box.Stop())
		})
	}
}

// TestSequenceFollowsThePeer: with lns_mode = false the peer decides whether we send numbers, else the
// configuration does.
func TestSequenceFollowsThePeer(t *testing.T) {
	w := pair(t, shape{})
	none := [2]string{"none", "none"}
	follows := &wire{name: "follows", sid: [2]uint32{10, 20}, sublayer: "default", vlan: vlanOf(0), pwVLAN: none, ofSession: "lns_mode = false\n"}
	fixed := &wire{name: "fixed", sid: [2]uint32{11, 21}, sublayer: "default", vlan: vlanOf(1), pwVLAN: none, ofSession: "send_seq = true\n"}
	silent := &wire{name: "silent", sid: [2]uint32{12, 22}, sublayer: "default", vlan: vlanOf(2), pwVLAN: none}
	wires := []*wire{follows, fixed, silent}
	box := w.start(t, 0, config(0, wires...))
	core, err := w.hosts[1].Capture("core0")
	must(t, err)
	defer core.Close()
	sent := 0
	words := func() (list []uint32) {
		t.Helper()
		for i := range wires {
			must(t, w.sites[0].SendFrames("eth0", tagged(0, vids(uint16(100+i))...)))
			sent++
			got := received(core, sent)
			if len(got) != sent {
				t.Fatalf("%d packets left, want %d", len(got), sent)
			}
			list = append(list, binary.BigEndian.Uint32(got[sent-1][14+20+4:]))
		}
		return list
	}
	const s = 0x40000000
	for i, step := range []struct {
		receive string
		want    []uint32
	}{
		{"", []uint32{0, s, 0}},
		{"40000005", []uint32{s, s | 1, 0}},
		{"", []uint32{s | 1, s | 2, 0}},
		{"00000000", []uint32{0, s | 3, 0}},
		{"40000006", []uint32{s | 2, s | 4, 0}},
	} {
		if step.receive != "" {
			for _, x := range wires {
				p := x.to(bare())
				p.sublayer = step.receive
				w.inject(t, p)
			}
		}
		if got := words(); fmt.Sprint(got) != fmt.Sprint(step.want) {
			t.Errorf("step %d: sent sublayers %08x, want %08x", i, got, step.want)
		}
	}
	if s := sessionOf(t, box, follows.session()); !s.SendSeq || s.LNSMode == nil || *s.LNSMode || s.NS == nil || *s.NS != 3 {
		t.Errorf("show session: %+v", s)
	}
	// An operator decides otherwise while frames flow.
	_, err = api.NewClient(box.Control).ModifySession(t.Context(), follows.name, "s", api.Keys{"lns_mode": true, "send_seq": true})
	must(t, err)
	p := follows.to(bare())
	w.inject(t, p)
	until(t, "a packet without a number is dropped", func() (bool, string) {
		d := portOf(t, box, "core0").Drops
		return d["unnumbered"] == 1, fmt.Sprint(d)
	})
	if got := words(); got[0] != s|3 {
		t.Errorf("sent sublayer %08x, want %08x", got[0], s|3)
	}
}

// TestNumbersOfSeveralQueues has many connections of one session come by four queues, which are four
// workers', at either end, with a core of four queues between: numbers arrive in order, none twice.
func TestNumbersOfSeveralQueues(t *testing.T) {
	w := pair(t, shape{Queues: 4})
	x := &wire{name: "x", sid: [2]uint32{1, 2}, sublayer: "default", vlan: [2]string{"all", "all"}, ofSession: "seqnum = true\n"}
	cpu := runtime.NumCPU() - 1
	head := fmt.Sprintf("[appliance]\ncpus = [%d, %d, %d, %d]\n", cpu, cpu, cpu, cpu)
	for i := range w.boxes {
		w.start(t, i, head+config(i, x))
	}
	var transfers sync.WaitGroup
	for i := range 8 {
		transfers.Go(func() {
			r, err := lab.Transfer(t.Context(), w.sites[i%2], w.sites[1-i%2], siteAddr[1-i%2], lab.TransferConfig{Bytes: 1 << 20, Seed: uint64(i)})
			if err != nil || !r.Whole() {
				t.Errorf("transfer %d: %+v, %v", i, r, err)
			}
		})
	}
	transfers.Wait()
	for _, box := range w.boxes {
		balanced(t, box)
		s := sessionOf(t, box, x.session())
		if s.RxOOSPackets+s.RxSeqDiscards+s.RxErrors+s.SeqResyncs != 0 || s.RxPackets < 1000 || uint64(*s.NS) != s.TxPackets {
			t.Errorf("%+v, ns %d", s.Statistics, *s.NS)
		}
	}
}
