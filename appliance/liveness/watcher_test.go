package liveness

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"xwire/l2tp"
)

// inNamespace tells whether the test runs in a network namespace of its own. Elsewhere it starts
// itself there, and the caller returns.
func inNamespace(t *testing.T) bool {
	t.Helper()
	const env = "XWIRE_LIVENESS_CHILD"
	if os.Getenv(env) == t.Name() {
		for _, line := range []string{"link set lo up", "addr add 192.0.2.1/32 dev lo", "addr add 192.0.2.2/32 dev lo", "addr add 192.0.2.3/32 dev lo",
			"addr add 2001:db8::1/128 dev lo nodad", "addr add 2001:db8::2/128 dev lo nodad"} {
			if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
				t.Fatalf("ip %s: %v: %s", line, err, out)
			}
		}
		return true
	}
	if os.Geteuid() != 0 {
		t.Fatal("root is needed: this test makes a network namespace")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=280s")
	child.Env = append(os.Environ(), env+"="+t.Name())
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in its namespace: %v\n%s", err, out)
	}
	return false
}

// station is a watcher that runs, and what it told.
type station struct {
	*Watcher
	stop func()
	mu   sync.Mutex
	told []string

	taken map[string]bool // what Take was told
}

// listen gives the station what the steering program would: all UDP of the namespace, by a packet socket
// on its loopback device.
func (s *station) listen(t *testing.T, ctx context.Context) (done chan struct{}) {
	t.Helper()
	const all = 0x0300 // ETH_P_ALL in network order
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: lo.Index})
	}
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 20000})
	}
	if err != nil {
		t.Fatal(err)
	}
	done = make(chan struct{})
	go func() {
		defer close(done)
		defer unix.Close(fd)
		for b := make([]byte, 2000); ctx.Err() == nil; {
			n, from, err := unix.Recvfrom(fd, b, 0)
			if l, ok := from.(*unix.SockaddrLinklayer); err == nil && ok && l.Pkttype != unix.PACKET_OUTGOING {
				s.Receive(b[:n])
			}
		}
	}()
	return done
}

func startStation(t *testing.T) *station {
	t.Helper()
	s := &station{taken: make(map[string]bool)}
	take := func(local netip.AddrPort, version uint8, tid uint32, on bool) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.taken[fmt.Sprint(local, version, tid)] = on
		return nil
	}
	s.Watcher = New(Config{Take: take, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), OnChange: func(c Change) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.told = append(s.told, c.Tunnel+" "+c.From.String()+" "+c.Status.State.String())
	}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	hearing := s.listen(t, ctx)
	s.stop = func() { cancel(); <-done; <-hearing }
	t.Cleanup(s.stop)
	return s
}

func (s *station) await(t *testing.T, tunnel string, want State) Status {
	t.Helper()
	var st Status
	for end := time.Now().Add(soon); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if st, _ = s.Status(tunnel); st.State == want {
			return st
		}
	}
	t.Fatalf("tunnel %s is %+v, want %v", tunnel, st, want)
	return st
}

// awaitTold is for what OnChange is told, after the fact.
func (s *station) awaitTold(t *testing.T, want string) {
	t.Helper()
	for end := time.Now().Add(soon); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		found := slices.Contains(s.told, want)
		s.mu.Unlock()
		if found {
			return
		}
	}
	t.Errorf("told %q, want %q among it", s.told, want)
}

func (s *station) set(t *testing.T, list ...Tunnel) {
	t.Helper()
	for _, n := range list {
		if err := s.Set(n); err != nil {
			t.Fatal(err)
		}
	}
}

// pair is one tunnel as its two ends have it.
func pair(name string, e l2tp.Encap, local, peer string, tid, ptid uint32, hello time.Duration) (here, there Tunnel) {
	here = Tunnel{Name: name, Encap: e, Version: 3, Local: netip.MustParseAddrPort(local), Peer: netip.MustParseAddrPort(peer), TID: tid, PTID: ptid,
		Hello: hello, Retry: 150 * time.Millisecond}
	there = here
	there.Local, there.Peer, there.TID, there.PTID, there.Hello = here.Peer, here.Local, ptid, tid, 0
	return here, there
}

const often = 100 * time.Millisecond

// soon is how long a busy machine may take for what takes a second on an idle one.
const soon = time.Minute

// One end asks, the other only answers; over each encapsulation and family, and with two tunnels
// between the same addresses and ports.
func TestPeersAnswer(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	a, b := startStation(t), startStation(t)
	names := []string{}
	for _, c := range []struct {
		name        string
		encap       l2tp.Encap
		local, peer string
	}{
		{"udp4", l2tp.EncapUDP, "192.0.2.1:1701", "192.0.2.2:1701"},
		{"udp6", l2tp.EncapUDP, "[2001:db8::1]:1701", "[2001:db8::2]:1702"},
		{"ip4", l2tp.EncapIP, "192.0.2.1:0", "192.0.2.2:0"},
		{"ip6", l2tp.EncapIP, "[2001:db8::1]:0", "[2001:db8::2]:0"},
	} {
		for i, suffix := range []string{"-first", "-second"} {
			here, there := pair(c.name+suffix, c.encap, c.local, c.peer, uint32(10+i), uint32(20+i), often)
			a.set(t, here)
			b.set(t, there)
			names = append(names, here.Name)
		}
	}
	v2, there := pair("v2", l2tp.EncapUDP, "192.0.2.1:1701", "192.0.2.3:1701", 7, 8, often)
	v2.Version, there.Version = 2, 2
	a.set(t, v2)
	b.set(t, there)
	for _, n := range append(names, "v2") {
		if st := a.await(t, n, Up); st.Since.IsZero() || st.Heard.IsZero() {
			t.Errorf("%s: %+v lacks times", n, st)
		}
		if st, _ := b.Status(n); st.State != Unknown || st.Received == 0 || st.Reason != "hello_timeout is not set" {
			t.Errorf("%s at the end that only answers: %+v", n, st)
		}
	}
	// One of two tunnels on a line goes, the other stays; then it comes back.
	b.Remove("ip4-second")
	b.Remove("udp4-second")
	a.await(t, "ip4-second", Down)
	a.await(t, "udp4-second", Down)
	for _, n := range []string{"ip4-first", "udp4-first"} {
		a.await(t, n, Up)
	}
	_, back := pair("udp4-second", l2tp.EncapUDP, "192.0.2.1:1701", "192.0.2.2:1701", 11, 21, often)
	b.set(t, back)
	a.await(t, "udp4-second", Up)
	for _, want := range []string{"udp4-second unknown up", "udp4-second up down", "udp4-second down up"} {
		a.awaitTold(t, want)
	}
}

// A peer that stops and starts begins its numbers anew.
func TestPeerRestarts(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	here, there := pair("t", l2tp.EncapUDP, "192.0.2.1:1701", "192.0.2.2:1701", 1, 2, often)
	there.Hello = often
	a, b := startStation(t), startStation(t)
	a.set(t, here)
	b.set(t, there)
	a.await(t, "t", Up)
	b.await(t, "t", Up)
	time.Sleep(5 * often)
	b.stop()
	st := a.await(t, "t", Down)
	if !strings.Contains(st.Reason, "3 HELLOs") {
		t.Errorf("reason %q", st.Reason)
	}
	b = startStation(t)
	b.set(t, there)
	a.await(t, "t", Up)
	b.await(t, "t", Up)
	// What does not change who is meant leaves the state as it is.
	here.Hello = 3 * often
	a.set(t, here)
	if st, _ := a.Status("t"); st.State != Up {
		t.Errorf("after a change of hello_timeout: %+v", st)
	}
	here.PTID = 99
	a.set(t, here)
	a.await(t, "t", Down)
}

// Other programs have the UDP port whenever they want it, and for themselves.
func TestPortIsFree(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	connect := func(local, peer string) net.Conn {
		t.Helper()
		d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.MustParseAddrPort(local))}
		c, err := d.Dial("udp", peer)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	a, b := startStation(t), startStation(t)

	// One came first, another comes later; both have other peers.
	connect("192.0.2.1:1801", "192.0.2.3:1801")
	here, there := pair("first", l2tp.EncapUDP, "192.0.2.1:1801", "192.0.2.2:1801", 1, 2, often)
	a.set(t, here)
	b.set(t, there)
	a.await(t, "first", Up)
	here, there = pair("later", l2tp.EncapUDP, "192.0.2.1:1802", "192.0.2.2:1802", 1, 2, often)
	a.set(t, here)
	b.set(t, there)
	a.await(t, "later", Up)
	other := connect("192.0.2.1:1802", "192.0.2.3:1802")
	third := connect("192.0.2.3:1802", "192.0.2.1:1802")
	if _, err := third.Write([]byte("for the other program")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 100)
	_ = other.SetReadDeadline(time.Now().Add(soon))
	if n, err := other.Read(got); err != nil || string(got[:n]) != "for the other program" {
		t.Errorf("the other program read %q, %v", got[:n], err)
	}
	everyone, err := net.ListenPacket("udp4", ":1803")
	if err != nil {
		t.Fatal(err)
	}
	defer everyone.Close()
	here, there = pair("everyone", l2tp.EncapUDP, "192.0.2.1:1803", "192.0.2.2:1803", 1, 2, often)
	a.set(t, here)
	b.set(t, there)
	a.await(t, "everyone", Up)

	// A daemon that had a tunnel made is left to answer on whatever socket it has.
	here.TID, here.Name, here.Hello, here.Yields = 5, "daemon's", 0, true
	a.set(t, here)
	awaitReason(t, a, "daemon's", "created by a request")

	// One that talks to the same peer is left to answer, until it goes.
	same := connect("[2001:db8::1]:1803", "[2001:db8::2]:1803")
	here, there = pair("same", l2tp.EncapUDP, "[2001:db8::1]:1803", "[2001:db8::2]:1803", 1, 2, often)
	a.set(t, here)
	b.set(t, there)
	awaitReason(t, a, "same", "left to answer")
	taken := func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.taken[fmt.Sprint(here.Local, 3, 1)]
	}
	if taken() {
		t.Error("the messages of the other program are taken")
	}
	same.Close()
	a.Remove("same") // or it is tried again in half a minute only
	a.set(t, here)
	a.await(t, "same", Up)
	if !taken() {
		t.Error("the messages are not taken")
	}
	a.Remove("same")
	if taken() {
		t.Error("the messages of a tunnel that is gone are taken")
	}

	here, _ = pair("elsewhere", l2tp.EncapIP, "203.0.113.1:0", "192.0.2.2:0", 1, 2, often)
	a.set(t, here)
	awaitReason(t, a, "elsewhere", "203.0.113.1 is no address of this host")
}

func awaitReason(t *testing.T, s *station, tunnel, want string) {
	t.Helper()
	var st Status
	for end := time.Now().Add(soon); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if st, _ = s.Status(tunnel); st.State == Unknown && strings.Contains(st.Reason, want) {
			return
		}
	}
	t.Fatalf("tunnel %s is %+v, want unknown because %s", tunnel, st, want)
}

// A tunnel that is removed and set again at once finds its own socket closing.
func TestSetAgainAtOnce(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	a, b := startStation(t), startStation(t)
	here, there := pair("t", l2tp.EncapUDP, "192.0.2.1:1701", "192.0.2.2:1701", 1, 2, often)
	b.set(t, there)
	for range 20 {
		a.set(t, here)
		a.await(t, "t", Up)
		a.Remove("t")
	}
	a.set(t, here)
	twin := here
	twin.Name = "twin"
	if err := a.Set(twin); err == nil || !strings.Contains(err.Error(), "tunnel t has the same") {
		t.Errorf("a second tunnel with the same ids: %v", err)
	}
}
