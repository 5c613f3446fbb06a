package interop

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
	"xwire/bench/vm"
)

// TestSuites runs cases of the kernel's own test suites with xwire in the place of one kernel. Subtests
// have the names of those suites; docs/kernel-tests.md has them all.
//
//	host-1: xwire ─ eth0 ── router ── eth0 ─ host-2: kernel
//	      l2tp4 .......................... l2tp4
//
// The pseudowires end on local interfaces. Behind each interface lies an address of the loopback.
func TestSuites(t *testing.T) {
	var c vm.Config
	if vm.OnHost() {
		binary, err := lab.Build(t.Context(), t.TempDir(), false)
		must(t, err)
		c.Env = []string{lab.BinaryEnv + "=" + binary}
	}
	if !vm.Inside(t, c) {
		return
	}
	w := newSuites(t)
	t.Run("l2tp.sh", w.testSelftest)
	t.Run("l2tp-ktest", w.testKtest)
	t.Run("shutdown", w.testShutdown)
}

// pipe is a pseudowire that ends on local interfaces of one name, with an address for each end and one
// behind each.
type pipe struct {
	circuit
	addr, behind [2]netip.Prefix
}

type suites struct {
	world
	selftest, data, mismatch []*pipe
}

// hosts have the two ends' outer addresses, as l2tp.sh has them.
var hosts = [2][2]string{{"10.1.1.1", "2001:db8:1::1"}, {"10.1.2.1", "2001:db8:2::1"}}

func newPipe(name string, n int, six, udp bool) *pipe {
	p := &pipe{}
	local, peer := netip.MustParseAddr(hosts[0][0]), netip.MustParseAddr(hosts[1][0])
	if six {
		local, peer = netip.MustParseAddr(hosts[0][1]), netip.MustParseAddr(hosts[1][1])
	}
	localPort, peerPort := uint16(0), uint16(0)
	if udp {
		localPort, peerPort = 1701, uint16(2000+n)
	}
	p.Pseudowire = lab.Pseudowire{
		Name: name, Sublayer: "default",
		Local: netip.AddrPortFrom(local, localPort), Peer: netip.AddrPortFrom(peer, peerPort),
		TID: uint32(1000 + n), PTID: uint32(2000 + n), SID: uint32(3000 + n), PSID: uint32(4000 + n),
	}
	p.far = fmt.Sprintf("pw%d", n)
	for i := range 2 {
		p.addr[i] = netip.MustParsePrefix(fmt.Sprintf("10.100.%d.%d/24", n, 1+i))
		p.behind[i] = netip.MustParsePrefix(fmt.Sprintf("10.101.%d.%d/32", n, 1+i))
	}
	return p
}

// toml is the pipe as xwire has it.
func (p *pipe) toml() string {
	return p.TOML() + fmt.Sprintf("interface_name = %q\n", p.far)
}

// all are the pipes of both suites: the data cases of l2tp-ktest for Ethernet, its cookie mismatches,
// and the two tunnels of l2tp.sh.
func (s *suites) all() []*pipe { return append(append(s.selftest[:2:2], s.data...), s.mismatch...) }

func newSuites(t *testing.T) *suites {
	s := &suites{}
	v4, v6 := newPipe("l2tp4", 0, false, false), newPipe("l2tp6", 1, true, false)
	v4.TID, v4.PTID, v4.SID, v4.PSID, v4.far = 1041, 1042, 1041, 1042, "l2tp4"
	v6.TID, v6.PTID, v6.SID, v6.PSID, v6.far = 1061, 1062, 1061, 1062, "l2tp6"
	for i := range 2 {
		v4.addr[i], v4.behind[i] = netip.MustParsePrefix(fmt.Sprintf("172.16.1.%d/24", 1+i)), netip.MustParsePrefix(fmt.Sprintf("172.16.101.%d/32", 1+i))
		v6.addr[i], v6.behind[i] = netip.MustParsePrefix(fmt.Sprintf("fc00:1::%d/64", 1+i)), netip.MustParsePrefix(fmt.Sprintf("fc00:101::%d/128", 1+i))
	}
	s.selftest = []*pipe{v4, v6}

	tx := map[int]string{4: "01234567", 8: "0123456789abcdef"}
	rx := map[int]string{4: "89abcdef", 8: "fedcba9876543210"}
	for _, family := range []string{"inet", "inet6"} {
		for _, encap := range []string{"udp", "ip"} {
			add := func(list *[]*pipe, name string, bytes int) *pipe {
				p := newPipe(name, 2+len(s.data)+len(s.mismatch), family == "inet6", encap == "udp")
				p.TxCookie, p.RxCookie = tx[bytes], rx[bytes]
				p.kernel.TxCookie, p.kernel.RxCookie = p.RxCookie, p.TxCookie
				*list = append(*list, p)
				return p
			}
			for _, bytes := range []int{0, 4, 8} {
				name := fmt.Sprintf("tc_data_v3_%s_%s_eth", family, encap)
				if bytes > 0 {
					name += fmt.Sprintf("_cookie%d", bytes)
				}
				add(&s.data, name, bytes)
			}
			mismatch := fmt.Sprintf("tc_cookie_mismatch_v3_%s_%s_", family, encap)
			add(&s.mismatch, mismatch+"cookie4", 4).kernel.TxCookie = "11223344"
			add(&s.mismatch, mismatch+"cookie8", 8).kernel.TxCookie = "1122334455667788"
			add(&s.mismatch, mismatch+"no_peer_cookie", 0).kernel.TxCookie = "1122334455667788"
		}
	}
	s.connect(t)
	config := "[port.core]\ninterface = \"eth0\"\n"
	for _, p := range s.all() {
		config += p.toml()
		s.addKernelEnd(t, p)
		s.matrix = append(s.matrix, &p.circuit) // for waitUp to count
	}
	s.run(t, config)
	for _, p := range s.all() {
		if p.addr[0].Addr().Is4() { // neighbour and multicast reports would disturb the counters
			must(t, s.xwire.SetSysctl("net/ipv6/conf/"+p.far+"/disable_ipv6", "1"))
		}
		must(t, s.xwire.AddAddr(p.far, p.addr[0]))
		must(t, s.xwire.SetLink(p.far, true))
		must(t, s.xwire.AddAddr("lo", p.behind[0]))
		must(t, s.xwire.AddRoute(p.behind[1], p.addr[1].Addr()))
	}
	return s
}

// connect makes both hosts and the router between them.
func (s *suites) connect(t *testing.T) {
	l, err := lab.New(lab.Config{})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	var router *lab.Namespace
	for _, n := range []struct {
		role string
		ns   **lab.Namespace
	}{{"host-1", &s.xwire}, {"router", &router}, {"host-2", &s.kernel}} {
		*n.ns, err = l.Namespace(n.role)
		must(t, err)
	}
	must(t, router.SetSysctl("net/ipv4/ip_forward", "1"))
	must(t, router.SetSysctl("net/ipv6/conf/all/forwarding", "1"))
	for i, h := range []*lab.Namespace{s.xwire, s.kernel} {
		via := [2]string{fmt.Sprintf("10.1.%d.254", 1+i), fmt.Sprintf("2001:db8:%d::254", 1+i)}
		must(t, l.Connect(
			lab.End{Namespace: h, Name: "eth0", Addrs: prefixes(hosts[i][0]+"/24", hosts[i][1]+"/64")},
			lab.End{Namespace: router, Name: fmt.Sprintf("eth%d", i), Plain: true, Addrs: prefixes(via[0]+"/24", via[1]+"/64")}))
		must(t, h.AddRoute(netip.MustParsePrefix("10.1.0.0/16"), netip.MustParseAddr(via[0])))
		must(t, h.AddRoute(netip.MustParsePrefix("2001:db8::/32"), netip.MustParseAddr(via[1])))
	}
}

func (s *suites) addKernelEnd(t *testing.T, p *pipe) {
	t.Helper()
	tunnel, session := p.KernelPeer(p.far, 0, p.addr[1])
	session.TxCookie, session.RxCookie = p.kernel.TxCookie, p.kernel.RxCookie
	must(t, s.kernel.AddKernelTunnel(tunnel))
	must(t, s.kernel.AddKernelSession(session))
	if p.addr[1].Addr().Is4() {
		must(t, s.kernel.SetSysctl("net/ipv6/conf/"+p.far+"/disable_ipv6", "1"))
	}
	must(t, s.kernel.AddAddr("lo", p.behind[1]))
	must(t, s.kernel.AddRoute(p.behind[0], p.addr[0].Addr()))
	p.kernel = session
}

// answered pings from one end to the other, and tells whether no answer was missing.
func answered(t *testing.T, from *lab.Namespace, to netip.Addr, c lab.PingConfig) bool {
	t.Helper()
	reach(t, from, to, c)
	r, err := from.Ping(t.Context(), to, c)
	must(t, err)
	return r.Lost()+r.Duplicates+r.Damaged == 0
}

// testSelftest has the four cases of tools/testing/selftests/net/l2tp.sh that are without IPsec.
func (s *suites) testSelftest(t *testing.T) {
	for i, family := range []string{"IPv4", "IPv6"} {
		p := s.selftest[i]
		t.Run(family+" basic L2TP tunnel", func(t *testing.T) {
			reach(t, s.xwire, p.addr[1].Addr(), lab.PingConfig{})
		})
		t.Run(family+" route through L2TP tunnel", func(t *testing.T) {
			reach(t, s.xwire, p.behind[1].Addr(), lab.PingConfig{Source: p.behind[0].Addr()})
		})
	}
}

// testKtest has the data cases and the cookie cases of l2tp-ktest for Ethernet.
func (s *suites) testKtest(t *testing.T) {
	for _, p := range s.data {
		t.Run(p.Name, func(t *testing.T) {
			before, kernelBefore := s.session(t, &p.circuit), s.kernelStats(t, &p.circuit)
			for _, size := range []int{0, 1600} {
				c := lab.PingConfig{Count: 3, Size: size, Timeout: settling, Source: p.behind[0].Addr()}
				if !answered(t, s.xwire, p.behind[1].Addr(), c) {
					t.Errorf("ping of %d bytes from xwire: not all answered", size)
				}
				c.Source = p.behind[1].Addr()
				if !answered(t, s.kernel, p.behind[0].Addr(), c) {
					t.Errorf("ping of %d bytes from the kernel: not all answered", size)
				}
			}
			// Larger ones are two packets.
			sessionAgrees(t, &s.world, &p.circuit, before, kernelBefore, 2*3*(1+2))
		})
	}
	for _, p := range s.mismatch {
		t.Run(p.Name, func(t *testing.T) {
			until(t, "xwire tells of the cookies", func() (bool, string) {
				for from, to := range map[*lab.Namespace]netip.Prefix{s.xwire: p.behind[1], s.kernel: p.behind[0]} {
					r, err := from.Ping(t.Context(), to.Addr(), lab.PingConfig{Count: 3, Timeout: 300 * time.Millisecond})
					if err != nil && !strings.Contains(err.Error(), "no route to host") {
						t.Fatal(err)
					}
					if r.Received != 0 {
						t.Errorf("%d answers", r.Received)
					}
				}
				x := s.session(t, &p.circuit)
				if p.RxCookie == "" {
					return strings.Contains(x.Suspicion, "a cookie of 8 bytes"), fmt.Sprintf("it suspects %q", x.Suspicion)
				}
				if x.RxPackets != 0 {
					t.Fatalf("xwire counts %+v, want no packets", x.Statistics)
				}
				return x.RxCookieDiscards > 0, "no cookie discards"
			})
		})
	}
}

// testShutdown is tc_data_shutdown of l2tp-ktest, for Ethernet.
func (s *suites) testShutdown(t *testing.T) {
	var far, near []netip.Addr
	gone, left := s.data[:len(s.data)/2], s.data[len(s.data)/2:]
	for _, p := range s.data {
		far = append(far, p.behind[1].Addr())
	}
	for _, p := range left {
		near = append(near, p.behind[0].Addr())
	}
	s.shutDown(t, ends{s.xwire, far}, ends{s.kernel, near}, func() {
		for _, p := range gone {
			_, err := s.kernel.Command("ip", "l2tp", "del", "tunnel", "tunnel_id", fmt.Sprint(p.PTID))
			must(t, err)
		}
	})
}

// ends are addresses that a namespace sends to.
type ends struct {
	from *lab.Namespace
	to   []netip.Addr
}

// shutDown has one end go while frames come as fast as the other can send: half of the kernel's tunnels by
// partly, and then xwire. The last of near's addresses is behind a tunnel that stays.
func (w *world) shutDown(t *testing.T, near, far ends, partly func()) {
	t.Helper()
	stop := near.flood(t)
	time.Sleep(time.Second)
	partly()
	time.Sleep(time.Second)
	stop()
	if !answered(t, near.from, near.to[len(near.to)-1], lab.PingConfig{Count: 3, Timeout: settling}) {
		t.Error("an answer is missing through a tunnel that stayed")
	}
	_, err := w.control.Sessions(t.Context(), api.SessionQuery{})
	must(t, err)

	stop = far.flood(t)
	time.Sleep(time.Second)
	must(t, w.box.Stop())
	stop()
	out, err := w.xwire.Command("ip", "-d", "link")
	if err != nil || strings.Contains(out, "prog/xdp") {
		t.Errorf("an XDP program stayed (%v):\n%s", err, out)
	}
}

// flood sends to all addresses, as fast as the guest can.
func (e ends) flood(t *testing.T) (stop func()) {
	t.Helper()
	var senders sync.WaitGroup
	done := make(chan struct{})
	for _, to := range e.to {
		var conn net.Conn
		must(t, e.from.Run(func() (err error) {
			conn, err = net.Dial("udp", netip.AddrPortFrom(to, 9).String())
			return err
		}))
		senders.Go(func() {
			defer conn.Close()
			for b := make([]byte, 1400); ; {
				select {
				case <-done:
					return
				default:
					_, _ = conn.Write(b) // refused, or without a way to go, while the other end shuts down
				}
			}
		})
	}
	return func() { close(done); senders.Wait() }
}
