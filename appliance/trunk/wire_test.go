package trunk_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"xwire/appliance/trunk"
)

// capture reads the frames that a device sends, after the stack has done all it will do to them.
// (On the far end the stack takes every tag out of a frame before a packet socket sees it, so that
// one that came inside and one that came beside look alike.)
//
// The frames of a spliced interface come to the trunk without passing a packet socket. They are
// taken at the far end, and their tag is put back: package splice holds that it came inside.
type capture struct {
	fd  int
	far bool
}

func newCapture(t *testing.T, dev string, far bool) capture {
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
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 30}); err != nil {
		t.Fatal(err)
	}
	return capture{fd, far}
}

// next returns the next frame sent and whether its tag or its checksum were beside it.
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
			t.Fatalf("no frame: %v", err)
		}
		if from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING == c.far {
			continue
		}
		f := b[:n]
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
				if status&vlanValid != 0 && c.far {
					tag := binary.BigEndian.AppendUint16(nil, binary.NativeEndian.Uint16(msg.Data[18:]))
					tag = binary.BigEndian.AppendUint16(tag, binary.NativeEndian.Uint16(msg.Data[16:]))
					f = slices.Insert(f, 12, tag...)
				} else if status&vlanValid != 0 {
					beside += "tag "
				}
			}
		}
		return f, beside
	}
}

// Frames of the stack must leave whole: the tag inside, the checksum final, nothing larger than
// the MTU although the application hands over ten datagrams at once.
func TestFramesAreWhole(t *testing.T) { each(t, testFramesAreWhole) }

func testFramesAreWhole(t *testing.T, kind trunk.Kind) {
	tr := open(t, trunk.Config{Kind: kind, Dir: t.TempDir(), Queues: 2, IDs: 1})
	got := ensure(t, tr, trunk.Interface{Name: "one", Session: "t/1", MTU: 1458}, trunk.Interface{Name: "two", Session: "t/2", MTU: 1458})
	for i, name := range []string{"one", "two"} {
		ip(t, fmt.Sprintf("addr add 10.0.%d.1/24 dev %s", i, name))
		ip(t, fmt.Sprintf("link set %s up", name))
		ip(t, fmt.Sprintf("neigh replace 10.0.%d.2 lladdr 02:00:00:00:00:02 dev %s nud permanent", i, name))
	}
	c := newCapture(t, map[trunk.Kind]string{trunk.VLANs: "xw-stack", trunk.Spliced: "xw-port"}[kind], kind == trunk.Spliced)
	for i, tags := range []string{
		fmt.Sprintf("8100%04x", got[0].CVLAN),
		fmt.Sprintf("88a8%04x8100%04x", got[1].SVLAN, got[1].CVLAN),
	} {
		conn, err := net.Dial("udp4", fmt.Sprintf("10.0.%d.2:9", i))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := conn.(*net.UDPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		err = raw.Control(func(fd uintptr) {
			if err := unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, 1000); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(make([]byte, 10_000)); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		for range 10 {
			expect(t, c, tags, unix.IPPROTO_UDP)
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{10, 0, byte(i), 2}}); !errors.Is(err, unix.EINPROGRESS) {
			t.Fatal(err)
		}
		expect(t, c, tags, unix.IPPROTO_TCP)
		unix.Close(fd)
	}
}

// expect reads until a frame to the neighbour comes and checks tags and checksums.
func expect(t *testing.T, c capture, tags string, protocol byte) {
	t.Helper()
	for {
		f, beside := c.next(t)
		if fmt.Sprintf("%x", f[:6]) != "020000000002" {
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

// checkIPv4 takes what follows the tags: EtherType and packet.
func checkIPv4(b []byte, protocol byte) string {
	if len(b) < 22 || binary.BigEndian.Uint16(b) != 0x0800 {
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
func TestThousandInterfaces(t *testing.T) { each(t, testThousandInterfaces) }

func testThousandInterfaces(t *testing.T, kind trunk.Kind) {
	c := trunk.Config{Kind: kind, Dir: t.TempDir()}
	tr := open(t, c)
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
	if made > time.Minute || removed > time.Minute {
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
