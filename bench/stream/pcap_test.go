package stream

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/pcapgo"

	"xwire/bench/traffic"
	"xwire/config"
	"xwire/l2tp"
)

const pcapConfig = `
[port.ac]
interface = "eth1"
[defaults.session]
l2spec_type = "none"
[tunnel.a]
encap = "ip"
local = "192.0.2.1"
peer = "198.51.100.7"
tid = 1
ptid = 1
[tunnel.a.session.s]
sid = 100
psid = 200
rx_cookie = "0102030405060708"
attach = "ac"
vlan = 7
[tunnel.b]
encap = "udp"
local = "[2001:db8::1]:1701"
peer = "[2001:db8:7::1]:1702"
tid = 2
ptid = 2
[tunnel.b.session.s]
sid = 101
psid = 201
l2spec_type = "default"
attach = "ac"
vlan = 8
`

// What is written to a file is what the sink of the box's peer would have sent, frame by frame, and
// what tshark takes for L2TPv3.
func TestWriteCapture(t *testing.T) {
	cfg, err := config.Parse("box.toml", []byte(pcapConfig))
	if err != nil {
		t.Fatal(err)
	}
	macs := MACs{Src: l2tp.MAC{2, 0, 0, 0, 0, 1}, Dst: l2tp.MAC{2, 0, 0, 0, 0, 2}}
	plan, err := NewPlan(cfg, Core, true, macs)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	const count, flows = 500, 3
	r, err := WriteCapture(t.Context(), &file, SourceConfig{Plan: plan, MACs: macs, Flows: flows, Mix: traffic.IMIX, Run: 9, Rate: 1000, Count: count})
	if err != nil {
		t.Fatal(err)
	}
	if want := uint64(count + 2*flows); r.Frames != want || r.Seconds < 0.5 || r.Seconds > 0.51 {
		t.Errorf("%+v, want %d frames in half a second", r, want)
	}
	in, err := pcapgo.NewReader(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[[2]uint32]uint64{}
	for n := range int(r.Frames) {
		frame, info, err := in.ReadPacketData()
		if err != nil {
			t.Fatalf("frame %d: %v", n, err)
		}
		if at := info.Timestamp.UnixMicro(); at != int64(n)*1000 {
			t.Errorf("frame %d at %d us", n, at)
		}
		var a arrival
		a.parse(frame)
		if a.verdict != whole || a.run != 9 || plan.misdelivered(&a) {
			t.Fatalf("frame %d is %+v: %x", n, a, frame)
		}
		flow := [2]uint32{a.session, uint32(a.flow)}
		want := numbers[flow]
		if n >= count {
			want |= endMark
		}
		if a.number != want {
			t.Errorf("frame %d of flow %v has number %#x, want %#x", n, flow, a.number, want)
		}
		numbers[flow]++
	}

	path := filepath.Join(t.TempDir(), "box.pcap")
	if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("tshark", "-r", path, "-T", "fields", "-e", "_ws.col.Protocol", "-e", "l2tp.sid", "-e", "_ws.malformed").Output()
	if err != nil {
		t.Fatalf("tshark (Debian package tshark): %v", err)
	}
	seen := map[string]int{}
	for line := range strings.Lines(string(out)) {
		seen[strings.TrimSpace(line)]++
	}
	if seen["L2TPv3\t0x00000064"] != int(r.Frames)/2 || seen["L2TPv3\t0x00000065"] != int(r.Frames)/2 {
		t.Errorf("tshark sees %v", seen)
	}
}
