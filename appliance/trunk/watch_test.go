package trunk_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"xwire/appliance/trunk"
)

// watched opens a trunk that reports what disappears.
func watched(t *testing.T, c trunk.Config, want ...trunk.Interface) (*trunk.Trunk, func(name string)) {
	t.Helper()
	tr := open(t, c)
	ensure(t, tr, want...)
	gone := make(chan string, 64)
	if err := tr.Watch(func(name string) { gone <- name }); err != nil {
		t.Fatal(err)
	}
	return tr, func(name string) {
		t.Helper()
		for {
			select {
			case got := <-gone:
				if got == name {
					return
				}
			case <-time.After(2 * time.Minute):
				t.Fatalf("nobody tells that %s has gone", name)
			}
		}
	}
}

func TestDeletedWhileWatched(t *testing.T) { each(t, testDeletedWhileWatched) }

func testDeletedWhileWatched(t *testing.T, kind trunk.Kind) {
	want := []trunk.Interface{{Name: "cust0", Session: "t/0", MTU: 1458, KeepMTU: true}, {Name: "cust1", Session: "t/1", MTU: 1458}}
	tr, told := watched(t, trunk.Config{Kind: kind, Dir: t.TempDir()}, want...)
	ip(t, "link add name br0 type bridge")
	ip(t, "link set cust0 master br0")
	ip(t, "link set cust0 mtu 1400 up")
	ip(t, "link set cust1 name customer")
	time.Sleep(3 * time.Second) // what stands for a second is the operator's
	before := show(t, "cust0")
	ip(t, "link del cust0")
	told("cust0")
	ensure(t, tr, want...)
	d := show(t, "cust0")
	if d.Address != before.Address || d.Master != "br0" || d.MTU != 1400 || !d.has("UP") || d.Ifalias != before.Ifalias {
		t.Errorf("made again: %+v, want what was before: %+v", d, before)
	}
	// By another name, and never up.
	ip(t, "link del customer")
	told("cust1")
	ensure(t, tr, want...)
	if d := show(t, "cust1"); d.has("UP") || d.MTU != 1458 {
		t.Errorf("made again: %+v, want it down and with the MTU of its session", d)
	}
	// A second time, and the bridge has gone too.
	ip(t, "link del br0")
	ip(t, "link del cust0")
	told("cust0")
	ensure(t, tr, want...)
	if !exists("cust0") {
		t.Error("not made again without its bridge")
	}
}

// A move looks like a deletion, and is none.
func TestMovedWhileWatched(t *testing.T) { each(t, testMovedWhileWatched) }

func testMovedWhileWatched(t *testing.T, kind trunk.Kind) {
	want := trunk.Interface{Name: "cust0", Session: "t/0", MTU: 1458}
	tr, told := watched(t, trunk.Config{Kind: kind, Dir: t.TempDir()}, want)
	other := fmt.Sprintf("trunk-watch-%d", os.Getpid())
	ip(t, "netns add "+other)
	ip(t, "link set cust0 netns "+other)
	told("cust0")
	ensure(t, tr, want)
	if exists("cust0") {
		t.Error("a second device was made for the one that was moved")
	}
	ip(t, "netns del "+other)
	if kind == trunk.Spliced { // nothing tells of a VLAN device that goes with its namespace
		told("cust0")
		ensure(t, tr, want)
		if !exists("cust0") {
			t.Error("not made again after its namespace went")
		}
	}
}

func TestRemake(t *testing.T) { each(t, testRemake) }

func testRemake(t *testing.T, kind trunk.Kind) {
	want := []trunk.Interface{{Name: "cust0", Session: "t/0", MTU: 1458}, {Name: "cust1", Session: "t/1", MTU: 1458}}
	tr, told := watched(t, trunk.Config{Kind: kind, Dir: t.TempDir()}, want...)
	mac := show(t, "cust1").Address
	ip(t, "link del xw-port")
	if kind == trunk.Spliced {
		ip(t, "link del cust1")
	}
	told("cust1")
	if err := tr.Remake(); err != nil {
		t.Fatal(err)
	}
	ensure(t, tr, want...)
	if d := show(t, "cust1"); d.Address != mac {
		t.Errorf("made again: %+v, want MAC %s", d, mac)
	}
	if d := show(t, "xw-port"); !d.has("UP") || d.Ifindex != tr.InnerIndex() {
		t.Errorf("xw-port = %+v, want it up, with index %d", d, tr.InnerIndex())
	}
}
