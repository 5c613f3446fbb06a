package nexthop_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"xwire/appliance/nexthop"
	"xwire/l2tp"
)

func TestEveryStateAndBack(t *testing.T) {
	for _, c := range []struct {
		name                 string
		local, gateway, peer string
		bits                 int
		peerPrefix           string
	}{
		{name: "IPv4", local: "192.0.2.1", gateway: "192.0.2.254", peer: "198.51.100.7", bits: 24, peerPrefix: "198.51.100.0/24"},
		{name: "IPv6", local: "2001:db8:1::1", gateway: "2001:db8:1::fe", peer: "2001:db8:2::7", bits: 64, peerPrefix: "2001:db8:2::/64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			f := l.follow("p0")
			k := key(c.peer, c.local)
			f.Add(k)
			f.state(k, nexthop.NoAddress, c.local)
			l.ip("addr add %s/%d dev p0", c.local, c.bits)
			f.state(k, nexthop.NoRoute, c.peer)
			l.ip("route add %s via %s", c.peerPrefix, c.gateway)
			f.state(k, nexthop.NoNeighbour, c.gateway)
			l.ipnet("addr add %s/%d dev n0", c.gateway, c.bits)
			// The kernel asks once a second; the state before it gives up counts too.
			h := f.await(k, "gateway appears", resolved)
			if got, want := macString(h.Dst), l.mac(l.net, "n0"); got != want {
				t.Errorf("Dst = %s, want %s", got, want)
			}
			if got, want := macString(h.Src), l.mac(l.box, "p0"); got != want {
				t.Errorf("Src = %s, want %s", got, want)
			}
			if h.Ifindex != l.index("p0") || h.MTU != 1500 || len(h.Tags) != 0 {
				t.Errorf("hop = %+v, want p0, MTU 1500, no tags", h)
			}

			l.ipnet("link set n0 address 02:00:00:00:99:01")
			if c.name == "IPv6" { // unsolicited advertisements do not override (RFC 4861 7.2.6), a solicited one does
				l.in(l.net, "ping", "-6", "-c1", "-W1", c.local)
			}
			f.await(k, "new MAC", func(h nexthop.Hop) bool { return resolved(h) && macString(h.Dst) == "02:00:00:00:99:01" })

			l.ip("link set p0 mtu 1600")
			f.await(k, "device MTU", func(h nexthop.Hop) bool { return h.MTU == 1600 })
			l.ip("route replace %s via %s mtu 1400", c.peerPrefix, c.gateway)
			f.await(k, "route MTU", func(h nexthop.Hop) bool { return h.MTU == 1400 })

			l.ipnet("link set n0 down")
			f.state(k, nexthop.LinkDown, "p0 has no carrier")
			l.ipnet("link set n0 up")
			f.await(k, "carrier back", resolved)

			for _, kind := range []string{"blackhole", "unreachable", "prohibit"} {
				l.ip("route replace %s %s", kind, c.peerPrefix)
				f.state(k, nexthop.NoRoute, c.peer)
				l.ip("route replace %s via %s", c.peerPrefix, c.gateway)
				f.await(k, kind+" gone", resolved)
			}

			l.ip("addr add %s dev lo", c.peer)
			f.state(k, nexthop.NotAPort, "address of this box")
			l.ip("addr del %s/%d dev lo", c.peer, netip.MustParseAddr(c.peer).BitLen())
			f.await(k, "peer elsewhere again", resolved)

			l.ip("addr del %s/%d dev p0", c.local, c.bits)
			f.state(k, nexthop.NoAddress, c.local)
			l.ip("addr add %s/%d dev p0", c.local, c.bits)
			l.ip("route replace %s via %s", c.peerPrefix, c.gateway)
			f.await(k, "address back", resolved)

			l.ip("link set p0 down")
			f.await(k, "port down", func(h nexthop.Hop) bool { return h.State != nexthop.Resolved })
			l.ip("link set p0 up")
			if c.name == "IPv6" {
				l.ip("addr replace %s/%d dev p0", c.local, c.bits)
			}
			l.ip("route replace %s via %s", c.peerPrefix, c.gateway)
			f.await(k, "port up", resolved)

			f.SetPorts(nil)
			f.state(k, nexthop.NotAPort, "leaves by p0, which is no port")
			f.SetPorts([]int{l.index("p0")})
			f.await(k, "port given", resolved)
		})
	}
}

func resolved(h nexthop.Hop) bool { return h.State == nexthop.Resolved }

func TestRouteMovesToAnotherPort(t *testing.T) {
	l := newLab(t)
	twoWays(l)
	f := l.follow("p0", "p1")
	k := key("198.51.100.7", "192.0.2.1")
	f.Set([]nexthop.Key{k})
	f.await(k, "first way", func(h nexthop.Hop) bool { return resolved(h) && h.Ifindex == l.index("p0") })
	l.ip("route replace 198.51.100.0/24 via 203.0.113.2 dev p1")
	h := f.await(k, "second way", func(h nexthop.Hop) bool { return resolved(h) && h.Ifindex == l.index("p1") })
	if got, want := macString(h.Dst), l.mac(l.net, "n1"); got != want {
		t.Errorf("Dst = %s, want %s", got, want)
	}
	f.SetPorts([]int{l.index("p0")})
	f.state(k, nexthop.NotAPort, "route to 198.51.100.7 leaves by p1, which is no port")

	f.SetPorts([]int{l.index("p0"), l.index("p1")})
	f.await(k, "second way is a port again", resolved)
	l.ip("rule add from 192.0.2.1 lookup 77")
	l.ip("route add 198.51.100.0/24 via 203.0.114.2 dev p0 table 77")
	f.await(k, "policy rule", func(h nexthop.Hop) bool { return resolved(h) && h.Ifindex == l.index("p0") })
	l.ip("rule del from 192.0.2.1 lookup 77")
	f.await(k, "no policy rule", func(h nexthop.Hop) bool { return resolved(h) && h.Ifindex == l.index("p1") })
}

// twoWays gives the box 192.0.2.1 and gateways 203.0.114.2 on p0 and 203.0.113.2 on p1.
func twoWays(l *lab) {
	l.ip("addr add 192.0.2.1/32 dev lo")
	l.ip("addr add 203.0.114.1/24 dev p0")
	l.ip("addr add 203.0.113.1/24 dev p1")
	l.ipnet("addr add 203.0.114.2/24 dev n0")
	l.ipnet("addr add 203.0.113.2/24 dev n1")
	l.ip("route add 198.51.100.0/24 via 203.0.114.2 dev p0")
}

func TestECMP(t *testing.T) {
	l := newLab(t)
	twoWays(l)
	l.ip("route replace 198.51.100.0/24 nexthop via 203.0.114.2 dev p0 nexthop via 203.0.113.2 dev p1")
	f := l.follow("p0", "p1")
	var keys []nexthop.Key
	for i := range 32 {
		keys = append(keys, key(fmt.Sprintf("198.51.100.%d", i+1), "192.0.2.1"))
	}
	f.Set(keys)
	use := map[int]int{}
	for _, k := range keys {
		use[f.await(k, "resolved", resolved).Ifindex]++
	}
	if len(use) != 2 {
		t.Errorf("32 peers use ports %v, want both", use)
	}
	l.ip("link set p1 down")
	for _, k := range keys {
		f.await(k, "one member left", func(h nexthop.Hop) bool { return resolved(h) && h.Ifindex == l.index("p0") })
	}
	if n := len(f.Snapshot()); n != len(keys) {
		t.Errorf("Snapshot has %d hops, want %d", n, len(keys))
	}
}

func TestGatewayOfTheOtherFamily(t *testing.T) {
	l := newLab(t)
	l.ip("addr add 192.0.2.1/32 dev lo")
	l.ip("addr add fd00::1/64 dev p0")
	l.ipnet("addr add fd00::2/64 dev n0")
	l.ip("route add 198.51.100.0/24 via inet6 fd00::2 dev p0")
	f := l.follow("p0")
	k := key("198.51.100.7", "192.0.2.1")
	f.Add(k)
	h := f.await(k, "resolved", resolved)
	if got, want := macString(h.Dst), l.mac(l.net, "n0"); got != want {
		t.Errorf("Dst = %s, want %s", got, want)
	}
}

func TestManagedNeighbour(t *testing.T) {
	l := newLab(t)
	l.ip("addr add 192.0.2.1/24 dev p0")
	l.ipnet("addr add 192.0.2.2/24 dev n0")
	l.ipnet("addr add 192.0.2.3/24 dev n0")
	l.ipnet("addr add 192.0.2.4/24 dev n0")
	l.ip("neigh replace 192.0.2.3 lladdr 02:00:00:00:00:33 dev p0 nud permanent")
	l.ip("neigh replace 192.0.2.4 dev p0 managed")
	f := l.follow("p0")
	ours, static, foreign := key("192.0.2.2", "192.0.2.1"), key("192.0.2.3", "192.0.2.1"), key("192.0.2.4", "192.0.2.1")
	f.Add(ours, static, foreign)
	f.await(ours, "ours", resolved)
	if h := f.await(static, "static", resolved); macString(h.Dst) != "02:00:00:00:00:33" {
		t.Errorf("Dst of the permanent neighbour = %s", macString(h.Dst))
	}
	f.await(foreign, "foreign", resolved)
	show := func() string { return l.ip("neigh show dev p0") }
	line := func(addr string) string {
		for s := range strings.Lines(show()) {
			if strings.HasPrefix(s, addr+" ") {
				return s
			}
		}
		return ""
	}
	eventually(t, "192.0.2.2 managed", func() bool { return strings.Contains(line("192.0.2.2"), "managed") })
	if s := line("192.0.2.3"); strings.Contains(s, "managed") || !strings.Contains(s, "PERMANENT") {
		t.Errorf("permanent entry was touched: %s", s)
	}

	l.ip("neigh del 192.0.2.2 dev p0")
	eventually(t, "managed again after deletion", func() bool { return strings.Contains(line("192.0.2.2"), "managed") })
	f.await(ours, "resolved again", resolved)

	f.Remove(ours, static, foreign)
	eventually(t, "no longer managed", func() bool { return !strings.Contains(line("192.0.2.2"), "managed") })
	if s := line("192.0.2.4"); !strings.Contains(s, "managed") {
		t.Errorf("somebody else's managed entry was changed: %s", s)
	}
	f.Add(ours)
	eventually(t, "managed once more", func() bool { return strings.Contains(line("192.0.2.2"), "managed") })
	f.stop()
	if s := line("192.0.2.2"); strings.Contains(s, "managed") {
		t.Errorf("managed after Run ended: %s", s)
	}
}

// A process that was killed leaves managed entries; the next one knows them for its own.
func TestManagedNeighbourOfAKilledProcess(t *testing.T) {
	l := newLab(t)
	l.ip("addr add 192.0.2.1/24 dev p0")
	l.ipnet("addr add 192.0.2.2/24 dev n0")
	l.ipnet("addr add 192.0.2.3/24 dev n0")
	l.ip("neigh replace 192.0.2.2 dev p0 managed protocol 115")
	l.ip("neigh replace 192.0.2.3 dev p0 managed protocol 115")
	f := l.follow("p0")
	k := key("192.0.2.2", "192.0.2.1")
	f.Add(k)
	f.await(k, "resolved", resolved)
	eventually(t, "the one nobody needs is let go", func() bool { return strings.Count(l.ip("neigh show dev p0"), "managed") == 1 })
	f.stop()
	if s := l.ip("neigh show dev p0"); strings.Contains(s, "managed") {
		t.Errorf("managed after Run ended: %s", s)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > soon {
			t.Fatalf("%s: not within %v", what, soon)
		}
	}
}

func TestVLANDevice(t *testing.T) {
	l := newLab(t)
	f := l.follow("p0")
	k := key("192.0.2.2", "192.0.2.1")
	f.Add(k)
	f.state(k, nexthop.NoAddress, "192.0.2.1")
	if !l.has("vlan") {
		return
	}
	l.ipnet("link add link n0 name nv type vlan id 100")
	l.ipnet("link set nv up")
	l.ipnet("addr add 192.0.2.2/24 dev nv")
	for range 2 { // deleted and made again
		l.ip("link add link p0 name v100 type vlan id 100")
		l.ip("link set v100 address 02:00:00:00:01:00 up")
		l.ip("addr add 192.0.2.1/24 dev v100")
		h := f.await(k, "resolved", resolved)
		if len(h.Tags) != 1 || h.Tags[0] != (l2tp.Tag{TPID: 0x8100, TCI: 100}) || h.Ifindex != l.index("p0") || macString(h.Src) != "02:00:00:00:01:00" {
			t.Errorf("hop = %+v, want tag 100 on p0 from v100's MAC", h)
		}
		l.ip("link del v100")
		f.state(k, nexthop.NoAddress, "192.0.2.1")
	}
	l.ipnet("link del nv")
	l.ipnet("link add link n0 name ns type vlan protocol 802.1ad id 7")
	l.ipnet("link add link ns name nc type vlan id 8")
	l.ipnet("link set ns up")
	l.ipnet("link set nc up")
	l.ipnet("addr add 192.0.2.2/24 dev nc")
	l.ip("link add link p0 name s7 type vlan protocol 802.1ad id 7")
	l.ip("link add link s7 name c8 type vlan id 8")
	l.ip("link set s7 up")
	l.ip("link set c8 up")
	l.ip("addr add 192.0.2.1/24 dev c8")
	h := f.await(k, "QinQ", resolved)
	if len(h.Tags) != 2 || h.Tags[0] != (l2tp.Tag{TPID: 0x88a8, TCI: 7}) || h.Tags[1] != (l2tp.Tag{TPID: 0x8100, TCI: 8}) {
		t.Errorf("Tags = %+v, want 88a8/7 then 8100/8", h.Tags)
	}
	l.ipnet("link set n0 down")
	f.state(k, nexthop.LinkDown, "p0 has no carrier (it is under c8)")
	l.ipnet("link set n0 up")
	l.ipnet("link set ns up")
	l.ipnet("link set nc up")
	f.await(k, "QinQ back", resolved)
}

func TestMacvlan(t *testing.T) {
	l := newLab(t)
	if !l.has("macvlan") {
		return
	}
	l.ip("link add link p0 name m0 type macvlan mode private")
	l.ip("link set m0 up")
	l.ip("addr add 192.0.2.1/24 dev m0")
	l.ipnet("addr add 192.0.2.2/24 dev n0")
	f := l.follow("p0")
	k := key("192.0.2.2", "192.0.2.1")
	f.Add(k)
	h := f.await(k, "resolved", resolved)
	if got, want := macString(h.Src), l.mac(l.box, "m0"); got != want || h.Ifindex != l.index("p0") {
		t.Errorf("hop = %+v, want m0's MAC %s on p0", h, want)
	}
}

func TestVRF(t *testing.T) {
	l := newLab(t)
	f := l.follow("p0", "p1")
	k := key("198.51.100.7", "192.0.2.1")
	k.VRF = "core"
	f.Add(k)
	f.state(k, nexthop.NoRoute, "vrf core does not exist")
	if !l.has("vrf") {
		return
	}
	l.ip("link add core type vrf table 10")
	l.ip("link set core up")
	f.state(k, nexthop.NoAddress, "in vrf core")
	l.ip("link set p1 master core")
	l.ip("addr add 192.0.2.1/24 dev p1")
	l.ip("addr add 192.0.2.1/24 dev p0") // the same address outside
	l.ipnet("addr add 192.0.2.2/24 dev n1")
	f.state(k, nexthop.NoRoute, "198.51.100.7")
	l.ip("route add 198.51.100.0/24 via 192.0.2.2 vrf core")
	h := f.await(k, "in the VRF", resolved)
	if got, want := macString(h.Dst), l.mac(l.net, "n1"); got != want || h.Ifindex != l.index("p1") {
		t.Errorf("hop = %+v, want n1's MAC %s by p1", h, want)
	}
	l.ip("link set p1 nomaster")
	f.await(k, "out of the VRF", func(h nexthop.Hop) bool { return !resolved(h) })
	l.ip("link set p1 master core")
	l.ip("route replace 198.51.100.0/24 via 192.0.2.2 vrf core")
	f.await(k, "in the VRF again", resolved)
}

func TestBond(t *testing.T) {
	l := newLab(t)
	if !l.has("bond") {
		return
	}
	for _, mode := range []string{"active-backup", "balance-xor"} {
		l.ip("link add name b0 type bond mode %s miimon 20", mode)
		for _, p := range []string{"p0", "p1"} {
			l.ip("link set %s down", p)
			l.ip("link set %s master b0", p)
		}
		l.ip("link set b0 up")
		l.ip("addr add 192.0.2.1/24 dev b0")
		l.ipnet("link add name br0 type bridge")
		for _, n := range []string{"n0", "n1"} {
			l.ipnet("link set %s master br0", n)
		}
		l.ipnet("link set br0 up")
		l.ipnet("addr add 192.0.2.2/24 dev br0")
		f := l.follow("p0", "p1")
		k := key("192.0.2.2", "192.0.2.1")
		f.Add(k)
		h := f.await(k, mode, resolved)
		if got, want := macString(h.Src), l.mac(l.box, "b0"); got != want {
			t.Errorf("Src = %s, want the bond's %s", got, want)
		}
		used := map[int]string{l.index("p0"): "0", l.index("p1"): "1"}[h.Ifindex]
		if used == "" {
			t.Fatalf("Ifindex = %d is no member", h.Ifindex)
		}
		l.ipnet("link set n%s down", used)
		f.await(k, mode+" other member", func(o nexthop.Hop) bool { return resolved(o) && o.Ifindex != h.Ifindex })
		l.ipnet("link set n%s up", used)
		f.SetPorts(nil)
		f.state(k, nexthop.NotAPort, "no active slave of b0 is a port")
		f.stop()
		l.ip("link del b0")
		l.ip("link set p0 up")
		l.ip("link set p1 up")
		l.ipnet("link del br0")
	}
}

func TestNoARPDevice(t *testing.T) {
	l := newLab(t)
	l.ip("link set p0 arp off")
	l.ip("addr add 192.0.2.1/24 dev p0")
	f := l.follow("p0")
	k := key("192.0.2.2", "192.0.2.1")
	f.Add(k)
	h := f.await(k, "resolved", resolved)
	if got, want := macString(h.Dst), l.mac(l.box, "p0"); got != want {
		t.Errorf("Dst = %s, want what the kernel writes, the device's own %s", got, want)
	}
	l.ip("tuntap add t0 mode tun")
	l.ip("link set t0 up")
	l.ip("route add 203.0.113.0/24 dev t0")
	k = key("203.0.113.9", "192.0.2.1")
	f.Add(k)
	f.await(k, "tun", func(h nexthop.Hop) bool { return h.State == nexthop.NotAPort || h.State == nexthop.LinkDown })
}

func TestKeysOfNoUse(t *testing.T) {
	l := newLab(t)
	f := l.follow("p0")
	for _, k := range []nexthop.Key{{}, {Peer: netip.MustParseAddr("192.0.2.1"), Local: netip.MustParseAddr("::1")}, {Peer: netip.MustParseAddr("192.0.2.9")}} {
		f.Add(k)
		f.state(k, nexthop.NoRoute, "")
	}
}

// Somebody else's managed neighbour that does not answer is asked for, and stays somebody else's.
func TestForeignManagedNeighbourThatFails(t *testing.T) {
	l := newLab(t)
	l.ip("addr add 192.0.2.1/24 dev p0")
	l.ip("neigh replace 192.0.2.9 dev p0 managed")
	f := l.follow("p0")
	k := key("192.0.2.9", "192.0.2.1")
	f.Add(k)
	f.await(k, "failed", func(h nexthop.Hop) bool { return strings.Contains(h.Reason, "does not answer") })
	time.Sleep(1500 * time.Millisecond) // asked again at least once
	if s := l.ip("-d neigh show dev p0"); !strings.Contains(s, "managed") || strings.Contains(s, "115") {
		t.Errorf("entry = %s, want managed and not ours", s)
	}
	l.ipnet("addr add 192.0.2.9/24 dev n0")
	f.await(k, "answers at last", resolved)
	f.stop()
	if s := l.ip("-d neigh show dev p0"); !strings.Contains(s, "managed") {
		t.Errorf("entry = %s, want still managed", s)
	}
}

// Kernels before 5.16 keep nothing resolved for others: the neighbour is used now and then instead.
func TestKernelWithoutManagedNeighbours(t *testing.T) {
	l := newLab(t)
	l.ip("addr add 192.0.2.1/24 dev p0")
	f := l.follow("p0")
	f.OldKernel()
	k := key("192.0.2.2", "192.0.2.1")
	f.Add(k)
	f.state(k, nexthop.NoNeighbour, "192.0.2.2")
	l.ipnet("addr add 192.0.2.2/24 dev n0")
	f.await(k, "resolved", resolved)
	if s := l.ip("neigh show dev p0"); strings.Contains(s, "managed") {
		t.Errorf("managed: %s", s)
	}
	l.ip("neigh del 192.0.2.2 dev p0")
	f.await(k, "resolved again", resolved)
}
