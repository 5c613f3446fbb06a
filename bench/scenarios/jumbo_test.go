package scenarios

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// TestJumbo carries frames larger than one chunk, or larger than any, and, between, short ones.
func TestJumbo(t *testing.T) {
	for _, mtu := range []int{2000, 3000, 9000} {
		for _, x := range []*wire{
			{name: "ip4"},
			{name: "udp6", udp: true, six: true, sublayer: "default", cookie: [2]string{"01020304", "01020304"}},
			{name: "reorder", sublayer: "default", ofSession: "send_seq = true\nreorder_timeout = 20\n"},
		} {
			t.Run(fmt.Sprintf("%d %s", mtu, x.name), func(t *testing.T) {
				w := pair(t, shape{CoreMTU: mtu + 100, AccessMTU: mtu})
				x.sid, x.vlan = [2]uint32{1, 2}, [2]string{"all", "all"}
				boxes := [2]*lab.Box{w.start(t, 0, config(0, x)), w.start(t, 1, config(1, x))}
				jumboBothWays(t, w, boxes, x, []int{60, mtu + 14, 1791, 1792, 1793, 2014, min(3840, mtu), min(3841, mtu), min(4097, mtu), 64})
			})
		}
	}
}

// TestJumboModes does so in the generic path, and by two workers that spread the frames.
func TestJumboModes(t *testing.T) {
	for name, keys := range map[string]string{
		"skb":    "[port.core0]\ninterface = \"core0\"\nmode = \"skb\"\n[port.ac0]\ninterface = \"ac0\"\nmode = \"skb\"\n",
		"spread": corePort + accessPort + "[appliance]\ncpus = [0, 1]\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := pair(t, shape{CoreMTU: 9100, AccessMTU: 9000})
			x := &wire{name: "x", sid: [2]uint32{1, 2}, vlan: [2]string{"all", "all"}}
			var boxes [2]*lab.Box
			for i := range boxes {
				boxes[i] = w.start(t, i, keys+config(i, x)[len(corePort+accessPort):])
			}
			jumboBothWays(t, w, boxes, x, []int{60, 9014, 1500, 5000})
		})
	}
}

// TestJumboFragments carries customers' jumbo frames through cores that have no room for the headers, or for
// much less.
func TestJumboFragments(t *testing.T) {
	for _, core := range []int{9000, 1500} {
		for _, x := range []*wire{
			{name: "ip4"}, {name: "udp6", udp: true, six: true},
			{name: "pw", sublayer: "default", ofSession: "send_seq = true\noversize = \"pw\"\n"},
		} {
			t.Run(fmt.Sprintf("%d %s", core, x.name), func(t *testing.T) {
				w := pair(t, shape{CoreMTU: core, AccessMTU: 9000})
				x.sid, x.vlan = [2]uint32{1, 2}, [2]string{"all", "all"}
				boxes := [2]*lab.Box{w.start(t, 0, config(0, x)), w.start(t, 1, config(1, x))}
				jumboBothWays(t, w, boxes, x, []int{60, 9014, 9013, 8000, 3800})
				if p := portOf(t, boxes[1], "core0"); x.name != "pw" && p.Reassembled == 0 {
					t.Errorf("nothing came in fragments: %+v", p)
				}
			})
		}
	}
}

// ruled is an untagged frame of n bytes, each unlike those around it.
func ruled(n int) []byte {
	b := sized(n)
	for i := len(tagged(0)); i < n; i++ {
		b[i] = byte(i) ^ byte(i>>8)*7
	}
	return b
}

// TestJumboPackets looks at the packets of jumbo frames, and has hand-made ones taken or dropped.
func TestJumboPackets(t *testing.T) {
	for _, x := range []*wire{
		{name: "ip4"}, {name: "ip6", six: true},
		{name: "udp4", udp: true, more: "udp_checksum = true", sublayer: "default"},
		{name: "udp6", udp: true, six: true, cookie: [2]string{"01020304", "01020304"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := pair(t, shape{CoreMTU: 9100, AccessMTU: 9000})
			x.sid, x.vlan = [2]uint32{1, 2}, [2]string{"all", "all"}
			box := w.start(t, 0, config(0, x))
			for _, n := range []int{100, 3700, 3839, 3840, 3841, 7700, 8999, 9014} {
				inner := ruled(n)
				capture, err := w.hosts[1].Capture("core0")
				must(t, err)
				must(t, w.sites[0].SendFrames("eth0", inner))
				got := received(capture, 1)
				capture.Close()
				if len(got) != 1 || !bytes.HasSuffix(got[0], inner) {
					t.Fatalf("%d bytes: %d packets left, or not with this inside; ports %+v", n, len(got), []api.Port{portOf(t, box, "ac0"), portOf(t, box, "core0")})
				}
				checkSums(t, got[0])
				p := x.to(inner)
				for sum, drop := range map[checksum]string{sumRight: "", sumWrong: "udp_checksum"} {
					if p.sum = sum; drop != "" && !x.udp {
						continue
					}
					want, count := map[string]uint64{}, 2
					if drop != "" {
						want[drop], count = 2, 0
					}
					if delivered, drops, gained, _ := w.verdict(t, x, p, 2); delivered != count || gained.RxPackets != uint64(count) || !maps.Equal(drops, want) {
						t.Errorf("%d bytes: delivered %d, rx_packets +%d, drops %v; want %d and %v", n, delivered, gained.RxPackets, drops, count, want)
					}
				}
				if got := received(w.seen, 0); !bytes.Equal(got[len(got)-1], inner) {
					t.Errorf("%d bytes: another frame came", n)
				}
			}
		})
	}
}

// checkSums wants the lengths and checksums of a packet right.
func checkSums(t *testing.T, b []byte) {
	t.Helper()
	ip := b[14:]
	hdr, proto, addrs := 40, ip[6], ip[8:40]
	if ip[0]>>4 == 4 {
		hdr, proto, addrs = 20, ip[9], ip[12:20]
		if onesSum(ip[:20]) != 0 || int(ip[2])<<8|int(ip[3]) != len(ip) {
			t.Errorf("IPv4 header %x of a packet of %d bytes", ip[:20], len(ip))
		}
	} else if int(ip[4])<<8|int(ip[5]) != len(ip)-40 {
		t.Errorf("IPv6 header %x of a packet of %d bytes", ip[:40], len(ip))
	}
	if proto != 17 {
		return
	}
	udp := ip[hdr:]
	pseudo := append(slices.Clone(addrs), 0, 17, udp[4], udp[5])
	if int(udp[4])<<8|int(udp[5]) != len(udp) || udp[6]|udp[7] == 0 || onesSum(append(pseudo, udp...)) != 0 {
		t.Errorf("UDP header %x of a packet of %d bytes", udp[:8], len(ip))
	}
}

// TestJumboLate: a port whose MTU was small at start, or that was not there, has no jumbo frames. It says so,
// counts them, and carries the others.
func TestJumboLate(t *testing.T) {
	w := pair(t, shape{CoreMTU: 1600})
	x := &wire{name: "x", sid: [2]uint32{1, 2}, vlan: [2]string{"all", "all"}}
	boxes := [2]*lab.Box{w.start(t, 0, config(0, x)), w.start(t, 1, config(1, x))}
	for _, name := range []string{"ac0", "core0"} {
		if p := portOf(t, boxes[0], name); p.MaxFrame != 1792 || p.MultiBuffer {
			t.Errorf("%s: frames up to %d, multi-buffer %v; want 1792 and false", name, p.MaxFrame, p.MultiBuffer)
		}
	}
	must(t, w.hosts[0].DelLink("ac0"))
	portIs(t, boxes[0], "ac0", "waiting", "interface ac0 is not there")
	must(t, w.lab.Connect(
		lab.End{Namespace: w.sites[0], Name: "eth0", MTU: 9000, Plain: true, Addrs: []netip.Prefix{netip.PrefixFrom(siteAddr[0], 24)}},
		lab.End{Namespace: w.hosts[0], Name: "ac0", MTU: 9000}))
	if p := portIs(t, boxes[0], "ac0", "up", ""); p.MaxFrame != 1792 || p.MultiBuffer {
		t.Errorf("ac0, late: frames up to %d, multi-buffer %v; want 1792 and false", p.MaxFrame, p.MultiBuffer)
	}
	if out := boxes[0].Process().Output(); !strings.Contains(out, "frames above 1792 bytes are dropped") || !strings.Contains(out, "restart xwire") {
		t.Errorf("no word on the MTU in the log:\n%s", out)
	}
	waitUp(t, boxes[0])
	before := portOf(t, boxes[0], "ac0").Drops["rx_dropped"]
	must(t, w.sites[0].SendFrames("eth0", ruled(9014), ruled(2000), ruled(9014)))
	until(t, "drops are counted", func() (bool, string) {
		d := portOf(t, boxes[0], "ac0").Drops
		return d["rx_dropped"] == before+3, fmt.Sprint(d)
	})
	lossless(t, "frames that fit", w.sites[0], siteAddr[1], lab.PingConfig{Count: 3, Size: 1400})
}

// jumboBothWays wants every frame of a stream to pass each way, pings of 9000 bytes if the link carries such,
// and frames byte by byte as they were.
func jumboBothWays(t *testing.T, w *world, boxes [2]*lab.Box, x *wire, sizes []int) {
	t.Helper()
	const count = 600
	longest := 0
	for _, n := range sizes {
		longest = max(longest, n)
	}
	for from := range 2 {
		run := nextRun()
		sink, err := w.sites[1-from].ReceiveStream("eth0", run)
		must(t, err)
		_, err = w.sites[from].SendStream(t.Context(), "eth0", lab.Stream{Run: run, Count: count, Rate: 2000,
			Sizes: sizes, Dst: stations[1-from], Src: stations[from]})
		must(t, err)
		ports := func() (p []api.Port) {
			for _, b := range boxes {
				p = append(p, portOf(t, b, "ac0"), portOf(t, b, "core0"))
			}
			return p
		}
		if r := sink.Wait(t.Context(), count, soon); r.Received != count || r.Torn+r.Duplicates != 0 {
			t.Errorf("from site %d: sent %d, %v; ports %+v", from, count, r, ports())
		}
		sink.Close()
		capture, err := w.sites[1-from].Capture("eth0")
		must(t, err)
		var frames [][]byte
		for n := longest; n > 60; n -= 997 {
			frames = append(frames, ruled(n))
		}
		must(t, w.sites[from].SendFrames("eth0", frames...))
		if got := received(capture, len(frames)); !slices.EqualFunc(got, frames, bytes.Equal) {
			t.Errorf("from site %d: %d frames came of %d, or others", from, len(got), len(frames))
		}
		capture.Close()
	}
	if c := sessionOf(t, boxes[0], x.session()); c.TxErrors+c.RxErrors != 0 {
		t.Errorf("site 0 counts %+v", c)
	}
	for i, b := range boxes {
		for _, name := range []string{"ac0", "core0"} {
			// A port of 3000 or less takes frames of one buffer.
			p, want := portOf(t, b, name), 3840
			if p.MTU > 3000 {
				want = 12032
			}
			if p.MaxFrame != want || p.MultiBuffer != (want > 3840) {
				t.Errorf("site %d: %s, MTU %d, has frames up to %d, multi-buffer %v; want %d", i, name, p.MTU, p.MaxFrame, p.MultiBuffer, want)
			}
		}
	}
	lossless(t, "pings", w.sites[0], siteAddr[1], lab.PingConfig{Count: 3, Size: longest - 14 - 28, DontFragment: true})
}
