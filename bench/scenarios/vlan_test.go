package scenarios

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"xwire/bench/lab"
)

// A passage is a frame that goes in with some tags at one site and must come out with others at
// the other; out "" means that it must not come out.
type passage struct {
	from int
	in   []uint16
	out  string
}

// vlanCase is a wire and what passes through it.
type vlanCase struct {
	name     string
	kind     string
	vlan, pw [2]string
	passages []passage
	drop     string // with a passage to nowhere: the reason counted at the core port of the far box
}

// vlanCases stand together on one access port at each end.
var vlanCases = []vlanCase{
	{name: "single keep", vlan: [2]string{"100", "100"},
		passages: []passage{{0, []uint16{100}, "100"}, {1, []uint16{100}, "100"}, {0, []uint16{100, 7}, "100.7"}}},
	{name: "single none to single none", vlan: [2]string{"101", "201"}, pw: [2]string{"none", "none"},
		passages: []passage{{0, []uint16{101}, "201"}, {1, []uint16{201}, "101"}, {1, []uint16{201, 9}, "101.9"}}},
	{name: "single by a VLAN inside", vlan: [2]string{"102", "202"}, pw: [2]string{"302", "302"},
		passages: []passage{{0, []uint16{102}, "202"}, {1, []uint16{202}, "102"}}},
	{name: "vlan pseudowire rewrites what it gets", kind: "vlan", vlan: [2]string{"103", "203"},
		passages: []passage{{0, []uint16{103}, "203"}, {1, []uint16{203}, "103"}, {0, []uint16{103, 8}, "203.8"}}},
	{name: "vlan pseudowire with a VLAN inside", kind: "vlan", vlan: [2]string{"104", "204"}, pw: [2]string{"304", "304"},
		passages: []passage{{0, []uint16{104}, "204"}, {1, []uint16{204}, "104"}}},
	{name: "vlan pseudowire, VLAN inside at one end only", kind: "vlan", vlan: [2]string{"105", "205"}, pw: [2]string{"305", "keep"},
		// Box 1 sends its own VLAN 205, box 0 wants 305.
		passages: []passage{{0, []uint16{105}, "205"}, {1, []uint16{205}, ""}}, drop: "vlan_mismatch"},
	{name: "range keep", vlan: [2]string{"110-119", "110-119"},
		passages: []passage{{0, []uint16{110}, "110"}, {0, []uint16{119}, "119"}, {1, []uint16{115}, "115"}, {1, []uint16{115, 3}, "115.3"}}},
	{name: "range keep within a wider one", vlan: [2]string{"130-133", "130-131"},
		passages: []passage{{0, []uint16{131}, "131"}, {0, []uint16{132}, ""}}, drop: "vlan_mismatch"},
	{name: "qinq keep", vlan: [2]string{"120.20", "120.20"},
		passages: []passage{{0, []uint16{120, 20}, "120.20"}, {1, []uint16{120, 20}, "120.20"}}},
	{name: "qinq none to single none", vlan: [2]string{"121.20", "221"}, pw: [2]string{"none", "none"},
		passages: []passage{{0, []uint16{121, 20}, "221"}, {1, []uint16{221}, "121.20"}}},
	{name: "qinq by a VLAN inside", vlan: [2]string{"122.20", "222"}, pw: [2]string{"322", "322"},
		passages: []passage{{0, []uint16{122, 20}, "222"}, {1, []uint16{222}, "122.20"}}},
	{name: "qinq none to qinq none", vlan: [2]string{"123.30", "124.31"}, pw: [2]string{"none", "none"},
		passages: []passage{{0, []uint16{123, 30}, "124.31"}, {1, []uint16{124, 31}, "123.30"}}},
	{name: "another qinq of that S-VLAN", vlan: [2]string{"123.32", "125.33"}, pw: [2]string{"none", "none"},
		passages: []passage{{0, []uint16{123, 32}, "125.33"}, {1, []uint16{125, 33}, "123.32"}}},
	{name: "qinq keep in a vlan pseudowire", kind: "vlan", vlan: [2]string{"126.40", "126.40"},
		passages: []passage{{0, []uint16{126, 40}, "126.40"}, {1, []uint16{126, 40}, "126.40"}}},
	{name: "untagged to single", vlan: [2]string{"untagged", "206"}, pw: [2]string{"none", "none"},
		passages: []passage{{0, nil, "206"}, {1, []uint16{206}, "untagged"}}},
	{name: "single to untagged", vlan: [2]string{"107", "untagged"}, pw: [2]string{"307", "307"},
		passages: []passage{{0, []uint16{107}, "untagged"}, {1, nil, "107"}}},
	{name: "other tags kept at either end", vlan: [2]string{"108", "208"},
		passages: []passage{{0, []uint16{108}, ""}, {1, []uint16{208}, ""}}, drop: "vlan_mismatch"},
	{name: "none meets keep", vlan: [2]string{"109", "209"}, pw: [2]string{"none", "keep"},
		passages: []passage{{0, []uint16{109}, ""}}, drop: "vlan_missing"},
}

func TestVLANs(t *testing.T) {
	w := pair(t, shape{AccessMTU: taggedMTU})
	var wires []*wire
	for n, c := range vlanCases {
		wires = append(wires, &wire{name: "w" + vlanOf(n)[0], kind: c.kind, vlan: c.vlan, pwVLAN: c.pw, sid: [2]uint32{uint32(n + 1), uint32(n + 1)}})
	}
	boxes := [2]*lab.Box{w.start(t, 0, config(0, wires...)), w.start(t, 1, config(1, wires...))}
	for n, c := range vlanCases {
		t.Run(c.name, func(t *testing.T) {
			for _, p := range c.passages {
				if p.out != "" {
					w.carry(t, p.from, vids(p.in...), p.out)
					continue
				}
				far := boxes[1-p.from]
				before, beforeSession := portOf(t, far, "core0").Drops[c.drop], sessionOf(t, far, wires[n].session())
				w.refuse(t, p.from, vids(p.in...))
				until(t, "20 frames are dropped", func() (bool, string) {
					d, after := portOf(t, far, "core0").Drops[c.drop]-before, sessionOf(t, far, wires[n].session())
					return d == 20 && after.RxErrors-beforeSession.RxErrors == 20,
						fmt.Sprintf("from site %d: %d dropped as %s, rx_errors %d to %d", p.from, d, c.drop, beforeSession.RxErrors, after.RxErrors)
				})
			}
		})
	}
}

// TestWholePort carries every tag as it is, and an untagged circuit beside VLANs of a "vlan"
// pseudowire, which TestVLANs has no room for.
func TestWholePort(t *testing.T) {
	w := pair(t, shape{AccessMTU: taggedMTU})
	x := &wire{name: "all", vlan: [2]string{"all", "all"}, sid: [2]uint32{1, 2}}
	w.start(t, 0, config(0, x))
	w.start(t, 1, config(1, x))
	for from := range 2 {
		w.carry(t, from, nil, "untagged")
		w.carry(t, from, vids(5), "5")
		w.carry(t, from, vids(4094, 1), "4094.1")
		w.carry(t, from, []lab.Tag{{TPID: 0x88a8, TCI: 3}, {TPID: 0x8100, TCI: 4}, {TPID: 0x8100, TCI: 6}}, "3.4.6")
		w.carry(t, from, []lab.Tag{{TPID: 0x8100, TCI: 0}}, "0") // a priority tag
	}
}

// tagged is a short frame of an unknown type, for byte-exact comparison.
func tagged(from int, tags ...lab.Tag) []byte {
	b := append(append([]byte{}, stations[1-from]...), stations[from]...)
	for _, t := range tags {
		b = binary.BigEndian.AppendUint16(b, t.TPID)
		b = binary.BigEndian.AppendUint16(b, t.TCI)
	}
	b = append(b, 0x88, 0xb6)
	return append(b, bytes.Repeat([]byte{0xa5}, 64)...)
}

// received waits for a frame of ours on a capture and returns all of them.
func received(c *lab.Capture, count int) (frames [][]byte) {
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		frames = frames[:0]
		for _, f := range c.Frames() {
			if bytes.Contains(f.Frame, []byte{0x88, 0xb6, 0xa5, 0xa5}) {
				frames = append(frames, f.Frame)
			}
		}
		if len(frames) >= count {
			break
		}
	}
	return frames
}

// TestTagBytes holds priority bits and tag protocol identifiers to the byte.
func TestTagBytes(t *testing.T) {
	const prio = 0xb000 // PCP 5, DEI
	w := pair(t, shape{})
	wires := []*wire{
		{name: "single", vlan: [2]string{"100", "200"}, pwVLAN: [2]string{"300", "300"}, sid: [2]uint32{1, 1}},
		{name: "qinq", vlan: [2]string{"121.20", "221.21"}, pwVLAN: [2]string{"301", "301"}, sid: [2]uint32{2, 2}},
		{name: "rewrite", kind: "vlan", vlan: [2]string{"103", "203"}, sid: [2]uint32{3, 3}},
		{name: "bare", vlan: [2]string{"104", "204"}, pwVLAN: [2]string{"none", "none"}, sid: [2]uint32{4, 4}},
		{name: "untagged", vlan: [2]string{"untagged", "untagged"}, sid: [2]uint32{5, 5}},
	}
	w.start(t, 0, config(0, wires...))
	// Box 1 sends its S-tags with the identifier of before 802.1ad.
	w.start(t, 1, strings.Replace(config(1, wires...), accessPort, accessPort+"qinq_tpid = 0x9100\n", 1))
	for _, c := range []struct {
		name    string
		in, out []lab.Tag
	}{
		{"priority follows a rewritten tag", []lab.Tag{{TPID: 0x8100, TCI: prio | 100}}, []lab.Tag{{TPID: 0x8100, TCI: prio | 200}}},
		{"of the outer tag to both", []lab.Tag{{TPID: 0x88a8, TCI: prio | 121}, {TPID: 0x8100, TCI: 0x2000 | 20}}, []lab.Tag{{TPID: 0x9100, TCI: prio | 221}, {TPID: 0x8100, TCI: prio | 21}}},
		{"an S-tag of the old kind is taken", []lab.Tag{{TPID: 0x9100, TCI: 121}, {TPID: 0x8100, TCI: 20}}, []lab.Tag{{TPID: 0x9100, TCI: 221}, {TPID: 0x8100, TCI: 21}}},
		{"vlan pseudowire", []lab.Tag{{TPID: 0x8100, TCI: prio | 103}}, []lab.Tag{{TPID: 0x8100, TCI: prio | 203}}},
		{"inner tag untouched", []lab.Tag{{TPID: 0x8100, TCI: prio | 103}, {TPID: 0x8100, TCI: 0x5007}}, []lab.Tag{{TPID: 0x8100, TCI: prio | 203}, {TPID: 0x8100, TCI: 0x5007}}},
		{"popped, so without priority", []lab.Tag{{TPID: 0x8100, TCI: prio | 104}}, []lab.Tag{{TPID: 0x8100, TCI: 204}}},
		{"a priority tag is untagged, and kept", []lab.Tag{{TPID: 0x8100, TCI: prio}}, []lab.Tag{{TPID: 0x8100, TCI: prio}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			capture, err := w.sites[1].Capture("eth0")
			must(t, err)
			defer capture.Close()
			must(t, w.sites[0].SendFrames("eth0", tagged(0, c.in...)))
			got := received(capture, 1)
			if len(got) != 1 || !bytes.Equal(got[0], tagged(0, c.out...)) {
				t.Errorf("got %x, want %x", got, tagged(0, c.out...))
			}
		})
	}
}

// TestOthersVLANs: what is configured nowhere stays the kernel's, the rest of a port's VLANs, and
// of an S-VLAN's, included. TestVLANDevices does the same with addresses on such VLANs.
func TestOthersVLANs(t *testing.T) {
	w := pair(t, shape{})
	wires := []*wire{
		{name: "single", vlan: [2]string{"100", "100"}, sid: [2]uint32{1, 1}},
		{name: "qinq", vlan: [2]string{"120.20", "120.20"}, sid: [2]uint32{2, 2}},
	}
	must(t, w.hosts[0].AddAddr("ac0", netip.MustParsePrefix("10.0.0.254/24")))
	box := w.start(t, 0, config(0, wires...))
	w.start(t, 1, config(1, wires...))
	capture, err := w.hosts[0].Capture("ac0")
	must(t, err)
	defer capture.Close()
	if r, err := w.sites[0].Ping(t.Context(), netip.MustParseAddr("10.0.0.254"), lab.PingConfig{Count: 5, Timeout: soon}); err != nil || r.Lost() != 0 {
		t.Errorf("ping the box: %+v, %v", r, err)
	}
	w.carry(t, 0, vids(100), "100")
	others := [][]byte{tagged(0, vids(120, 21)...), tagged(0, vids(120)...), tagged(0, vids(101)...), tagged(0, vids(101, 20)...)}
	before := portOf(t, box, "ac0").Received
	must(t, w.sites[0].SendFrames("eth0", others...))
	if got := received(capture, len(others)); len(got) != len(others) {
		t.Errorf("the kernel got %d of %d frames of others' VLANs", len(got), len(others))
	}
	if after := portOf(t, box, "ac0").Received; after != before {
		t.Errorf("xwire took %d of them", after-before)
	}
}
