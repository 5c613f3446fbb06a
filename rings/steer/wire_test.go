package steer

import (
	"net"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// tunnelAddr is the destination that overIP writes.
var tunnelAddr = netip.AddrFrom4([4]byte{192, 0, 2, 1})

func interfaceMAC(t *testing.T, name string) [6]byte {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return [6]byte(i.HardwareAddr)
}

// send puts frames on the wire by a packet socket.
func send(t *testing.T, name string, frames ...[]byte) {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, f := range frames {
		if err := unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: i.Index}); err != nil {
			t.Fatalf("send on %s: %v", name, err)
		}
	}
}

// byNetlink attaches as 'ip link set xdp' does, without a BPF link.
func byNetlink(t *testing.T, p *ebpf.Program, name string, mode link.XDPAttachFlags) func() {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetXdpFdWithFlags(l, p.FD(), int(mode)); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := netlink.LinkSetXdpFdWithFlags(l, -1, int(mode)); err != nil {
			t.Fatal(err)
		}
	}
}
