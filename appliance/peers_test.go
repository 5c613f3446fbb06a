package appliance

import (
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"xwire/appliance/api"
	"xwire/l2tp/control"
)

// far is a network namespace on the other end of core0, entered by a thread of its own.
type far struct {
	t   *testing.T
	ask chan func()
}

func farEnd(t *testing.T, commands ...string) *far {
	t.Helper()
	f := &far{t: t, ask: make(chan func())}
	space := make(chan int)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		fd := -1
		if err := unix.Unshare(unix.CLONE_NEWNET); err == nil {
			fd, _ = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		space <- fd
		for do := range f.ask {
			do()
		}
	}()
	t.Cleanup(func() { close(f.ask) })
	fd := <-space
	if fd < 0 {
		t.Fatal("no network namespace for the far end")
	}
	defer unix.Close(fd)
	l, err := netlink.LinkByName("far0")
	if err == nil {
		err = netlink.LinkSetNsFd(l, fd)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.do(func() {
		for _, line := range append([]string{"ip link set lo up", "ip link set far0 up", "ip addr add 192.0.2.2/24 dev far0"}, commands...) {
			w := strings.Fields(line)
			if out, err := exec.Command(w[0], w[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", line, err, out)
			}
		}
	})
	return f
}

// do runs a function in the namespace. Sockets that it opens stay there.
func (f *far) do(do func()) {
	done := make(chan struct{})
	f.ask <- func() { defer close(done); do() }
	<-done
}

// answerer acknowledges the control messages that come to a socket while it is on.
func (f *far) answerer(network, address string, tid uint32, on *atomic.Bool) {
	f.t.Helper()
	f.do(func() {
		c, err := net.ListenPacket(network, address)
		if err != nil {
			f.t.Error(err)
			return
		}
		f.t.Cleanup(func() { c.Close() })
		go func() {
			over := 0
			if network == "ip4:115" {
				over = 4 // session id 0
			}
			ch := control.NewChannel(control.Settings{Version: 3, Peer: tid, Static: true})
			for b := make([]byte, 1500); ; {
				n, from, err := c.ReadFrom(b)
				if err != nil {
					return
				}
				m, err := control.Parse(b[min(n, over):n])
				if err != nil || !on.Load() {
					continue
				}
				ch.Receive(&m)
				if out, ok := ch.Next(time.Now(), make([]byte, over)); ok {
					_, _ = c.WriteTo(out, from)
				}
			}
		}()
	})
}

const helloText = `
[port.core0]
interface = "core0"
[defaults.tunnel]
hello_timeout = 200
retry_timeout = 500
local = "192.0.2.1"
peer = "192.0.2.2"
[tunnel.over-ip]
encap = "ip"
tid = 1
ptid = 1
[tunnel.over-udp]
encap = "udp"
tid = 3
ptid = 1
[tunnel.quiet]
encap = "udp"
peer = "192.0.2.2:1799"
tid = 2
ptid = 2
hello_timeout = 0
`

// unreachables is how many ICMP messages of that kind the namespace has sent.
func unreachables(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/thread-self/net/snmp")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(b)) {
		w := strings.Fields(line)
		if w[0] != "Icmp:" {
			continue
		}
		if i := slices.Index(names, "OutDestUnreachs"); i > 0 {
			return w[i]
		}
		names = w
	}
	t.Fatal("no OutDestUnreachs in /proc/net/snmp")
	return ""
}

// The tunnels' state follows the peer: control messages over IP pass the port's steering program, those
// over UDP it hands up, and their port is free all the while.
func TestTunnelStates(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	core(t)
	f := farEnd(t)
	var on atomic.Bool
	on.Store(true)
	f.answerer("udp4", "192.0.2.2:1701", 3, &on)
	f.answerer("ip4:115", "192.0.2.2", 1, &on)
	a, log, _ := launch(t, helloText)
	tunnel := func(name string) (found api.Tunnel) {
		for _, v := range a.Tunnels() {
			if v.Name == name {
				found = v
			}
		}
		return found
	}
	both := func(state string) func() bool {
		return func() bool { return tunnel("over-ip").State == state && tunnel("over-udp").State == state }
	}
	until(t, "both tunnels up", both("up"))
	if v := tunnel("over-ip"); v.Since == nil || v.Hello.Heard == nil || v.Hello.Sent == 0 || v.Hello.Received == 0 || v.HelloTimeout != 200 {
		t.Errorf("over-ip: %+v", v)
	}
	if n := unreachables(t); n != "0" {
		t.Errorf("the peer was told %s times that nobody is there", n)
	}
	daemon, err := net.ListenPacket("udp4", "192.0.2.1:1701")
	if err != nil {
		t.Errorf("a daemon that comes later does not get the port: %v", err)
	} else {
		defer daemon.Close()
	}
	if v := tunnel("quiet"); v.State != "unknown" || !strings.Contains(v.Reason, "hello_timeout is not set") {
		t.Errorf("quiet: state %s, %q", v.State, v.Reason)
	}
	news, leave := a.events.listen()
	defer leave()
	on.Store(false)
	until(t, "both tunnels down", both("down"))
	if v := tunnel("over-udp"); !strings.Contains(v.Reason, "acknowledged none of 3 HELLOs") {
		t.Errorf("reason %q", v.Reason)
	}
	until(t, "the log says so", func() bool { return log.count(`msg="tunnel down"`) >= 2 })
	on.Store(true)
	until(t, "both tunnels up again", both("up"))
	missing := map[string]bool{"peer_unreachable over-ip": true, "peer_unreachable over-udp": true, "up over-ip": true, "up over-udp": true}
	for len(missing) > 0 {
		select {
		case e := <-news:
			delete(missing, e.Type+" "+e.Tunnel)
		case <-time.After(soon):
			t.Fatalf("no events %v", missing)
		}
	}
}
