package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestSequenceKeys(t *testing.T) {
	const numbered = "l2spec_type = \"default\"\n"
	for _, tt := range []struct {
		keys string
		want Sequence
		// A part of the error, or of the warning, that is to come; each names its key.
		wrong, warn string
		linux       string // argument seq of the peer's `ip l2tp`
	}{
		{keys: numbered, want: Sequence{}},
		{keys: numbered + "seqnum = true", want: Sequence{Send: true, Require: true}, linux: "both"},
		{keys: numbered + "seqnum = false", want: Sequence{}},
		{keys: numbered + "seqnum = true\nrecv_seq = false", want: Sequence{Send: true}, linux: "recv"},
		{keys: numbered + "send_seq = true", want: Sequence{Send: true}, linux: "recv"},
		{keys: numbered + "recv_seq = true\nlns_mode = true", want: Sequence{Require: true, LNS: LNSOn}, linux: "send", warn: "lns_mode"},
		{keys: numbered + "send_seq = true\nlns_mode = true", want: Sequence{Send: true, LNS: LNSOn}, linux: "recv"},
		{keys: numbered + "resync_after = 9", want: Sequence{Resync: 9}, warn: "resync_after"},
		{keys: numbered + "lns_mode = false", want: Sequence{LNS: LNSOff}},
		{keys: numbered + "reorder_timeout = 100\nresync_after = 9", want: Sequence{ReorderTimeout: 100, Resync: 9}},
		{keys: "seqnum = true", want: Sequence{}, warn: "seqnum"},
		{keys: "send_seq = true", wrong: "send_seq"},
		{keys: "l2spec_type = \"none\"\nreorder_timeout = 5", wrong: "reorder_timeout"},
		{keys: numbered + "reorder_timeout = 10001", wrong: "reorder_timeout"},
		{keys: numbered + "resync_after = 0", wrong: "resync_after"},
		{keys: numbered + "lns_mode = 1", wrong: "lns_mode"},
	} {
		t.Run(strings.ReplaceAll(tt.keys, "\n", " "), func(t *testing.T) {
			text := fmt.Sprintf("[tunnel.t]\nlocal = \"192.0.2.1\"\npeer = \"192.0.2.2\"\ntid = 1\nptid = 1\n[tunnel.t.session.s]\nsid = 1\npsid = 1\nrx_cookie = \"01020304\"\n%s\n", tt.keys)
			cfg, err := parse("sequence.toml", text, disk{})
			if tt.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), "tunnel.t.session.s."+tt.wrong) {
					t.Fatalf("error %v, want one about %s", err, tt.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"seqnum", "lns_mode", "resync_after"} {
				if warned := strings.Contains(fmt.Sprint(cfg.Warnings), "session.s."+key+":"); warned != (tt.warn == key) {
					t.Errorf("warnings %v, want one about %q", cfg.Warnings, tt.warn)
				}
			}
			for range 2 { // as it is, then as it is saved
				s := &cfg.Tunnels[0].Sessions[0]
				if s.Sequence != tt.want || s.Sequence.iproute2() != tt.linux {
					t.Errorf("%+v, peer %q, want %+v, %q", s.Sequence, s.Sequence.iproute2(), tt.want, tt.linux)
				}
				var b strings.Builder
				if err := cfg.WriteTOML(&b); err != nil {
					t.Fatal(err)
				}
				if cfg, err = parse("sequence.toml", b.String(), disk{}); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
