package traffic

import (
	"bytes"
	"context"
	"errors"
	"math/bits"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xwire/l2tp"
)

// TestGenerated compiles lab.c again and compares with what is committed.
func TestGenerated(t *testing.T) {
	text, err := os.ReadFile("bpf.go")
	if err != nil {
		t.Fatal(err)
	}
	_, line, ok := strings.Cut(string(text), "//go:generate go ")
	if !ok {
		t.Fatal("bpf.go has no go:generate line")
	}
	line, _, _ = strings.Cut(line, "\n")
	args := strings.Fields(line)
	dir := t.TempDir()
	args = append(args[:2:2], append([]string{"-go-package", "traffic", "-output-dir", dir}, args[2:]...)...)
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v (apt-get install clang llvm libbpf-dev)\n%s", strings.Join(args, " "), err, out)
	}
	for _, name := range []string{"lab_bpfel.o", "lab_bpfel.go", "lab_bpfeb.o", "lab_bpfeb.go"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what lab.c gives: run 'go generate ./bench/traffic' with clang 14 and commit it", name)
		}
	}
}

func TestMix(t *testing.T) {
	for _, s := range []string{"64", "1518", "imix"} {
		m, err := ParseMix(s)
		if err != nil || m.String() != s {
			t.Errorf("%s: %v, %v", s, m, err)
		}
	}
	for _, s := range []string{"", "63", "1519", "mix", "64 "} {
		if m, err := ParseMix(s); err == nil {
			t.Errorf("%q: %v", s, m)
		}
	}
	count := map[int]int{}
	for _, n := range IMIX {
		count[n]++
	}
	if count[64] != 7 || count[570] != 4 || count[1518] != 1 {
		t.Errorf("IMIX is %v", count)
	}
}

// TestPacket compares one packet of each kind with its bytes.
func TestPacket(t *testing.T) {
	cookie, err := l2tp.NewCookie([]byte{0xc0, 0xc1, 0xc2, 0xc3})
	if err != nil {
		t.Fatal(err)
	}
	inner := []byte{0xaa, 0xbb, 0xcc}
	tests := []struct {
		name string
		o    Outer
		want []byte
	}{
		{"IP over IPv4, VLAN, cookie", Outer{
			Src: l2tp.MAC{2, 0, 0, 0, 0, 1}, Dst: l2tp.MAC{2, 0, 0, 0, 0, 2}, Tags: []l2tp.Tag{{TPID: 0x8100, TCI: 7}},
			Local: netip.MustParseAddrPort("192.0.2.1:0"), Peer: netip.MustParseAddrPort("192.0.2.2:0"), SessionID: 0x01020304, Cookie: cookie,
		}, []byte{
			2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 7, 8, 0, // Ethernet
			0x45, 0, 0, 31, 0, 0, 0, 0, 64, 115, 0xf6, 0x68, 192, 0, 2, 1, 192, 0, 2, 2, // IPv4
			1, 2, 3, 4, 0xc0, 0xc1, 0xc2, 0xc3, // session id, cookie
			0xaa, 0xbb, 0xcc,
		}},
		{"UDP over IPv6, sublayer, checksum", Outer{
			Local: netip.MustParseAddrPort("[2001:db8::1]:1701"), Peer: netip.MustParseAddrPort("[2001:db8::2]:1702"),
			SessionID: 5, Sublayer: l2tp.SublayerDefault, Checksum: true,
		}, []byte{
			0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x86, 0xdd, // Ethernet
			0x60, 0, 0, 0, 0, 23, 17, 64, // IPv6
			0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
			0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
			0x06, 0xa5, 0x06, 0xa6, 0, 23, 0x20, 0x3c, // UDP
			0, 3, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, // flags, session id, sublayer
			0xaa, 0xbb, 0xcc,
		}},
	}
	for _, tt := range tests {
		got := tt.o.Append(nil, inner)
		if !bytes.Equal(got, tt.want) {
			t.Errorf("%s:\n got %x\nwant %x", tt.name, got, tt.want)
		}
		if tt.o.Overhead()+len(inner) != len(got) {
			t.Errorf("%s: overhead %d, the packet has %d bytes", tt.name, tt.o.Overhead(), len(got))
		}
	}
}

// stepOf is the step that lab.c counts a latency in.
func stepOf(d time.Duration) int {
	if d < 1<<stepBits {
		return int(max(d, 0))
	}
	shift := bits.Len64(uint64(d)) - 1 - stepBits
	return shift<<stepBits + int(d>>shift)
}

// TestSteps holds the middle of each step against what is counted there.
func TestSteps(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 31, 32, 63, 64, 65, 127, 128, 1000, 123456, 1 << 30, 1<<40 - 1} {
		middle := middleOf(stepOf(d))
		if diff := (middle - d).Abs(); diff > d>>stepBits {
			t.Errorf("%d ns is counted in the step of %d ns", d, middle)
		}
		if stepOf(middle) != stepOf(d) {
			t.Errorf("%d ns: step %d, its middle is in %d", d, stepOf(d), stepOf(middle))
		}
	}
	before := make(Latencies, 200)
	after := make(Latencies, 200)
	before[10], after[10], after[stepOf(100)] = 5, 8, 1
	h := after.Histogram(before)
	if h.TotalCount() != 4 || h.ValueAtQuantile(50) != 10 || h.Max() < 98 || h.Max() > 103 {
		t.Errorf("%d values, median %d, max %d", h.TotalCount(), h.ValueAtQuantile(50), h.Max())
	}
}

// A flood (here of an interface that is not there: nothing leaves) has begun when it has frames, and does not begin on a CPU that is not there.
func TestFlood(t *testing.T) {
	load := Load{Ifindex: 1 << 30, Frames: [][]byte{TestFrame(l2tp.MAC{2}, l2tp.MAC{4}, 64)}, Rate: 1000}
	g, err := NewGenerator(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for range 2 { // the second does not take the first one's frames for its own
		f, err := g.Begin(t.Context(), load)
		if err != nil {
			t.Fatal(err)
		}
		n, err := g.Generated()
		if err := errors.Join(err, f.Wait(t.Context(), time.Millisecond), f.End()); err != nil || n == 0 {
			t.Errorf("%d frames: %v", n, err)
		}
		if f.Wait(t.Context(), time.Hour) == nil {
			t.Error("a flood that has ended can be waited for")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f, err := g.Begin(ctx, load); err == nil {
		t.Error("it begins after its context's end", f.End())
	}
	nowhere, err := NewGenerator(4095, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer nowhere.Close()
	if f, err := nowhere.Begin(t.Context(), load); err == nil || !strings.Contains(err.Error(), "CPU 4095") {
		t.Error("it begins on CPU 4095", err, f)
	}
}
