// Package locals runs boxes whose sessions end on local interfaces, as a user would: on this
// machine's kernel, and in a virtual machine whose kernel has VLAN devices and VRFs.
package locals

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
	"xwire/bench/vm"
)

// program is the one under test, built by TestMain.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "xwire-locals-")
	if err == nil {
		program, err = lab.Build(context.Background(), dir, false)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// soon is how long a busy machine may take for what takes a second on an idle one; an emulated one is
// slower.
func soon() time.Duration {
	if vm.OnHost() {
		return 30 * time.Second
	}
	return 2 * time.Minute
}

const coreMTU = 1600

// world is two hosts with a core link, a box on each, and a site on its own at either side.
//
//	site 0 ─ eth0 ── ac0 ─ host 0 ─ core0 ── core0 ─ host 1 ─ ac0 ── eth0 ─ site 1
type world struct {
	lab          *lab.Lab
	sites, hosts [2]*lab.Namespace
	boxes        [2]*lab.Box
}

var (
	core4 = [2]netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
	core6 = [2]netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")}
)

func newWorld(t *testing.T) *world {
	t.Helper()
	l, err := lab.New(lab.Config{})
	must(t, err)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close the lab: %v", err)
		}
	})
	w := &world{lab: l}
	var ends [2]lab.End
	for i := range 2 {
		w.sites[i], err = l.Namespace(fmt.Sprintf("site%d", i))
		must(t, err)
		w.hosts[i], err = l.Namespace(fmt.Sprintf("host%d", i))
		must(t, err)
		must(t, l.Connect(
			lab.End{Namespace: w.sites[i], Name: "eth0", Plain: true, Addrs: addrs(fmt.Sprintf("10.9.0.%d/24", i+1))},
			lab.End{Namespace: w.hosts[i], Name: "ac0"}))
		ends[i] = lab.End{Namespace: w.hosts[i], Name: "core0", MTU: coreMTU, Plain: true,
			Addrs: []netip.Prefix{netip.PrefixFrom(core4[i], 24), netip.PrefixFrom(core6[i], 64)}}
		w.boxes[i], err = w.hosts[i].Box(program)
		must(t, err)
	}
	must(t, l.Connect(ends[0], ends[1]))
	return w
}

// launch starts a box and waits until its sessions are up.
func launch(t *testing.T, b *lab.Box, config string) {
	t.Helper()
	must(t, b.Configure(config))
	relaunch(t, b)
}

func relaunch(t *testing.T, b *lab.Box) {
	t.Helper()
	must(t, b.Restart(t.Context()))
	p := b.Process()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the box in %s printed:\n%s", b.Namespace().Name(), p.Output())
		}
	})
	until(t, "sessions are up", func() (bool, string) {
		var sessions []api.Session
		must(t, b.Show(t.Context(), &sessions, "sessions"))
		for _, s := range sessions {
			if s.State != "up" {
				return false, s.Name + " is " + s.State + ": " + s.Reason
			}
		}
		return len(sessions) > 0, "there are none"
	})
}

func until(t *testing.T, what string, f func() (ok bool, why string)) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		ok, why := f()
		if ok {
			t.Logf("%s: after %v", what, time.Since(start).Round(time.Millisecond))
			return
		}
		if time.Since(start) > soon() {
			t.Fatalf("%s: not within %v: %s", what, soon(), why)
		}
	}
}

// answers waits until a ping is answered.
func answers(t *testing.T, what string, from *lab.Namespace, to string) {
	t.Helper()
	until(t, what, func() (bool, string) {
		r, err := from.Ping(t.Context(), netip.MustParseAddr(to), lab.PingConfig{Timeout: 200 * time.Millisecond})
		return err == nil && r.Received == 1, fmt.Sprintf("%s does not answer %s (%v)", to, from.Name(), err)
	})
}

// carries a few pings, one of which fills the MTU, and a TCP transfer that arrives whole.
func carries(t *testing.T, what string, from, to *lab.Namespace, addr string, mtu int) {
	t.Helper()
	answers(t, what, from, addr)
	a := netip.MustParseAddr(addr)
	r, err := from.Ping(t.Context(), a, lab.PingConfig{Count: 3, Size: mtu - 28, DontFragment: true, Timeout: soon()})
	if err != nil || r.Lost()+r.Damaged+r.Duplicates > 0 {
		t.Errorf("%s: ping with packets of %d bytes: %+v (%v)", what, mtu, r, err)
	}
	size := int64(8 << 20)
	if !vm.OnHost() {
		size = 1 << 20
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*soon())
	defer cancel()
	moved, err := lab.Transfer(ctx, from, to, a, lab.TransferConfig{Bytes: size})
	if err != nil || !moved.Whole() {
		t.Errorf("%s: %+v: %v", what, moved, err)
	}
}

// device is what `ip -j -d addr` tells, in the parts that must outlive a process.
type device struct {
	Ifindex  int    `json:"ifindex"`
	Ifname   string `json:"ifname"`
	MTU      int    `json:"mtu"`
	Address  string `json:"address"`
	Master   string `json:"master"`
	AddrInfo []struct {
		Family string `json:"family"`
		Local  string `json:"local"`
	} `json:"addr_info"`
}

func deviceOf(t *testing.T, n *lab.Namespace, name string) device {
	t.Helper()
	var d []device
	must(t, json.Unmarshal([]byte(ip(t, n, "-j addr show dev "+name)), &d))
	if len(d) != 1 {
		t.Fatalf("ip shows %d devices %s", len(d), name)
	}
	return d[0]
}

func (d device) String() string {
	return fmt.Sprintf("%d %s mtu %d mac %s master %q addresses %v", d.Ifindex, d.Ifname, d.MTU, d.Address, d.Master, d.AddrInfo)
}

func exists(n *lab.Namespace, name string) bool {
	_, err := n.Command("ip", "link", "show", "dev", name)
	return err == nil
}

func ip(t *testing.T, n *lab.Namespace, args string) string {
	t.Helper()
	out, err := n.Command("ip", strings.Fields(args)...)
	must(t, err)
	return out
}

func addrs(texts ...string) (out []netip.Prefix) {
	for _, s := range texts {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
