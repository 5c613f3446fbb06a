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
