package scenarios

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"xwire/bench/lab"
)

// TestGolden captures what box 0 sends for every mix of the matrix, and has tshark say what it is.
// tshark must be told the lengths of cookie and sublayer, so there is a capture for each pair.
func TestGolden(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Fatal("tshark is needed (see .ci/packages.md)")
	}
	w := pair(t, shape{})
	wires := matrix()
	for n, x := range wires {
		if x.udp && !x.six && n%2 == 0 {
			x.more = "udp_checksum = true"
		}
		if n%3 == 0 {
			x.pwVLAN = [2]string{fmt.Sprint(300 + n), fmt.Sprint(300 + n)}
		}
	}
	w.start(t, 0, config(0, wires...))
	macs := [2]string{}
	for i := range macs {
		mac, err := w.hosts[i].MAC("core0")
		must(t, err)
		macs[i] = mac.String()
	}
	for _, cookie := range []int{0, 4, 8} {
		for _, sublayer := range []string{"none", "default"} {
			t.Run(fmt.Sprintf("cookie of %d, sublayer %s", cookie, sublayer), func(t *testing.T) {
				capture, err := w.hosts[1].Capture("core0")
				must(t, err)
				defer capture.Close()
				var want []string
				for n, x := range wires {
					if len(x.cookie[1]) != 2*cookie || x.sublayer != sublayer {
						continue
					}
					must(t, w.sites[0].SendFrames("eth0", tagged(0, lab.Tag{TPID: 0x8100, TCI: 0x6000 | uint16(100+n)})))
					want = append(want, x.golden(macs, n))
					received(capture, len(want)) // one after the other, as tshark tells them
				}
				capture.Close()
				got := decode(t, capture, cookie, sublayer)
				if len(want) < 4 || strings.Join(got, "\n") != strings.Join(want, "\n") {
					t.Errorf("tshark reads\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			})
		}
	}
}

// goldenFields are what tshark is asked for, in the order of golden.
var goldenFields = []string{"eth.src", "eth.dst", "ip.src", "ip.dst", "ip.ttl", "ip.flags.df", "ip.checksum.status", "ipv6.src", "ipv6.dst", "ipv6.hlim",
	"udp.srcport", "udp.dstport", "udp.checksum.status", "l2tp.type", "l2tp.version", "l2tp.sid", "l2tp.cookie", "l2tp.l2_spec_s", "vlan.id", "vlan.priority", "vlan.etype", "data.len"}

// golden is what tshark must read of the wire's packet from box 0. The MACs of the frame inside
// come after a comma.
func (w *wire) golden(macs [2]string, n int) string {
	f := map[string]string{
		"eth.src": macs[0] + "," + stations[0].String(), "eth.dst": macs[1] + "," + stations[1].String(),
		"l2tp.sid": fmt.Sprintf("0x%08x", w.sid[1]), "l2tp.cookie": w.cookie[1], "data.len": "64",
	}
	if w.six {
		f["ipv6.src"], f["ipv6.dst"], f["ipv6.hlim"] = core6[0].String(), core6[1].String(), "64"
	} else {
		f["ip.src"], f["ip.dst"], f["ip.ttl"], f["ip.flags.df"], f["ip.checksum.status"] = core4[0].String(), core4[1].String(), "64", "0", "1"
	}
	if w.udp {
		f["udp.srcport"], f["udp.dstport"], f["l2tp.type"], f["l2tp.version"] = "1701", "1702", "0", "3"
		f["udp.checksum.status"] = "1" // good
		if !w.six && w.more == "" {
			f["udp.checksum.status"] = "3" // not present
		}
	}
	if w.sublayer == "default" {
		f["l2tp.l2_spec_s"] = "0"
	}
	if w.pwVLAN[0] != "none" {
		f["vlan.id"], f["vlan.priority"], f["vlan.etype"] = w.pwVLAN[0], "3", "0x88b6"
	}
	var values []string
	for _, name := range goldenFields {
		values = append(values, name+"="+f[name])
	}
	return strings.Join(values, " ")
}

// decode gives a line for each packet of ours.
func decode(t *testing.T, c *lab.Capture, cookie int, sublayer string) (lines []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "golden.pcap")
	must(t, c.Save(path))
	// A bad value is accepted in silence, so mind these.
	args := []string{"-n", "-r", path, "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
		"-o", fmt.Sprintf("l2tp.cookie_size:cookie%d", cookie), "-o", "l2tp.l2_specific:" + sublayer,
		"-d", "l2tp.pw_type==0,eth", "-d", "udp.port==1702,l2tp", "-Y", "l2tp", "-T", "fields", "-E", "separator=|"}
	for _, f := range goldenFields {
		args = append(args, "-e", f)
	}
	cmd := exec.Command("tshark", args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v: %s", err, &stderr)
	}
	for line := range strings.Lines(string(out)) {
		values := strings.Split(strings.TrimSuffix(line, "\n"), "|")
		for i, v := range values {
			if goldenFields[i] == "l2tp.cookie" {
				v = strings.ReplaceAll(v, ":", "")
			}
			values[i] = goldenFields[i] + "=" + v
		}
		lines = append(lines, strings.Join(values, " "))
	}
	return lines
}
