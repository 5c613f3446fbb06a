package nexthop_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"xwire/appliance/nexthop"
)

// lab is two network namespaces, "box" (where the watcher runs) and "net", joined by veth pairs
// p0-n0 and p1-n1.
type lab struct {
	t        *testing.T
	box, net string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("root is needed: this test makes network namespaces")
	}
	suffix := strconv.Itoa(os.Getpid()) + "-" + strings.ReplaceAll(t.Name(), "/", "-")
	l := &lab{t: t, box: "nhbox-" + suffix, net: "nhnet-" + suffix}
	for _, ns := range []string{l.box, l.net} {
		command(t, "ip", "netns", "add", ns)
		t.Cleanup(func() { command(t, "ip", "netns", "del", ns) })
		l.in(ns, "ip", "link", "set", "lo", "up")
		l.in(ns, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0", "net.ipv4.conf.all.arp_notify=1", "net.ipv6.conf.all.ndisc_notify=1", "net.ipv6.conf.default.ndisc_notify=1", "net.ipv6.conf.all.keep_addr_on_down=1", "net.ipv6.conf.default.keep_addr_on_down=1")
	}
	for i := range 2 {
		l.ip("link add name p%d type veth peer name n%d netns %s", i, i, l.net)
		l.ip("link set p%d up", i)
		l.ipnet("link set n%d up", i)
	}
	return l
}

func command(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (l *lab) in(ns string, args ...string) string {
	l.t.Helper()
	return command(l.t, append([]string{"ip", "netns", "exec", ns}, args...)...)
}

// ip runs an ip command in the box.
func (l *lab) ip(format string, args ...any) string {
	l.t.Helper()
	return command(l.t, append([]string{"ip", "-n", l.box}, strings.Fields(fmt.Sprintf(format, args...))...)...)
}

func (l *lab) ipnet(format string, args ...any) string {
	l.t.Helper()
	return command(l.t, append([]string{"ip", "-n", l.net}, strings.Fields(fmt.Sprintf(format, args...))...)...)
}

// batch runs many lines through one ip process in the box.
func (l *lab) batch(lines string) {
	l.t.Helper()
	cmd := exec.Command("ip", "-n", l.box, "-batch", "-")
	cmd.Stdin = strings.NewReader(lines)
	if out, err := cmd.CombinedOutput(); err != nil {
		l.t.Fatalf("ip -batch: %v: %s", err, out)
	}
}

// has tells whether the kernel knows a type of link. Where it does not, the test that asks holds
// only what can be held without it, and says so.
func (l *lab) has(kind string) bool {
	l.t.Helper()
	args := map[string]string{"vlan": "link p0 name probe type vlan id 4000", "macvlan": "link p0 name probe type macvlan",
		"vrf": "name probe type vrf table 4000", "bond": "name probe type bond", "dummy": "name probe type dummy"}[kind]
	out, err := exec.Command("ip", append([]string{"-n", l.box, "link", "add"}, strings.Fields(args)...)...).CombinedOutput()
	if err == nil {
		l.ip("link del probe")
		return true
	}
	if !bytes.Contains(out, []byte("nknown device type")) && !bytes.Contains(out, []byte("not supported")) {
		l.t.Fatalf("make a %s: %v: %s", kind, err, out)
	}
	l.t.Logf("this kernel has no %s devices: only the part of the test that needs none was run", kind)
	return false
}

func (l *lab) index(dev string) int {
	l.t.Helper()
	out := l.ip("-o link show %s", dev)
	for line := range strings.Lines(out) { // ip may warn of the other end's namespace before
		if n, err := strconv.Atoi(strings.SplitN(line, ":", 2)[0]); err == nil {
			return n
		}
	}
	l.t.Fatalf("no index of %s in %q", dev, out)
	return 0
}

func (l *lab) mac(ns, dev string) string {
	l.t.Helper()
	f := strings.Fields(command(l.t, "ip", "-n", ns, "-o", "link", "show", dev))
	for i, w := range f {
		if w == "link/ether" {
			return f[i+1]
		}
	}
	l.t.Fatalf("no MAC address on %s", dev)
	return ""
}

// follower is a running Watcher with everything that it reported.
type follower struct {
	*nexthop.Watcher
	t       *testing.T
	mu      sync.Mutex
	last    map[nexthop.Key]nexthop.Hop
	reports int
	stop    func()

	changes, slow int // that were awaited, and of these: that took longer than prompt
}

func (l *lab) follow(ports ...string) *follower {
	l.t.Helper()
	f := &follower{t: l.t, last: map[nexthop.Key]nexthop.Hop{}}
	within(l.t, l.box, func() {
		w, err := nexthop.New(nexthop.Config{OnChange: f.record})
		if err != nil {
			l.t.Fatal(err)
		}
		f.Watcher = w
	})
	var indexes []int
	for _, p := range ports {
		indexes = append(indexes, l.index(p))
	}
	f.SetPorts(indexes)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			l.t.Errorf("Run: %v", err)
		}
	})
	l.t.Cleanup(f.stop)
	l.t.Cleanup(func() {
		if f.changes >= 4 && 2*f.slow > f.changes {
			l.t.Errorf("%d of %d changes took longer than %v", f.slow, f.changes, prompt)
		}
	})
	return f
}

// within runs f on a thread of a namespace. The thread ends with it.
func within(t *testing.T, name string, f func()) {
	t.Helper()
	done := make(chan struct{})
	var failure error
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread is not fit for others
		h, err := netns.GetFromName(name)
		if err == nil {
			defer h.Close()
			err = netns.Set(h)
		}
		if err != nil {
			failure = err
			return
		}
		f()
	}()
	<-done
	if failure != nil {
		t.Fatalf("enter namespace %s: %v", name, failure)
	}
}

func (f *follower) record(hops []nexthop.Hop) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range hops {
		f.last[h.Key] = h
		f.reports++
	}
}

func (f *follower) get(k nexthop.Key) (nexthop.Hop, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h, ok := f.last[k]
	return h, ok
}

const (
	// prompt is what a recovery may take, with some air. A busy machine takes longer now and then: most of
	// a test's recoveries have to be so.
	prompt = 1500 * time.Millisecond
	// soon is what every recovery has to be done in.
	soon = 30 * time.Second
)

// await waits for a hop that ok likes.
func (f *follower) await(k nexthop.Key, what string, ok func(nexthop.Hop) bool) nexthop.Hop {
	f.t.Helper()
	start := time.Now()
	for {
		h, known := f.get(k)
		took := time.Since(start)
		if known && ok(h) {
			f.t.Logf("%s: %v", what, took.Round(time.Millisecond))
			if f.changes++; took > prompt {
				f.slow++
			}
			return h
		}
		if took > soon {
			f.t.Fatalf("%s: not within %v; hop is %+v (%v)", what, soon, h, h.State)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (f *follower) state(k nexthop.Key, s nexthop.State, reason string) nexthop.Hop {
	f.t.Helper()
	return f.await(k, s.String()+" "+reason, func(h nexthop.Hop) bool {
		return h.State == s && strings.Contains(h.Reason, reason)
	})
}

func key(peer, local string) nexthop.Key {
	return nexthop.Key{Peer: netip.MustParseAddr(peer), Local: netip.MustParseAddr(local)}
}

func macString(m [6]byte) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}
