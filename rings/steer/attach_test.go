package steer

import (
	"bufio"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// veth makes a pair sa-sb in a namespace of the test's own, both ends up.
func veth(t *testing.T) AttachConfig {
	t.Helper()
	newNetns(t)
	run(t, "ip link add sa numrxqueues 2 numtxqueues 2 type veth peer name sb numrxqueues 2 numtxqueues 2")
	run(t, "ip link set sa up")
	run(t, "ip link set sb up")
	return attachTo(t, "sa")
}

func attachTo(t *testing.T, name string) AttachConfig {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return AttachConfig{Ifindex: i.Index, Name: name, Native: true, Queues: 2}
}

func load(t *testing.T) *Steering {
	t.Helper()
	s, err := Load(LoadConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// attached tells what ip shows of XDP on an interface.
func attached(t *testing.T, name string) string {
	t.Helper()
	for line := range strings.Lines(run(t, "ip link show dev "+name)) {
		if strings.Contains(line, "xdp") {
			return line
		}
	}
	return ""
}

func TestAttach(t *testing.T) {
	cfg := veth(t)
	s := load(t)
	for _, native := range []bool{true, false} {
		cfg.Native = native
		p, err := s.Attach(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if attached(t, "sa") == "" {
			t.Errorf("native %t: ip shows no program", native)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if line := attached(t, "sa"); line != "" {
			t.Errorf("native %t: after Close ip shows %s", native, line)
		}
	}
}

// TestFramesArrive sends real frames, which the kernel answers as long as they are its own.
func TestFramesArrive(t *testing.T) {
	cfg := veth(t)
	s := load(t)
	run(t, "ip address add 192.0.2.1/24 dev sa")
	p, err := s.Attach(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.SetRules(PortRules{Core: true}); err != nil {
		t.Fatal(err)
	}
	if err := s.AddLocal(Local{Addr: tunnelAddr, Encap: EncapIP}); err != nil {
		t.Fatal(err)
	}
	mac := interfaceMAC(t, "sa")
	if err := p.AddMAC(mac); err != nil {
		t.Fatal(err)
	}
	send(t, "sb", overIP(mac[:]), arp)
	deadline := time.Now().Add(30 * time.Second)
	for {
		n, err := p.Stats()
		if err != nil {
			t.Fatal(err)
		}
		// No socket is registered, so the data message falls back to the kernel.
		if n.NoSocket == 1 && n.Other >= 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("counted %+v, want one data message and one frame of the kernel's", n)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestJumbo(t *testing.T) {
	cfg := veth(t)
	s := load(t)
	run(t, "ip link set sa mtu 9000")
	run(t, "ip link set sb mtu 9000")
	if p, err := s.Attach(cfg); err == nil {
		p.Close()
		t.Error("attach at MTU 9000 without Jumbo: no error")
	} else if !strings.Contains(err.Error(), "MTU") {
		t.Errorf("attach at MTU 9000 without Jumbo: %v, want a word on the MTU", err)
	}
	cfg.Jumbo = true
	p, err := s.Attach(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
}

func TestTooFewQueues(t *testing.T) {
	cfg := veth(t)
	run(t, "ethtool -L sa rx 1")
	_, err := load(t).Attach(cfg)
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "ethtool -L") {
		t.Errorf("attach with one RX queue for two TX queues: %v, want ENOSPC with a word on queues", err)
	}
}

func TestNoNativeXDP(t *testing.T) {
	newNetns(t)
	cfg := attachTo(t, "lo")
	if _, err := load(t).Attach(cfg); !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("attach natively to the loopback: %v, want EOPNOTSUPP", err)
	}
	cfg.Native = false
	p, err := load(t).Attach(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
}

// stranger is somebody else's program.
func stranger(t *testing.T) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "stranger", Type: ebpf.XDP, License: "MIT",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestForeignProgramStays(t *testing.T) {
	cfg := veth(t)
	s := load(t)
	program := stranger(t)
	for _, c := range []struct {
		name   string
		attach func() func()
		want   []string
	}{
		{"link, native", func() func() { return byLink(t, program, cfg.Ifindex, link.XDPDriverMode) }, []string{"native", "bpftool link detach id"}},
		{"link, generic", func() func() { return byLink(t, program, cfg.Ifindex, link.XDPGenericMode) }, []string{"generic", "bpftool link detach id"}},
		{"netlink, native", func() func() { return byNetlink(t, program, "sa", link.XDPDriverMode) }, []string{"native", "ip link set dev sa xdpdrv off"}},
		{"netlink, generic", func() func() { return byNetlink(t, program, "sa", link.XDPGenericMode) }, []string{"generic", "ip link set dev sa xdpgeneric off"}},
	} {
		remove := c.attach()
		for _, native := range []bool{true, false} {
			cfg.Native = native
			p, err := s.Attach(cfg)
			if err == nil {
				p.Close()
				t.Fatalf("%s: attached over it", c.name)
			}
			var foreign *ForeignError
			if !errors.As(err, &foreign) || foreign.Name != "stranger" || foreign.ID == 0 {
				t.Errorf("%s: error %v, want one that names the stranger", c.name, err)
			}
			for _, want := range append(c.want, `"stranger"`, "sa ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: error %q does not say %q", c.name, err, want)
				}
			}
		}
		if attached(t, "sa") == "" {
			t.Errorf("%s: the stranger is gone", c.name)
		}
		remove()
	}
	cfg.Native = true
	p, err := s.Attach(cfg)
	if err != nil {
		t.Fatalf("after the stranger left: %v", err)
	}
	p.Close()
}

func byLink(t *testing.T, p *ebpf.Program, ifindex int, mode link.XDPAttachFlags) func() {
	t.Helper()
	l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: ifindex, Flags: mode})
	if err != nil {
		t.Fatal(err)
	}
	return func() { l.Close() }
}

// TestKilled starts itself as a child that attaches and registers, and kills it.
func TestKilled(t *testing.T) {
	const env = "XWIRE_STEER_CHILD"
	if os.Getenv(env) != "" {
		holdProgram(t)
		return
	}
	cfg := veth(t)
	child := exec.Command(os.Args[0], "-test.run=^TestKilled$", "-test.timeout=10m")
	child.Env = append(os.Environ(), env+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "attached\n" {
		child.Process.Kill()
		t.Fatalf("the child said %q: %v", line, err)
	}
	if attached(t, "sa") == "" {
		t.Error("the child's program is not seen")
	}
	if err := child.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	for end := time.Now().Add(30 * time.Second); attached(t, "sa") != ""; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the program outlived its process by half a minute")
		}
	}
	p, err := load(t).Attach(cfg)
	if err != nil {
		t.Fatalf("attach after the kill: %v", err)
	}
	p.Close()
}

// holdProgram is the child: it was started in the parent's namespace.
func holdProgram(t *testing.T) {
	p, err := load(t).Attach(attachTo(t, "sa"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.SetRules(PortRules{Whole: true}); err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("attached\n")
	time.Sleep(5 * time.Minute)
}
