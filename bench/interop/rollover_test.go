package interop

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// rolled are the circuits whose cookies testRollover changes.
var rolled = []string{"ipv4-ip-cookie8-none", "ipv6-udp-cookie4-default"}

func (w *world) testRollover(t *testing.T) {
	for _, c := range w.matrix {
		for _, name := range rolled {
			if c.Name == name {
				t.Run(name, func(t *testing.T) { w.rollOver(t, c) })
			}
		}
	}
}

// rollOver gives a circuit new cookies of both directions while frames flow, and loses none. The kernel
// cannot change a session's cookies. It can have a second session towards ours, with an id and cookies of
// its own: ours accepts both meanwhile, and changes with one request to which of them it sends.
func (w *world) rollOver(t *testing.T, c *circuit) {
	all, stopAll := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	modify := func(keys api.Keys) {
		t.Helper()
		_, err := w.control.ModifySession(t.Context(), c.Name, c.Name, keys)
		must(t, err)
	}
	// stream sends numbered frames until it is stopped, and then tells how many.
	stream := func(from *lab.Namespace, out string, run uint64) (stop func() uint64) {
		ctx, cancel := context.WithCancel(all)
		var sent uint64
		done := make(chan struct{})
		wait.Go(func() {
			defer close(done)
			var err error
			sent, err = from.SendStream(ctx, out, lab.Stream{Run: run, Count: 1 << 40, Sizes: []int{60, 590, 1514}, Rate: 500,
				Dst: net.HardwareAddr{2, 0, 0, 0, 0, 2}, Src: net.HardwareAddr{2, 0, 0, 0, 0, 1}})
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
		return func() uint64 { cancel(); <-done; return sent }
	}
	// flow waits until many more frames have arrived.
	flow := func(what string, s *lab.Sink) {
		t.Helper()
		begin := s.Report().Received
		until(t, what, func() (bool, string) {
			r := s.Report()
			return r.Received >= begin+100, fmt.Sprintf("%v, %d before", r, begin)
		})
	}
	defer wait.Wait()
	defer stopAll()
	run := 5000 + 10*uint64(c.vlan)
	old, next := c.kernel, c.kernel
	next.ID, next.Name, next.Addrs = old.ID+20000, "new-"+old.Name, nil
	next.TxCookie, next.RxCookie = flipped(old.TxCookie), flipped(old.RxCookie)
	before := w.session(t, c)

	toOld := sink(t, w.kernel, old.Name, run)
	fromOld, fromNew := sink(t, w.customer, c.near, run+1), sink(t, w.customer, c.near, run+2)
	stopTo := stream(w.customer, c.near, run)
	stopFromOld := stream(w.kernel, old.Name, run+1)
	flow("to the kernel's old session", toOld)
	flow("from the kernel's old session", fromOld)

	modify(api.Keys{"rx_cookie": []string{old.TxCookie, next.TxCookie}})
	must(t, w.kernel.AddKernelSession(next))
	toNew := sink(t, w.kernel, next.Name, run)
	stopFromNew := stream(w.kernel, next.Name, run+2)
	flow("from the kernel's new session", fromNew)
	modify(api.Keys{"psid": next.ID, "tx_cookie": next.RxCookie})
	flow("to the kernel's new session", toNew) // and what was sent to the old one before has arrived
	flow("from the kernel's old session", fromOld)
	sentFromOld := stopFromOld()
	received := func(what string, s *lab.Sink, sent uint64) {
		t.Helper()
		r := s.Wait(t.Context(), sent, settling)
		if r.Lost(sent) != 0 || r.Duplicates+r.Torn+r.Reordered != 0 || sent == 0 {
			t.Errorf("%s: sent %d, %v", what, sent, r)
		}
	}
	received("by the kernel's old session", fromOld, sentFromOld)
	modify(api.Keys{"rx_cookie": next.TxCookie})
	_, err := w.kernel.Command("ip", "l2tp", "del", "session", "tunnel_id", fmt.Sprint(old.Tunnel), "session_id", fmt.Sprint(old.ID))
	must(t, err)
	flow("to the kernel's new session alone", toNew)
	flow("from the kernel's new session alone", fromNew)

	sentTo, sentFromNew := stopTo(), stopFromNew()
	received("by the kernel's new session", fromNew, sentFromNew)
	head := toOld.Report()
	tail := toNew.Wait(t.Context(), sentTo-head.Received, settling)
	if head.Received+tail.Received != sentTo || head.Received == 0 || tail.Received == 0 || head.Torn+tail.Torn+head.Duplicates+tail.Duplicates+head.Reordered+tail.Reordered != 0 || head.Highest+1 != head.Received {
		t.Errorf("to the kernel: sent %d; its old session received %v, its new one %v", sentTo, head, tail)
	}
	x := w.session(t, c)
	if sent, got := x.TxPackets-before.TxPackets, x.RxPackets-before.RxPackets; sent < sentTo || got < sentFromOld+sentFromNew || x.RxCookieDiscards != before.RxCookieDiscards {
		t.Errorf("xwire counts %d frames sent and %d received, %d with other cookies; want %d and %d or more, and none", sent, got, x.RxCookieDiscards-before.RxCookieDiscards, sentTo, sentFromOld+sentFromNew)
	}
	c.kernel = next
	t.Logf("%d frames to the kernel, %d of them to its new session; %d and %d from its sessions; none lost", sentTo, tail.Received, sentFromOld, sentFromNew)
}

// flipped is another cookie of the same length.
func flipped(cookie string) string {
	b := []byte(cookie)
	for i, c := range b {
		b[i] = "fedcba9876543210"[hexDigit(c)]
	}
	return string(b)
}

func hexDigit(c byte) int {
	if c >= 'a' {
		return int(c-'a') + 10
	}
	return int(c - '0')
}
