package scenarios

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// TestTrace follows frames that come, and frames that are only given.
func TestTrace(t *testing.T) {
	w := pair(t, shape{})
	none := [2]string{"none", "none"}
	cookies := [2]string{"1112131415161718", "2122232425262728"}
	good := &wire{name: "good", sid: [2]uint32{10, 20}, cookie: cookies, vlan: vlanOf(0), pwVLAN: none, sublayer: "default"}
	box := w.start(t, 0, config(0, good))
	client := api.NewClient(box.Control)

	bad := good.to(bare())
	bad.cookie = "3132333435363738"
	strange := good.to(bare())
	strange.sid = 77
	packets := []packet{good.to(bare()), bad, strange}
	want := []struct{ outcome, reason, step, text string }{
		{"sent", "", "sent", "port ac0, 82 bytes"},
		{"dropped", "cookie_mismatch", "cookie", "none of those accepted"},
		{"dropped", "unknown_session", "session", "no session with this session id"},
	}
	check := func(t *testing.T, i int, v api.Trace) {
		t.Helper()
		last := v.Steps[len(v.Steps)-1]
		if w := want[i]; v.Outcome != w.outcome || v.Reason != w.reason || v.Port != "core0" || last.Step != w.step || !strings.Contains(last.Text, w.text) || last.OK != (w.reason == "") {
			t.Errorf("frame %d: %+v", i, v)
		}
		text, _ := json.Marshal(v.Steps)
		if strings.Contains(string(text), cookies[0]) || strings.Contains(string(text), bad.cookie) {
			t.Errorf("frame %d: a cookie is in %s", i, text)
		}
	}
	dst, err := w.hosts[0].MAC("core0")
	must(t, err)
	src, err := w.hosts[1].MAC("core0")
	must(t, err)
	t.Run("given", func(t *testing.T) {
		before := portOf(t, box, "core0")
		for i, p := range packets {
			v, err := client.TraceFrame(t.Context(), api.TraceRequest{Port: "core0", Frame: hex.EncodeToString(p.frame(dst, src))})
			must(t, err)
			check(t, i, v)
			if v.Worker != -1 {
				t.Errorf("frame %d: worker %d, want none", i, v.Worker)
			}
		}
		if after := portOf(t, box, "core0"); after.Received != before.Received || len(after.Drops) != len(before.Drops) || sessionOf(t, box, "good/s").RxPackets != 0 {
			t.Errorf("it left traces in counters: %+v, before %+v", after, before)
		}
	})
	t.Run("coming", func(t *testing.T) {
		traces := make(chan api.Trace, 8)
		ended := make(chan error, 1)
		go func() {
			ended <- client.Trace(t.Context(), "core0", len(packets), func(v api.Trace) bool { traces <- v; return true })
			close(traces)
		}()
		for deadline := time.Now().Add(soon); len(traces) == 0 && time.Now().Before(deadline); {
			w.inject(t, packets...)
		}
		must(t, <-ended)
		n, first := 0, 0 // the trace may begin between two of them
		for v := range traces {
			for n == 0 && first < len(packets)-1 && v.Frame != hex.EncodeToString(packets[first].frame(dst, src)) {
				first++
			}
			i := (first + n) % len(packets)
			check(t, i, v)
			if v.Worker != 0 || v.Frame != hex.EncodeToString(packets[i].frame(dst, src)) {
				t.Errorf("frame %d: worker %d, %s", i, v.Worker, v.Frame)
			}
			n++
		}
		if n != len(packets) {
			t.Errorf("%d frames, want %d", n, len(packets))
		}
	})
	t.Run("command", func(t *testing.T) {
		var out bytes.Buffer
		p, err := w.hosts[0].Start(lab.Program{Path: program, Args: []string{"trace", "--control", box.Control, "good/s"}, Output: &out})
		must(t, err)
		ended := false
		for deadline := time.Now().Add(soon); !ended && time.Now().Before(deadline); {
			must(t, w.sites[0].SendFrames("eth0", tagged(0, vids(100)...)))
			select {
			case <-p.Done():
				ended = true
			case <-time.After(100 * time.Millisecond):
			}
		}
		if !ended {
			t.Fatal("it does not end")
		}
		must(t, p.Wait())
		for _, line := range []string{"encap good/s: sent", "session   good/s takes VLAN 100 of port ac0", "tunnel    good, 192.0.2.1 to 192.0.2.2, ip", "next hop  port core0", "sent      port core0"} {
			if !strings.Contains(out.String(), line) {
				t.Errorf("no %q in\n%s", line, &out)
			}
		}
		text, err := box.Run(t.Context(), "trace", "--port", "ac0", "--frame", "0x"+hex.EncodeToString(tagged(0, vids(999)...)))
		must(t, err)
		if !strings.Contains(string(text), "would be dropped: not_ip") {
			t.Errorf("a frame of no circuit:\n%s", text)
		}
		for _, args := range [][]string{{"none"}, {"--port", "none", "--frame", "00"}, {"--port", "ac0", "--frame", "zz"}} {
			if text, err := box.Run(t.Context(), append([]string{"trace"}, args...)...); err == nil {
				t.Errorf("trace %q: no error, and\n%s", args, text)
			}
		}
	})
}
