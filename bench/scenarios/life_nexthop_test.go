package scenarios

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"xwire/bench/lab"
)

// A tunnel whose way is missing a piece waits, says which, and goes on by itself when it comes.
func TestLifeNextHopAppears(t *testing.T) {
	t.Parallel()
	w := pair(t, shape{NoCoreAddrs: true})
	for i, b := range w.boxes {
		launch(t, b, pairConfig(i))
	}
	b := w.boxes[0]
	waitsFor(t, b, "t", "no_address", "192.0.2.1 is no address of this box")
	if s := sessionOf(t, b, "t/s"); s.State != "waiting" || !strings.Contains(s.Reason, "192.0.2.1") {
		t.Errorf("the session is %s: %q; want it to wait for 192.0.2.1", s.State, s.Reason)
	}
	must(t, w.hosts[0].AddAddr("core0", netip.MustParsePrefix("192.0.2.1/32")))
	waitsFor(t, b, "t", "no_route", "192.0.2.2")
	must(t, w.route(0, "192.0.2.0/24", "", "core0"))
	waitsFor(t, b, "t", "no_neighbour", "192.0.2.2")
	must(t, w.hosts[1].AddAddr("core0", netip.MustParsePrefix("192.0.2.2/24")))
	w.carries(t, "traffic after the last piece came")

	t.Run("address taken away", func(t *testing.T) {
		_, err := w.hosts[0].Command("ip", "addr", "del", "192.0.2.1/32", "dev", "core0")
		must(t, err)
		waitsFor(t, b, "t", "no_address", "192.0.2.1")
		must(t, w.hosts[0].AddAddr("core0", netip.MustParsePrefix("192.0.2.1/24")))
		w.carries(t, "traffic after the address came back")
	})
	t.Run("peer changes its MAC", func(t *testing.T) {
		// A gateway that takes over announces itself.
		must(t, w.hosts[1].SetSysctl("net/ipv4/conf/core0/arp_notify", "1"))
		time.Sleep(time.Second) // the kernel believes a neighbour's MAC for that long
		for _, mac := range []string{"02:00:5e:00:00:07", "02:00:5e:00:00:08"} {
			_, err := w.hosts[1].Command("ip", "link", "set", "core0", "address", mac)
			must(t, err)
			until(t, "next hop has the new MAC", func() (bool, string) {
				h := hopOf(t, b, "t")
				return h.Lladdr == mac, h.Lladdr
			})
			w.carries(t, "traffic to the new MAC, and from it")
			time.Sleep(time.Second)
		}
	})
	t.Run("access port changes its MAC", func(t *testing.T) {
		_, err := w.hosts[1].Command("ip", "link", "set", "ac0", "address", "02:00:5e:00:00:09")
		must(t, err)
		w.carries(t, "traffic")
	})
	t.Run("link down and up", func(t *testing.T) {
		// Our own end: the kernel drops the route with the link.
		must(t, w.hosts[0].SetLink("core0", false))
		waitsFor(t, b, "t", "no_route", "192.0.2.2")
		must(t, w.hosts[0].SetLink("core0", true))
		w.carries(t, "traffic after the link came back")
		// The carrier: the route stays.
		must(t, w.hosts[1].SetLink("core0", false))
		waitsFor(t, b, "t", "link_down", "core0")
		must(t, w.hosts[1].SetLink("core0", true))
		w.carries(t, "traffic after the carrier came back")
	})
	t.Run("another MTU", func(t *testing.T) {
		for i := range w.hosts {
			must(t, w.hosts[i].SetMTU("core0", 1550))
		}
		until(t, "next hop has the MTU", func() (bool, string) { return hopOf(t, b, "t").MTU == 1550, "" })
		w.carries(t, "traffic")
	})
	for _, b := range w.boxes {
		alive(t, b)
		balanced(t, b)
	}
}

// route replaces a route of a host; via may be empty.
func (w *world) route(host int, dst, via, dev string) error {
	return w.hosts[host].Run(func() error {
		l, err := netlink.LinkByName(dev)
		if err != nil {
			return err
		}
		p := netip.MustParsePrefix(dst)
		r := &netlink.Route{LinkIndex: l.Attrs().Index, Scope: netlink.SCOPE_LINK,
			Dst: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
		if via != "" {
			r.Gw, r.Scope = net.ParseIP(via), netlink.SCOPE_UNIVERSE
		}
		return netlink.RouteReplace(r)
	})
}

// Tunnels are tied to no core port: encap follows the route, decap is taken on all.
func TestLifeRouteMoves(t *testing.T) {
	t.Parallel()
	w := pair(t, shape{})
	must(t, w.lab.Connect(
		lab.End{Namespace: w.hosts[0], Name: "core1", MTU: 1600, Addrs: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/24")}},
		lab.End{Namespace: w.hosts[1], Name: "core1", MTU: 1600, Addrs: []netip.Prefix{netip.MustParsePrefix("198.51.100.2/24")}}))
	must(t, w.lab.Connect(
		lab.End{Namespace: w.hosts[0], Name: "aside", MTU: 1600, Addrs: []netip.Prefix{netip.MustParsePrefix("203.0.113.1/30")}},
		lab.End{Namespace: w.hosts[1], Name: "aside", MTU: 1600, Addrs: []netip.Prefix{netip.MustParsePrefix("203.0.113.2/30")}}))
	for i := range w.hosts {
		// Asymmetric ways are what this is about.
		for _, name := range []string{"all", "core0", "core1"} {
			must(t, w.hosts[i].SetSysctl("net/ipv4/conf/"+name+"/rp_filter", "0"))
		}
		must(t, w.hosts[i].AddAddr("lo", netip.PrefixFrom(routed[i], 32)))
		must(t, w.route(i, netip.PrefixFrom(routed[1-i], 32).String(), core4[1-i].String(), "core0"))
		config := strings.NewReplacer(core4[0].String(), routed[0].String(), core4[1].String(), routed[1].String()).Replace(pairConfig(i))
		w.start(t, i, config+"[port.core1]\ninterface = \"core1\"\n")
	}
	b := w.boxes[0]
	w.carries(t, "traffic by core0")
	far := netip.PrefixFrom(routed[1], 32).String()

	moved := make(chan lab.PingResult, 1)
	go func() {
		r, err := w.sites[0].Ping(t.Context(), siteAddr[1], lab.PingConfig{Count: 150})
		if err != nil {
			t.Error(err)
		}
		moved <- r
	}()
	time.Sleep(300 * time.Millisecond)
	must(t, w.route(0, far, "198.51.100.2", "core1"))
	until(t, "next hop moves to core1", func() (bool, string) {
		h := hopOf(t, b, "t")
		return h.State == "resolved" && h.Port == "core1", h.Port + ": " + h.Reason
	})
	r := <-moved
	t.Logf("%d of %d pings lost while the route moved", r.Lost(), r.Sent)
	// Box 1 still answers by core0, box 0 sends by core1.
	before := portOf(t, w.boxes[1], "core1")
	lossless(t, "there by core1, back by core0", w.sites[0], siteAddr[1], lab.PingConfig{Count: 5})
	until(t, "box 1 took 5 frames from core1", func() (bool, string) {
		after := portOf(t, w.boxes[1], "core1")
		return after.Sent >= before.Sent+5, fmt.Sprint(after.Sent - before.Sent)
	})

	must(t, w.route(0, far, "203.0.113.2", "aside"))
	waitsFor(t, b, "t", "not_a_port", "aside")
	must(t, w.route(0, far, "198.51.100.2", "core1"))
	w.carries(t, "traffic after the route came back to a port")

	// The port of the route goes: the route of the other core takes over.
	must(t, w.hosts[0].DelLink("core1"))
	must(t, w.route(0, far, core4[1].String(), "core0"))
	w.carries(t, "traffic after core1 was deleted")
	alive(t, b)
}

var routed = [2]netip.Addr{netip.MustParseAddr("192.0.2.129"), netip.MustParseAddr("192.0.2.130")}
