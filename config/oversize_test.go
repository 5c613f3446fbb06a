package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestSizeKeys(t *testing.T) {
	for _, tt := range []struct {
		keys     string
		oversize Oversize
		mss      int32
		answer   bool
		wrong    string
	}{
		{keys: `oversize = "fragment"`, oversize: OversizeFragment},
		{keys: `oversize = "drop"`, oversize: OversizeDrop},
		{keys: "oversize = \"pw\"\nl2spec_type = \"default\"\nsend_seq = true", oversize: OversizePW},
		{keys: "oversize = \"pw\"\nl2spec_type = \"default\"\nseqnum = true", oversize: OversizePW},
		{keys: "oversize = \"pw\"\nl2spec_type = \"default\"", wrong: "send_seq"},
		{keys: "oversize = \"pw\"\nl2spec_type = \"default\"\nsend_seq = true\nlns_mode = false", wrong: "lns_mode"},
		{keys: "oversize = \"pw\"\nl2spec_type = \"default\"\nsend_seq = true\ndf = false", wrong: "df"},
		{keys: `oversize = "pw"`, wrong: "l2spec_type"},
		{keys: `oversize = "keep"`, wrong: "oversize"},
		{keys: `mtu = 1400`, oversize: OversizeFragment},
		{keys: "mss_clamp = true", mss: MSSByPath},
		{keys: "mss_clamp = false"},
		{keys: "mss_clamp = 1300", mss: 1300},
		{keys: "icmp_too_big = true", answer: true},
		{keys: `icmp_too_big = 1`, wrong: "icmp_too_big"},
		{keys: `mss_clamp = 100`, wrong: "mss_clamp"},
		{keys: `mss_clamp = "yes"`, wrong: "mss_clamp"},
	} {
		t.Run(tt.keys, func(t *testing.T) {
			cfg, err := parse("size.toml", fmt.Sprintf("[tunnel.t]\nlocal = \"192.0.2.1\"\npeer = \"192.0.2.2\"\ntid = 1\nptid = 1\n[tunnel.t.session.s]\nsid = 1\npsid = 1\n%s\n", tt.keys), disk{})
			if tt.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wrong) {
					t.Fatalf("error %v, want one about %s", err, tt.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // as it is, then as it is saved
				if s := cfg.Tunnels[0].Sessions[0]; s.Oversize != tt.oversize || s.MSSClamp != tt.mss || s.AnswerTooBig != tt.answer {
					t.Errorf("oversize %v, MSS %d, want %v, %d", s.Oversize, s.MSSClamp, tt.oversize, tt.mss)
				}
				var b strings.Builder
				if err := cfg.WriteTOML(&b); err != nil {
					t.Fatal(err)
				}
				if cfg, err = parse("size.toml", b.String(), disk{}); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
