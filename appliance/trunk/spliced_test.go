package trunk_test

import (
	"strings"
	"testing"

	"xwire/appliance/trunk"
	"xwire/appliance/trunk/splice"
)

func TestKindIsKept(t *testing.T) {
	enter(t)
	c := trunk.Config{Dir: t.TempDir()}
	tr := open(t, c)
	if has := hasVLANs(t); has != (tr.Kind() == trunk.VLANs) || tr.Kind() == trunk.Auto {
		t.Errorf("Kind = %v on a kernel that has VLAN devices: %t", tr.Kind(), has)
	}
	tr.Close()
	c.Kind = trunk.Spliced
	tr = open(t, c)
	want := trunk.Interface{Name: "loc1", Session: "t/1", MTU: 1458}
	first := ensure(t, tr, want)
	tr.Close()
	c.Kind = trunk.Auto
	tr = open(t, c)
	if tr.Kind() != trunk.Spliced {
		t.Errorf("Kind = %v over an interface that is spliced", tr.Kind())
	}
	if again := ensure(t, tr, want); again[0] != first[0] {
		t.Errorf("binding %+v, want %+v", again[0], first[0])
	}
}

func TestOtherEnds(t *testing.T) {
	enter(t)
	c := trunk.Config{Dir: t.TempDir(), Kind: trunk.Spliced, MTU: 1600}
	tr := open(t, c)
	ip(t, "link add xwl-1 type bridge") // somebody else's
	want := []trunk.Interface{{Name: "loc1", Session: "t/1", MTU: 1458}, {Name: "loc2", Session: "t/2", MTU: 1458}}
	first := ensure(t, tr, want...)
	if first[0].CVLAN != 2 || first[1].CVLAN != 3 {
		t.Errorf("bindings %+v, want VLANs 2 and 3", first)
	}
	hidden := func(what string) {
		t.Helper()
		for _, name := range []string{"xwl-2", "xwl-3"} {
			d := show(t, name)
			if d.Ifalias != "xwire end xw-stack" || !d.has("UP") || d.MTU != 1604 || d.GenMode != "none" || d.NumTX != 1 {
				t.Errorf("%s: %s is %+v, want up, quiet, with MTU 1604 and an alias", what, name, d)
			}
			if l := ip(t, "link show dev "+name); !strings.Contains(l, "xdpgeneric") {
				t.Errorf("%s: %s has no program: %s", what, name, l)
			}
		}
	}
	hidden("made")
	if d := show(t, "loc1"); d.NumTX != 1 || d.has("UP") {
		t.Errorf("loc1 is %+v, want one queue, and down", d)
	}
	// As a process leaves them that is killed on the way, and as somebody may leave them.
	tr.Close()
	ip(t, "link set xwl-2 addrgenmode eui64 down")
	run(t, "ip", "link", "set", "xwl-2", "alias", "")
	ip(t, "link set xwl-3 down")
	run(t, "ethtool", "-K", "loc1", "tx", "on")
	tr = open(t, c)
	for i, b := range ensure(t, tr, want...) {
		if b != first[i] {
			t.Errorf("binding %+v, want %+v", b, first[i])
		}
	}
	hidden("after half a start")
	if k := run(t, "ethtool", "-k", "loc1"); !strings.Contains(k, "tx-checksum-ip-generic: off") {
		t.Errorf("offloads of loc1 are on:\n%s", k)
	}
	if d, err := tr.Drops(); err != nil || d != (splice.Drops{}) {
		t.Errorf("Drops = %+v, %v, want none", d, err)
	}
	if _, err := tr.Ensure([]trunk.Interface{{Name: "xwl-9", Session: "t/9"}}); err == nil || !strings.Contains(err.Error(), "reserved") {
		t.Errorf("Ensure(xwl-9) = %v, want a refusal", err)
	}
	if err := tr.Prune(func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if exists("loc1") || exists("xwl-2") || exists("xwl-3") || !exists("xwl-1") {
		t.Error("Prune removed the wrong devices")
	}
}
