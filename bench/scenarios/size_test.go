package scenarios

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// sized is an untagged frame of n bytes.
func sized(n int) []byte {
	b := tagged(0)
	return append(b, bytes.Repeat([]byte{0xa5}, n-len(b))...)
}

// dropping has what does not fit the path dropped.
const dropping = "[defaults.session]\noversize = \"drop\"\n"

// TestOversize: the largest frame that fits the path passes, one byte more is a counted drop, in
// both directions.
func TestOversize(t *testing.T) {
	for _, c := range []struct {
		x        wire
		overhead int
	}{
		{wire{name: "ip4"}, 20 + 4},
		{wire{name: "udp6", udp: true, six: true, cookie: [2]string{"0102030405060708", "0102030405060708"}, sublayer: "default"}, 40 + 8 + 4 + 4 + 8 + 4},
	} {
		t.Run(c.x.name, func(t *testing.T) {
			w := pair(t, shape{CoreMTU: 1500})
			x := c.x
			x.sid, x.vlan = [2]uint32{1, 2}, [2]string{"all", "all"}
			boxes := [2]*lab.Box{w.start(t, 0, dropping+config(0, &x)), w.start(t, 1, dropping+config(1, &x))}
			largest := 1500 - c.overhead
			for from := range 2 {
				capture, err := w.sites[1-from].Capture("eth0")
				must(t, err)
				defer capture.Close()
				before := sessionOf(t, boxes[from], x.session())
				must(t, w.sites[from].SendFrames("eth0", sized(largest+1), sized(1514), sized(largest)))
				received(capture, 1)
				until(t, "two are dropped and one is sent", func() (bool, string) {
					d, after := portOf(t, boxes[from], "ac0").Drops["oversize"], sessionOf(t, boxes[from], x.session())
					return d == 2 && after.TxErrors-before.TxErrors == 2 && after.TxPackets-before.TxPackets == 1,
						fmt.Sprintf("from site %d: %d oversize, tx_errors %d, tx_packets %d", from, d, after.TxErrors-before.TxErrors, after.TxPackets-before.TxPackets)
				})
				got := received(capture, 1)
				if len(got) != 1 || len(got[0]) != largest {
					t.Errorf("from site %d: %d frames passed, want one of %d bytes", from, len(got), largest)
				}
			}
		})
	}
}

// TestOuterFragments carries customers' full frames through a core that has no room for the headers:
// every packet leaves in two fragments, and the far end puts them together.
func TestOuterFragments(t *testing.T) {
	for _, x := range []*wire{
		{name: "ip4"},
		{name: "ip6", six: true, sublayer: "default"},
		{name: "udp4", udp: true, cookie: [2]string{"01020304", "01020304"}},
		{name: "udp6", udp: true, six: true},
	} {
		t.Run(x.name, func(t *testing.T) { smallCore(t, x, true) })
	}
}

// TestFragmentsInside does the same by RFC 4623.
func TestFragmentsInside(t *testing.T) {
	const keys = "oversize = \"pw\"\nsend_seq = true\nreorder_timeout = 20\n"
	for _, x := range []*wire{
		{name: "ip4", sublayer: "default", ofSession: keys},
		{name: "udp6", udp: true, six: true, sublayer: "default", cookie: [2]string{"01020304", "01020304"}, ofSession: keys},
	} {
		t.Run(x.name, func(t *testing.T) { smallCore(t, x, false) })
	}
}

// smallCore wants every frame to pass both ways, and outer fragments or none.
func smallCore(t *testing.T, x *wire, outer bool) {
	const count = 400
	w := pair(t, shape{CoreMTU: 1500})
	x.sid, x.vlan = [2]uint32{1, 2}, [2]string{"all", "all"}
	boxes := [2]*lab.Box{w.start(t, 0, config(0, x)), w.start(t, 1, config(1, x))}
	for from := range 2 {
		run := nextRun()
		sink, err := w.sites[1-from].ReceiveStream("eth0", run)
		must(t, err)
		defer sink.Close()
		_, err = w.sites[from].SendStream(t.Context(), "eth0", lab.Stream{Run: run, Count: count, Rate: 2000,
			Sizes: []int{60, 1514, 1513}, Dst: stations[1-from], Src: stations[from]})
		must(t, err)
		core := func() api.Port { return portOf(t, boxes[1-from], "core0") }
		if r := sink.Wait(t.Context(), count, soon); r.Received != count || r.Torn+r.Duplicates+r.Reordered != 0 {
			t.Errorf("from site %d: sent %d, %v; the far core port %+v", from, count, r, core())
		}
		balanced(t, boxes[1-from])
		p := core()
		if p.ToKernel["fragment"] != 0 || len(p.Drops) != 0 || p.Received != p.Sent || p.Reassembled < count*2/3-2 == outer {
			t.Errorf("from site %d: the far core port %+v", from, p)
		}
		if c := sessionOf(t, boxes[from], x.session()); c.TxErrors+c.RxErrors != 0 || c.TxPackets < count*5/3-2 == !outer {
			t.Errorf("site %d counts %+v", from, c)
		}
	}
}

// TestOversizeAC: what the access port of the far end cannot send is dropped there, and counted.
func TestOversizeAC(t *testing.T) {
	w := pair(t, shape{CoreMTU: 2000})
	x := &wire{name: "x", sid: [2]uint32{1, 2}, vlan: [2]string{"all", "all"}}
	w.start(t, 0, config(0, x))
	p := x.to(sized(1515))
	delivered, drops, gained, _ := w.verdict(t, x, p, 2)
	if delivered != 0 || drops["oversize_ac"] != 2 || gained.RxErrors != 2 {
		t.Errorf("1515 bytes for an MTU of 1500: delivered %d, drops %v, rx_errors %d", delivered, drops, gained.RxErrors)
	}
	p.inner = sized(1514)
	if delivered, drops, _, _ := w.verdict(t, x, p, 2); delivered != 2 || len(drops) != 0 {
		t.Errorf("1514 bytes: delivered %d of 2, drops %v", delivered, drops)
	}
	// A tag does not count.
	p.inner = append(sized(1514)[:12:12], append([]byte{0x81, 0, 0, 5}, sized(1514)[12:]...)...)
	if delivered, drops, _, _ := w.verdict(t, x, p, 2); delivered != 2 || len(drops) != 0 {
		t.Errorf("1514 bytes and a tag: delivered %d of 2, drops %v", delivered, drops)
	}
}

// TestAnswerTooBig has the customers' own stacks learn what fits, by the answer that xwire gives in the
// name of the other one; what may be fragmented goes on in outer fragments.
func TestAnswerTooBig(t *testing.T) {
	w := pair(t, shape{CoreMTU: 1500})
	ip := siteAddr
	six := [2]netip.Addr{netip.MustParseAddr("2001:db8:77::1"), netip.MustParseAddr("2001:db8:77::2")}
	for i := range w.boxes {
		must(t, w.sites[i].SetSysctl("net/ipv6/conf/eth0/disable_ipv6", "0"))
		must(t, w.sites[i].AddAddr("eth0", netip.PrefixFrom(six[i], 64)))
		w.start(t, i, pairConfig(i)+"icmp_too_big = true\n")
	}
	const fits = 1500 - 20 - 4 - 14
	w.carries(t, "small packets")
	// The first packet has no answer but that of xwire.
	for i, addr := range []netip.Addr{ip[1], six[1]} {
		headers := []int{28, 48}[i]
		r, err := w.sites[0].Ping(t.Context(), addr, lab.PingConfig{Count: 2, Size: 1500 - headers, DontFragment: true, Timeout: 300 * time.Millisecond})
		if err == nil && r.Received != 0 {
			t.Errorf("ping %v of 1500 bytes: %+v", addr, r)
		}
		until(t, fmt.Sprintf("the customer's path MTU to %v is %d", addr, fits), func() (bool, string) {
			out, err := w.sites[0].Command("ip", "route", "get", addr.String())
			must(t, err)
			return strings.Contains(out, fmt.Sprintf("mtu %d", fits)), out
		})
		lossless(t, "packets that fit", w.sites[0], addr, lab.PingConfig{Count: 3, Size: fits - headers, DontFragment: true})
	}
	r, err := lab.Transfer(t.Context(), w.sites[1], w.sites[0], ip[0], lab.TransferConfig{Bytes: 1 << 20})
	if err != nil || !r.Whole() {
		t.Errorf("transfer: %+v, %v", r, err)
	}
	for i := range w.boxes {
		balanced(t, w.boxes[i])
	}
}

// TestAnswerTooBigOfLocalInterface: the host's own stack, with an interface that takes more than the path,
// learns what fits as a customer behind a port does.
func TestAnswerTooBigOfLocalInterface(t *testing.T) {
	w := pair(t, shape{CoreMTU: 1500})
	w.start(t, 1, pairConfig(1))
	w.start(t, 0, strings.Replace(pairConfig(0), "attach = \"ac0\"\nvlan   = \"all\"\n", "interface_name = \"cust\"\nmtu = 1500\nicmp_too_big = true\n", 1))
	six := [2]netip.Addr{netip.MustParseAddr("2001:db8:77::1"), netip.MustParseAddr("2001:db8:77::2")}
	must(t, w.sites[1].SetSysctl("net/ipv6/conf/eth0/disable_ipv6", "0"))
	must(t, w.sites[1].AddAddr("eth0", netip.PrefixFrom(six[1], 64)))
	must(t, w.hosts[0].AddAddr("cust", netip.PrefixFrom(siteAddr[0], 24)))
	must(t, w.hosts[0].AddAddr("cust", netip.PrefixFrom(six[0], 64)))
	must(t, w.hosts[0].SetLink("cust", true))
	const fits = 1500 - 20 - 4 - 14
	for i, addr := range []netip.Addr{siteAddr[1], six[1]} {
		headers := []int{28, 48}[i]
		until(t, fmt.Sprintf("the stack learns the path MTU to %v", addr), func() (bool, string) {
			w.hosts[0].Ping(t.Context(), addr, lab.PingConfig{Count: 1, Size: 1500 - headers, DontFragment: true, Timeout: 200 * time.Millisecond})
			out, err := w.hosts[0].Command("ip", "route", "get", addr.String())
			must(t, err)
			return strings.Contains(out, fmt.Sprintf("mtu %d", fits)), out
		})
		lossless(t, "packets that fit", w.hosts[0], addr, lab.PingConfig{Count: 3, Size: fits - headers, DontFragment: true})
	}
	r, err := lab.Transfer(t.Context(), w.hosts[0], w.sites[1], siteAddr[1], lab.TransferConfig{Bytes: 1 << 20})
	if err != nil || !r.Whole() {
		t.Errorf("transfer: %+v, %v", r, err)
	}
}
