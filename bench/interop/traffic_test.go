package interop

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// fullSize makes a 1500-byte IPv4 packet, and with it a frame of 1514 bytes.
const fullSize = 1500 - 20 - 8

func (w *world) testMatrix(t *testing.T) {
	for _, c := range w.matrix {
		t.Run(c.Name, func(t *testing.T) {
			before, kernelBefore := w.session(t, c), w.kernelStats(t, c)
			ping(t, w.customer, c.farAddr.Addr().String(), 0)
			ping(t, w.kernel, c.nearAddr.Addr().String(), fullSize)
			const frames = 120
			carry(t, w.customer, c.near, w.kernel, c.far, uint64(c.vlan), frames)
			carry(t, w.kernel, c.far, w.customer, c.near, uint64(c.vlan)+1000, frames)

			// Ping, ARP and frames went both ways, and nothing was refused.
			sessionAgrees(t, w, c, before, kernelBefore, frames+6)
			until(t, "the numbers follow the frames", func() (bool, string) {
				s := w.session(t, c)
				if s.NS == nil {
					return true, ""
				}
				return s.SeqLost == 0 && s.SeqResyncs == 0 && (s.SendSeq && uint64(*s.NS) == s.TxPackets || !s.SendSeq && *s.NS == 0), fmt.Sprintf("%+v, ns %d, nr %d", s, *s.NS, *s.NR)
			})
		})
	}
}

// settling is how long counters may differ: a packet may be on its way, an ARP probe say.
const settling = 20 * time.Second

// sessionAgrees compares what both ends counted since before.
func sessionAgrees(t *testing.T, w *world, c *circuit, x0 api.Session, k0 lab.KernelStats, least uint64) {
	t.Helper()
	var text string
	for deadline := time.Now().Add(settling); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		k, x := w.kernelStats(t, c), w.session(t, c)
		sent, received := x.TxPackets-x0.TxPackets, x.RxPackets-x0.RxPackets
		text = ""
		if sent < least || received < least {
			text += fmt.Sprintf("xwire sent %d packets and received %d, want %d or more\n", sent, received, least)
		}
		if errors := x.RxErrors + x.RxCookieDiscards + x.TxErrors + x.Suspect; errors != 0 {
			text += fmt.Sprintf("xwire counts errors: %+v\n", x)
		}
		if k.RxErrors != k0.RxErrors {
			text += fmt.Sprintf("the kernel counts errors: %+v\n", k)
		}
		if k.TxPackets-k0.TxPackets != received || k.RxPackets-k0.RxPackets != sent ||
			k.TxBytes-k0.TxBytes != x.RxBytes-x0.RxBytes || k.RxBytes-k0.RxBytes != x.TxBytes-x0.TxBytes {
			text += fmt.Sprintf("counters differ: xwire %+v to %+v, kernel %+v to %+v\n", x0.Statistics, x.Statistics, k0, k)
		}
		if text == "" {
			return
		}
	}
	t.Error(text)
}

func (w *world) testMismatch(t *testing.T) {
	const frames = 50
	for _, c := range w.mismatch {
		t.Run(c.Name, func(t *testing.T) {
			before, kernelBefore := w.session(t, c), w.kernelStats(t, c)
			kernelSink, customerSink := sink(t, w.kernel, c.far, uint64(c.vlan)), sink(t, w.customer, c.near, uint64(c.vlan)+1000)
			send(t, w.customer, c.near, uint64(c.vlan), frames)
			send(t, w.kernel, c.far, uint64(c.vlan)+1000, frames)
			until(t, "both ends discard every frame", func() (bool, string) {
				x := w.session(t, c).RxCookieDiscards - before.RxCookieDiscards
				k := w.kernelStats(t, c).RxCookieDiscards - kernelBefore.RxCookieDiscards
				return x >= frames && k >= frames, fmt.Sprintf("xwire counts %d cookie discards, the kernel %d, want %d or more", x, k, frames)
			})
			toKernel, toCustomer := kernelSink.Report(), customerSink.Report()
			if toKernel.Received+toKernel.Torn+toCustomer.Received+toCustomer.Torn != 0 {
				t.Errorf("frames passed: to the kernel %v; to the customer %v", toKernel, toCustomer)
			}
			if d := w.session(t, c).RxPackets - before.RxPackets; d != 0 {
				t.Errorf("xwire counts %d packets as received", d)
			}
		})
	}
}

// testOwnAddress: what is not L2TP stays the kernel's.
func (w *world) testOwnAddress(t *testing.T) {
	ping(t, w.kernel, "192.0.2.1", 0)
	ping(t, w.kernel, "2001:db8::1", 0)
	ping(t, w.xwire, "192.0.2.2", 1572)
}

func (w *world) testStop(t *testing.T) {
	var sessions []struct {
		Discards uint64 `json:"rx_cookie_discards"`
	}
	must(t, w.box.Show(t.Context(), &sessions, "sessions"))
	refusing := 0
	for _, s := range sessions {
		if s.Discards > 0 {
			refusing++
		}
	}
	if refusing != len(w.mismatch) {
		t.Errorf("xwire show sessions --json tells of %d sessions with cookie discards, want %d", refusing, len(w.mismatch))
	}
	must(t, w.box.Stop())
	out, err := w.xwire.Command("ip", "-d", "link")
	if err != nil || strings.Contains(out, "prog/xdp") {
		t.Errorf("an XDP program stayed (%v):\n%s", err, out)
	}
}

func (w *world) kernelStats(t *testing.T, c *circuit) lab.KernelStats {
	t.Helper()
	s, err := w.kernel.KernelStats(c.kernel.Tunnel, c.kernel.ID)
	must(t, err)
	return s
}

// reach pings until an answer comes: then the neighbours on the way are known.
func reach(t *testing.T, from *lab.Namespace, to netip.Addr, c lab.PingConfig) {
	t.Helper()
	c.Count, c.Timeout = 1, time.Second
	until(t, fmt.Sprintf("%v answers", to), func() (bool, string) {
		r, err := from.Ping(t.Context(), to, c)
		return err == nil && r.Received == 1, fmt.Sprintf("ping from %s: %+v, %v", from.Name(), r, err)
	})
}

// ping wants every packet answered.
func ping(t *testing.T, from *lab.Namespace, to string, size int) {
	t.Helper()
	addr := netip.MustParseAddr(to)
	reach(t, from, addr, lab.PingConfig{})
	r, err := from.Ping(t.Context(), addr, lab.PingConfig{Count: 3, Size: size, DontFragment: true, Timeout: settling})
	if err != nil || r.Lost()+r.Duplicates+r.Damaged != 0 {
		t.Errorf("ping %s: %+v, %v", to, r, err)
	}
}

// sink receives the numbered frames of a run until the test ends.
func sink(t *testing.T, to *lab.Namespace, in string, run uint64) *lab.Sink {
	t.Helper()
	s, err := to.ReceiveStream(in, run)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// send sends numbered frames of all sizes.
func send(t *testing.T, from *lab.Namespace, out string, run, count uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := from.SendStream(ctx, out, lab.Stream{Run: run, Count: count, Sizes: []int{60, 61, 590, 1513, 1514}, Rate: 1000,
		Dst: net.HardwareAddr{2, 0, 0, 0, 0, 2}, Src: net.HardwareAddr{2, 0, 0, 0, 0, 1}})
	must(t, err)
}

func carry(t *testing.T, from *lab.Namespace, out string, to *lab.Namespace, in string, run, count uint64) {
	t.Helper()
	s := sink(t, to, in, run)
	send(t, from, out, run, count)
	r := s.Wait(t.Context(), count, settling)
	if r.Received != count || r.Duplicates+r.Torn+r.Reordered != 0 {
		t.Errorf("%s to %s: sent %d, %v", out, in, count, r)
	}
}
