package scenarios

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// TestModes binds ports in every way that veth grants, both ends alike and mixed in one process.
func TestModes(t *testing.T) {
	port := func(name, mode string) string {
		return fmt.Sprintf("[port.%s]\ninterface = %q\nmode = %q\n", name, name, mode)
	}
	for _, c := range []struct{ core, access, wantCore, wantAccess string }{
		{"skb", "skb", "skb", "skb"},
		{"copy", "copy", "copy", "copy"},
		{"auto", "skb", "copy", "skb"},
	} {
		t.Run(c.core+" and "+c.access, func(t *testing.T) {
			w := pair(t, shape{AccessMTU: taggedMTU})
			x := &wire{name: "x", udp: true, sid: [2]uint32{1, 2}, vlan: [2]string{"100", "200"}, pwVLAN: [2]string{"none", "none"}}
			for i := range 2 {
				box := w.start(t, i, port("core0", c.core)+port("ac0", c.access)+x.toml(i))
				if core, access := portOf(t, box, "core0").Mode, portOf(t, box, "ac0").Mode; core != c.wantCore || access != c.wantAccess {
					t.Errorf("granted %s and %s, want %s and %s", core, access, c.wantCore, c.wantAccess)
				}
			}
			w.carry(t, 0, vids(100), "200")
			w.carry(t, 1, vids(200), "100")
		})
	}
}

// TestZeroCopyRefused: veth has no zero-copy, and a port that insists on it waits and says why,
// while the others run.
func TestZeroCopyRefused(t *testing.T) {
	w := pair(t, shape{})
	x := &wire{name: "x", sid: [2]uint32{1, 2}, vlan: [2]string{"all", "all"}}
	box := w.boxes[0]
	must(t, box.Start(t.Context(), corePort+strings.Replace(accessPort, "\n", "\nmode = \"zerocopy\"\n", 1)+x.toml(0)))
	var ac, core api.Port
	for deadline := time.Now().Add(soon); time.Now().Before(deadline) && ac.Reason == ""; time.Sleep(20 * time.Millisecond) {
		ac, core = portOf(t, box, "ac0"), portOf(t, box, "core0")
	}
	if ac.State != "waiting" || !strings.Contains(ac.Reason, "zero-copy") && !strings.Contains(ac.Reason, "zerocopy") || core.State != "up" {
		t.Errorf("ac0 is %s (%q), core0 is %s; want ac0 waiting for want of zero-copy", ac.State, ac.Reason, core.State)
	}
	s := sessionOf(t, box, x.session())
	if s.State != "waiting" || !strings.Contains(s.Reason, "ac0") {
		t.Errorf("the session is %s (%q)", s.State, s.Reason)
	}
	// Nothing of the attempts stays.
	if out, err := w.hosts[0].Command("ip", "-d", "link", "show", "ac0"); err != nil || strings.Contains(out, "prog/xdp") || strings.Contains(out, "promiscuity 1") {
		t.Errorf("the refused port keeps something (%v):\n%s", err, out)
	}
	must(t, box.Stop())
}

// TestQueues has four queues and four workers on one CPU. Flows of the sites' stacks spread over
// the queues by hash.
func TestQueues(t *testing.T) {
	w := pair(t, shape{Queues: 4})
	x := &wire{name: "x", sid: [2]uint32{1, 2}, vlan: [2]string{"all", "all"}}
	cpu := min(1, runtime.NumCPU()-1)
	head := fmt.Sprintf("[appliance]\ncpus = [%d, %d, %d, %d]\n", cpu, cpu, cpu, cpu)
	a := w.start(t, 0, head+config(0, x))
	b := w.start(t, 1, head+config(1, x))
	for i := range 6 {
		r, err := lab.Transfer(t.Context(), w.sites[i%2], w.sites[1-i%2], siteAddr[1-i%2], lab.TransferConfig{Bytes: 1 << 20, Seed: uint64(i)})
		if err != nil || !r.Whole() {
			t.Errorf("transfer %d: %+v, %v", i, r, err)
		}
	}
	for _, box := range []*lab.Box{a, b} {
		workers, err := api.NewClient(box.Control).Workers(t.Context())
		must(t, err)
		busy := 0
		for _, v := range workers {
			if v.CPU != cpu {
				t.Errorf("worker %d is on CPU %d, want %d", v.Index, v.CPU, cpu)
			}
			if v.Frames > 0 {
				busy++
			}
		}
		if len(workers) != 4 || busy < 2 {
			t.Errorf("%d workers, %d of them with frames: %+v", len(workers), busy, workers)
		}
		if q := portOf(t, box, "ac0").Queues; len(q) != 4 {
			t.Errorf("%d queues bound, want 4", len(q))
		}
	}
	run := nextRun()
	sink, err := w.sites[1].ReceiveStream("eth0", run)
	must(t, err)
	defer sink.Close()
	_, err = w.sites[0].SendStream(t.Context(), "eth0", lab.Stream{Run: run, Count: 200, Sizes: sizes, Rate: 2000, Dst: stations[1], Src: stations[0]})
	must(t, err)
	// The sender's thread may change its CPU and with it the queue, so order is not held.
	if r := sink.Wait(t.Context(), 200, soon); r.Received != 200 || r.Duplicates+r.Torn != 0 {
		t.Errorf("sent 200, %v", r)
	}
}

// TestChosenQueues: a port that takes fewer queues than its interface spreads over is refused with
// the command that mends it, and opens once that was run.
func TestChosenQueues(t *testing.T) {
	w := pair(t, shape{Queues: 2})
	x := &wire{name: "x", sid: [2]uint32{1, 2}, vlan: [2]string{"all", "all"}}
	box := w.boxes[0]
	must(t, box.Start(t.Context(), corePort+accessPort+"queues = [0]\n"+x.toml(0)))
	var ac api.Port
	for deadline := time.Now().Add(soon); time.Now().Before(deadline) && ac.Reason == ""; time.Sleep(20 * time.Millisecond) {
		ac = portOf(t, box, "ac0")
	}
	_, command, _ := strings.Cut(ac.Reason, "run '")
	command, _, ok := strings.Cut(command, "'")
	if ac.State != "waiting" || !ok {
		t.Fatalf("ac0 is %s, %q; want it to wait and name a command", ac.State, ac.Reason)
	}
	words := strings.Fields(command)
	out, err := w.hosts[0].Command(words[0], words[1:]...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	waitUp(t, box)
	if ac = portOf(t, box, "ac0"); len(ac.Queues) != 1 || ac.Queues[0].Queue != 0 {
		t.Errorf("queues %+v, want queue 0 alone", ac.Queues)
	}
	if delivered, drops, _, _ := w.verdict(t, x, x.to(bare()), 3); delivered != 3 {
		t.Errorf("delivered %d of 3, drops %v", delivered, drops)
	}
	balanced(t, box)
	must(t, box.Stop())
}
