package scenarios

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// TestUnknownToKernel has other users of a tunnel's address beside xwire, a UDP socket on the same port
// and a raw one for protocol 115: they get what is of no session and no tunnel of ours, data and control,
// and nothing else.
func TestUnknownToKernel(t *testing.T) {
	for _, c := range []struct {
		name     string
		udp, six bool
	}{{"ip4", false, false}, {"ip6", false, true}, {"udp4", true, false}, {"udp6", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			w := pair(t, shape{})
			x := &wire{name: "x", udp: c.udp, six: c.six, sid: [2]uint32{10, 20}, vlan: vlanOf(0), pwVLAN: [2]string{"none", "none"}}
			heard := w.listen(t, x)
			box := w.start(t, 0, "[appliance]\nunknown = \"kernel\"\n"+config(0, x))

			ours := x.to(bare())
			theirs, control := ours, ours
			theirs.sid, theirs.passes, control.passes = 0x01020304, true, true
			if control.sid = 0; c.udp {
				control.flags, control.sid = 0xc803, 4711 // a tunnel of theirs
			}
			if n, drops, gained, _ := w.verdict(t, x, ours, 3); n != 3 || len(drops) != 0 || gained.RxPackets != 3 {
				t.Errorf("ours: %d delivered, dropped %v, counted %d", n, drops, gained.RxPackets)
			}
			if n, drops, gained, _ := w.verdict(t, x, theirs, 2); n != 0 || len(drops) != 0 || gained.RxPackets != 0 {
				t.Errorf("the kernel's: %d delivered, dropped %v, counted %d", n, drops, gained.RxPackets)
			}
			w.inject(t, control)
			got := heard(3, soon)
			if len(got) != 3 || len(got) == 3 && (!sameIDs(got[0], &theirs) || !sameIDs(got[1], &theirs) || !sameIDs(got[2], &control)) {
				t.Errorf("the kernel's users heard % x, want two of session %08x and a control message", got, theirs.sid)
			}
			if p := portOf(t, box, "core0"); p.ToKernel["unknown_session"] != 2 || p.ToKernel["control"] != 1 || p.Received != 3 {
				t.Errorf("left to the kernel %v, want 2 of unknown sessions and 1 control; received %d, want 3", p.ToKernel, p.Received)
			}
		})
	}
}

// TestUnknownDropped: without the key the same message is taken, dropped and counted.
func TestUnknownDropped(t *testing.T) {
	w := pair(t, shape{})
	x := &wire{name: "x", udp: true, sid: [2]uint32{10, 20}, vlan: vlanOf(0), pwVLAN: [2]string{"none", "none"}}
	heard := w.listen(t, x)
	w.start(t, 0, config(0, x))
	theirs := x.to(bare())
	theirs.sid = 0x01020304
	if _, drops, _, _ := w.verdict(t, x, theirs, 2); drops["unknown_session"] != 2 {
		t.Errorf("dropped %v, want 2 of unknown_session", drops)
	}
	if got := heard(1, time.Second); len(got) != 0 {
		t.Errorf("the kernel's user heard % x", got)
	}
}

// TestUnknownChanges has a tunnel's address shared with the kernel's L2TP and not shared, while its frames
// flow: none of them is lost, and none goes to the kernel.
func TestUnknownChanges(t *testing.T) {
	w := pair(t, shape{})
	x := &wire{name: "x", udp: true, sid: [2]uint32{10, 20}, vlan: vlanOf(0), pwVLAN: [2]string{"none", "none"}}
	box := w.start(t, 0, config(0, x))
	w.start(t, 1, config(1, x))
	sink, err := w.sites[0].ReceiveStream("eth0", 1)
	must(t, err)
	defer sink.Close()
	const frames = 2000
	sent := make(chan error)
	go func() {
		_, err := w.sites[1].SendStream(t.Context(), "eth0", lab.Stream{Run: 1, Count: frames, Rate: 1000,
			Dst: stations[0], Src: stations[1], Tags: vids(600)})
		sent <- err
	}()
	client := api.NewClient(box.Control)
	for _, unknown := range []string{"kernel", "drop", "kernel", "drop", "kernel"} {
		time.Sleep(200 * time.Millisecond)
		tunnel, err := client.ModifyTunnel(t.Context(), "x", api.Keys{"unknown": unknown})
		must(t, err)
		if tunnel.Unknown != unknown {
			t.Errorf("unknown is %q, want %q", tunnel.Unknown, unknown)
		}
	}
	must(t, <-sent)
	if r := sink.Wait(t.Context(), frames, soon); r.Received != frames || r.Duplicates+r.Torn+r.Reordered != 0 {
		t.Errorf("sent %d, %v; left to the kernel %v", frames, r, portOf(t, box, "core0").ToKernel)
	}
}

// listen opens a socket at box 0's end of a wire, as the kernel's L2TP or a daemon would. The function
// gives what came: as many messages as asked for, or what there was until none came for as long as said.
func (w *world) listen(t *testing.T, x *wire) func(most int, quiet time.Duration) [][]byte {
	t.Helper()
	var conn net.PacketConn
	must(t, w.hosts[0].Run(func() (err error) {
		local := x.endpoint(0)
		if x.udp {
			conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(local))
			return err
		}
		network := "ip4:115"
		if x.six {
			network = "ip6:115"
		}
		conn, err = net.ListenIP(network, &net.IPAddr{IP: local.Addr().AsSlice()})
		return err
	}))
	t.Cleanup(func() { conn.Close() })
	return func(most int, quiet time.Duration) (got [][]byte) {
		b := make([]byte, 2048)
		for len(got) < most {
			must(t, conn.SetReadDeadline(time.Now().Add(quiet)))
			n, from, err := conn.ReadFrom(b)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return got
			}
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			must(t, err)
			if addr, _ := netip.ParseAddr(host(from)); addr != x.addr(1) {
				t.Errorf("a message from %v, want %v", from, x.addr(1))
			}
			got = append(got, append([]byte(nil), b[:n]...))
		}
		return got
	}
}

func host(a net.Addr) string {
	if u, ok := a.(*net.UDPAddr); ok {
		return u.AddrPort().Addr().Unmap().String()
	}
	return a.String()
}

// sameIDs compares what a socket gave with the L2TP header of a packet.
func sameIDs(got []byte, p *packet) bool {
	want := p.message()
	if p.dstPort != 0 {
		want = want[8:]
	}
	return len(got) >= 8 && string(got[:8]) == string(want[:8])
}
