package interop

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"xwire/bench/lab"
	"xwire/bench/vm"
)

// TestWords has `xwire l2tp` take the place of `ip l2tp` in scripts.
func TestWords(t *testing.T) {
	var c vm.Config
	if vm.OnHost() {
		binary, err := lab.Build(t.Context(), t.TempDir(), false)
		must(t, err)
		c.Env = []string{lab.BinaryEnv + "=" + binary}
	}
	if !vm.Inside(t, c) {
		return
	}
	t.Run("selftest", testSelftest)
	t.Run("the same as ip", testSameAsIP)
}

// words is a namespace with a box that has no tunnels, and a way to run scripts there. In them $X is
// the one word that is changed: ip, or xwire.
type words struct {
	ns     *lab.Namespace
	binary string
	env    []string
}

func newWords(t *testing.T, ns *lab.Namespace, iface string) *words {
	t.Helper()
	binary, err := lab.Build(t.Context(), "", false)
	must(t, err)
	box, err := ns.Box(binary)
	must(t, err)
	box.Args = []string{"--state", box.Dir()}
	must(t, box.Start(t.Context(), "[port.core0]\ninterface = \""+iface+"\"\n"))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("xwire printed:\n%s", box.Process().Output())
		}
	})
	return &words{ns: ns, binary: binary, env: []string{"XWIRE_CONTROL=" + box.Control}}
}

// run gives what a script prints, errors among it.
func run(t *testing.T, ns *lab.Namespace, word, script string, env ...string) string {
	t.Helper()
	var b strings.Builder
	p, err := ns.Start(lab.Program{Path: "/bin/sh", Args: []string{"-c", script}, Env: append(env, "X="+word, "NS="+ns.Name()), Output: &b})
	must(t, err)
	<-p.Done()
	return b.String()
}

func (w *words) run(t *testing.T, script string) string {
	t.Helper()
	return run(t, w.ns, w.binary, script, w.env...)
}

// testSelftest is the kernel's tools/testing/selftests/net/l2tp.sh without IPsec, which is the
// kernel's: xwire at host-1, the kernel at host-2, a router between them.
func testSelftest(t *testing.T) {
	l, err := lab.New(lab.Config{})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	var host [2]*lab.Namespace
	router, err := l.Namespace("router")
	must(t, err)
	for i, role := range []string{"host-1", "host-2"} {
		host[i], err = l.Namespace(role)
		must(t, err)
		n := string(rune('1' + i))
		must(t, l.Connect(
			lab.End{Namespace: host[i], Name: "eth0", MTU: 1600, Plain: i == 1, Addrs: prefixes("10.1."+n+".1/24", "2001:db8:"+n+"::1/64")},
			lab.End{Namespace: router, Name: "eth" + n, MTU: 1600, Plain: true, Addrs: prefixes("10.1."+n+".2/24", "2001:db8:"+n+"::2/64")}))
		other := string(rune('2' - i))
		out := run(t, host[i], "ip", `set -e
			ip link set lo up
			ip addr add dev lo 172.16.101.`+n+`/32
			ip -6 addr add dev lo fc00:101::`+n+`/128
			ip route add 10.1.`+other+`.0/24 via 10.1.`+n+`.2
			ip -6 route add 2001:db8:`+other+`::/64 via 2001:db8:`+n+`::2`)
		if out != "" {
			t.Fatal(out)
		}
	}
	must(t, router.SetSysctl("net/ipv4/ip_forward", "1"))
	must(t, router.SetSysctl("net/ipv6/conf/all/forwarding", "1"))

	// The functions setup_l2tp_ipv4 and setup_l2tp_ipv6 for one host, $1 being its number and $2 the other's.
	setup := func(a, b string) string {
		return strings.NewReplacer("$1", a, "$2", b).Replace(`set -e
			$X -netns $NS l2tp add tunnel tunnel_id 104$1 peer_tunnel_id 104$2 \
				encap ip local 10.1.$1.1 remote 10.1.$2.1
			$X -netns $NS l2tp add session name l2tp4 tunnel_id 104$1 \
				session_id 104$1 peer_session_id 104$2
			ip -netns $NS link set dev l2tp4 up
			ip -netns $NS addr add dev l2tp4 172.16.1.$1 peer 172.16.1.$2
			ip -netns $NS route add 172.16.101.$2/32 via 172.16.1.$2

			$X -netns $NS l2tp add tunnel tunnel_id 106$1 peer_tunnel_id 106$2 \
				encap ip local 2001:db8:$1::1 remote 2001:db8:$2::1
			$X -netns $NS l2tp add session name l2tp6 tunnel_id 106$1 \
				session_id 106$1 peer_session_id 106$2
			ip -netns $NS link set dev l2tp6 up
			ip -netns $NS addr add dev l2tp6 fc00:1::$1 peer fc00:1::$2
			ip -netns $NS -6 route add fc00:101::$2/128 via fc00:1::$2`)
	}
	w := newWords(t, host[0], "eth0")
	if out := w.run(t, setup("1", "2")); out != "" {
		t.Fatalf("the script with xwire printed\n%s", out)
	}
	if out := run(t, host[1], "ip", setup("2", "1")); out != "" {
		t.Fatalf("the script with ip printed\n%s", out)
	}
	for _, c := range []struct {
		name, to, from string
	}{
		{"IPv4 basic L2TP tunnel", "172.16.1.2", ""},
		{"IPv4 route through L2TP tunnel", "172.16.101.2", "172.16.101.1"},
		{"IPv6 basic L2TP tunnel", "fc00:1::2", ""},
		{"IPv6 route through L2TP tunnel", "fc00:101::2", "fc00:101::1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p lab.PingConfig
			if c.from != "" {
				p.Source = netip.MustParseAddr(c.from)
			}
			defer func() {
				if t.Failed() {
					t.Logf("sessions:\n%s", w.run(t, "$X show sessions --control $XWIRE_CONTROL"))
				}
			}()
			reach(t, host[0], netip.MustParseAddr(c.to), p)
		})
	}
	out := w.run(t, `set -e
		$X -netns $NS l2tp del session tunnel_id 1041 session_id 1041
		$X -netns $NS l2tp del tunnel tunnel_id 1041
		$X -netns $NS l2tp del tunnel tunnel_id 1061
		$X l2tp show tunnel; $X l2tp show session`)
	if out != "" {
		t.Errorf("after deletion:\n%s", out)
	}
	until(t, "the interfaces go", func() (bool, string) {
		out := w.run(t, "ip link show dev l2tp4 2>&1; ip link show dev l2tp6 2>&1")
		return !strings.Contains(out, "mtu"), out
	})
}

// testSameAsIP runs the same commands by ip and by xwire, in namespaces with the same addresses, and
// compares what they print.
func testSameAsIP(t *testing.T) {
	l, err := lab.New(lab.Config{})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	var side [2]*lab.Namespace
	for i, role := range []string{"ip", "xwire"} {
		side[i], err = l.Namespace(role)
		must(t, err)
		far, err := l.Namespace(role + "-far")
		must(t, err)
		must(t, l.Connect(
			lab.End{Namespace: side[i], Name: "eth0", Addrs: prefixes("192.0.2.1/24", "2001:db8::1/64")},
			lab.End{Namespace: far, Name: "eth0", Addrs: prefixes("192.0.2.2/24", "2001:db8::2/64")}))
	}
	w := newWords(t, side[1], "eth0")
	show := []string{"$X l2tp show tunnel", "$X l2tp show session"}
	formats := []string{"$X -j l2tp show tunnel", "$X -j -p l2tp show tunnel", "$X -j l2tp show session", "$X -p -json l2tp list session",
		"$X -o l2tp show tunnel", "$X -oneline l2tp show session"}
	const made = 2 // the step after which all are there
	const interfaces = `ip -o link show | sed -n 's/^[0-9]*: \(l2tpeth[0-9]*\|pw[0-9]*\)[:@].*/\1/p' | sort`
	steps := []string{
		"",
		`$X l2tp add tunnel tunnel_id 1 peer_tunnel_id 2 encap udp local 192.0.2.1 remote 192.0.2.2 udp_sport 5000 udp_dport 6000
			$X l2tp add tunnel tid 0x9 ptid 011 encap ip local 2001:db8::1 remote 2001:db8::2
			$X l2tp add tunnel tunnel_id 3 peer_tunnel_id 4 local 192.0.2.1 remote 192.0.2.2 udp_sport 5001 udp_dport 6001 udp_csum on
			$X l2tp a tunnel tid 5 ptid 6 local 2001:db8::1 remote 2001:db8::2 udp_sport 5002 udp_dport 6002 udp6_csum_rx off`,
		// The session with cookies is the last: ip prints them for those behind it too.
		`$X l2tp add session tunnel_id 1 session_id 20 peer_session_id 21
			$X l2tp add session tunnel_id 1 session_id 10 peer_session_id 11 offset 4
			$X l2tp add session name pw3 tunnel_id 3 session_id 30 peer_session_id 31 seq both
			$X l2tp add session name pw5 tunnel_id 5 session_id 50 peer_session_id 51
			$X l2tp add session name pw9 tunnel_id 9 session_id 90 peer_session_id 91 cookie 01020304 peer_cookie 1112131415161718 l2spec_type none`,
		// What is refused; xwire has one more line to say.
		`refused() { "$X" l2tp "$@" 2>&1 | head -1; }
			refused add tunnel tunnel_id 1 peer_tunnel_id 2 encap ip local 192.0.2.1 remote 192.0.2.2
			refused add session tunnel_id 9 session_id 90 peer_session_id 92
			refused add session name pw5 tunnel_id 1 session_id 60 peer_session_id 61
			refused add session name lo tunnel_id 1 session_id 61 peer_session_id 61
			refused add session tunnel_id 99 session_id 1 peer_session_id 2
			refused add tunnel tunnel_id 7
			refused add tunnel tunnel_id 7 peer_tunnel_id x
			refused del tunnel tunnel_id 99
			refused del session tunnel_id 1 session_id 99`,
		// And taken back.
		"$X l2tp del session tunnel_id 1 session_id 20",
		"$X l2tp add session tunnel_id 1 session_id 21 peer_session_id 22",
		"$X l2tp del tunnel tunnel_id 9; $X l2tp del tunnel tunnel_id 1",
	}
	same := func(script string) (bool, string) {
		want, got := run(t, side[0], "ip", script), w.run(t, script)
		a, b := firstDifference(want, got)
		return want == got, fmt.Sprintf("%s: ip printed\n%s\nxwire printed\n%s", script, a, b)
	}
	for i, s := range steps {
		if ok, difference := same(s); !ok {
			t.Error(difference)
		}
		lines := append(show[:len(show):len(show)], interfaces)
		if i == 0 || i == made {
			lines = append(lines, formats...)
		}
		// The kernel deletes by a work queue.
		until(t, "both show the same", func() (bool, string) { return same(strings.Join(lines, "\n")) })
	}
}

// firstDifference is the two lines where texts begin to differ.
func firstDifference(a, b string) (string, string) {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return x[i], y[i]
		}
	}
	return strings.Join(x[min(len(x), len(y)):], "\n"), strings.Join(y[min(len(x), len(y)):], "\n")
}
