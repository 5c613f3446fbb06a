package scenarios

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"xwire/bench/lab"
)

// localsConfig has n sessions that end on local interfaces loc1, loc2, ... of box i. The kernel
// decides what those are: VLAN devices, or spliced veth pairs.
func localsConfig(i, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s[tunnel.t]\nencap = \"ip\"\nlocal = \"%v\"\npeer = \"%v\"\ntid = 1\nptid = 1\n", corePort, core4[i], core4[1-i])
	for k := 1; k <= n; k++ {
		fmt.Fprintf(&b, "[tunnel.t.session.s%d]\nsid = %d\npsid = %d\nl2spec_type = \"none\"\ninterface_name = \"loc%[1]d\"\n", k, k, k)
	}
	return b.String()
}

// localAddr is the address of loc1 on host i.
func localAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, 0, byte(1 + i)}) }

// identity is what a local interface must keep over restarts.
type identity struct {
	index, master int
	mac           string
}

func identify(t *testing.T, n *lab.Namespace, name string) identity {
	t.Helper()
	l := linkState(t, n, name)
	return identity{l.Index, l.MasterIndex, l.HardwareAddr.String()}
}

// ended waits until no XDP program is left on a host.
func ended(t *testing.T, what string, n *lab.Namespace) {
	t.Helper()
	until(t, what, func() (bool, string) {
		left, err := traces(n)
		must(t, err)
		return !strings.Contains(left, "XDP"), left
	})
}

// Two hosts talk over local interfaces, one with an address and one in a bridge with a site,
// before and after a restart, a kill and a session less.
func TestLifeLocalInterfaces(t *testing.T) {
	t.Parallel()
	w := pair(t, shape{Queues: 2})
	const mtu = 1600 - 20 - 4 - 14 // of loc1 and loc2: IPv4, session, inner Ethernet header
	for i := range 2 {
		w.start(t, i, "[appliance]\ncpus = [0, 1]\n"+localsConfig(i, 2))
		host := w.hosts[i]
		if l := linkState(t, host, "loc1"); l.MTU != mtu || l.Alias != "xwire t/s1" || l.Flags&net.FlagUp != 0 {
			t.Errorf("host %d: loc1 has MTU %d and alias %q, flags %v, want %d, xwire t/s1, down", i, l.MTU, l.Alias, l.Flags, mtu)
		}
		must(t, host.AddAddr("loc1", netip.PrefixFrom(localAddr(i), 24)))
		must(t, host.SetLink("loc1", true))
		for _, args := range []string{"link add br0 mtu 1500 type bridge", "link set br0 up", "link set ac0 master br0", "link set loc2 master br0 up"} {
			_, err := host.Command("ip", strings.Fields(args)...)
			must(t, err)
		}
	}
	works := func(what string) {
		t.Helper()
		answers(t, what, w.hosts[0], localAddr(1))
		// The largest packets, both ways.
		for i := range 2 {
			lossless(t, what, w.hosts[i], localAddr(1-i), lab.PingConfig{Count: 3, Size: mtu - 28, DontFragment: true})
		}
		w.carries(t, what+", through the bridges")
		lossless(t, what+", through the bridges", w.sites[1], siteAddr[0], lab.PingConfig{Count: 3, Size: 1472, DontFragment: true})
	}
	works("at first")
	for from := range 2 {
		r, err := lab.Transfer(t.Context(), w.hosts[from], w.hosts[1-from], localAddr(1-from), lab.TransferConfig{Bytes: 32 << 20})
		if err != nil || !r.Whole() {
			t.Errorf("transfer from host %d: %+v, %v", from, r, err)
		}
		t.Logf("from host %d: %.2f Gbit/s", from, r.GbitPerSecond())
	}
	// Segments that the site's kernel leaves to the device are cut on the way.
	r, err := lab.Transfer(t.Context(), w.sites[0], w.sites[1], siteAddr[1], lab.TransferConfig{Bytes: 8 << 20})
	if err != nil || !r.Whole() {
		t.Errorf("transfer through the bridges: %+v, %v", r, err)
	}

	b, host := w.boxes[0], w.hosts[0]
	before := [2]identity{identify(t, host, "loc1"), identify(t, host, "loc2")}
	same := func(what string) {
		t.Helper()
		if now := [2]identity{identify(t, host, "loc1"), identify(t, host, "loc2")}; now != before {
			t.Errorf("%s: the interfaces are %+v, were %+v", what, now, before)
		}
	}
	balanced(t, b)
	b.Kill()
	ended(t, "no program after the kill", host)
	same("after the kill")
	must(t, b.Restart(t.Context()))
	waitUp(t, b)
	same("after the kill and a start")
	works("after the kill and a start")
	must(t, b.Stop())
	ended(t, "no program after the stop", host)
	same("after the stop")
	launch(t, b, localsConfig(0, 1))
	answers(t, "with one session less", host, localAddr(1))
	gone := ""
	must(t, host.Run(func() error {
		links, err := netlink.LinkList()
		for _, l := range links {
			if a := l.Attrs(); a.Name == "loc2" || strings.HasPrefix(a.Name, "xwl-") && a.Name != "xwl-1" {
				gone += a.Name + " "
			}
		}
		return err
	}))
	if gone != "" {
		t.Errorf("left of the session that has gone: %s", gone)
	}
}
