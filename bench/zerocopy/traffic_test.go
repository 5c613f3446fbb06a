package zerocopy

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

func (w *world) ports(t *testing.T) []api.Port {
	t.Helper()
	var ports []api.Port
	must(t, w.box.Show(t.Context(), &ports, "ports"))
	return ports
}

func (w *world) testPorts(t *testing.T) {
	for _, p := range w.ports(t) {
		if p.Mode != "zerocopy" {
			t.Errorf("port %s is in mode %q", p.Name, p.Mode)
		}
		if len(p.Queues) != queues {
			t.Errorf("port %s has %d queues, want %d", p.Name, len(p.Queues), queues)
		}
	}
}

// testBothWays carries numbered frames through every pseudowire. The emulated
// cards may lose some and, with several queues, swap some: none may come twice
// or torn. The first direction is that to the customer: a tap sends a flow to
// the queue that it saw the flow come from, and by its hash before that.
func (w *world) testBothWays(t *testing.T) {
	const count = 100
	var sent, received uint64
	for _, d := range []struct {
		name     string
		from, to *lab.Namespace
	}{{"to the customer", w.kernel, w.customer}, {"to the kernel", w.customer, w.kernel}} {
		for i, p := range w.wires {
			r := carry(t, d.from, d.to, p.Name, uint64(i), count)
			if r.Duplicates+r.Torn != 0 || r.Received == 0 {
				t.Errorf("%s %s: sent %d, %v", p.Name, d.name, count, r)
			}
			sent, received = sent+count, received+r.Received
		}
	}
	t.Logf("%d of %d frames arrived", received, sent)
	if received < sent*9/10 {
		t.Errorf("%d of %d frames arrived", received, sent)
	}
}

func carry(t *testing.T, from, to *lab.Namespace, device string, run, count uint64) lab.StreamReport {
	t.Helper()
	sink, err := to.ReceiveStream(device, run)
	must(t, err)
	defer sink.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := lab.Stream{Run: run, Count: count, Sizes: []int{60, 61, 590, 1513, 1514}, Rate: 1000,
		Dst: net.HardwareAddr{2, 0, 0, 0, 0, 2}, Src: net.HardwareAddr{2, 0, 0, 0, 0, 1}}
	_, err = from.SendStream(ctx, device, s)
	must(t, err)
	return sink.Wait(ctx, count, 3*time.Second)
}

// testQueues wants frames on every queue of the core port, by the driver's own
// counters (rx_queue_0_packets of igb, rx0_xdp_packets of virtio-net).
func (w *world) testQueues(t *testing.T) {
	out, err := w.xwire.Command("ethtool", "-S", "core")
	must(t, err)
	for q := range queues {
		if !regexp.MustCompile(fmt.Sprintf(`\brx(_queue_%d|%[1]d_xdp)_packets: [1-9]`, q)).MatchString(out) {
			t.Errorf("no frame came by queue %d:\n%s", q, out)
		}
	}
}

// testAccount: received = sent + held + drops, once nothing moves.
func (w *world) testAccount(t *testing.T) {
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		bad, last := false, time.Now().After(deadline)
		for _, p := range w.ports(t) {
			sum := p.Sent + p.Held
			for _, n := range p.Drops {
				sum += n
			}
			if sum == p.Received && p.Received > 0 {
				continue
			}
			bad = true
			if last {
				t.Errorf("port %s received %d, sent %d, held %d, dropped %v", p.Name, p.Received, p.Sent, p.Held, p.Drops)
			}
		}
		if !bad || last {
			return
		}
	}
}
