package trunk_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"xwire/appliance/trunk"
)

func TestPair(t *testing.T) {
	enter(t)
	dir := filepath.Join(t.TempDir(), "state")
	tr := open(t, trunk.Config{Dir: dir, Queues: 2, MTU: 1600})
	if tr.InnerName() != "xw-port" || tr.Queues() != 2 {
		t.Errorf("InnerName, Queues = %q, %d, want xw-port, 2", tr.InnerName(), tr.Queues())
	}
	for _, name := range []string{"xw-stack", "xw-port"} {
		d := show(t, name)
		if !d.has("UP") || d.MTU != 1604 || d.GenMode != "none" || d.Linkinfo.Kind != "veth" || d.NumTX < 2 {
			t.Errorf("%s: %+v, want an up veth of MTU 1604 and two queues that makes no addresses", name, d)
		}
		if a := ip(t, "-6 addr show dev "+name); strings.Contains(a, "inet6") {
			t.Errorf("%s has an address: %s", name, a)
		}
	}
	for line := range strings.Lines(run(t, "ethtool", "-k", "xw-stack")) {
		for _, f := range []string{"tx-checksum-ip-generic", "tx-checksum-sctp", "tx-scatter-gather", "tx-tcp-segmentation", "tx-tcp6-segmentation",
			"tx-udp-segmentation", "generic-segmentation-offload", "tx-vlan-offload", "tx-vlan-stag-hw-insert"} {
			if strings.HasPrefix(strings.TrimSpace(line), f+":") && !strings.Contains(line, "off") {
				t.Errorf("ethtool -k: %s", line)
			}
		}
	}
	index := show(t, "xw-stack").Ifindex
	tr.Close()
	run(t, "ethtool", "-K", "xw-stack", "tx", "on", "txvlan", "on") // somebody tidied up
	tr = open(t, trunk.Config{Dir: dir, Queues: 1, MTU: 1700})
	if d := show(t, "xw-stack"); d.Ifindex != index || d.MTU != 1704 {
		t.Errorf("after reopening: %+v, want the same device with MTU 1704", d)
	}
	if tr.Queues() != 1 {
		t.Errorf("Queues = %d after reopening with 1", tr.Queues())
	}
	if k := run(t, "ethtool", "-k", "xw-stack"); !strings.Contains(k, "tx-vlan-offload: off") || !strings.Contains(k, "tx-checksum-ip-generic: off") {
		t.Errorf("offloads are on again after reopening:\n%s", k)
	}
}

// A pair is one trunk's, also if the other one keeps its state elsewhere.
func TestClaimed(t *testing.T) {
	enter(t)
	first := open(t, trunk.Config{Dir: t.TempDir()})
	if tr, err := trunk.Open(trunk.Config{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "another xwire") {
		if err == nil {
			tr.Close()
		}
		t.Errorf("Open = %v while another trunk has the pair", err)
	}
	first.Close()
	open(t, trunk.Config{Dir: t.TempDir()})
}

func TestForeignPair(t *testing.T) {
	enter(t)
	ip(t, "link add name xw-port type bridge")
	if _, err := trunk.Open(trunk.Config{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "xw-port exists without xw-stack") {
		t.Errorf("Open = %v, want a refusal that names both", err)
	}
	ip(t, "link add name xw-stack type bridge")
	if _, err := trunk.Open(trunk.Config{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "not one veth pair") {
		t.Errorf("Open = %v, want a refusal", err)
	}
	if _, err := trunk.Open(trunk.Config{Dir: t.TempDir(), Stack: "a-long-name"}); err == nil {
		t.Error("Open took a name that leaves no room for service VLANs")
	}
}

func TestAdoptedAfterRestart(t *testing.T) { each(t, testAdoptedAfterRestart) }

func testAdoptedAfterRestart(t *testing.T, kind trunk.Kind) {
	c := trunk.Config{Kind: kind, Dir: t.TempDir()}
	tr := open(t, c)
	want := []trunk.Interface{{Name: "l2tpeth0", Session: "paris/a", MTU: 1458}, {Name: "l2tpeth1", Session: "paris/b", MTU: 1446}}
	first := ensure(t, tr, want...)
	if first[0].CVLAN == first[1].CVLAN || first[0].SVLAN != 0 || first[0].CVLAN == 0 {
		t.Errorf("bindings %+v, want two single tags", first)
	}
	d := show(t, "l2tpeth0")
	if d.MTU != 1458 || d.Ifalias != "xwire paris/a" || d.has("UP") || kind == trunk.VLANs && d.Linkinfo.Data.ID != int(first[0].CVLAN) || d.Ifindex != first[0].Ifindex {
		t.Errorf("l2tpeth0 = %+v, want MTU 1458, alias, down, VLAN %d", d, first[0].CVLAN)
	}
	if d.Address[1] != '2' && d.Address[1] != '6' && d.Address[1] != 'a' && d.Address[1] != 'e' {
		t.Errorf("MAC address %s is not locally administered", d.Address)
	}
	ip(t, "link add name br0 type bridge")
	ip(t, "link set l2tpeth0 master br0 up")
	ip(t, "addr add 192.0.2.1/24 dev l2tpeth1")
	for _, lost := range []bool{false, true} {
		tr.Close()
		if lost {
			if err := os.WriteFile(filepath.Join(c.Dir, "trunk.json"), []byte("{"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		tr = open(t, c)
		again := ensure(t, tr, want...)
		for i := range again {
			if again[i] != first[i] {
				t.Errorf("state lost %v: binding %+v, want %+v", lost, again[i], first[i])
			}
		}
		if n := show(t, "l2tpeth0"); n.Address != d.Address || n.Master != "br0" || !n.has("UP") {
			t.Errorf("state lost %v: l2tpeth0 = %+v", lost, n)
		}
		if a := ip(t, "addr show dev l2tpeth1"); !strings.Contains(a, "192.0.2.1/24") {
			t.Errorf("state lost %v: l2tpeth1 lost its address: %s", lost, a)
		}
	}

	// Deleted by the operator: made anew with its MAC address.
	ip(t, "link del l2tpeth0")
	again := ensure(t, tr, want...)
	if n := show(t, "l2tpeth0"); n.Address != d.Address || n.Ifalias != d.Ifalias || again[0].CVLAN != first[0].CVLAN || n.Ifindex != again[0].Ifindex {
		t.Errorf("made anew: %+v, want MAC %s", n, d.Address)
	}
	// The MTU follows the configuration, in place.
	want[0].MTU, want[0].Session = 1400, "paris/other"
	ensure(t, tr, want...)
	if n := show(t, "l2tpeth0"); n.MTU != 1400 || n.Ifindex != again[0].Ifindex || n.Ifalias != "xwire paris/other" {
		t.Errorf("MTU changed: %+v, want 1400 in place", n)
	}
	// Unless it is the operator's to change.
	ip(t, "link set l2tpeth0 mtu 1300")
	kept := want[0]
	kept.KeepMTU = true
	ensure(t, tr, kept)
	if n := show(t, "l2tpeth0"); n.MTU != 1300 {
		t.Errorf("MTU = %d, want the operator's 1300", n.MTU)
	}
	// Renamed by the operator: still the session's.
	ip(t, "link set l2tpeth1 name customer")
	if r := ensure(t, tr, want...); r[1] != first[1] {
		t.Errorf("renamed: %+v, want %+v", r[1], first[1])
	}
	ip(t, "link set customer name l2tpeth1")
	// A MAC address that the operator set is the one remembered.
	ip(t, "link set l2tpeth1 address 02:00:00:00:00:77")
	ensure(t, tr, want...)
	ip(t, "link del l2tpeth1")
	ensure(t, tr, want...)
	if n := show(t, "l2tpeth1"); n.Address != "02:00:00:00:00:77" {
		t.Errorf("MAC address of the new l2tpeth1 = %s, want the operator's", n.Address)
	}

	if err := tr.Prune(func(name string) bool { return name == "l2tpeth1" }); err != nil {
		t.Fatal(err)
	}
	if exists("l2tpeth0") || !exists("l2tpeth1") {
		t.Error("Prune removed the wrong devices")
	}
	if b := ensure(t, tr, want[0]); b[0].CVLAN != first[0].CVLAN {
		t.Errorf("the free VLAN is not used again: %+v", b[0])
	}
	if n := show(t, "l2tpeth0"); n.Address == d.Address {
		t.Error("MAC address remembered after Prune")
	}
}

func TestRefused(t *testing.T) { each(t, testRefused) }

func testRefused(t *testing.T, kind trunk.Kind) {
	tr := open(t, trunk.Config{Kind: kind, Dir: t.TempDir(), MTU: 1600})
	ip(t, "link add name taken type bridge")
	for _, c := range []struct{ name, text string }{
		{"taken", "not ours (interface"},
		{"xw-stack", "reserved"}, {"xw-port", "reserved"}, {"xw-stack.3", "reserved"},
		{"much-too-long-name", "no name"}, {"", "no name"}, {"a/b", "no name"}, {"a:b", "no name"},
	} {
		if _, err := tr.Ensure([]trunk.Interface{{Name: c.name, Session: "a/b", MTU: 1458}}); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("Ensure(%q) = %v, want %q", c.name, err, c.text)
		}
	}
	if _, err := tr.Ensure([]trunk.Interface{{Name: "big", Session: "a/b", MTU: 9000}}); err == nil || !strings.Contains(err.Error(), "above the trunk's 1600") {
		t.Errorf("Ensure of MTU 9000 = %v", err)
	}
	// One that is refused does not stop the others.
	b, err := tr.Ensure([]trunk.Interface{{Name: "taken", MTU: 1458}, {Name: "good", Session: "a/c", MTU: 1600}})
	if err == nil || len(b) != 1 || b[0].Name != "good" {
		t.Errorf("Ensure = %+v, %v, want good and an error", b, err)
	}
	if err := tr.Prune(func(string) bool { return false }); err != nil || !exists("taken") || exists("good") {
		t.Errorf("Prune = %v, or it removed what is not ours", err)
	}
}

func TestServiceVLANs(t *testing.T) { each(t, testServiceVLANs) }

func testServiceVLANs(t *testing.T, kind trunk.Kind) {
	c := trunk.Config{Kind: kind, Dir: t.TempDir(), IDs: 2, MTU: 1500}
	tr := open(t, c)
	var want []trunk.Interface
	for i := range 6 {
		want = append(want, trunk.Interface{Name: fmt.Sprintf("q%d", i), Session: fmt.Sprintf("t/%d", i), MTU: 1500})
	}
	got := ensure(t, tr, want...)
	for i, v := range [][2]uint16{{0, 1}, {0, 2}, {1, 1}, {1, 2}, {2, 1}, {2, 2}} {
		if got[i].SVLAN != v[0] || got[i].CVLAN != v[1] {
			t.Errorf("q%d is on %d.%d, want %d.%d", i, got[i].SVLAN, got[i].CVLAN, v[0], v[1])
		}
	}
	if kind == trunk.VLANs {
		s := show(t, "xw-stack.2")
		if s.Linkinfo.Data.Protocol != "802.1ad" || s.Linkinfo.Data.ID != 2 || !s.has("UP") || s.GenMode != "none" {
			t.Errorf("xw-stack.2 = %+v, want an up 802.1ad device", s)
		}
		if d := show(t, "q4"); d.Link != "xw-stack.2" || d.Linkinfo.Data.Protocol != "802.1Q" || d.MTU != 1500 {
			t.Errorf("q4 = %+v, want an 802.1Q device over xw-stack.2", d)
		}
	} else if d := show(t, "q4"); d.Link != "xwl-2.1" || d.Linkinfo.Kind != "veth" || d.MTU != 1500 {
		t.Errorf("q4 = %+v, want a veth whose other end is xwl-2.1", d)
	}
	if _, err := tr.Ensure([]trunk.Interface{{Name: "q6", MTU: 1500}}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("Ensure beyond the last VLAN = %v", err)
	}
	tr.Close()
	tr = open(t, c)
	for i, b := range ensure(t, tr, want...) {
		if b != got[i] {
			t.Errorf("after reopening %+v, want %+v", b, got[i])
		}
	}
}

func TestMovedToAnotherNamespace(t *testing.T) { each(t, testMovedToAnotherNamespace) }

func testMovedToAnotherNamespace(t *testing.T, kind trunk.Kind) {
	c := trunk.Config{Kind: kind, Dir: t.TempDir()}
	tr := open(t, c)
	other := fmt.Sprintf("trunk-%d", os.Getpid())
	ip(t, "netns add "+other)
	t.Cleanup(func() { ip(t, "netns del "+other) })
	want := []trunk.Interface{{Name: "away", Session: "t/1", MTU: 1458}, {Name: "here", Session: "t/2", MTU: 1458}}
	first := ensure(t, tr, want...)
	ip(t, "link set away netns "+other)
	for range 2 {
		if b := ensure(t, tr, want...); b[0] != first[0] {
			t.Errorf("moved: %+v, want %+v", b[0], first[0])
		}
		if exists("away") {
			t.Error("a second device was made for the one that was moved")
		}
		tr.Close()
		tr = open(t, c)
	}
	if err := tr.Remove("away"); err != nil {
		t.Fatal(err)
	}
	if out := ip(t, "-n "+other+" -br link"); strings.Contains(out, "away") {
		t.Errorf("Remove left the device in the other namespace: %s", out)
	}

	// Gone with its namespace: made anew here, with its MAC address.
	mac := show(t, "here").Address
	third := other + "-b"
	ip(t, "netns add "+third)
	ip(t, "link set here netns "+third)
	ip(t, "netns del "+third)
	for i := 0; !exists("here"); i++ { // the kernel takes namespaces down in its own time
		ensure(t, tr, want[1])
		if time.Sleep(20 * time.Millisecond); i > 6000 {
			t.Fatal("not made anew after its namespace went")
		}
	}
	if got := show(t, "here").Address; got != mac {
		t.Errorf("MAC address %s, want %s", got, mac)
	}
}
