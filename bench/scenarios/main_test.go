// Package scenarios runs the real program in network namespaces, feature by
// feature, as a user would: `xwire run`, traffic, `xwire show`.
package scenarios

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// program is the one under test, built by TestMain.
var program string

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	var dir string
	var err error
	if os.Getenv(lab.BinaryEnv) == "" { // in a virtual machine the host has built it
		if dir, err = os.MkdirTemp("", "xwire-scenarios-"); err == nil {
			defer os.RemoveAll(dir)
		}
	}
	if err == nil {
		program, err = lab.Build(context.Background(), dir, false)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// shape says what pair builds; the zero value is good for most scenarios.
type shape struct {
	CoreMTU, AccessMTU int // 0: 1600, 1500
	Queues             int // of every link; 0: 1
	NoCoreAddrs        bool
}

// world is two sites, two hosts and the links between them. A box stands on each
// host once it was started; a host without one is a peer for hand-made packets.
//
//	site 0 ─ eth0 ── ac0 ─ host 0 ─ core0 ── core0 ─ host 1 ─ ac0 ── eth0 ─ site 1
//	10.0.0.1               192.0.2.1, 2001:db8::1    192.0.2.2, 2001:db8::2  10.0.0.2
type world struct {
	lab          *lab.Lab
	sites, hosts [2]*lab.Namespace
	boxes        [2]*lab.Box
	seen         *lab.Capture // at site 0, for verdict
}

// core4, core6 and siteAddr are the addresses of a world's two sides.
var (
	core4    = [2]netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
	core6    = [2]netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")}
	siteAddr = [2]netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}
)

// corePort and accessPort are the ports of every host; a configuration begins with them.
const (
	corePort   = "[port.core0]\ninterface = \"core0\"\n"
	accessPort = "[port.ac0]\ninterface = \"ac0\"\n"
)

// pair builds a world whose boxes are not started yet. It goes when the test ends.
func pair(t *testing.T, s shape) *world {
	t.Helper()
	l, err := lab.New(lab.Config{})
	must(t, err)
	w := &world{lab: l}
	t.Cleanup(func() {
		if w.seen != nil {
			w.seen.Close()
		}
		if err := l.Close(); err != nil {
			t.Errorf("close the lab: %v", err)
		}
	})
	for i := range 2 {
		w.sites[i] = w.namespace(t, fmt.Sprintf("site%d", i))
		w.hosts[i] = w.namespace(t, fmt.Sprintf("host%d", i))
		must(t, l.Connect(
			lab.End{Namespace: w.sites[i], Name: "eth0", MTU: s.AccessMTU, Queues: s.Queues, Plain: true,
				Addrs: []netip.Prefix{netip.PrefixFrom(siteAddr[i], 24)}},
			lab.End{Namespace: w.hosts[i], Name: "ac0", MTU: s.AccessMTU, Queues: s.Queues}))
		// Router and multicast reports would disturb the counters.
		must(t, w.sites[i].SetSysctl("net/ipv6/conf/eth0/disable_ipv6", "1"))
		w.boxes[i], err = w.hosts[i].Box(program)
		must(t, err)
		w.boxes[i].Args = []string{"--state", w.boxes[i].Dir()}
	}
	var ends [2]lab.End
	for i := range 2 {
		ends[i] = lab.End{Namespace: w.hosts[i], Name: "core0", MTU: s.CoreMTU, Queues: s.Queues}
		if s.CoreMTU == 0 {
			ends[i].MTU = 1600
		}
		if !s.NoCoreAddrs {
			ends[i].Addrs = []netip.Prefix{netip.PrefixFrom(core4[i], 24), netip.PrefixFrom(core6[i], 64)}
		}
	}
	must(t, l.Connect(ends[0], ends[1]))
	return w
}

func (w *world) namespace(t *testing.T, role string) *lab.Namespace {
	t.Helper()
	n, err := w.lab.Namespace(role)
	must(t, err)
	return n
}

// start runs `xwire run` on host i, waits until every enabled session is up, and at the end of
// the test, if the box still runs then, holds its ports' counters to the equation.
func (w *world) start(t *testing.T, i int, config string) *lab.Box {
	t.Helper()
	b := w.boxes[i]
	must(t, b.Start(t.Context(), config))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("box %d printed:\n%s", i, b.Process().Output())
		}
	})
	t.Cleanup(func() {
		if running(b) {
			balanced(t, b)
		}
	})
	waitUp(t, b)
	return b
}

func running(b *lab.Box) bool {
	if b.Process() == nil {
		return false
	}
	select {
	case <-b.Process().Done():
		return false
	default:
		return true
	}
}

// waitUp waits until every enabled session of a box is up.
func waitUp(t *testing.T, b *lab.Box) {
	t.Helper()
	client := api.NewClient(b.Control)
	waiting := ""
	for deadline := time.Now().Add(2 * soon); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		sessions, err := client.Sessions(t.Context(), api.SessionQuery{})
		must(t, err)
		waiting = ""
		for _, s := range sessions {
			if s.Enabled && s.State != "up" {
				waiting = fmt.Sprintf("%s/%s is %s: %s", s.Tunnel, s.Name, s.State, s.Reason)
			}
		}
		if waiting == "" {
			return
		}
	}
	t.Fatalf("wait for sessions: %s", waiting)
}

// balanced reads the ports once they are quiet and holds them to
// received = sent + held + sum of drops.
func balanced(t *testing.T, b *lab.Box) []api.Port {
	t.Helper()
	var text string
	// The test's own context is gone when this runs at its end.
	ctx, cancel := context.WithTimeout(context.Background(), 2*soon)
	defer cancel()
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); {
		ports, err := api.NewClient(b.Control).Ports(ctx)
		if err != nil {
			t.Errorf("read ports: %v", err)
			return nil
		}
		text = ""
		for _, p := range ports {
			if dropped := dropsOf(p); p.Received != p.Sent+p.Held+dropped {
				text += fmt.Sprintf("port %s: received %d, but sent %d + held %d + dropped %d (%v)\n",
					p.Name, p.Received, p.Sent, p.Held, dropped, p.Drops)
			}
		}
		if text == "" {
			return ports
		}
		time.Sleep(50 * time.Millisecond) // frames on their way
	}
	t.Error(strings.TrimSpace(text))
	return nil
}

// dropsOf is the sum of a port's drops.
func dropsOf(p api.Port) (n uint64) {
	for _, d := range p.Drops {
		n += d
	}
	return n
}

// portOf finds a port by name.
func portOf(t *testing.T, b *lab.Box, name string) api.Port {
	t.Helper()
	ports, err := api.NewClient(b.Control).Ports(t.Context())
	must(t, err)
	for _, p := range ports {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("there is no port %s in %+v", name, ports)
	return api.Port{}
}

// sessionOf reads one session, TUNNEL/SESSION.
func sessionOf(t *testing.T, b *lab.Box, name string) api.Session {
	t.Helper()
	s, err := api.NewClient(b.Control).Session(t.Context(), name, false)
	must(t, err)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
