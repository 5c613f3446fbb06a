package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// shown is a world whose box 0 has two tunnels, one with traffic and one with errors.
func shown(t *testing.T) (w *world, box *lab.Box, good, bad *wire) {
	w = pair(t, shape{})
	none := [2]string{"none", "none"}
	cookies := [2]string{"1112131415161718", "2122232425262728"}
	good = &wire{name: "good", sid: [2]uint32{10, 20}, cookie: cookies, vlan: vlanOf(0), pwVLAN: none}
	bad = &wire{name: "bad", udp: true, sid: [2]uint32{11, 21}, cookie: cookies, vlan: vlanOf(1), pwVLAN: none, sublayer: "default"}
	box = w.start(t, 0, "[appliance]\nmetrics = \"127.0.0.1:9780\"\n"+config(0, good, bad))
	p := bad.to(bare())
	p.cookie = "3132333435363738"
	w.inject(t, good.to(bare()), good.to(bare()), good.to(bare()), bad.to(bare()), p, p)
	must(t, w.sites[0].SendFrames("eth0", tagged(0, vids(100)...), tagged(0, vids(100)...)))
	until(t, "the customer's frames are sent", func() (bool, string) {
		p := portOf(t, box, "ac0")
		return p.Sent >= 2, fmt.Sprintf("%+v", p)
	})
	return w, box, good, bad
}

// text is what a show command prints for people.
func text(t *testing.T, box *lab.Box, args ...string) string {
	t.Helper()
	out, err := box.Run(t.Context(), append([]string{"show"}, args...)...)
	must(t, err)
	return string(out)
}

func TestShow(t *testing.T) {
	w, box, _, _ := shown(t)
	t.Run("sessions", func(t *testing.T) {
		var all, errors, one []api.Session
		must(t, box.Show(t.Context(), &all, "sessions"))
		must(t, box.Show(t.Context(), &errors, "sessions", "--errors"))
		must(t, box.Show(t.Context(), &one, "sessions", "--tunnel", "good"))
		if len(all) != 2 || len(errors) != 1 || errors[0].Tunnel != "bad" || len(one) != 1 || one[0].Tunnel != "good" {
			t.Fatalf("all %+v\nwith errors %+v\nof tunnel good %+v", all, errors, one)
		}
		if g, b := all[0], all[1]; g.RxPackets != 3 || g.TxPackets != 2 || b.RxPackets != 1 || b.RxErrors != 2 || b.RxCookieDiscards != 2 {
			t.Errorf("counters %+v and %+v", g.Statistics, b.Statistics)
		}
		if s := text(t, box, "sessions"); !strings.Contains(s, "good/s") || !strings.Contains(s, "bad/s") || !strings.HasPrefix(s, "SESSION") {
			t.Errorf("show sessions prints\n%s", s)
		}
		if s := text(t, box, "sessions", "--errors"); strings.Contains(s, "good/s") || !strings.Contains(s, "bad/s") {
			t.Errorf("show sessions --errors prints\n%s", s)
		}
	})
	t.Run("rates", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		defer cancel()
		done := make(chan error, 1)
		go func() {
			_, err := w.sites[0].SendStream(ctx, "eth0", lab.Stream{Run: 1, Count: 1 << 40, Rate: 500,
				Tags: vids(100), Dst: stations[1], Src: stations[0]})
			done <- err
		}()
		// A busy machine may send less for a second.
		until(t, "the rates at 500 frames a second", func() (bool, string) {
			var rated []api.Session
			must(t, box.Show(t.Context(), &rated, "sessions", "--rates"))
			if rated[1].Rates == nil || rated[1].Rates.TxPackets != 0 {
				t.Fatalf("an idle session's rates are %+v", rated[1].Rates)
			}
			r := rated[0].Rates
			return r != nil && r.TxPackets >= 250 && r.TxPackets <= 750 && r.TxBytes >= 60*r.TxPackets && r.RxPackets == 0, fmt.Sprintf("%+v", r)
		})
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("kernel's names", func(t *testing.T) {
		out, err := box.Run(t.Context(), "show", "sessions", "--json")
		must(t, err)
		var list []map[string]any
		must(t, json.Unmarshal(out, &list))
		for _, key := range []string{"session_id", "tunnel_id", "peer_session_id", "peer_tunnel_id", "tx_packets", "tx_bytes", "tx_errors", "rx_packets",
			"rx_bytes", "rx_seq_discards", "rx_oos_packets", "rx_errors", "rx_cookie_discards", "rx_invalid"} {
			if _, ok := list[0][key]; !ok {
				t.Errorf("show sessions --json has no %q", key)
			}
		}
		out, err = box.Run(t.Context(), "show", "tunnels", "--json")
		must(t, err)
		must(t, json.Unmarshal(out, &list))
		for _, key := range []string{"tunnel_id", "peer_tunnel", "encap", "local", "peer", "local_port", "peer_port"} {
			if _, ok := list[1][key]; !ok {
				t.Errorf("show tunnels --json has no %q", key)
			}
		}
	})
	t.Run("session", func(t *testing.T) {
		s := text(t, box, "session", "bad/s")
		for _, want := range []string{"tunnel id", "rx_cookie_discards", "8 bytes", "default"} {
			if !strings.Contains(s, want) {
				t.Errorf("show session has no %q:\n%s", want, s)
			}
		}
	})
	t.Run("drops", func(t *testing.T) {
		var drops []api.Drop
		must(t, box.Show(t.Context(), &drops, "drops"))
		byReason := map[string]api.Drop{}
		for _, d := range drops {
			byReason[d.Reason] = d
			if d.Help == "" {
				t.Errorf("%s has no help", d.Reason)
			}
		}
		if d := byReason["cookie_mismatch"]; d.Frames != 2 || d.Ports["core0"] != 2 {
			t.Errorf("cookie_mismatch: %+v", d)
		}
		s := text(t, box, "drops")
		if !strings.Contains(s, "cookie_mismatch") || strings.Contains(s, "udp_checksum") {
			t.Errorf("show drops prints\n%s", s)
		}
		if s := text(t, box, "drops", "--all"); !strings.Contains(s, "udp_checksum") {
			t.Errorf("show drops --all prints\n%s", s)
		}
	})
	t.Run("workers", func(t *testing.T) {
		var workers []api.Worker
		until(t, "workers took what ports received", func() (bool, string) {
			must(t, box.Show(t.Context(), &workers, "workers"))
			var frames, received uint64
			for _, v := range workers {
				frames += v.Frames
			}
			for _, p := range balanced(t, box) {
				received += p.Received
			}
			return len(workers) > 0 && frames == received, fmt.Sprintf("workers %d, ports %d: %+v", frames, received, workers)
		})
		// At rest a worker sleeps; a pause of the machine counts for it where it did not yet.
		until(t, "workers rest", func() (bool, string) {
			var before []api.Worker
			must(t, box.Show(t.Context(), &before, "workers"))
			time.Sleep(300 * time.Millisecond)
			must(t, box.Show(t.Context(), &workers, "workers"))
			for i, v := range workers {
				if d := v.BusySeconds - before[i].BusySeconds; d > 0.1 {
					return false, fmt.Sprintf("worker %d was busy for %.3f s of 0.3 s", i, d)
				}
			}
			return true, ""
		})
	})
	t.Run("ports and the whole", func(t *testing.T) {
		if s := text(t, box, "ports"); !strings.Contains(s, "core0") || !strings.Contains(s, "copy") || !strings.Contains(s, "dropped 2 cookie_mismatch") {
			t.Errorf("show ports prints\n%s", s)
		}
		gateway, err := w.hosts[1].MAC("core0")
		must(t, err)
		if s := text(t, box, "tunnels"); !strings.Contains(s, "192.0.2.2:1701") || !strings.Contains(s, "core0 "+gateway.String()) {
			t.Errorf("show tunnels prints\n%s", s)
		}
		if s := text(t, box); !strings.Contains(s, "ports 2 of 2 up") {
			t.Errorf("show prints\n%s", s)
		}
	})
}

// TestCookiesAreRedacted looks for every cookie in everything that xwire prints.
func TestCookiesAreRedacted(t *testing.T) {
	w, box, good, _ := shown(t)
	secrets := append([]string{}, good.cookie[:]...)
	for _, args := range [][]string{{}, {"tunnels"}, {"sessions"}, {"session", "good/s"}, {"ports"}, {"drops"}, {"workers"}} {
		for _, extra := range [][]string{nil, {"--json"}} {
			s := text(t, box, append(args, extra...)...)
			for _, secret := range secrets {
				if strings.Contains(s, secret) {
					t.Errorf("show %v prints a cookie", append(args, extra...))
				}
			}
		}
	}
	for _, s := range []string{box.Process().Output(), scrape(t, w.hosts[0])} {
		for _, secret := range secrets {
			if strings.Contains(s, secret) {
				t.Error("a cookie is in the log or the metrics")
			}
		}
	}
	for _, args := range [][]string{{"session", "good/s", "--cookies"}, {"session", "good/s", "--cookies", "--json"}, {"sessions", "--cookies", "--json"}} {
		s := text(t, box, args...)
		for _, secret := range secrets {
			if !strings.Contains(s, secret) {
				t.Errorf("show %v does not print cookie %s:\n%s", args, secret, s)
			}
		}
	}
}

// scrape asks the metrics endpoint inside the namespace.
func scrape(t *testing.T, n *lab.Namespace) string {
	t.Helper()
	client := http.Client{Timeout: soon, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (c net.Conn, err error) {
			runErr := n.Run(func() error {
				// Not through the dialer's own goroutines, which are in another namespace.
				c, err = net.DialTimeout(network, addr, soon)
				return err
			})
			return c, runErr
		},
	}}
	r, err := client.Get("http://127.0.0.1:9780/metrics")
	must(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	must(t, err)
	if r.StatusCode != http.StatusOK {
		t.Fatalf("metrics: %s: %s", r.Status, body)
	}
	return string(body)
}

// TestMetrics parses what Prometheus would get and compares it with `show`.
func TestMetrics(t *testing.T) {
	w, box, _, _ := shown(t)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(scrape(t, w.hosts[0])))
	must(t, err)
	value := func(name string, labels ...string) float64 {
		t.Helper()
		f := families[name]
		if f == nil {
			t.Errorf("there is no %s", name)
			return -1
		}
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", name)
		}
		for _, m := range f.Metric {
			if fits(m, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
		t.Errorf("%s has none with %v", name, labels)
		return -1
	}
	for _, s := range []string{"good", "bad"} {
		x := sessionOf(t, box, s+"/s")
		counters := 0
		for name, want := range fields(t, x) {
			n, ok := want.(float64)
			if !ok || name == "rx_invalid" || !strings.HasPrefix(name, "tx_") && !strings.HasPrefix(name, "rx_") && name != "suspect" {
				continue // a session's rx_invalid is always 0
			}
			counters++
			if got := value("xwire_session_"+name+"_total", "tunnel", s, "session", "s"); got != n {
				t.Errorf("%s of %s is %v, show says %v", name, s, got, n)
			}
		}
		if counters < 19 {
			t.Errorf("%d counters were looked at", counters)
		}
		if value("xwire_session_up", "tunnel", s) != 1 || value("xwire_tunnel_up", "tunnel", s) != 1 {
			t.Errorf("%s is not up", s)
		}
	}
	for _, p := range balanced(t, box) {
		for name, want := range map[string]uint64{"received_frames_total": p.Received, "sent_frames_total": p.Sent, "held_frames": p.Held, "transmitted_frames_total": p.Transmitted} {
			if got := value("xwire_port_"+name, "port", p.Name); got != float64(want) {
				t.Errorf("%s of %s is %v, show says %d", name, p.Name, got, want)
			}
		}
		for reason, n := range p.Drops {
			if got := value("xwire_port_drops_total", "port", p.Name, "reason", reason); got != float64(n) {
				t.Errorf("drops for %s of %s are %v, show says %d", reason, p.Name, got, n)
			}
		}
	}
	if value("xwire_build_info") != 1 {
		t.Error("xwire_build_info is not 1")
	}
}

// TestMetricsWithoutSessions: metrics_sessions = "none" leaves out what grows with the sessions.
func TestMetricsWithoutSessions(t *testing.T) {
	w := pair(t, shape{})
	w.start(t, 0, "[appliance]\nmetrics = \"127.0.0.1:9780\"\nmetrics_sessions = \"none\"\n"+pairConfig(0))
	if s := scrape(t, w.hosts[0]); strings.Contains(s, "xwire_session_") || !strings.Contains(s, "xwire_port_received_frames_total") {
		t.Errorf("metrics without sessions:\n%s", s)
	}
}

// fields are what a value has as JSON.
func fields(t *testing.T, v any) (m map[string]any) {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	must(t, json.Unmarshal(text, &m))
	return m
}

func fits(m *dto.Metric, labels []string) bool {
	have := map[string]string{}
	for _, l := range m.Label {
		have[l.GetName()] = l.GetValue()
	}
	for i := 0; i+1 < len(labels); i += 2 {
		if have[labels[i]] != labels[i+1] {
			return false
		}
	}
	return true
}
