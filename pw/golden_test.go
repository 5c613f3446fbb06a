package pw

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"xwire/l2tp"
)

var update = flag.Bool("update", false, "write the golden files anew: in.pcapng from case.toml, the rest from what comes out")

// goldenCase is testdata/golden/NAME/case.toml. A frame's port is its interface in the captures.
// Identifications and flow labels, which are ours to choose, are 0 in out.pcapng.
type goldenCase struct {
	Tunnel []struct {
		Encap, Local, Peer string
		UDPChecksumTx      bool `toml:"udp_checksum_tx"`
		Session            []struct {
			SID, PSID uint32
			Port      uint16
			VLAN      string
			PWVLAN    string   `toml:"pw_vlan"`
			TxCookie  string   `toml:"tx_cookie"`
			RxCookie  []string `toml:"rx_cookie"`
			L2Spec    string
			Type      string
		}
	}
	TShark struct {
		Cookie, Sublayer string   // of the packets, in tshark's words
		Fields           string   // names of fields
		Expect           []string // their values, a line for each frame
	}
	Frame []struct {
		Port  uint16
		Bytes string
	}
}

func parseVLAN(t *testing.T, s string) VLANMatch {
	v := VLANMatch{Kind: VLANAll}
	switch {
	case s == "all":
	case s == "untagged":
		v.Kind = VLANUntagged
	default:
		v.Kind = VLANSingle
		if n, _ := fmt.Sscanf(s, "%d-%d", &v.Lo, &v.Hi); n == 2 {
			v.Kind = VLANRange
		} else if n, _ := fmt.Sscanf(s, "%d.%d", &v.Lo, &v.C); n == 2 {
			v.Kind = VLANQinQ
		} else if _, err := fmt.Sscan(s, &v.Lo); err != nil {
			t.Fatalf("vlan %q: %v", s, err)
		}
	}
	if v.String() != s {
		t.Fatalf("vlan %q reads as %v", s, v)
	}
	return v
}

// build makes the case's table. Port 0 is the core, the others are attachments'.
func (c *goldenCase) build(t *testing.T) *Table {
	table := NewTable(1)
	table.SetPort(0, PortSpec{Core: true})
	hop := table.AddNextHop(NextHop{Port: 0, Src: l2tp.MAC{2, 0, 0, 0, 0, 1}, Dst: l2tp.MAC{2, 0, 0, 0, 0, 2}, MTU: 1600})
	for _, tun := range c.Tunnel {
		spec := TunnelSpec{Encap: l2tp.EncapIP, Local: addrPort(tun.Local), Peer: addrPort(tun.Peer), UDPChecksumTx: tun.UDPChecksumTx}
		if tun.Encap == "udp" {
			spec.Encap = l2tp.EncapUDP
		}
		id := must(table.AddTunnel(spec))(t)
		table.SetTunnelNextHop(id, hop)
		for _, s := range tun.Session {
			spec := SessionSpec{Tunnel: id, SID: s.SID, PSID: s.PSID, TxCookie: cookie(t, s.TxCookie), RxCookieCount: len(s.RxCookie), Type: l2tp.PWEth}
			for i, ck := range s.RxCookie {
				spec.RxCookies[i] = cookie(t, ck)
			}
			if s.L2Spec == "default" {
				spec.Sublayer = l2tp.SublayerDefault
			}
			if s.Type == "vlan" {
				spec.Type = l2tp.PWEthVLAN
			}
			spec.AC = Attachment{Port: s.Port, VLAN: parseVLAN(t, s.VLAN)}
			switch s.PWVLAN {
			case "", "keep":
			case "none":
				spec.AC.PW.Kind = PWNone
			default:
				spec.AC.PW = PWTags{Kind: PWVID, VID: parseVLAN(t, s.PWVLAN).Lo}
			}
			must(table.AddSession(spec))(t)
		}
	}
	return table
}

type goldenFrame struct {
	port  uint16
	bytes []byte
}

func readCapture(t *testing.T, path string) (frames []goldenFrame) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatalf("%v (write it with go test -run Golden -update)", err)
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, info, err := r.ReadPacketData()
		if err != nil {
			return frames
		}
		frames = append(frames, goldenFrame{uint16(info.InterfaceIndex), data})
	}
}

func writeCapture(t *testing.T, path string, frames []goldenFrame) {
	t.Helper()
	const ports = 4
	var out bytes.Buffer
	iface := func(p int) pcapgo.NgInterface {
		return pcapgo.NgInterface{Name: fmt.Sprintf("port%d", p), LinkType: layers.LinkTypeEthernet, SnapLength: 4096}
	}
	w, err := pcapgo.NewNgWriterInterface(&out, iface(0), pcapgo.NgWriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for p := 1; p < ports; p++ {
		if _, err := w.AddInterface(iface(p)); err != nil {
			t.Fatal(err)
		}
	}
	for i, fr := range frames {
		info := gopacket.CaptureInfo{
			Timestamp: time.Unix(1_000_000_000+int64(i), 0), Length: len(fr.bytes), CaptureLength: len(fr.bytes), InterfaceIndex: int(fr.port),
		}
		if err := w.WritePacket(info, fr.bytes); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// countersText lists what is not 0, a line each.
func countersText(table *Table) string {
	var b strings.Builder
	line := func(what string, n uint64) {
		if n > 0 {
			fmt.Fprintf(&b, "%s %d\n", what, n)
		}
	}
	for p := range uint16(4) {
		line(fmt.Sprintf("port %d forwarded", p), table.PortForwarded(p))
		for i, n := range table.PortDrops(p) {
			line(fmt.Sprintf("port %d %v", p, Drop(i)), n)
		}
	}
	for id := TunnelID(1); ; id++ {
		if _, _, ok := table.Tunnel(id); !ok {
			break
		}
		line(fmt.Sprintf("tunnel %d rx_invalid", id), table.TunnelCounters(id).RxInvalid)
	}
	for id := SessionID(1); ; id++ {
		if _, ok := table.Session(id); !ok {
			break
		}
		c := table.SessionCounters(id)
		for _, v := range []struct {
			name string
			n    uint64
		}{
			{"tx_packets", c.TxPackets}, {"tx_bytes", c.TxBytes}, {"tx_errors", c.TxErrors},
			{"rx_packets", c.RxPackets}, {"rx_bytes", c.RxBytes}, {"rx_errors", c.RxErrors},
			{"rx_cookie_discards", c.RxCookieDiscards}, {"rx_cookie 1", c.RxCookie[0]}, {"rx_cookie 2", c.RxCookie[1]},
			{"rx_oam", c.RxOAM}, {"rx_fragments", c.RxFragments}, {"sublayer_bits", c.SublayerBits}, {"suspect", c.Suspect},
		} {
			line(fmt.Sprintf("session %d %s", id, v.name), v.n)
		}
		if s := table.Suspicion(id).String(); s != "" {
			fmt.Fprintf(&b, "session %d: %s\n", id, s)
		}
	}
	return b.String()
}

func goldenCases(t *testing.T) (dirs []string) {
	dirs, err := filepath.Glob("testdata/golden/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no golden cases: %v", err)
	}
	return dirs
}

func loadGolden(t *testing.T, dir string) *goldenCase {
	var c goldenCase
	meta, err := toml.DecodeFile(filepath.Join(dir, "case.toml"), &c)
	if err != nil {
		t.Fatal(err)
	}
	if u := meta.Undecoded(); len(u) > 0 {
		t.Fatalf("%s: unknown %v", dir, u)
	}
	return &c
}

func TestGolden(t *testing.T) {
	for _, dir := range goldenCases(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			c := loadGolden(t, dir)
			in, out, counters := filepath.Join(dir, "in.pcapng"), filepath.Join(dir, "out.pcapng"), filepath.Join(dir, "counters.txt")
			if *update && len(c.Frame) > 0 {
				var frames []goldenFrame
				for _, fr := range c.Frame {
					frames = append(frames, goldenFrame{fr.Port, wire(t, strings.Split(fr.Bytes, "\n")...)})
				}
				writeCapture(t, in, frames)
			}
			table := c.build(t)
			r := newRig(t, table)
			var got []goldenFrame
			for _, fr := range readCapture(t, in) {
				if port, b := r.one(fr.port, fr.bytes); port != NoPort {
					got = append(got, goldenFrame{port, withoutRandom(b)})
				}
			}
			text := countersText(table)
			if *update {
				writeCapture(t, out, got)
				if err := os.WriteFile(counters, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want := readCapture(t, out)
			if !slices.EqualFunc(got, want, func(a, b goldenFrame) bool { return a.port == b.port && bytes.Equal(a.bytes, b.bytes) }) {
				t.Errorf("got  %x\nwant %x", got, want)
			}
			if b, err := os.ReadFile(counters); err != nil || string(b) != text {
				t.Errorf("counters are\n%s, want\n%s (%v)", text, b, err)
			}
		})
	}
}

// An independent decoder must read in the golden output what was meant.
func TestGoldenByTShark(t *testing.T) {
	path, err := exec.LookPath("tshark")
	if err != nil {
		t.Fatalf("%v: apt-get install tshark", err)
	}
	for _, dir := range goldenCases(t) {
		c := loadGolden(t, dir)
		if c.TShark.Fields == "" {
			continue
		}
		t.Run(filepath.Base(dir), func(t *testing.T) {
			args := []string{
				"-r", filepath.Join(dir, "out.pcapng"), "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
				"-T", "fields", "-E", "separator=|", "-E", "occurrence=a", "-e", "ip.checksum.status",
			}
			if c.TShark.Cookie != "" {
				args = append(args, "-o", "l2tp.cookie_size:"+c.TShark.Cookie, "-o", "l2tp.l2_specific:"+c.TShark.Sublayer,
					"-d", "l2tp.pw_type==0,eth", "-d", "udp.port==1702,l2tp")
			}
			for f := range strings.FieldsSeq(c.TShark.Fields) {
				args = append(args, "-e", f)
			}
			cmd := exec.Command(path, args...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			b, err := cmd.Output()
			if err != nil {
				t.Fatalf("tshark: %v\n%s", err, stderr.String())
			}
			var got []string
			for line := range strings.Lines(string(b)) {
				sums, rest, _ := strings.Cut(strings.TrimRight(line, "\n"), "|")
				if strings.ContainsAny(sums, "0") { // 0 is bad, 1 is good
					t.Errorf("an IPv4 header has a wrong checksum: %s", line)
				}
				got = append(got, rest)
			}
			if !slices.Equal(got, c.TShark.Expect) {
				t.Errorf("tshark says\n%q, want\n%q", got, c.TShark.Expect)
			}
		})
	}
}
