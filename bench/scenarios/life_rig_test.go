package scenarios

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// soon is how long a busy machine may take for what takes a second on an idle one.
const soon = 30 * time.Second

// until polls f until it is true and returns how long that took; why tells how it stands.
func until(t *testing.T, what string, f func() (ok bool, why string)) time.Duration {
	t.Helper()
	start := time.Now()
	for {
		ok, why := f()
		switch took := time.Since(start); {
		case ok:
			t.Logf("%s: after %v", what, took.Round(time.Millisecond))
			return took
		case took > soon:
			t.Fatalf("%s: not within %v: %s", what, soon, why)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// carries waits until a ping from site 0 to site 1 is answered.
func (w *world) carries(t *testing.T, what string) time.Duration {
	t.Helper()
	return answers(t, what, w.sites[0], siteAddr[1])
}

func answers(t *testing.T, what string, from *lab.Namespace, to netip.Addr) time.Duration {
	t.Helper()
	return until(t, what, func() (bool, string) {
		r, err := from.Ping(t.Context(), to, lab.PingConfig{Timeout: 100 * time.Millisecond})
		return err == nil && r.Received == 1, fmt.Sprintf("%v does not answer %s (%v)", to, from.Name(), err)
	})
}

// lossless pings and demands every answer, however late.
func lossless(t *testing.T, what string, from *lab.Namespace, to netip.Addr, c lab.PingConfig) {
	t.Helper()
	c.Timeout = soon
	r, err := from.Ping(t.Context(), to, c)
	if err != nil || r.Lost()+r.Damaged+r.Duplicates != 0 {
		t.Errorf("%s: ping %v: %d of %d answered, %d twice, %d damaged (%v)", what, to, r.Received, r.Sent, r.Duplicates, r.Damaged, err)
	}
}

// hopOf reads the next hop of a tunnel from `show tunnels --json`.
func hopOf(t *testing.T, b *lab.Box, name string) api.NextHop {
	t.Helper()
	var tunnels []api.Tunnel
	must(t, b.Show(t.Context(), &tunnels, "tunnels"))
	for _, v := range tunnels {
		if v.Name == name {
			return v.NextHop
		}
	}
	t.Fatalf("show tunnels has no %s", name)
	return api.NextHop{}
}

// waitsFor waits until a tunnel is in a state, with a reason that holds a text.
func waitsFor(t *testing.T, b *lab.Box, name, state, reason string) api.NextHop {
	t.Helper()
	var h api.NextHop
	until(t, "next hop is "+state, func() (bool, string) {
		h = hopOf(t, b, name)
		return h.State == state && strings.Contains(h.Reason, reason), fmt.Sprintf("%s: %s; want a reason with %q", h.State, h.Reason, reason)
	})
	return h
}

// portIs waits until a port is in a state, with a reason that holds a text.
func portIs(t *testing.T, b *lab.Box, name, state, reason string) api.Port {
	t.Helper()
	var p api.Port
	until(t, "port "+name+" is "+state, func() (bool, string) {
		var ports []api.Port
		must(t, b.Show(t.Context(), &ports, "ports"))
		for _, p = range ports {
			if p.Name == name {
				break
			}
		}
		return p.Name == name && p.State == state && strings.Contains(p.Reason, reason), fmt.Sprintf("%s is %s: %s; want a reason with %q", p.Name, p.State, p.Reason, reason)
	})
	return p
}

// alive fails the test when the box has ended.
func alive(t *testing.T, b *lab.Box) {
	t.Helper()
	if !running(b) {
		t.Fatalf("the box ended: %v; it printed:\n%s", b.Process().Wait(), b.Process().Output())
	}
}

// load sends numbered frames both ways through the pseudowire until the function it returns is
// called.
func (w *world) load(t *testing.T, rate int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	for i, site := range w.sites {
		s := lab.Stream{Run: uint64(7 + i), Dst: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Src: net.HardwareAddr{2, 0, 0, 0, 0, 2},
			Sizes: []int{60, 1400}, Count: 1 << 40, Rate: rate}
		senders.Go(func() {
			if _, err := site.SendStream(ctx, "eth0", s); err != nil && ctx.Err() == nil {
				t.Errorf("load: %v", err)
			}
		})
	}
	stop = sync.OnceFunc(func() { cancel(); senders.Wait() })
	t.Cleanup(stop)
	return stop
}

// talk is a TCP connection that lines go over and come back: somebody's SSH to the box.
type talk struct {
	conn net.Conn
	r    *bufio.Reader
	n    int
}

func newTalk(t *testing.T, from, to *lab.Namespace, addr netip.Addr) *talk {
	t.Helper()
	var l net.Listener
	must(t, to.Run(func() (err error) {
		l, err = net.Listen("tcp", netip.AddrPortFrom(addr, 0).String())
		return err
	}))
	t.Cleanup(func() { l.Close() })
	go func() {
		if c, err := l.Accept(); err == nil {
			io.Copy(c, c)
			c.Close()
		}
	}()
	k := &talk{}
	must(t, from.Run(func() (err error) {
		k.conn, err = net.DialTimeout("tcp", l.Addr().String(), soon)
		return err
	}))
	t.Cleanup(func() { k.conn.Close() })
	k.r = bufio.NewReader(k.conn)
	return k
}

// say sends lines and waits for each to come back.
func (k *talk) say(t *testing.T, what string, lines int) {
	t.Helper()
	for range lines {
		k.n++
		line := fmt.Sprintf("%d %s\n", k.n, strings.Repeat("x", k.n*37%1800))
		k.conn.SetDeadline(time.Now().Add(soon))
		_, err := io.WriteString(k.conn, line)
		back := ""
		if err == nil {
			back, err = k.r.ReadString('\n')
		}
		if err != nil || back != line {
			t.Fatalf("%s: TCP to the box: line %d came back as %d bytes: %v", what, k.n, len(back), err)
		}
	}
}

// linkState reads what a box may change on an interface.
func linkState(t *testing.T, n *lab.Namespace, name string) (l netlink.LinkAttrs) {
	t.Helper()
	must(t, n.Run(func() error {
		link, err := netlink.LinkByName(name)
		if err == nil {
			l = *link.Attrs()
		}
		return err
	}))
	return l
}

// traces lists what a box has left on the interfaces of its host: XDP programs and promiscuity.
func traces(n *lab.Namespace) (string, error) {
	var left []string
	err := n.Run(func() error {
		links, err := netlink.LinkList()
		for _, l := range links {
			if l.Attrs().Xdp != nil && l.Attrs().Xdp.Attached {
				left = append(left, l.Attrs().Name+" has an XDP program")
			}
			if l.Attrs().Promisc > 0 {
				left = append(left, l.Attrs().Name+" is promiscuous")
			}
		}
		return err
	})
	return strings.Join(left, ", "), err
}

// clean waits until a host shows no trace of its box.
func clean(t *testing.T, what string, n *lab.Namespace) {
	t.Helper()
	until(t, what, func() (bool, string) {
		left, err := traces(n)
		must(t, err)
		return left == "", left
	})
}

// features reads the offloads of an interface, as `ethtool -k` prints them.
func features(t *testing.T, n *lab.Namespace, name string) map[string]string {
	t.Helper()
	out, err := n.Command("ethtool", "-k", name)
	must(t, err)
	m := map[string]string{}
	for line := range strings.Lines(out) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			m[key] = strings.TrimSpace(value)
		}
	}
	return m
}

// cpuSeconds is the processor time that a process has used.
func cpuSeconds(t *testing.T, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	// The command name may hold spaces: count from its end. utime and stime are fields 14 and 15.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks float64
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		must(t, err)
		ticks += float64(n)
	}
	return ticks / 100
}

// refused starts a box that must not start, and returns what it printed. The status must be 1.
func refused(t *testing.T, b *lab.Box, config string) string {
	t.Helper()
	err := b.Start(t.Context(), config)
	if err == nil {
		t.Fatal("the box started")
	}
	var exit interface{ ExitCode() int }
	if waited := b.Process().Wait(); !errors.As(waited, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("the box ended with %v, want status 1; it printed:\n%s", waited, b.Process().Output())
	}
	return b.Process().Output()
}

// says demands every text in what a program printed.
func says(t *testing.T, output string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(output, text) {
			t.Errorf("%q is not in:\n%s", text, output)
		}
	}
}

// launch starts a box without waiting for its sessions, and shows what it printed if the test fails.
func launch(t *testing.T, b *lab.Box, config string) {
	t.Helper()
	must(t, b.Start(t.Context(), config))
	p := b.Process()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the box in %s printed:\n%s", b.Namespace().Name(), p.Output())
		}
	})
}
