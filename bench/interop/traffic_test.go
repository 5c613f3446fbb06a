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
			if s := w.session(t, c); s.NS != nil && (s.SeqLost != 0 || s.SeqResyncs != 0 || s.SendSeq && uint64(*s.NS) != s.TxPackets || !s.SendSeq && *s.NS != 0) {
				t.Errorf("numbers: %+v, ns %d, nr %d", s, *s.NS, *s.NR)
			}
		})
	}
}

// sessionAgrees compares what both ends counted since before. A packet may be on
// its way, an ARP probe say, so it looks more than once.
func sessionAgrees(t *testing.T, w *world, c *circuit, x0 api.Session, k0 lab.KernelStats, least uint64) {
	t.Helper()
	var text string
	for range 5 {
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
		time.Sleep(200 * time.Millisecond)
	}
	t.Error(text)
}

func (w *world) testMismatch(t *testing.T) {
	const frames = 50
	for _, c := range w.mismatch {
		t.Run(c.Name, func(t *testing.T) {
			before, kernelBefore := w.session(t, c), w.kernelStats(t, c)
			toKernel := try(t, w.customer, c.near, w.kernel, c.far, uint64(c.vlan), frames)
			toCustomer := try(t, w.kernel, c.far, w.customer, c.near, uint64(c.vlan)+1000, frames)
			if toKernel.Received+toKernel.Torn+toCustomer.Received+toCustomer.Torn != 0 {
				t.Errorf("frames passed: to the kernel %v; to the customer %v", toKernel, toCustomer)
			}
			after, kernelAfter := w.session(t, c), w.kernelStats(t, c)
			if d := after.RxCookieDiscards - before.RxCookieDiscards; d < frames {
				t.Errorf("xwire counts %d cookie discards, want %d or more", d, frames)
			}
			if d := kernelAfter.RxCookieDiscards - kernelBefore.RxCookieDiscards; d < frames {
				t.Errorf("the kernel counts %d cookie discards, want %d or more", d, frames)
			}
			if d := after.RxPackets - before.RxPackets; d != 0 {
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

func ping(t *testing.T, from *lab.Namespace, to string, size int) {
	t.Helper()
	r, err := from.Ping(t.Context(), netip.MustParseAddr(to), lab.PingConfig{Count: 3, Size: size, DontFragment: true, Timeout: 5 * time.Second})
	if err != nil || r.Lost()+r.Duplicates+r.Damaged != 0 {
		t.Errorf("ping %s: %+v, %v", to, r, err)
	}
}

// try sends numbered frames of all sizes from a device to another and tells what
// arrived.
func try(t *testing.T, from *lab.Namespace, out string, to *lab.Namespace, in string, run, count uint64) lab.StreamReport {
	t.Helper()
	sink, err := to.ReceiveStream(in, run)
	must(t, err)
	defer sink.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s := lab.Stream{Run: run, Count: count, Sizes: []int{60, 61, 590, 1513, 1514}, Rate: 1000,
		Dst: net.HardwareAddr{2, 0, 0, 0, 0, 2}, Src: net.HardwareAddr{2, 0, 0, 0, 0, 1}}
	if _, err := from.SendStream(ctx, out, s); err != nil {
		t.Fatal(err)
	}
	return sink.Wait(ctx, count, 300*time.Millisecond)
}

func carry(t *testing.T, from *lab.Namespace, out string, to *lab.Namespace, in string, run, count uint64) {
	t.Helper()
	r := try(t, from, out, to, in, run, count)
	if r.Received != count || r.Duplicates+r.Torn+r.Reordered != 0 {
		t.Errorf("%s to %s: sent %d, %v", out, in, count, r)
	}
}
