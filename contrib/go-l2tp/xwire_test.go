package gol2tp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"xwire/appliance/api"
)

// space is a network namespace that a sleeping process holds.
type space struct {
	t   *testing.T
	pid int
}

func newSpace(t *testing.T) space {
	t.Helper()
	holder := exec.Command("unshare", "-n", "sleep", "600")
	holder.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = holder.Process.Kill(); _ = holder.Wait() })
	s := space{t, holder.Process.Pid}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	until(t, "a namespace", func() bool { ns, err := os.Readlink(s.file()); return err == nil && ns != own })
	return s
}

func (s space) file() string { return fmt.Sprintf("/proc/%d/ns/net", s.pid) }

// run starts a command inside.
func (s space) run(line string) {
	s.t.Helper()
	command(s.t, fmt.Sprintf("nsenter -t %d -n %s", s.pid, line))
}

// do calls a function inside. Sockets that it opens stay there. The thread comes back: were it to
// end, the processes that it started would end with it.
func (s space) do(f func() error) {
	s.t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	back, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		s.t.Fatal(err)
	}
	defer back.Close()
	there, err := os.Open(s.file())
	if err != nil {
		s.t.Fatal(err)
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		s.t.Fatal(err)
	}
	err = f()
	if back := unix.Setns(int(back.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(back) // no test can go on in the wrong namespace
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// packets is a packet socket on an interface of a namespace.
func (s space) packets(name string, typ uint16) (fd int, mac net.HardwareAddr) {
	s.t.Helper()
	s.do(func() error {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		mac = i.HardwareAddr
		network := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, typ))
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(network)); err != nil {
			return err
		}
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 200_000}); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: network, Ifindex: i.Index})
	})
	s.t.Cleanup(func() { unix.Close(fd) })
	return fd, mac
}

// buildXwire returns the path of the program.
func buildXwire(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "xwire")
	build := exec.Command("go", "build", "-o", program, "./cmd/xwire")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build xwire: %v: %s", err, out)
	}
	return program
}

// startXwire runs xwire with a core port and an access port in a namespace.
func startXwire(t *testing.T, program string, in space, tunnels string) *api.Client {
	t.Helper()
	dir := t.TempDir()
	socket := filepath.Join(dir, "control.sock")
	text := fmt.Sprintf("[appliance]\ncontrol = %q\ncpus = [0]\n[port.core0]\ninterface = \"core0\"\n[port.access0]\ninterface = \"acc0\"\n", socket) + tunnels
	config := filepath.Join(dir, "xwire.toml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	x := exec.Command("nsenter", "-t", strconv.Itoa(in.pid), "-n", program, "run", "--config", config)
	x.Stdout, x.Stderr = &out, &out
	x.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := x.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = x.Process.Signal(unix.SIGTERM)
		if err := x.Wait(); err != nil {
			t.Errorf("xwire: %v", err)
		}
		if t.Failed() {
			t.Logf("xwire said:\n%s", out.String())
		}
	})
	c := api.NewClient(socket)
	until(t, "xwire is ready", func() bool {
		s, err := c.Status(t.Context())
		return err == nil && s.Ready && s.PortsUp == 2
	})
	return c
}

// A PPPoE session of an access port goes through an L2TPv2 session to Debian's xl2tpd, and back.
func TestPPPThroughXwire(t *testing.T) {
	if !withXl2tpd(t) {
		return
	}
	far, site := newSpace(t), newSpace(t)
	command(t, "ip link add core0 type veth peer name far0")
	command(t, "ip link add acc0 type veth peer name site0")
	command(t, fmt.Sprintf("ip link set far0 netns %d", far.pid))
	command(t, fmt.Sprintf("ip link set site0 netns %d", site.pid))
	command(t, "ip addr add 192.0.2.1/24 dev core0")
	command(t, "ip link set core0 up")
	command(t, "ip link set acc0 up")
	far.run("ip addr add 192.0.2.2/24 dev far0")
	far.run("ip link set far0 up")
	far.run("ethtool -K far0 tx off tso off gso off") // what it sends must be whole
	site.run("ip link set site0 up")
	lns := startXl2tpdIn(t, far, "192.0.2.2")
	socket, mac := site.packets("site0", 0x8864)
	acc, err := net.InterfaceByName("acc0")
	if err != nil {
		t.Fatal(err)
	}

	client := startXwire(t, buildXwire(t), space{t, os.Getpid()}, "")
	text := strings.NewReplacer("127.0.0.1:1801", "192.0.2.1:1701", "127.0.0.9", "192.0.2.2", "vrf = \"\"\n", "").Replace(lacText)
	text = strings.Replace(text, "[ 0x02, 0, 0, 0, 0, 7 ]", strings.Join([]string{"[", strings.Trim(strings.ReplaceAll(fmt.Sprintf("%#v", []byte(mac)), "[]byte{", ""), "}"), "]"}, " "), 1)
	stop := startDaemon(t, client, text)
	until(t, "the session is up", func() bool {
		s, err := client.TunnelSession(t.Context(), "lns", "one", false)
		return err == nil && s.State == "up"
	})
	until(t, "one tunnel of the API, which leaves control messages to us", func() bool {
		tunnels, err := client.Tunnels(t.Context())
		return err == nil && len(tunnels) == 1 && tunnels[0].Origin == api.OriginAPI && strings.Contains(tunnels[0].Reason, "another program has a UDP socket")
	})

	// LCP Configure-Request with a magic number, in PPPoE session 7.
	ppp, _ := hex.DecodeString("c021" + "0101000a" + "0506deadbeef")
	frame := append(append([]byte{}, acc.HardwareAddr...), mac...)
	frame = append(frame, 0x88, 0x64, 0x11, 0x00, 0x00, 0x07, 0x00, byte(len(ppp)))
	frame = append(frame, ppp...)
	frame = append(frame, make([]byte, 60-len(frame))...)
	var sent time.Time
	until(t, "the LNS has the frame", func() bool {
		if time.Since(sent) > time.Second { // its pppd may not be there yet
			if _, err := unix.Write(socket, frame); err != nil {
				t.Fatal(err)
			}
			sent = time.Now()
		}
		return strings.Contains(lns.frames(), "ff03"+hex.EncodeToString(ppp))
	})

	// Its pppd acknowledged: code 2, the rest the same.
	want := append([]byte{0xc0, 0x21, 2}, ppp[3:]...)
	got, acked := "nothing", false
	for end := time.Now().Add(time.Minute); !acked && time.Now().Before(end); {
		b := make([]byte, 1600)
		n, from, err := unix.Recvfrom(socket, b, 0)
		if err != nil {
			continue
		}
		if l, ok := from.(*unix.SockaddrLinklayer); ok && l.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		got = hex.EncodeToString(b[:n])
		acked = n >= 20+len(want) && bytes.Equal(b[:6], mac) && bytes.Equal(b[6:12], acc.HardwareAddr) &&
			bytes.Equal(b[12:20], []byte{0x88, 0x64, 0x11, 0, 0, 7, 0, byte(len(want))}) && bytes.Equal(b[20:20+len(want)], want)
	}
	if !acked {
		t.Errorf("the site has %s, want a PPPoE frame with %x", got, want)
	}
	until(t, "the session counts packets both ways", func() bool {
		s, err := client.TunnelSession(t.Context(), "lns", "one", false)
		return err == nil && s.TxPackets > 0 && s.RxPackets > 0
	})
	stop()
	if tunnels, err := client.Tunnels(t.Context()); err != nil || len(tunnels) != 0 {
		t.Errorf("after the stop there are tunnels %+v, %v", tunnels, err)
	}
}
