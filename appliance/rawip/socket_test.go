package rawip

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"xwire/l2tp"
)

// isolate moves the test's thread, which ends with it, into a network namespace with a loopback device.
func isolate(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("make network namespace: %v", err)
	}
	h, err := netlink.NewHandle()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
	if err := h.LinkSetMTU(lo, 1500); err != nil {
		t.Fatal(err)
	}
}

// send sends data over IP, in fragments if it must, to the loopback address.
func send(t *testing.T, ip6 bool, proto byte, data []byte) {
	t.Helper()
	family := unix.AF_INET
	var to unix.Sockaddr = &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if ip6 {
		family, to = unix.AF_INET6, &unix.SockaddrInet6{Addr: netip.IPv6Loopback().As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(proto))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, data, 0, to); err != nil {
		t.Fatal(err)
	}
}

// message is a data message of n bytes, from the UDP header or the session id on.
func message(proto byte, sid uint32, n int) []byte {
	b := bytes.Repeat([]byte{0xa5}, n)
	at := 0
	if proto == l2tp.ProtoUDP {
		l2tp.UDP(b).Encode(1701, 1701, uint16(n))
		copy(b[8:], "\x00\x03\x00\x00")
		at = 12
	}
	copy(b[at:], []byte{byte(sid >> 24), byte(sid >> 16), byte(sid >> 8), byte(sid)})
	return b
}

func TestDataMessages(t *testing.T) {
	for _, ip6 := range []bool{false, true} {
		for _, proto := range []byte{l2tp.ProtoL2TP, l2tp.ProtoUDP} {
			t.Run(fmt.Sprintf("ip6=%v/%d", ip6, proto), func(t *testing.T) { testDataMessages(t, ip6, proto) })
		}
	}
}

func testDataMessages(t *testing.T, ip6 bool, proto byte) {
	isolate(t)
	s, err := Open(ip6, proto, DataMessages(ip6, proto))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	time.AfterFunc(5*time.Second, func() { s.Close() })
	addr, header := netip.MustParseAddr("127.0.0.1"), l2tp.IPv4Len
	if ip6 {
		addr, header = netip.IPv6Loopback(), l2tp.IPv6Len
	}
	control := message(proto, 0, 100)
	if proto == l2tp.ProtoUDP {
		control[8] = 0xc8
	}
	send(t, ip6, proto, control)
	for _, n := range []int{60, 1400, 1600, 4000} {
		want := message(proto, 0x01020304, n)
		send(t, ip6, proto, want)
		p, err := s.Read()
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if p.Src != addr || p.Dst != addr || p.Ifindex != 1 || len(p.IP) != header+n || !bytes.Equal(p.IP[header:], want) {
			t.Errorf("%d bytes from %v to %v by %d: %d bytes", n, p.Src, p.Dst, p.Ifindex, len(p.IP))
		}
		if ip6 && (!l2tp.IPv6(p.IP).Valid() || l2tp.IPv6(p.IP).NextHeader() != proto) || !ip6 && (!l2tp.IPv4(p.IP).Valid() || l2tp.IPv4(p.IP).Fragment()) {
			t.Errorf("%d bytes: header %x", n, p.IP[:header])
		}
	}
}

func TestCloseEndsRead(t *testing.T) {
	isolate(t)
	s, err := Open(false, l2tp.ProtoL2TP, nil)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, func() { s.Close() })
	if _, err := s.Read(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
}
