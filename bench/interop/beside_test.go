package interop

import (
	"fmt"
	"net/netip"
	"testing"

	"xwire/appliance/api"
	"xwire/bench/lab"
	"xwire/bench/vm"
)

// TestBeside has the kernel's own L2TP beside xwire, at the same addresses and the same UDP port,
// towards the same peer, and beside both a keyed tunnel with the kernel as its other end:
//
//	customer c0 ── a0 xwire k0 ── core, MTU 1600 ── k0 kernel
//	                    beN ─ the kernel's sessions ─ beN
func TestBeside(t *testing.T) {
	var c vm.Config
	if vm.OnHost() {
		binary, err := lab.Build(t.Context(), t.TempDir(), false)
		if err != nil {
			t.Fatal(err)
		}
		c.Env = []string{lab.BinaryEnv + "=" + binary}
	}
	if !vm.Inside(t, c) {
		return
	}
	w := newNamespaces(t)
	var peers []beside
	config := "[appliance]\nunknown = \"kernel\"\n" + ports
	for n, kind := range []struct{ six, udp bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
		c := newCircuit(n, fmt.Sprintf("%s-%s", family(kind.six), encap(kind.udp)), kind.six, kind.udp)
		w.matrix = append(w.matrix, c)
		w.addCircuit(t, c)
		config += c.TOML()
		peers = append(peers, w.addBeside(t, n, c))
	}
	keyed := w.addKeyed(t, 9)
	w.matrix = append(w.matrix, keyed)
	w.run(t, config+keyed.keyedTOML())

	for round := range 2 { // the second while the other's sessions have carried frames
		for i, c := range w.matrix {
			t.Run(fmt.Sprintf("%s %d", c.Name, round), func(t *testing.T) {
				before, kernelBefore := w.session(t, c), w.kernelStats(t, c)
				ping(t, w.customer, c.farAddr.Addr().String(), 0)
				ping(t, w.kernel, c.nearAddr.Addr().String(), fullSize)
				sessionAgrees(t, w, c, before, kernelBefore, 6)
				if i < len(peers) {
					peers[i].carries(t, w)
				}
			})
		}
	}
	p, err := w.control.Ports(t.Context())
	must(t, err)
	if n := p[0].ToKernel["unknown_session"]; n < uint64(2*len(peers)*6) {
		t.Errorf("xwire left %d messages of sessions that it does not know to the kernel, want %d or more: %+v", n, 2*len(peers)*6, p[0])
	}
}

const ports = "[port.core]\ninterface = \"k0\"\n[port.access]\ninterface = \"a0\"\n"

// newNamespaces links customer, xwire and kernel. Nothing runs yet.
func newNamespaces(t *testing.T) *world {
	l, err := lab.New(lab.Config{})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	w := &world{}
	for _, n := range []struct {
		role string
		ns   **lab.Namespace
	}{{"customer", &w.customer}, {"xwire", &w.xwire}, {"kernel", &w.kernel}} {
		*n.ns, err = l.Namespace(n.role)
		must(t, err)
	}
	must(t, l.Connect(
		lab.End{Namespace: w.customer, Name: "c0", Plain: true},
		lab.End{Namespace: w.xwire, Name: "a0"}))
	must(t, l.Connect(
		lab.End{Namespace: w.xwire, Name: "k0", MTU: coreMTU, Addrs: prefixes("192.0.2.1/24", "2001:db8::1/64")},
		lab.End{Namespace: w.kernel, Name: "k0", MTU: coreMTU, Plain: true, Addrs: prefixes("192.0.2.2/24", "2001:db8::2/64")}))
	return w
}

// addCircuit makes what lies around a circuit: the customer's VLAN and the kernel's session.
func (w *world) addCircuit(t *testing.T, c *circuit) {
	t.Helper()
	must(t, w.customer.AddVLAN(lab.VLAN{Name: c.near, Parent: "c0", ID: c.vlan, Addrs: []netip.Prefix{c.nearAddr}}))
	tunnel, session := c.KernelPeer(c.far, 1500, c.farAddr)
	session.TxCookie, session.RxCookie = c.kernel.TxCookie, c.kernel.RxCookie
	must(t, w.kernel.AddKernelTunnel(tunnel))
	must(t, w.kernel.AddKernelSession(session))
	// Neighbour and multicast reports would disturb the counters.
	must(t, w.customer.SetSysctl("net/ipv6/conf/"+c.near+"/disable_ipv6", "1"))
	must(t, w.kernel.SetSysctl("net/ipv6/conf/"+c.far+"/disable_ipv6", "1"))
	c.kernel = session
}

// run starts xwire and waits until all its sessions are up.
func (w *world) run(t *testing.T, config string) {
	t.Helper()
	binary, err := lab.Build(t.Context(), "", false)
	must(t, err)
	w.box, err = w.xwire.Box(binary)
	must(t, err)
	must(t, w.box.Start(t.Context(), config))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("xwire printed:\n%s", w.box.Process().Output())
		}
	})
	w.control = api.NewClient(w.box.Control)
	w.waitUp(t)
}

// addKeyed makes the kernel's end of a keyed tunnel (RFC 8159): the kernel sends some session id, which
// xwire does not look at. Both ends have addresses of their own for it.
func (w *world) addKeyed(t *testing.T, n int) *circuit {
	t.Helper()
	c := newCircuit(n, "keyed", true, false)
	c.Local, c.Peer = netip.MustParseAddrPort("[2001:db8::11]:0"), netip.MustParseAddrPort("[2001:db8::12]:0")
	must(t, w.xwire.AddAddr("k0", netip.PrefixFrom(c.Local.Addr(), 64)))
	must(t, w.kernel.AddAddr("k0", netip.PrefixFrom(c.Peer.Addr(), 64)))
	c.PSID = 0xffffffff
	c.TxCookie, c.RxCookie = cookie(8, 1, n), cookie(8, 2, n)
	c.kernel.TxCookie, c.kernel.RxCookie = c.RxCookie, c.TxCookie
	w.addCircuit(t, c)
	return c
}

func (c *circuit) keyedTOML() string {
	return fmt.Sprintf("[tunnel.keyed]\nkeyed = true\nlocal = \"%v\"\npeer = \"%v\"\n[tunnel.keyed.session.keyed]\ntx_cookie = %q\nrx_cookie = [\"0000000000000000\", %q]\nattach = %q\nvlan = %d\npw_vlan = %q\n",
		c.Local.Addr(), c.Peer.Addr(), c.TxCookie, c.RxCookie, c.Attach, c.vlan, c.PWVLAN)
}

// beside is a session that the kernel has on xwire's machine.
type beside struct {
	tunnel, session uint32
	addr            netip.Addr // of its other end
}

// addBeside gives the kernel on xwire's machine a session of its own at the circuit's local address and
// port.
func (w *world) addBeside(t *testing.T, n int, c *circuit) beside {
	t.Helper()
	own := *c
	own.TID, own.PTID, own.SID, own.PSID = uint32(5000+n), uint32(6000+n), uint32(7000+n), uint32(8000+n)
	if own.Peer.Port() != 0 {
		own.Peer = netip.AddrPortFrom(own.Peer.Addr(), uint16(2500+n))
	}
	name := fmt.Sprintf("be%d", n)
	addrs := prefixes(fmt.Sprintf("10.2.%d.1/24", n), fmt.Sprintf("10.2.%d.2/24", n))
	must(t, w.kernel.AddKernelPeer(own.Pseudowire, name, 1500, addrs[1]))
	must(t, w.xwire.AddKernelTunnel(lab.KernelTunnel{ID: own.TID, PeerID: own.PTID, Local: own.Local, Remote: own.Peer}))
	must(t, w.xwire.AddKernelSession(lab.KernelSession{Tunnel: own.TID, ID: own.SID, PeerID: own.PSID, Name: name,
		Sublayer: own.Sublayer, MTU: 1500, Addrs: addrs[:1]}))
	return beside{own.TID, own.SID, addrs[1].Addr()}
}

// carries pings through the kernel's session and reads its counters.
func (b *beside) carries(t *testing.T, w *world) {
	t.Helper()
	before, err := w.xwire.KernelStats(b.tunnel, b.session)
	must(t, err)
	ping(t, w.xwire, b.addr.String(), 0)
	ping(t, w.xwire, b.addr.String(), fullSize)
	after, err := w.xwire.KernelStats(b.tunnel, b.session)
	must(t, err)
	if n := after.RxPackets - before.RxPackets; n < 6 || after.RxErrors != before.RxErrors {
		t.Errorf("the kernel's session received %d packets, want 6 or more: %+v, %+v", n, before, after)
	}
}
