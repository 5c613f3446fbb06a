package trunk_test

import (
	"testing"
	"time"

	"xwire/appliance/trunk"
)

// Without carrier an interface keeps its addresses, and a bridge does not send by it. Another start
// gives the carrier back.
func TestCarrier(t *testing.T) {
	each(t, func(t *testing.T, kind trunk.Kind) {
		dir := t.TempDir()
		tr := open(t, trunk.Config{Dir: dir, Kind: kind})
		want := trunk.Interface{Name: "cust0", Session: "t/s", MTU: 1458}
		ensure(t, tr, want)
		ip(t, "link set cust0 up")
		ip(t, "addr add 10.0.0.1/24 dev cust0")
		noCarrier := func(what string, want bool) {
			t.Helper()
			var d device
			for range 2000 { // bridges and operational states follow a little later
				if d = show(t, "cust0"); d.has("NO-CARRIER") == want && d.has("UP") {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Errorf("%s: cust0 has %v, want NO-CARRIER %v", what, d.Flags, want)
		}
		set := func(on bool) {
			t.Helper()
			if err := tr.SetCarrier("cust0", on); err != nil {
				t.Fatal(err)
			}
		}
		noCarrier("made", false)
		set(false)
		noCarrier("without", true)
		set(false)
		noCarrier("twice", true)
		if out := ip(t, "-br addr show dev cust0"); len(out) == 0 {
			t.Error("its address is gone")
		}
		set(true)
		noCarrier("again", false)
		set(false)
		noCarrier("before the next start", true)
		tr.Close()
		tr = open(t, trunk.Config{Dir: dir, Kind: kind})
		ensure(t, tr, want)
		noCarrier("after it", false)
		if err := tr.SetCarrier("other", false); err == nil {
			t.Error("the carrier of an interface that is not the trunk's was taken")
		}
	})
}
