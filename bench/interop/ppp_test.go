package interop

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
	"xwire/bench/vm"
)

// pppdEnv names the directory over which Debian's pppd is unpacked.
const pppdEnv = "XWIRE_PPPD"

// TestPPP has pppd at both ends of PPP connections: PPPoE clients, and the kernel's own L2TP. xwire is
// between them: as the LAC, with the clients on its port, then as the LNS, where pppd ends the PPPoE
// session on a local interface and the other is the client.
//
//	pppd c0 ── a0 xwire k0 ── core, MTU 1600 ── k0 kernel: l2tp_ppp, pppd
//	                  pppoe0, pppd
func TestPPP(t *testing.T) {
	var c vm.Config
	if vm.OnHost() {
		binary, err := lab.Build(t.Context(), t.TempDir(), false)
		must(t, err)
		root, err := vm.Unpacked(t.Context(), "ppp")
		must(t, err)
		c.Env = []string{lab.BinaryEnv + "=" + binary, pppdEnv + "=" + root}
	}
	if !vm.Inside(t, c) {
		return
	}
	t.Run("l2tp-ktest", testKtestPPP)
	t.Run("numbered", func(t *testing.T) {
		testPPP(t, false, &pppCircuit{name: "numbered", version: 2, seq: true, keys: "lns_mode = false\n"})
	})
	t.Run("xwire is the LNS", func(t *testing.T) {
		testPPP(t, true, &pppCircuit{name: "lns", version: 2, keys: "interface_name = \"pppoe0\"\n"})
	})
}

// testKtestPPP has all data cases of l2tp-ktest with PPP up at once.
func testKtestPPP(t *testing.T) {
	var all []*pppCircuit
	add := func(c pppCircuit) {
		c.n = len(all)
		family, encap := "inet", "udp"
		if c.six {
			family = "inet6"
		}
		if c.ip {
			encap = "ip"
		}
		c.name = fmt.Sprintf("tc_data_v%d_%s_%s_ppp", c.version, family, encap)
		if c.cookie > 0 {
			c.name += fmt.Sprintf("_cookie%d", c.cookie)
		}
		all = append(all, &c)
	}
	for _, six := range []bool{false, true} {
		add(pppCircuit{version: 2, six: six})
		for _, ip := range []bool{false, true} {
			for _, cookie := range []int{0, 4, 8} {
				add(pppCircuit{version: 3, six: six, ip: ip, cookie: cookie})
			}
		}
	}
	w := testPPP(t, false, all...)
	t.Run("shutdown", func(t *testing.T) {
		var servers, clients []netip.Addr
		gone, left := all[:len(all)/2], all[len(all)/2:]
		for _, c := range all {
			servers = append(servers, netip.MustParseAddr(c.server()))
		}
		for _, c := range left {
			clients = append(clients, netip.MustParseAddr(c.client()))
		}
		w.shutDown(t, ends{w.customer, servers}, ends{w.kernel, clients}, func() {
			for _, c := range gone {
				_, err := w.kernel.Command("ip", "l2tp", "del", "tunnel", "tunnel_id", fmt.Sprint(c.ptid()))
				must(t, err)
			}
		})
	})
}

// pppCircuit is a PPPoE session, a session of L2TP and the kernel's end of it.
type pppCircuit struct {
	name    string
	n       int
	version uint8
	six, ip bool
	cookie  int    // bytes
	seq     bool   // the kernel numbers what it sends
	keys    string // further ones of the session
}

// Both ends' ids and addresses follow from the number.
func (c *pppCircuit) pppoe() uint16 { return uint16(0x1200 + c.n) }
func (c *pppCircuit) tid() uint32   { return uint32(100 + c.n) }
func (c *pppCircuit) ptid() uint32  { return uint32(200 + c.n) }
func (c *pppCircuit) sid() uint32   { return uint32(300 + c.n) }
func (c *pppCircuit) psid() uint32  { return uint32(400 + c.n) }

// The client's and the server's address in PPP.
func (c *pppCircuit) client() string { return fmt.Sprintf("10.9.%d.2", c.n) }
func (c *pppCircuit) server() string { return fmt.Sprintf("10.9.%d.1", c.n) }

func (c *pppCircuit) addrs() (xwire, kernel netip.Addr) {
	if c.six {
		return netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	}
	return netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
}

// cookies are what xwire sends and what it takes.
func (c *pppCircuit) cookies() (tx, rx string) {
	return cookie(c.cookie, 1, c.n), cookie(c.cookie, 2, c.n)
}

func (c *pppCircuit) toml(client net.HardwareAddr) string {
	local, peer := c.addrs()
	text := fmt.Sprintf("[tunnel.%s]\nversion = \"l2tpv%d\"\ntid = %d\nptid = %d\n", c.name, c.version, c.tid(), c.ptid())
	if c.ip {
		text += fmt.Sprintf("encap = \"ip\"\nlocal = %q\npeer = %q\n", local, peer)
	} else {
		text += fmt.Sprintf("local = %q\npeer = %q\n", netip.AddrPortFrom(local, 1701), netip.AddrPortFrom(peer, c.port()))
	}
	text += fmt.Sprintf("[tunnel.%s.session.s]\npseudowire = \"pppac\"\nsid = %d\npsid = %d\npppoe_session_id = %d\npppoe_peer_mac = %q\n%s",
		c.name, c.sid(), c.psid(), c.pppoe(), client, c.keys)
	if !strings.Contains(c.keys, "interface_name") {
		text += "attach = \"access\"\n"
	}
	if c.version == 3 {
		text += "l2spec_type = \"default\"\n"
	}
	if c.cookie > 0 {
		tx, rx := c.cookies()
		text += fmt.Sprintf("tx_cookie = %q\nrx_cookie = %q\n", tx, rx)
	}
	return text
}

// port is the kernel's, which cannot share one.
func (c *pppCircuit) port() uint16 { return uint16(2000 + c.n) }

func testPPP(t *testing.T, lns bool, circuits ...*pppCircuit) *world {
	w := newNamespaces(t)
	client := net.HardwareAddr{2, 0, 0, 0, 0xc, 1}
	if !lns {
		var err error
		client, err = w.customer.MAC("c0")
		must(t, err)
	}
	config := ports
	for _, c := range circuits {
		config += c.toml(client)
		w.matrix = append(w.matrix, nil) // for waitUp: so many sessions
	}
	w.run(t, config)
	for _, c := range circuits {
		fd := c.addKernel(t, w.kernel)
		kernelEnd := []string{"plugin", pppdPlugin(t, "pppol2tp.so"), "pppol2tp", "3"}
		server := c.server() + ":" + c.client()
		if lns {
			must(t, w.xwire.SetLink("pppoe0", true))
			startPPPD(t, w.xwire, nil, append(pppoeEnd(t, "pppoe0", c, client), server)...)
			startPPPD(t, w.kernel, fd, append(kernelEnd, "noipdefault")...)
			continue
		}
		concentrator, err := w.xwire.MAC("a0")
		must(t, err)
		startPPPD(t, w.kernel, fd, append(kernelEnd, server)...)
		if c.seq {
			c.waitNumbered(t, w)
		}
		startPPPD(t, w.customer, nil, append(pppoeEnd(t, "c0", c, concentrator), "noipdefault")...)
	}
	near, far := w.customer, w.kernel
	if lns {
		near, far = w.kernel, w.xwire
	}
	for _, c := range circuits {
		t.Run(c.name, func(t *testing.T) {
			ping(t, near, c.server(), 0)
			ping(t, far, c.client(), 1400)
			r, err := near.Ping(t.Context(), netip.MustParseAddr(c.server()), lab.PingConfig{Count: 3, Size: 1600, Timeout: settling})
			if err != nil || r.Lost()+r.Duplicates+r.Damaged != 0 {
				t.Errorf("ping of 1600 bytes: %+v, %v", r, err)
			}
			if !lns {
				c.raw(t, w, client)
			}
			c.agree(t, w)
		})
	}
	return w
}

// raw sends 512 bytes in the PPPoE session that are of no protocol of PPP (tc_ac_pppoe of l2tp-ktest).
func (c *pppCircuit) raw(t *testing.T, w *world, client net.HardwareAddr) {
	t.Helper()
	concentrator, err := w.xwire.MAC("a0")
	must(t, err)
	before, err := w.kernel.KernelStats(c.ptid(), c.psid())
	must(t, err)
	frame := append(append(append([]byte{}, concentrator...), client...), 0x88, 0x64, 0x11, 0)
	frame = binary.BigEndian.AppendUint16(frame, c.pppoe())
	frame = append(frame, 2, 0, 0x4e, 0x5d)
	for i := range 510 {
		frame = append(frame, byte(i*i+c.n))
	}
	must(t, w.customer.SendFrames("c0", frame))
	until(t, "the kernel receives 512 bytes and their headers", func() (bool, string) {
		k, err := w.kernel.KernelStats(c.ptid(), c.psid())
		must(t, err)
		return k.RxBytes >= before.RxBytes+512+2, fmt.Sprintf("%d bytes more", k.RxBytes-before.RxBytes)
	})
}

// waitNumbered waits until xwire follows the kernel, which discards what has no number.
func (c *pppCircuit) waitNumbered(t *testing.T, w *world) {
	t.Helper()
	until(t, "the kernel's first frame is answered in numbers", func() (bool, string) {
		s, err := w.control.Session(t.Context(), c.name+"/s", false)
		must(t, err)
		return s.SendSeq, fmt.Sprintf("xwire counts %+v", s.Statistics)
	})
}

// agree holds what xwire counts against what the kernel counts.
func (c *pppCircuit) agree(t *testing.T, w *world) {
	t.Helper()
	var s api.Session
	var k lab.KernelStats
	same := false
	for deadline := time.Now().Add(settling); !same && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var err error
		s, err = w.control.Session(t.Context(), c.name+"/s", false)
		must(t, err)
		k, err = w.kernel.KernelStats(c.ptid(), c.psid())
		must(t, err)
		same = s.TxPackets == k.RxPackets && s.RxPackets == k.TxPackets && s.TxBytes == k.RxBytes && s.RxBytes == k.TxBytes
	}
	if !same || s.TxPackets < 12 {
		t.Errorf("xwire counts %+v, the kernel %+v", s.Statistics, k)
	}
	if s.TxErrors+s.RxErrors+k.TxErrors+k.RxErrors != 0 || s.SendSeq != c.seq {
		t.Errorf("xwire counts %+v, the kernel %+v; numbers are sent: %t", s.Statistics, k, s.SendSeq)
	}
}

func pppdPlugin(t *testing.T, name string) string {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(os.Getenv(pppdEnv), "usr/lib/pppd/*", name))
	if len(found) != 1 {
		t.Fatalf("plugin %s of pppd: found %v under %s", name, found, os.Getenv(pppdEnv))
	}
	return found[0]
}

// pppoeEnd makes pppd the end of a PPPoE session that is there already, without discovery.
func pppoeEnd(t *testing.T, device string, c *pppCircuit, peer net.HardwareAddr) []string {
	t.Helper()
	return []string{"plugin", pppdPlugin(t, "pppoe.so"), "nic-" + device, "pppoe-sess", fmt.Sprintf("%d:%v", c.pppoe(), peer)}
}

func startPPPD(t *testing.T, n *lab.Namespace, fd *os.File, args ...string) {
	t.Helper()
	p := lab.Program{
		Path: filepath.Join(os.Getenv(pppdEnv), "usr/sbin/pppd"),
		Args: append(args, "nodetach", "noauth", "nodefaultroute", "noccp", "novj", "debug",
			"lcp-max-configure", "60", "ipcp-max-configure", "60", "ipv6cp-max-configure", "60"),
	}
	if fd != nil {
		p.Files = []*os.File{fd}
	}
	process, err := n.Start(p)
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("pppd in %s printed:\n%s", n.Name(), process.Output())
		}
	})
}

// addKernel makes the kernel's end, and returns a socket of it for pppd.
func (c *pppCircuit) addKernel(t *testing.T, n *lab.Namespace) (f *os.File) {
	t.Helper()
	must(t, n.Run(func() (err error) {
		if err := c.addTunnel(); err != nil {
			return err
		}
		if err := c.addSession(); err != nil {
			return err
		}
		f, err = c.socket()
		return err
	}))
	t.Cleanup(func() { f.Close() })
	return f
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}
