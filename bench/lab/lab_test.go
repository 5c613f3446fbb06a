package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
)

// fakeXwire is the name under which this test program plays xwire.
const fakeXwire = "fake-xwire"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != fakeXwire {
		os.Exit(m.Run())
	}
	if os.Args[1] == "show" {
		json.NewEncoder(os.Stdout).Encode(map[string]string{"args": strings.Join(os.Args[1:], " ")})
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		panic(err)
	}
	conn.Write([]byte("STATUS=x\nREADY=1\n"))
	<-ctx.Done()
}

// pair is two namespaces joined by a veth pair, v4 and v6 addressed.
func pair(t *testing.T, a, b End) (*Lab, *Namespace, *Namespace) {
	t.Helper()
	l, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close the lab: %v", err)
		}
	})
	left, err := l.Namespace("left")
	if err != nil {
		t.Fatal(err)
	}
	right, err := l.Namespace("right")
	if err != nil {
		t.Fatal(err)
	}
	a.Namespace, a.Name, a.Addrs = left, "l0", prefixes("10.0.0.1/24", "fd00::1/64")
	b.Namespace, b.Name, b.Addrs = right, "r0", prefixes("10.0.0.2/24", "fd00::2/64")
	if err := l.Connect(a, b); err != nil {
		t.Fatal(err)
	}
	return l, left, right
}

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, s := range texts {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// soon is how long a busy machine may take for what is done at once on an idle one.
const soon = 20 * time.Second

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(soon); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, soon)
		}
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestPing(t *testing.T) {
	_, left, _ := pair(t, End{}, End{})
	for _, tc := range []struct {
		name, addr string
		size       int
		want       int
		fails      bool
		patience   time.Duration
	}{
		{"IPv4", "10.0.0.2", 0, 5, false, soon},
		{"IPv6", "fd00::2", 0, 5, false, soon},
		{"IPv4 full size", "10.0.0.2", 1472, 5, false, soon},
		{"IPv6 full size", "fd00::2", 1452, 5, false, soon},
		{"IPv4 above the MTU with DF", "10.0.0.2", 1473, 0, true, soon},
		{"nobody there", "10.0.0.3", 0, 0, false, 500 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := left.Ping(within(t, 2*soon), netip.MustParseAddr(tc.addr),
				PingConfig{Count: 5, Size: tc.size, DontFragment: true, Timeout: tc.patience})
			if (err != nil) != tc.fails {
				t.Fatalf("error %v, want one: %v", err, tc.fails)
			}
			if r.Received != tc.want || r.Damaged+r.Duplicates != 0 || len(r.RTTs) != tc.want {
				t.Fatalf("got %+v, want %d answers", r, tc.want)
			}
		})
	}
}

func TestTransfer(t *testing.T) {
	_, left, right := pair(t, End{Plain: true, Queues: 2}, End{Plain: true, Queues: 2})
	for _, addr := range []string{"10.0.0.2", "fd00::2"} {
		var progress int64
		r, err := Transfer(within(t, 2*soon), left, right, netip.MustParseAddr(addr),
			TransferConfig{Bytes: 5<<20 + 17, Progress: func(n int64) { progress = n }})
		if err != nil {
			t.Fatal(err)
		}
		if !r.Whole() || r.Bytes != 5<<20+17 || progress != r.Bytes || r.GbitPerSecond() <= 0 {
			t.Fatalf("%s: got %+v, progress %d", addr, r, progress)
		}
	}
}

func TestStream(t *testing.T) {
	_, left, right := pair(t, End{MTU: 1600}, End{MTU: 1600})
	src, _ := left.MAC("l0")
	dst, _ := right.MAC("r0")
	sink, err := right.ReceiveStream("r0", 7)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	s := Stream{Run: 7, Dst: dst, Src: src, Sizes: []int{60, 61, 1514}, Count: 20000, Rate: 20000}
	s.Tags = []Tag{{0x88a8, 20}, {0x8100, 0x6000 | 30}}
	sent, err := left.SendStream(within(t, 2*soon), "l0", s)
	if err != nil {
		t.Fatal(err)
	}
	r := sink.Wait(within(t, 2*soon), sent, soon)
	if r.Received != s.Count || r.Duplicates+r.Torn+r.Reordered+r.Lost(sent) != 0 || r.Tags["20.30"] != s.Count {
		t.Fatalf("got %v, tags %v", r, r.Tags)
	}

	// The sink must see what a broken forwarder does.
	raw, err := left.openPacket("l0", false)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	twice := s.AppendFrame(nil, 3)
	torn := s.AppendFrame(nil, s.Count)
	torn[len(torn)-1] ^= 1
	short := s.AppendFrame(nil, s.Count+2)
	short = short[:len(short)-1]
	for _, f := range [][]byte{twice, torn, short} {
		if err := raw.write(f); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "three bad frames come", func() bool { r = sink.Report(); return r.Duplicates+r.Torn >= 3 })
	if r.Duplicates != 1 || r.Torn != 2 {
		t.Fatalf("got %v, want 1 duplicate and 2 torn", r)
	}
}

func TestCapture(t *testing.T) {
	_, left, right := pair(t, End{}, End{})
	c, err := right.Capture("r0")
	if err != nil {
		t.Fatal(err)
	}
	s := Stream{Run: 1, Dst: make([]byte, 6), Src: make([]byte, 6), Count: 3, Tags: []Tag{{0x8100, 5}}}
	if _, err := left.SendStream(t.Context(), "l0", s); err != nil {
		t.Fatal(err)
	}
	until(t, "the frames come", func() bool {
		n := 0
		for _, f := range c.Frames() {
			if ofStream(f.Frame) {
				n++
			}
		}
		return n >= 3
	})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.pcap")
	if err := c.Save(path); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var got [][]byte
	for {
		b, _, err := p.ReadPacketData()
		if err != nil {
			break
		}
		if ofStream(b) {
			got = append(got, b)
		}
	}
	for i := range s.Count {
		if want := s.AppendFrame(nil, i); len(got) != 3 || !bytes.Equal(got[i], want) {
			t.Fatalf("frame %d differs from what was sent (%d frames)", i, len(got))
		}
	}
}

// ofStream tells a frame of TestCapture's stream from what the stack says.
func ofStream(b []byte) bool {
	return len(b) > 18 && bytes.Equal(b[12:18], []byte{0x81, 0, 0, 5, 0x88, 0xb5})
}

func TestOffloads(t *testing.T) {
	_, left, _ := pair(t, End{Plain: true}, End{})
	out, err := left.Command("ethtool", "-k", "l0")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"tx-checksumming: off", "tcp-segmentation-offload: off",
		"generic-segmentation-offload: off", "tx-vlan-offload: off"} {
		if !strings.Contains(out, line) {
			t.Errorf("%q is not in\n%s", line, out)
		}
	}
}

func TestProcess(t *testing.T) {
	l, left, _ := pair(t, End{}, End{})
	out, err := left.Command("sh", "-c", "ls /sys/class/net; ip -br link show l0")
	if err != nil || !strings.Contains(out, "l0\n") {
		t.Fatalf("got %q, %v: /sys must be the namespace's", out, err)
	}
	if _, err := left.Command("sh", "-c", "echo why; exit 3"); err == nil || !strings.Contains(err.Error(), "why") {
		t.Fatalf("error %v does not repeat the output", err)
	}
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "x"), nil, 0o644)
	p, err := left.Start(Program{Path: "sh", Args: []string{"-c", "ls /run/xwire-test; echo up; sleep 100 & wait"},
		Binds: map[string]string{"/run/xwire-test": dir}})
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove("/run/xwire-test")
	until(t, "it says so", func() bool { return strings.Contains(p.Output(), "up\n") })
	if p.Output() != "x\nup\n" {
		t.Fatalf("output %q", p.Output())
	}
	if entries, _ := os.ReadDir("/run/xwire-test"); len(entries) != 0 {
		t.Error("the bind is seen outside the process")
	}
	paths := []string{left.Path(), l.Dir()}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.Done():
	default:
		t.Error("the process outlived its lab")
	}
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
}

// TestSweep lets a second test process die with its lab open.
func TestSweep(t *testing.T) {
	if os.Getenv("XWIRE_LAB_DIE") != "" {
		dieWithLab(t)
	}
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprint("keep ", keep), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "path")
			cmd := exec.Command(os.Args[0], "-test.run=^TestSweep$")
			cmd.Env = append(os.Environ(), "XWIRE_LAB_DIE="+file, fmt.Sprint("XWIRE_LAB_KEEP=", keep))
			out, _ := cmd.CombinedOutput()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var id, path string
			var pid int
			fmt.Sscan(string(text), &id, &path, &pid)
			// The dead process has seen its namespace. It may be gone by now: whoever makes a lab sweeps, and
			// other packages' tests run beside this one.
			if !keep {
				waitDead(t, pid)
			} else if dead(pid) {
				t.Error("the kept lab's process is dead")
			}
			if err := Sweep(); err != nil {
				t.Fatal(err)
			}
			if keep {
				if _, err := os.Stat(path); err != nil {
					t.Fatalf("the kept lab was swept: %v", err)
				}
				if err := Remove(id); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := os.Stat(path); err == nil {
				t.Errorf("%s is left", path)
			}
			waitDead(t, pid)
		})
	}
}

func waitDead(t *testing.T, pid int) {
	t.Helper()
	until(t, fmt.Sprintf("process %d is dead", pid), func() bool { return dead(pid) })
}

// dead is true for zombies too: nobody may reap orphans here.
func dead(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(b), ") Z ")
}

func dieWithLab(t *testing.T) {
	l, err := New(Config{Keep: os.Getenv("XWIRE_LAB_KEEP") == "true"})
	if err != nil {
		t.Fatal(err)
	}
	n, err := l.Namespace("x")
	if err != nil {
		t.Fatal(err)
	}
	p, err := n.Start(Program{Path: "sleep", Args: []string{"1000"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(n.Path()); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(os.Getenv("XWIRE_LAB_DIE"), fmt.Append(nil, l.ID(), " ", n.Path(), " ", p.PID()), 0o644)
	os.Exit(9)
}

func TestBoxNotReady(t *testing.T) {
	_, left, _ := pair(t, End{}, End{})
	dir := t.TempDir()
	bin := filepath.Join(dir, "xwire")
	os.WriteFile(bin, []byte("#!/bin/sh\necho no such port; exit 1\n"), 0o755)
	b, err := left.Box(bin)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Start(within(t, 2*soon), "[appliance]\ncpus = [0]\n")
	if err == nil || !strings.Contains(err.Error(), "no such port") {
		t.Fatalf("error %v", err)
	}
	text, _ := os.ReadFile(b.ConfigFile)
	if !strings.Contains(string(text), "control = \""+b.Control+"\"\ncpus = [0]") {
		t.Errorf("configuration %q", text)
	}
}

func TestBoxReady(t *testing.T) {
	_, left, _ := pair(t, End{}, End{})
	bin := filepath.Join(t.TempDir(), fakeXwire)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, bin); err != nil {
		t.Fatal(err)
	}
	b, err := left.Box(bin)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(within(t, 2*soon), ""); err != nil {
		t.Fatal(err)
	}
	var got struct{ Args string }
	if err := b.Show(t.Context(), &got, "session", "a"); err != nil || got.Args != "show session a --json --control "+b.Control {
		t.Fatalf("got %q, %v", got.Args, err)
	}
	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := b.Restart(within(t, 2*soon)); err != nil {
		t.Fatal(err)
	}
	b.Kill()
}

// TestNamespacesBesideIP: the first `ip netns add` of a machine does not hold a lab's namespaces.
func TestNamespacesBesideIP(t *testing.T) {
	if os.Getenv("XWIRE_LAB_FIRST") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestNamespacesBesideIP$", "-test.v")
		cmd.Env = append(os.Environ(), "XWIRE_LAB_FIRST=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	// A machine that was just started, as far as this process and what it starts see.
	if err := syscall.Mount("run", "/run", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	pair(t, End{}, End{})
	if out, err := exec.Command("ip", "netns", "add", "first").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command("ip", "netns", "del", "first").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
