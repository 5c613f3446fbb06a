package trunk_test

import (
	"fmt"
	"testing"

	"xwire/appliance/trunk"
)

// One interface more or less is found without a look at all devices, and what lies in its way all the
// same.
func TestOneMoreInterface(t *testing.T) {
	each(t, func(t *testing.T, kind trunk.Kind) {
		tr := open(t, trunk.Config{Dir: t.TempDir(), Kind: kind})
		one := func(name string) trunk.Interface {
			return trunk.Interface{Name: name, Session: "t/" + name, MTU: 1458}
		}
		first := ensure(t, tr, one("cust-a"))[0]
		ip(t, "link add xwl-2 type veth peer name other") // the name of the next place's other end
		second := ensure(t, tr, one("cust-b"))[0]
		if kind == trunk.Spliced && second.CVLAN == 2 {
			t.Error("b has the place whose name is taken")
		}
		if again := ensure(t, tr, one("cust-a"), one("cust-b")); again[0] != first || again[1] != second {
			t.Errorf("again %+v, want %+v and %+v", again, first, second)
		}
		ip(t, "link add cust-c type veth peer name another")
		if _, err := tr.Ensure([]trunk.Interface{one("cust-c")}); err == nil {
			t.Error("a name that is taken was made an interface")
		}
		ip(t, "link del cust-b")
		if back := ensure(t, tr, one("cust-b"))[0]; back.CVLAN != second.CVLAN || !exists("cust-b") {
			t.Errorf("b, deleted by hand, came back as %+v, want the place of %+v", back, second)
		}
		ip(t, "link set cust-a name renamed")
		if after := ensure(t, tr, one("cust-a"))[0]; after != first {
			t.Errorf("a, renamed by hand, is %+v, want %+v", after, first)
		}
		if err := tr.Remove("cust-b", "cust-c", "nobody"); err != nil {
			t.Fatal(err)
		}
		if exists("cust-b") || !exists("cust-c") || !exists("renamed") {
			t.Errorf("after the removal of b: b there %v, c there %v, a there %v", exists("cust-b"), exists("cust-c"), exists("renamed"))
		}
		if err := tr.Remove("cust-a"); err != nil || exists("renamed") {
			t.Errorf("a, renamed, is still there (%v)", err)
		}
	})
}

// The same in service VLANs.
func TestOneMoreInServiceVLANs(t *testing.T) {
	each(t, func(t *testing.T, kind trunk.Kind) {
		tr := open(t, trunk.Config{Dir: t.TempDir(), Kind: kind, IDs: 2})
		one := func(i int) trunk.Interface {
			return trunk.Interface{Name: fmt.Sprintf("cust%d", i), Session: fmt.Sprintf("t/%d", i), MTU: 1458}
		}
		var first []trunk.Binding
		for i := range 6 {
			first = append(first, ensure(t, tr, one(i))...)
		}
		for i, b := range first {
			if b.SVLAN != uint16(i/2) || b.CVLAN != uint16(i%2+1) {
				t.Errorf("%s is on %d.%d", b.Name, b.SVLAN, b.CVLAN)
			}
			if again := ensure(t, tr, one(i))[0]; again != b {
				t.Errorf("again %+v, want %+v", again, b)
			}
		}
		if err := tr.Remove("cust3", "cust0"); err != nil || exists("cust3") || exists("cust0") || !exists("cust5") {
			t.Errorf("Remove: %v, or not the right ones went", err)
		}
		for i, want := range []trunk.Binding{first[0], first[3]} { // the free places, in their order
			if b := ensure(t, tr, one(6+i))[0]; b.SVLAN != want.SVLAN || b.CVLAN != want.CVLAN {
				t.Errorf("%s is on %d.%d, want %d.%d", b.Name, b.SVLAN, b.CVLAN, want.SVLAN, want.CVLAN)
			}
		}
	})
}

// What is to be removed soon may be wanted again at once: it is another interface then.
func TestRemovedSoon(t *testing.T) {
	each(t, func(t *testing.T, kind trunk.Kind) {
		tr := open(t, trunk.Config{Dir: t.TempDir(), Kind: kind})
		var want []trunk.Interface
		var names []string
		for i := range 12 {
			name := fmt.Sprintf("cust%d", i)
			names = append(names, name)
			want = append(want, trunk.Interface{Name: name, Session: "t/" + name, MTU: 1458})
		}
		first := ensure(t, tr, want...)
		tr.RemoveSoon(append(names, "nobody")...)
		again := ensure(t, tr, want[3])[0]
		if again.Ifindex == first[3].Ifindex || again.MAC == first[3].MAC {
			t.Errorf("the interface wanted again is the one that was removed: %+v", again)
		}
		tr.Close() // waits for the removal
		for i, name := range names {
			if exists(name) != (i == 3) {
				t.Errorf("%s: there %v", name, i != 3)
			}
		}
	})
}
