package scenarios

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

var (
	narrow4 = [2]netip.Addr{netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.2")}
	narrow6 = [2]netip.Addr{netip.MustParseAddr("2001:db8:9::1"), netip.MustParseAddr("2001:db8:9::2")}
)

func tunnelOf(t *testing.T, b *lab.Box, name string) api.Tunnel {
	t.Helper()
	var tunnels []api.Tunnel
	must(t, b.Show(t.Context(), &tunnels, "tunnels"))
	for _, v := range tunnels {
		if v.Name == name {
			return v
		}
	}
	t.Fatalf("show tunnels has no %s", name)
	return api.Tunnel{}
}

// TestPathMTU has host 1 route to peers behind a link that is narrower than the core.
func TestPathMTU(t *testing.T) {
	const narrow = 1300
	w := pair(t, shape{CoreMTU: 1500})
	far, err := w.lab.Namespace("far")
	must(t, err)
	must(t, w.lab.Connect(
		lab.End{Namespace: w.hosts[1], Name: "narrow", MTU: narrow, Addrs: []netip.Prefix{netip.PrefixFrom(narrow4[0], 24), netip.PrefixFrom(narrow6[0], 64)}},
		lab.End{Namespace: far, Name: "narrow", MTU: narrow, Addrs: []netip.Prefix{netip.PrefixFrom(narrow4[1], 24), netip.PrefixFrom(narrow6[1], 64)}}))
	must(t, w.hosts[1].SetSysctl("net/ipv4/ip_forward", "1"))
	must(t, w.hosts[1].SetSysctl("net/ipv6/conf/all/forwarding", "1"))
	must(t, w.hosts[0].AddRoute(netip.MustParsePrefix("198.51.100.0/24"), core4[1]))
	must(t, w.hosts[0].AddRoute(netip.MustParsePrefix("2001:db8:9::/64"), core6[1]))
	none := [2]string{"none", "none"}
	wires := []*wire{
		{name: "ip4", sid: [2]uint32{10, 20}, vlan: vlanOf(0), pwVLAN: none, cookie: [2]string{"01020304", "05060708"}},
		{name: "udp4", udp: true, sid: [2]uint32{11, 21}, vlan: vlanOf(1), pwVLAN: none},
		{name: "ip6", six: true, sid: [2]uint32{12, 22}, vlan: vlanOf(2), pwVLAN: none, sublayer: "default"},
		{name: "udp6", six: true, udp: true, sid: [2]uint32{13, 23}, vlan: vlanOf(3), pwVLAN: none},
	}
	peers := strings.NewReplacer(core4[1].String(), narrow4[1].String(), core6[1].String(), narrow6[1].String())
	box := w.start(t, 0, peers.Replace(config(0, wires...)))
	mtu := func(x *wire) int { return tunnelOf(t, box, x.name).PathMTU }
	capture, err := far.Capture("narrow")
	must(t, err)
	defer capture.Close()

	// The kernel of host 1 says what its narrow link takes, of IPv6.
	for i, x := range wires[2:] {
		if got := mtu(x); i == 0 && got != 1500 {
			t.Errorf("%s: path MTU %d at first, want 1500", x.name, got)
		}
		until(t, x.name+" learns the path MTU", func() (bool, string) {
			must(t, w.sites[0].SendFrames("eth0", append(tagged(0, vids(uint16(102+i))...), make([]byte, 1380)...)))
			time.Sleep(20 * time.Millisecond)
			return mtu(x) == narrow, ""
		})
	}
	filling := bytes.Repeat([]byte{0x5c}, 1380)
	must(t, w.sites[0].SendFrames("eth0", append(tagged(0, vids(102)...), filling...)))
	fragments := func() (n int) {
		for _, f := range capture.Frames() {
			if len(f.Frame) > 54 && binary.BigEndian.Uint16(f.Frame[12:]) == 0x86dd && f.Frame[20] == 44 && bytes.Contains(f.Frame, filling[:40]) {
				n++
			}
		}
		return n
	}
	until(t, "two fragments reach the peer", func() (bool, string) { return fragments() >= 2, fmt.Sprint(fragments()) })
	time.Sleep(50 * time.Millisecond)
	if n := fragments(); n != 2 {
		t.Errorf("%d fragments reached the peer, want 2", n)
	}

	// Of IPv4, what a router says that may not cut packets; and what nobody should believe.
	report := func(x *wire, mtu uint16, change func(*packet)) {
		p := packet{src: core4[0], dst: narrow4[1], sid: x.sid[1], cookie: x.cookie[1], inner: make([]byte, 60)}
		if x.udp {
			p.srcPort, p.dstPort = 1701, 1701
		}
		change(&p)
		quoted := p.frame(make([]byte, 6), make([]byte, 6))[14:]
		icmp := binary.BigEndian.AppendUint16([]byte{3, 4, 0, 0, 0, 0}, mtu)
		icmp = append(icmp, quoted[:28]...)
		binary.BigEndian.PutUint16(icmp[2:], onesSum(icmp))
		ip := []byte{0x45, 0, 0, byte(20 + len(icmp)), 0, 0, 0, 0, 64, 1, 0, 0}
		ip = append(append(ip, core4[1].AsSlice()...), core4[0].AsSlice()...)
		binary.BigEndian.PutUint16(ip[10:], onesSum(ip))
		dst, err := w.hosts[0].MAC("core0")
		must(t, err)
		src, err := w.hosts[1].MAC("core0")
		must(t, err)
		must(t, w.hosts[1].SendFrames("core0", append(append(append(append([]byte{}, dst...), src...), 8, 0), append(ip, icmp...)...)))
		time.Sleep(60 * time.Millisecond)
	}
	right := func(*packet) {}
	for _, c := range []struct {
		name   string
		wire   int
		mtu    uint16
		change func(*packet)
		want   int
	}{
		{"another session id", 0, 1200, func(p *packet) { p.sid++ }, 1500},
		{"another cookie", 0, 1200, func(p *packet) { p.cookie = "05060709" }, 1500},
		{"another peer", 0, 1200, func(p *packet) { p.dst = core4[1] }, 1500},
		{"another local address", 0, 1200, func(p *packet) { p.src = narrow4[0] }, 1500},
		{"a larger one", 0, 1600, right, 1500},
		{"right", 0, 1400, right, 1400},
		{"a larger one than that", 0, 1450, right, 1400},
		{"another port", 1, 1200, func(p *packet) { p.dstPort++ }, 1400},
		{"right, over UDP", 1, 1200, right, 1200},
		{"less than anything carries", 1, 60, right, 552},
	} {
		report(wires[c.wire], c.mtu, c.change)
		until(t, fmt.Sprintf("%s: path MTU %d", c.name, c.want), func() (bool, string) {
			got := mtu(wires[c.wire])
			return got == c.want, fmt.Sprint(got)
		})
	}
	// Another route is another path.
	must(t, w.hosts[0].SetMTU("core0", 1490))
	until(t, "the path MTU follows the interface's", func() (bool, string) { return mtu(wires[0]) == 1490, "" })
	alive(t, box)
}

// A local interface's MTU is what the kernel gives l2tpethN, and stays so when the route's changes; not
// where the configuration or the operator says another.
func TestLocalMTUFollowsTheRoute(t *testing.T) {
	w := pair(t, shape{CoreMTU: 1500})
	session := func(name string, sid int, more string) string {
		return fmt.Sprintf("[tunnel.t.session.%s]\nsid = %d\npsid = %d\nl2spec_type = \"default\"\ninterface_name = %q\n%s\n", name, sid, sid, name, more)
	}
	w.start(t, 0, corePort+"[tunnel.t]\nencap = \"ip\"\nlocal = \"192.0.2.1\"\npeer = \"192.0.2.2\"\ntid = 1\nptid = 1\n"+
		session("plain0", 1, "")+session("fixed0", 2, "mtu = 1400")+session("own0", 3, ""))
	mtus := func() string {
		var list []string
		for _, name := range []string{"plain0", "fixed0", "own0"} {
			must(t, w.hosts[0].Run(func() error {
				l, err := netlink.LinkByName(name)
				if err == nil {
					list = append(list, fmt.Sprint(l.Attrs().MTU))
				}
				return err
			}))
		}
		return strings.Join(list, " ")
	}
	until(t, "MTUs 1458 1400 1458", func() (bool, string) { got := mtus(); return got == "1458 1400 1458", got })
	must(t, w.hosts[0].SetMTU("own0", 1300))
	for _, c := range []struct {
		core int
		want string
	}{{1400, "1358 1400 1300"}, {1500, "1458 1400 1300"}} {
		must(t, w.hosts[0].SetMTU("core0", c.core))
		until(t, fmt.Sprintf("MTUs with a core MTU of %d", c.core), func() (bool, string) { got := mtus(); return got == c.want, got })
	}
}

// TestBlackHole: where a narrow link says nothing what is too large for it is lost, and nothing else; what
// was begun with is given up. It ends when somebody tells the route.
func TestBlackHole(t *testing.T) {
	for _, keys := range []string{"", "oversize = \"pw\"\nsend_seq = true\n"} {
		t.Run(keys, func(t *testing.T) {
			w := pair(t, shape{CoreMTU: 1500})
			must(t, w.hosts[1].SetMTU("core0", 1300)) // what is larger does not come in there
			x := &wire{name: "x", sid: [2]uint32{1, 2}, vlan: [2]string{"all", "all"}, sublayer: "default", ofSession: keys}
			for i := range w.boxes {
				w.start(t, i, config(i, x))
			}
			full := func(quiet time.Duration) lab.StreamReport {
				run := nextRun()
				sink, err := w.sites[1].ReceiveStream("eth0", run)
				must(t, err)
				defer sink.Close()
				_, err = w.sites[0].SendStream(t.Context(), "eth0", lab.Stream{Run: run, Count: 300, Rate: 3000, Sizes: []int{1514}, Dst: stations[1], Src: stations[0]})
				must(t, err)
				return sink.Wait(t.Context(), 300, quiet)
			}
			if r := full(300 * time.Millisecond); r.Received != 0 {
				t.Errorf("full frames passed: %v", r)
			}
			lossless(t, "small packets after large ones were lost", w.sites[0], siteAddr[1], lab.PingConfig{Count: 20, Size: 1000})
			until(t, "nothing is held any more", func() (bool, string) {
				p := portOf(t, w.boxes[1], "core0")
				return p.Held == 0, fmt.Sprint(p.Held, " held")
			})
			_, err := w.hosts[0].Command("ip", "route", "change", "192.0.2.0/24", "dev", "core0", "mtu", "1300")
			must(t, err)
			until(t, "the path MTU is the route's", func() (bool, string) { return tunnelOf(t, w.boxes[0], "x").PathMTU == 1300, "" })
			if r := full(soon); r.Received != 300 || r.Torn+r.Duplicates+r.Reordered != 0 {
				t.Errorf("of 300 full frames: %v", r)
			}
			for i := range w.boxes {
				balanced(t, w.boxes[i])
			}
		})
	}
}
