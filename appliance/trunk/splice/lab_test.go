package splice

import (
	"net"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// newTrunk makes the pair st-po of a trunk, in a network namespace that goes with the test.
func newTrunk(t *testing.T, queues string) {
	t.Helper()
	runtime.LockOSThread()
	ns, err := netns.New()
	if err != nil {
		t.Fatalf("make a network namespace: %v (the tests of this package need root)", err)
	}
	t.Cleanup(func() { ns.Close() })
	run(t, "sysctl -qw net.ipv6.conf.default.disable_ipv6=1")
	run(t, "ip link add st mtu 1604 numtxqueues "+queues+" numrxqueues "+queues+" type veth peer name po mtu 1604 numtxqueues "+queues+" numrxqueues "+queues)
	run(t, "ip link set st up")
	run(t, "ip link set po up")
	run(t, "ethtool -K st tx off txvlan off")
}

// newInterface makes a local interface and returns the index of its other end.
func newInterface(t *testing.T, name string) int {
	t.Helper()
	run(t, "ip link add "+name+" mtu 1500 type veth peer name x-"+name+" mtu 1604")
	run(t, "ethtool -K "+name+" tx off txvlan off")
	run(t, "ip link set "+name+" up")
	run(t, "ip link set x-"+name+" up")
	return index(t, "x-"+name)
}

func run(t *testing.T, command string) string {
	t.Helper()
	f := strings.Fields(command)
	out, err := exec.Command(f[0], f[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

func index(t *testing.T, name string) int {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return i.Index
}

// start loads the programs onto the trunk.
func start(t *testing.T) *Splice {
	t.Helper()
	s, err := Load(Config{Stack: index(t, "st"), Name: "st"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func join(t *testing.T, s *Splice, p Place, ifindex int) {
	t.Helper()
	if err := s.Join(p, ifindex); err != nil {
		t.Fatal(err)
	}
}

// socket is a packet socket on a device. It takes the frames that come in.
type socket struct{ fd, ifindex int }

func newSocket(t *testing.T, name string) socket {
	t.Helper()
	all := uint16(unix.ETH_P_ALL)<<8 | unix.ETH_P_ALL>>8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	s := socket{fd, index(t, name)}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: s.ifindex}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s socket) send(t *testing.T, frame []byte) {
	t.Helper()
	if err := unix.Sendto(s.fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: s.ifindex}); err != nil {
		t.Fatalf("send %d bytes: %v", len(frame), err)
	}
}

// soon is how long a busy machine may take for what is done at once on an idle one.
const soon = 30 * time.Second

// receive returns nil when nothing comes for so long.
func (s socket) receive(t *testing.T, patience time.Duration) []byte {
	t.Helper()
	limit := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	for {
		n, from, err := unix.Recvfrom(s.fd, b, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil
		}
		if from.(*unix.SockaddrLinklayer).Pkttype != unix.PACKET_OUTGOING {
			return b[:n]
		}
	}
}

// peek stands where xwire's socket would: a native XDP program that keeps the first bytes of the
// last frame as XDP sees them, its length, and a count for each queue, and drops it.
type peek struct{ first, queues *ebpf.Map }

const peeked = 64

func newPeek(t *testing.T) peek {
	t.Helper()
	first, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: peeked, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	queues, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 8})
	if err != nil {
		t.Fatal(err)
	}
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "Apache-2.0", Instructions: asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, first.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "drop"),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Imm(asm.R2, 0),
		asm.Mov.Reg(asm.R3, asm.R0),
		asm.Mov.Imm(asm.R4, peeked),
		asm.FnXdpLoadBytes.Call(),
		asm.LoadMem(asm.R1, asm.R6, 16, asm.Word), // rx_queue_index
		asm.StoreMem(asm.RFP, -4, asm.R1, asm.Word),
		asm.LoadMapPtr(asm.R1, queues.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "drop"),
		asm.Mov.Imm(asm.R1, 1),
		asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 0),
		asm.Mov.Imm(asm.R0, 1).WithSymbol("drop"),
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: index(t, "po"), Flags: link.XDPDriverMode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); program.Close(); first.Close(); queues.Close() })
	return peek{first, queues}
}

// perQueue counts the frames seen.
func (p peek) perQueue(t *testing.T) (n [8]uint64) {
	t.Helper()
	for i := range n {
		if err := p.queues.Lookup(uint32(i), &n[i]); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func (p peek) count(t *testing.T) (sum uint64) {
	t.Helper()
	for _, n := range p.perQueue(t) {
		sum += n
	}
	return sum
}

// last waits for frame number n and returns how it begins.
func (p peek) last(t *testing.T, n uint64) []byte {
	t.Helper()
	for deadline := time.Now().Add(soon); p.count(t) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d frames at the trunk's inner end, want %d", p.count(t), n)
		}
	}
	b := make([]byte, peeked)
	if err := p.first.Lookup(uint32(0), &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// sendDatagrams sends from a socket of its own, from two CPUs in turn where there are two, and
// waits until the frames have passed.
func (p peek) sendDatagrams(t *testing.T, to string, n int) {
	t.Helper()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	defer unix.SchedSetaffinity(0, &all)
	conn, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	before := p.count(t)
	for i := range n {
		one.Zero()
		for cpu, seen := 0, 0; cpu < 1024; cpu++ {
			if all.IsSet(cpu) {
				if seen == i%all.Count() {
					one.Set(cpu)
				}
				seen++
			}
		}
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("datagram")); err != nil {
			t.Fatal(err)
		}
	}
	p.last(t, before+uint64(n))
}
