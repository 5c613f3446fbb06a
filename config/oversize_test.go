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

// What does not fit is told with what becomes of it, and the core that would have room.
func TestSizeWarnings(t *testing.T) {
	const head = "[port.p]\ninterface = \"e\"\n[tunnel.t]\nencap = \"ip\"\nlocal = \"192.0.2.1\"\npeer = \"192.0.2.2\"\ntid = 1\nptid = 1\n" +
		"[tunnel.t.session.s]\nsid = 1\npsid = 1\nl2spec_type = \"default\"\n"
	const attached = "attach = \"p\"\nvlan = \"all\"\n"
	for _, tt := range []struct {
		keys    string
		coreMTU int
		want    string // "": nothing is said
	}{
		{attached, 1500, "is 1458: what is larger, customers' 1500-byte packets too, is sent in IP fragments; a core MTU of 1542 carries them whole"},
		{attached, 1541, "is 1499: what is larger, customers' 1500-byte packets too, is sent in IP fragments; a core MTU of 1542 carries them whole"},
		{attached, 1542, ""},
		{attached + "oversize = \"drop\"\n", 1500, "too, is dropped; a core MTU of 1542"},
		{attached + "icmp_too_big = true\n", 1500, "too, is sent in IP fragments, but for IPv4 with DF and IPv6, whose senders are told; a core MTU of 1542"},
		{attached + "oversize = \"drop\"\nicmp_too_big = true\n", 1500, "too, is dropped, and senders of IPv4 with DF and IPv6 are told; a core MTU of 1542"},
		{"", 1500, "is 1458, as the kernel's would be: the interface takes nothing larger, customers' 1500-byte packets neither; with mtu = 1500 what is larger is sent in IP fragments, and a core MTU of 1542 carries it whole"},
		{"", 1542, ""},
		{"mtu = 1500\n", 1500, "1500 does not fit through a core MTU of 1500: what is larger than 1458 is sent in IP fragments; a core MTU of 1542 carries it whole"},
		{"mtu = 1500\n", 1542, ""},
		{"mtu = 1400\n", 1500, ""},
		{"attach = \"t/o\"\nicmp_too_big = true\n[tunnel.t.session.o]\nsid = 2\npsid = 2\nl2spec_type = \"none\"\n", 1600, "has no effect between two sessions: what is larger than 1558 is sent in IP fragments"},
	} {
		cfg, err := parse("size.toml", head+tt.keys, disk{})
		if err != nil {
			t.Fatal(err)
		}
		said := ""
		for _, w := range cfg.Report(tt.coreMTU).Warnings {
			if k := lastKey(w.Key); k == "mtu" || k == "icmp_too_big" {
				said += w.Msg
			}
		}
		if !strings.Contains(said, tt.want) || tt.want == "" && said != "" {
			t.Errorf("%q, core MTU %d: said %q, want %q", tt.keys, tt.coreMTU, said, tt.want)
		}
	}
}
