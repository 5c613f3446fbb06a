package scenarios

import (
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// TestRates has a customer send ten times what his session may carry, and a peer flood another.
func TestRates(t *testing.T) {
	w := pair(t, shape{})
	none := [2]string{"none", "none"}
	policed := &wire{name: "policed", sid: [2]uint32{10, 20}, vlan: vlanOf(0), pwVLAN: none}
	quiet := &wire{name: "quiet", sid: [2]uint32{11, 21}, vlan: vlanOf(1), pwVLAN: none}
	boxes := [2]*lab.Box{1: w.start(t, 1, config(1, policed, quiet))} // the other end without limits
	policed.ofSession = "rate_tx = \"800k\"\nburst = 20000\n"
	quiet.ofSession = "broadcast_limit = 10\nmulticast_limit = 20\nunknown_unicast_limit = 30\n"
	boxes[0] = w.start(t, 0, config(0, policed, quiet))
	waitUp(t, boxes[1])
	const count, size = 500, 1000
	flood := func(from int, tags []lab.Tag, want string, dst ...byte) (uint64, time.Duration) {
		t.Helper()
		run := nextRun()
		sink, err := w.sites[1-from].ReceiveStream("eth0", run)
		must(t, err)
		defer sink.Close()
		to := stations[1-from]
		if len(dst) > 0 {
			to = dst
		}
		begin := time.Now()
		_, err = w.sites[from].SendStream(t.Context(), "eth0", lab.Stream{Run: run, Count: count, Rate: 1000, Sizes: []int{size}, Tags: tags, Dst: to, Src: stations[from]})
		must(t, err)
		const quiet = time.Second // none comes for that long once a limit has cut the flood
		r := sink.Wait(t.Context(), count, quiet)
		took := time.Since(begin)
		if r.Received < count {
			took -= quiet
		}
		if r.Torn+r.Duplicates+r.Reordered != 0 || r.Received != 0 && r.Tags[want] != r.Received {
			t.Errorf("from site %d: %v, tags %v", from, r, r.Tags)
		}
		return r.Received, took
	}
	// limited floods until it was not kept from its rate by a pause of the machine, through which a bucket
	// fills no further than its size. More than the limit never passes.
	limited := func(what string, from int, tags []lab.Tag, want string, burst, perSecond float64, dst ...byte) (got, sent uint64) {
		t.Helper()
		for range 5 {
			n, took := flood(from, tags, want, dst...)
			got, sent = got+n, sent+count
			least, most := uint64((burst+perSecond*took.Seconds())*0.7), uint64(burst+perSecond*(took+100*time.Millisecond).Seconds()+1)
			if n > most {
				t.Errorf("%s: %d frames in %v, want %d to %d", what, n, took, least, most)
			}
			if n >= least {
				return got, sent
			}
			t.Logf("%s: %d frames in %v, want %d to %d", what, n, took, least, most)
		}
		t.Errorf("%s: fewer than the limit pass, each time", what)
		return got, sent
	}
	// 20,000 bytes at once and 100,000 a second; the frame has its tag on the wire only.
	got, sent := limited("policed", 0, vids(100), "600", 20000./size, 100000./size)
	s := sessionOf(t, boxes[0], policed.session())
	if s.TxRateDiscards != sent-got || s.TxErrors != sent-got || s.TxPackets != got || portOf(t, boxes[0], "ac0").Drops["policed"] != sent-got ||
		s.RateTx != 800_000 || s.BurstTx != 20_000 || s.RateRx != 0 {
		t.Errorf("%d of %d passed; %+v %+v", got, sent, s, s.Limits)
	}
	if got, _ := flood(1, vids(600), "100"); got != count {
		t.Errorf("%d of %d frames passed in the direction without a limit", got, count)
	}
	// A rate is changed, and a mark set, while the session stands.
	changed, err := api.NewClient(boxes[0].Control).ModifySession(t.Context(), "policed", "s", api.Keys{"rate_tx": "1G", "tos": "inherit"})
	if err != nil || changed.RateTx != 1e9 || changed.TOS != "inherit" || changed.Config["rate_tx"] != 1e9 || changed.TxPackets < s.TxPackets {
		t.Errorf("modify: %v, %+v %+v, %v", err, changed.Limits, changed.Marking, changed.Config)
	}
	if got, _ := flood(0, vids(100), "600"); got != count {
		t.Errorf("%d of %d frames passed when the rate was raised", got, count)
	}
	// Storms towards site 0.
	for _, c := range []struct {
		name  string
		dst   []byte
		limit float64
	}{
		{"broadcast", []byte{255, 255, 255, 255, 255, 255}, 10}, {"multicast", []byte{1, 0, 0x5e, 0, 0, 9}, 20}, {"unknown", []byte{2, 9, 9, 9, 9, 9}, 30},
	} {
		limited(c.name, 1, vids(601), "101", c.limit, c.limit, c.dst...)
	}
	if _, err := w.sites[0].SendStream(t.Context(), "eth0", lab.Stream{Run: nextRun(), Count: 1, Tags: vids(101), Dst: stations[1], Src: stations[0]}); err != nil {
		t.Fatal(err)
	}
	if got, _ := flood(1, vids(601), "101"); got != count {
		t.Errorf("%d of %d frames passed to an address that has sent", got, count)
	}
	var shown api.Session
	must(t, boxes[0].Show(t.Context(), &shown, "session", quiet.session()))
	if shown.StormDiscards == 0 || shown.StormDiscards != portOf(t, boxes[0], "core0").Drops["storm"] || shown.UnknownUnicastLimit != 30 {
		t.Errorf("%+v %+v, drops %v", shown, shown.Limits, portOf(t, boxes[0], "core0").Drops)
	}
}
