package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestMarkingKeys(t *testing.T) {
	usual := Marking{TTL: 64}
	with := func(change func(*Marking)) Marking { m := usual; change(&m); return m }
	for _, tt := range []struct {
		tunnel, session string
		want            Marking
		wrong, warning  string
	}{
		{want: usual},
		{tunnel: "ttl = 255\ntos = 0x88\ndf = true", want: Marking{TTL: 255, TOS: 0x88, DF: true}},
		{tunnel: "ttl = 255\ntos = 0x88\ndf = true", session: "ttl = 64\ntos = 0\ndf = false", want: with(func(m *Marking) { m.TOSGiven, m.DFGiven = true, true })},
		{session: "ttl = 1\ndf = true", want: Marking{TTL: 1, DF: true, DFGiven: true}},
		{session: `tos = "inherit"`, want: with(func(m *Marking) { m.TOSGiven, m.TOSInner = true, true })},
		{session: `ttl = "inherit"`, want: with(func(m *Marking) { m.TTLInner = true }), warning: "ttl"},
		{tunnel: "df = true", session: `df = "inherit"`, want: with(func(m *Marking) { m.DF, m.DFInner = true, true })},
		{session: "tos = 0xb8", want: with(func(m *Marking) { m.TOSGiven, m.TOS = true, 0xb8 })},
		{session: "tos = 0xb9", want: with(func(m *Marking) { m.TOSGiven, m.TOS = true, 0xb9 }), warning: "tos"},
		{session: "tos = 0xb9\necn = \"rfc6040\"", want: with(func(m *Marking) { m.TOSGiven, m.TOS, m.ECN = true, 0xb9, true })},
		{session: "pcp_to_dscp = true", want: with(func(m *Marking) { m.PCP, m.DSCP = true, ClassSelectors })},
		{session: "pcp_to_dscp = false\necn = \"none\"\nflow_label = \"fixed\"\nsource_port = \"fixed\"", want: usual},
		{session: "pcp_to_dscp = [0, 8, 10, 18, 26, 34, 46, 63]", want: with(func(m *Marking) { m.PCP, m.DSCP = true, [8]uint8{0, 8, 10, 18, 26, 34, 46, 63} })},
		{session: `source_port = "flow"`, want: with(func(m *Marking) { m.FlowPort = true }), warning: "source_port"},
		{session: `flow_label = "flow"`, want: with(func(m *Marking) { m.FlowLabel = true }), warning: "flow_label"},
		{session: "ttl = 0", wrong: "ttl"}, {session: "ttl = 256", wrong: "ttl"}, {session: "ttl = true", wrong: "ttl"}, {session: `ttl = "inner"`, wrong: "ttl"}, {session: `df = "inner"`, wrong: "df"}, {tunnel: `ttl = "inherit"`, wrong: "ttl"}, {session: "tos = 256", wrong: "tos"},
		{session: `tos = "inner"`, wrong: "tos"}, {session: "tos = true", wrong: "tos"}, {session: "df = 1", wrong: "df"},
		{session: "pcp_to_dscp = 1", wrong: "pcp_to_dscp"}, {session: "pcp_to_dscp = [1]", wrong: "pcp_to_dscp"},
		{session: "pcp_to_dscp = [0, 8, 10, 18, 26, 34, 46, 64]", wrong: "pcp_to_dscp"},
		{session: `ecn = "rfc3168"`, wrong: "ecn"}, {session: `flow_label = "hash"`, wrong: "flow_label"}, {session: "source_port = 5000", wrong: "source_port"},
		{tunnel: "ttl = 0", wrong: "ttl"}, {tunnel: "tos = -1", wrong: "tos"}, {tunnel: `any_peer_port = "yes"`, wrong: "any_peer_port"},
	} {
		t.Run(tt.tunnel+tt.session, func(t *testing.T) {
			for _, form := range []string{
				"[tunnel.t]\nlocal = \"192.0.2.1\"\npeer = \"192.0.2.2\"\ntid = 1\nptid = 1\n%s\n[tunnel.t.session.s]\nsid = 1\npsid = 1\n%s\n",
				"[tunnel.t]\nlocal = \"192.0.2.1\"\npeer = \"192.0.2.2\"\ntid = 1\nptid = 1\n%s\n[tunnel.t.session.s]\nsid = 1\npsid = 1\n[defaults.session]\n%s\n",
			} {
				cfg, err := parse("marking.toml", fmt.Sprintf(form, tt.tunnel, tt.session), disk{})
				if tt.wrong != "" {
					if err == nil || !strings.Contains(err.Error(), tt.wrong) {
						t.Fatalf("error %v, want one about %s", err, tt.wrong)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				for range 2 { // as it is, then as it is saved
					if got := cfg.Tunnels[0].Sessions[0].Marks(&cfg.Tunnels[0]); got != tt.want {
						t.Errorf("is  %+v\nnot %+v", got, tt.want)
					}
					warned := ""
					for _, w := range cfg.Report(1600).Warnings {
						if k := lastKey(w.Key); k != "l2spec_type" {
							warned += k
						}
					}
					if warned != tt.warning {
						t.Errorf("warned of %q, want %q", warned, tt.warning)
					}
					var b strings.Builder
					if err := cfg.WriteTOML(&b); err != nil {
						t.Fatal(err)
					}
					if cfg, err = parse("marking.toml", b.String(), disk{}); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

func TestMarkingReport(t *testing.T) {
	cfg, err := parse("marking.toml", "[tunnel.t]\nlocal = \"192.0.2.1\"\npeer = \"192.0.2.2\"\ntid = 1\nptid = 1\ntos = 0x20\nany_peer_port = true\n"+
		"[tunnel.t.session.a]\nsid = 1\npsid = 1\npcp_to_dscp = true\necn = \"rfc6040\"\n[tunnel.t.session.b]\nsid = 2\npsid = 2\ntos = \"inherit\"\n", disk{})
	if err != nil {
		t.Fatal(err)
	}
	r := cfg.Report(1500).Tunnels[0]
	a, b := r.Sessions[0].ReportMarking, r.Sessions[1].ReportMarking
	if r.TOS != "0x20" || r.TTL != 64 || !*r.AnyPeerPort || a.TOS != "0x20" || fmt.Sprint(a.PCPToDSCP) != "[0 8 16 24 32 40 48 56]" ||
		a.ECN != "rfc6040" || b.TOS != "inherit" || b.ECN != "none" || b.PCPToDSCP != nil {
		t.Errorf("tunnel %+v", r)
	}
}

// What a session has beside the columns is told in the words of its keys, and nothing of what is left
// alone.
func TestReportTellsKeys(t *testing.T) {
	cfg, err := parse("keys.toml", "[tunnel.t]\nlocal = \"192.0.2.1\"\npeer = \"192.0.2.2\"\ntid = 1\nptid = 1\nttl = 9\ntos = 0x20\ndf = true\nany_peer_port = true\nhello_timeout = 5000\n"+
		"[tunnel.t.session.a]\nsid = 1\npsid = 1\nl2spec_type = \"default\"\nsend_seq = true\nlns_mode = true\nreorder_timeout = 20\nresync_after = 7\noversize = \"pw\"\nicmp_too_big = true\nmss_clamp = 1300\n"+
		"tos = \"inherit\"\nttl = \"inherit\"\npcp_to_dscp = [0, 1, 2, 3, 4, 5, 6, 7]\necn = \"rfc6040\"\nrate_tx = \"1M\"\nbroadcast_limit = 10\n"+
		"[tunnel.t.session.b]\nsid = 2\npsid = 2\nmss_clamp = true\ndf = \"inherit\"\nttl = 64\n[tunnel.t.session.c]\nsid = 3\npsid = 3\n", disk{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := cfg.Report(1500).WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ptid 1, checksum off, ttl 9, tos 0x20, df, any_peer_port, hello_timeout 5000 ms\n",
		"\n  a: send_seq, recv_seq, lns_mode true, resync_after 7, reorder_timeout 20 ms, oversize pw, icmp_too_big, mss_clamp 1300, ttl inherit, tos inherit, " +
			"pcp_to_dscp [0 1 2 3 4 5 6 7], ecn rfc6040, rate_tx 1000000 bit/s with a burst of 16384 bytes, broadcast_limit 10/s\n",
		"\n  b: mss_clamp path, ttl 64, df inherit\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	if strings.Contains(b.String(), "  c:") {
		t.Errorf("says something of a session that has nothing:\n%s", &b)
	}
}
