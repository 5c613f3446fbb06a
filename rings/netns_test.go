package rings

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// newNetns moves the test into a network namespace of its own. The thread stays locked and ends
// with the test, and the namespace with it.
func newNetns(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	ns, err := netns.New()
	if err != nil {
		t.Fatalf("make a network namespace: %v (the kernel tests of this package need root)", err)
	}
	t.Cleanup(func() { ns.Close() })
	// No neighbour discovery among the numbered frames.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}

// run calls a command in the test's namespace.
func run(t *testing.T, format string, args ...any) {
	t.Helper()
	words := strings.Fields(fmt.Sprintf(format, args...))
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(words, " "), err, out)
	}
}

// newPair makes two interfaces joined by a cable, up, with as many queues each way at both ends.
func newPair(t *testing.T, near, far string, queues int) {
	t.Helper()
	run(t, "ip link add %s numtxqueues %d numrxqueues %d type veth peer name %s numtxqueues %d numrxqueues %d",
		near, queues, queues, far, queues, queues)
	run(t, "ip link set %s up", near)
	run(t, "ip link set %s up", far)
}

// redirect is an XDP program on one interface that gives every frame to the socket of its queue.
type redirect struct {
	sockets *ebpf.Map
	program *ebpf.Program
	link    link.Link
}

func attachRedirect(t *testing.T, name string, skb, jumbo bool) *redirect {
	t.Helper()
	sockets, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 16})
	if err != nil {
		t.Fatal(err)
	}
	const receiveQueue = 16 // offset of rx_queue_index in struct xdp_md
	fragments := uint32(0)
	if jumbo {
		fragments = unix.BPF_F_XDP_HAS_FRAGS
	}
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, Flags: fragments,
		Instructions: asm.Instructions{
			asm.LoadMem(asm.R2, asm.R1, receiveQueue, asm.Word),
			asm.LoadMapPtr(asm.R1, sockets.FD()),
			asm.Mov.Imm(asm.R3, 2), // XDP_PASS if there is no socket
			asm.FnRedirectMap.Call(),
			asm.Return(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	flags := link.XDPDriverMode
	if skb {
		flags = link.XDPGenericMode
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: indexOf(t, name), Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	r := &redirect{sockets, program, l}
	t.Cleanup(r.close)
	return r
}

func (r *redirect) close() {
	r.link.Close()
	r.program.Close()
	r.sockets.Close()
}

func indexOf(t *testing.T, name string) int {
	t.Helper()
	fd := packetFD(t, 0)
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
		t.Fatalf("index of %s: %v", name, err)
	}
	return int(request.Uint32())
}

func packetFD(t *testing.T, protocol uint16) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(protocol))
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// newSender opens a packet socket that sends out of an interface and receives nothing.
func newSender(t *testing.T, name string) int {
	t.Helper()
	fd := packetFD(t, 0)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: indexOf(t, name)}); err != nil {
		t.Fatal(err)
	}
	return fd
}

// newReceiver opens a packet socket that receives what arrives at an interface.
func newReceiver(t *testing.T, name string) int {
	t.Helper()
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL<<8&0xff00 // in network byte order
	fd := packetFD(t, 0)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: indexOf(t, name), Protocol: all}); err != nil {
		t.Fatal(err)
	}
	limit := unix.NsecToTimeval(soon.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// receive reads a frame. A signal of Go's own ends a call that has a limit.
func receive(fd int, b []byte) (n int, err error) {
	for n, err = unix.Read(fd, b); err == unix.EINTR; {
		n, err = unix.Read(fd, b)
	}
	return n, err
}

// addKernelPort attaches a program to an interface, opens it as a port and steers its queues there.
func addKernelPort(t *testing.T, f *Fabric, cfg PortConfig) (*Port, *redirect) {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = cfg.Interface
	}
	r := attachRedirect(t, cfg.Interface, cfg.Mode == ModeSKB, cfg.Jumbo)
	p, err := f.AddPort(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range p.Sockets() {
		if err := r.sockets.Put(s.Queue, uint32(s.FD)); err != nil {
			t.Fatal(err)
		}
	}
	return p, r
}
