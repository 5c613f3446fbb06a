package trunk_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"xwire/appliance/trunk"
)

// capture reads whole frames from a device, as the far end of the cable sees them.
type capture struct{ fd int }

func newCapture(t *testing.T, dev string) capture {
	t.Helper()
	all := uint16(unix.ETH_P_ALL)<<8 | unix.ETH_P_ALL>>8
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, int(all))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: show(t, dev).Ifindex}); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
		t.Fatal(err)
	}
	return capture{fd}
}

// next returns the next incoming frame and whether its tag or its checksum were beside it.
func (c capture) next(t *testing.T) (frame []byte, beside string) {
	t.Helper()
	const (
		sizeofAuxdata = 20
		csumNotReady  = 1 << 3
		vlanValid     = 1 << 4
	)
	b, oob := make([]byte, 1<<16), make([]byte, 256)
	for {
		n, m, _, from, err := unix.Recvmsg(c.fd, b, oob, 0)
		if err != nil {
			t.Fatalf("no frame on the inner end: %v", err)
		}
		if from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		msgs, err := unix.ParseSocketControlMessage(oob[:m])
		if err != nil {
			t.Fatal(err)
		}
		for _, msg := range msgs {
			if msg.Header.Level == unix.SOL_PACKET && msg.Header.Type == unix.PACKET_AUXDATA && len(msg.Data) >= sizeofAuxdata {
				status := binary.NativeEndian.Uint32(msg.Data)
				if status&csumNotReady != 0 {
					beside += "checksum "
				}
				if status&vlanValid != 0 {
					beside += "tag "
				}
			}
		}
		return b[:n], beside
	}
}

// Frames of the stack's own UDP and TCP must leave whole: the tag inside, the checksum final, no
// segment larger than the MTU.
func TestFramesAreWhole(t *testing.T) {
	enter(t)
	tr := open(t, trunk.Config{Dir: t.TempDir(), Queues: 2, IDs: 1})
	if !hasVLANs(t, tr) {
		return
	}
	got := ensure(t, tr, trunk.Interface{Name: "one", Session: "t/1", MTU: 1458}, trunk.Interface{Name: "two", Session: "t/2", MTU: 1458})
	for i, name := range []string{"one", "two"} {
		ip(t, fmt.Sprintf("addr add 10.0.%d.1/24 dev %s", i, name))
		ip(t, fmt.Sprintf("link set %s up", name))
		ip(t, fmt.Sprintf("neigh add 10.0.%d.2 lladdr 02:00:00:00:00:02 dev %s nud permanent", i, name))
	}
	c := newCapture(t, "xw-port")
	for i, tags := range []string{
		fmt.Sprintf("8100%04x", got[0].CVLAN),
		fmt.Sprintf("88a8%04x8100%04x", got[1].SVLAN, got[1].CVLAN),
	} {
		conn, err := net.Dial("udp4", fmt.Sprintf("10.0.%d.2:9", i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		expect(t, c, fmt.Sprintf("02000000000%d", 2), tags, 17)
		go func() { // never answered: one SYN is enough
			if conn, err := net.DialTimeout("tcp4", fmt.Sprintf("10.0.%d.2:9", i), 100*time.Millisecond); err == nil {
				conn.Close()
			}
		}()
		syn := rawTCP(t, c, i)
		if syn != "" {
			t.Error(syn)
		}
	}
}

// expect reads until an IPv4 frame of the protocol to dst comes and checks tags and checksums.
func expect(t *testing.T, c capture, dst, tags string, protocol byte) {
	t.Helper()
	for {
		f, beside := c.next(t)
		if fmt.Sprintf("%x", f[:6]) != dst {
			continue // multicast of the interfaces themselves
		}
		if beside != "" {
			t.Errorf("beside the frame: %s", beside)
		}
		n := len(tags) / 2
		if got := fmt.Sprintf("%x", f[12:12+n]); got != tags {
			t.Errorf("tags = %s, want %s", got, tags)
			return
		}
		if wrong := checkIPv4(f[12+n:], protocol); wrong != "" {
			t.Errorf("%s: %x", wrong, f[:min(len(f), 64)])
		}
		return
	}
}

func rawTCP(t *testing.T, c capture, i int) string {
	t.Helper()
	for {
		f, beside := c.next(t)
		if f[0] != 2 {
			continue
		}
		at := 16 + 4*i // 802.1Q, or 802.1ad and 802.1Q
		if beside != "" {
			return "beside the SYN: " + beside
		}
		return checkIPv4(f[at:], 6)
	}
}

// checkIPv4 takes what follows the tags: EtherType and packet.
func checkIPv4(b []byte, protocol byte) string {
	if binary.BigEndian.Uint16(b) != 0x0800 {
		return "no IPv4 after the tags"
	}
	b = b[2:]
	size := int(binary.BigEndian.Uint16(b[2:]))
	if b[9] != protocol || size > len(b) {
		return "another packet, or cut"
	}
	if sum(b[:20], 0) != 0xffff {
		return "IPv4 header checksum is wrong"
	}
	if sum(b[20:size], sum(b[12:20], uint32(protocol)+uint32(size-20))) != 0xffff {
		return "checksum is not final"
	}
	return ""
}

func sum(b []byte, s uint32) uint32 {
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		s += uint32(b[len(b)-1]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return s
}

// A thousand at once: made, found again, removed, in seconds.
func TestThousandInterfaces(t *testing.T) {
	enter(t)
	c := trunk.Config{Dir: t.TempDir()}
	tr := open(t, c)
	if !hasVLANs(t, tr) {
		return
	}
	const n = 1000
	want := make([]trunk.Interface, n)
	for i := range want {
		want[i] = trunk.Interface{Name: fmt.Sprintf("l2tpeth%d", i), Session: fmt.Sprintf("t/%d", i), MTU: 1458}
	}
	before := available(t)
	start := time.Now()
	first := ensure(t, tr, want...)
	made := time.Since(start)
	perInterface := (before - available(t)) / n
	start = time.Now()
	again := ensure(t, tr, want...)
	found := time.Since(start)
	for i := range again {
		if again[i] != first[i] {
			t.Fatalf("%s: %+v, want %+v", want[i].Name, again[i], first[i])
		}
	}
	// One address stands for ping: the far end is not there.
	if a, err := netip.ParsePrefix("10.9.9.1/24"); err == nil {
		ip(t, "addr add "+a.String()+" dev l2tpeth999")
	}
	start = time.Now()
	if err := tr.Prune(func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	removed := time.Since(start)
	if exists("l2tpeth0") || exists("l2tpeth999") {
		t.Error("interfaces left after Prune")
	}
	t.Logf("%d interfaces: made %v, found again %v, removed %v; about %d KiB each", n, made.Round(time.Millisecond),
		found.Round(time.Millisecond), removed.Round(time.Millisecond), perInterface)
	if made > 20*time.Second || removed > 20*time.Second {
		t.Errorf("making took %v, removing %v", made, removed)
	}
}

// available is the machine's free memory in KiB.
func available(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); f[0] == "MemAvailable:" {
			n, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("/proc/meminfo has no MemAvailable")
	return 0
}
