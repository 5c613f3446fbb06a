package scenarios

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"xwire/bench/lab"
)

// TestManyPeers has twelve peers on one local address and port, all with the same session id and
// cookie lengths, and of each peer several tunnels with one 5-tuple. Host 1 plays all the peers.
func TestManyPeers(t *testing.T) {
	const peers, perPeer = 12, 3
	for _, c := range []struct {
		name string
		udp  bool
	}{{"ip", false}, {"udp", true}} {
		t.Run(c.name, func(t *testing.T) {
			w := pair(t, shape{})
			text, n := corePort+accessPort, 0
			addr := func(peer int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + peer)}) }
			sid := func(k int) uint32 { return uint32(7 + k) }
			encap, port := "ip", uint16(0)
			if c.udp {
				encap, port = "udp", 1701
			}
			for peer := range peers {
				must(t, w.hosts[1].AddAddr("core0", netip.PrefixFrom(addr(peer), 24)))
				for k := range perPeer {
					text += fmt.Sprintf("[tunnel.t%d]\nencap = %q\nlocal = %q\npeer = %q\ntid = %d\nptid = 1\n", n, encap,
						netip.AddrPortFrom(core4[0], port), netip.AddrPortFrom(addr(peer), port), n+1)
					text += fmt.Sprintf("[tunnel.t%d.session.s]\nsid = %d\npsid = %d\nl2spec_type = \"none\"\nrx_cookie = \"%08x\"\nattach = \"ac0\"\nvlan = %d\npw_vlan = \"none\"\n",
						n, sid(k), 5000+n, 0xabcd0000+n, 100+n)
					n++
				}
			}
			box := w.start(t, 0, text)
			capture, err := w.sites[0].Capture("eth0")
			must(t, err)
			defer capture.Close()
			var ps []packet
			for i := range n {
				ps = append(ps, packet{src: addr(i / perPeer), dst: core4[0], srcPort: port, dstPort: port,
					sid: sid(i % perPeer), cookie: fmt.Sprintf("%08x", 0xabcd0000+i), inner: bare()})
			}
			w.inject(t, ps...)
			got := received(capture, n)
			seen := map[uint16]int{}
			for _, f := range got {
				seen[binary.BigEndian.Uint16(f[14:])]++
			}
			for i := range n {
				if s := sessionOf(t, box, fmt.Sprintf("t%d/s", i)); seen[uint16(100+i)] != 1 || s.RxPackets != 1 || s.RxErrors != 0 {
					t.Errorf("peer %v, session id %d: %d frames in VLAN %d, counters %+v", addr(i/perPeer), sid(i%perPeer), seen[uint16(100+i)], 100+i, s.Statistics)
				}
			}

			// Another peer's cookie is wrong although the session id is the same.
			p := ps[0]
			p.cookie = ps[perPeer].cookie
			before := portOf(t, box, "core0").Drops["cookie_mismatch"]
			w.inject(t, p)
			if d := portOf(t, box, "core0").Drops["cookie_mismatch"] - before; d != 1 {
				t.Errorf("the cookie of another peer's session: %d cookie_mismatch", d)
			}

			core, err := w.hosts[1].Capture("core0")
			must(t, err)
			defer core.Close()
			for i := range n {
				must(t, w.sites[0].SendFrames("eth0", tagged(0, vids(uint16(100+i))...)))
			}
			at := 14 + 20
			if c.udp {
				at += 8 + 4
			}
			for _, f := range received(core, n) {
				psid := binary.BigEndian.Uint32(f[at:])
				i := int(psid) - 5000
				if i < 0 || i >= n || !bytes.Equal(f[14+16:14+20], addr(i/perPeer).AsSlice()) || seen[uint16(100+i)] == 0 {
					t.Errorf("psid %d went to %v", psid, f[14+16:14+20])
					continue
				}
				seen[uint16(100+i)] = 0
			}
			for vid, left := range seen {
				if left != 0 {
					t.Errorf("nothing left for VLAN %d", vid)
				}
			}
		})
	}
}

// TestThreeBoxes: two boxes with the same session ids end on one local address of a third, and the
// frames of each stay apart.
func TestThreeBoxes(t *testing.T) {
	l, err := lab.New(lab.Config{})
	must(t, err)
	w := &world{lab: l}
	t.Cleanup(func() { l.Close() })
	hub := w.namespace(t, "hub")
	site := w.namespace(t, "hubsite")
	must(t, l.Connect(lab.End{Namespace: site, Name: "eth0", Plain: true}, lab.End{Namespace: hub, Name: "ac0"}))
	must(t, hub.SetSysctl("net/ipv4/ip_forward", "1"))
	hubText := accessPort
	must(t, hub.AddAddr("lo", netip.MustParsePrefix("192.0.2.1/32")))
	var sites [2]*lab.Namespace
	var boxes [3]*lab.Box
	for i := range 2 {
		sites[i] = w.namespace(t, fmt.Sprintf("site%d", i))
		host := w.namespace(t, fmt.Sprintf("host%d", i))
		must(t, l.Connect(lab.End{Namespace: sites[i], Name: "eth0", Plain: true}, lab.End{Namespace: host, Name: "ac0"}))
		net := fmt.Sprintf("198.51.100.%d", 16*i)
		base := netip.MustParseAddr(net)
		hubEnd, hostEnd := base.Next(), base.Next().Next()
		must(t, l.Connect(
			lab.End{Namespace: hub, Name: fmt.Sprintf("core%d", i), MTU: 1600, Addrs: []netip.Prefix{netip.PrefixFrom(hubEnd, 28)}},
			lab.End{Namespace: host, Name: "core0", MTU: 1600, Addrs: []netip.Prefix{netip.PrefixFrom(hostEnd, 28)}}))
		must(t, host.AddRoute(netip.MustParsePrefix("192.0.2.1/32"), hubEnd))
		hubText += fmt.Sprintf("[port.core%d]\ninterface = \"core%d\"\n", i, i)
		hubText += fmt.Sprintf("[tunnel.t%d]\nlocal = \"192.0.2.1:1701\"\npeer = \"%v:1701\"\ntid = %d\nptid = 1\n[tunnel.t%d.session.s]\nsid = 77\npsid = 77\nl2spec_type = \"none\"\nattach = \"ac0\"\nvlan = %d\npw_vlan = \"none\"\n", i, hostEnd, i+1, i, 100+i)
		boxes[i], err = host.Box(program)
		must(t, err)
		boxes[i].Args = []string{"--state", boxes[i].Dir()}
		must(t, boxes[i].Start(t.Context(), corePort+accessPort+fmt.Sprintf("[tunnel.hub]\nlocal = \"%v:1701\"\npeer = \"192.0.2.1:1701\"\ntid = 1\nptid = %d\n[tunnel.hub.session.s]\nsid = 77\npsid = 77\nl2spec_type = \"none\"\nattach = \"ac0\"\nvlan = \"untagged\"\npw_vlan = \"none\"\n", hostEnd, i+1)))
	}
	boxes[2], err = hub.Box(program)
	must(t, err)
	boxes[2].Args = []string{"--state", boxes[2].Dir()}
	must(t, boxes[2].Start(t.Context(), hubText))
	for _, b := range boxes {
		waitUp(t, b)
	}
	for i := range 2 {
		// As world.carry does, between this site and the hub's.
		far := &world{sites: [2]*lab.Namespace{sites[i], site}}
		far.carry(t, 0, nil, fmt.Sprint(100+i))
		far.carry(t, 1, vids(uint16(100+i)), "untagged")
	}
	for _, b := range boxes {
		balanced(t, b)
	}
}
