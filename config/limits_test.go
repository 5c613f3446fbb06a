package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestLimitKeys(t *testing.T) {
	for _, tt := range []struct {
		keys           string
		want           ReportLimits
		wrong, warning string
	}{
		{keys: ""},
		{keys: "rate = 0"},
		{keys: "rate = 10000000", want: ReportLimits{RateTx: 1e7, BurstTx: 125_000, RateRx: 1e7, BurstRx: 125_000}},
		{keys: `rate = "10M"`, want: ReportLimits{RateTx: 1e7, BurstTx: 125_000, RateRx: 1e7, BurstRx: 125_000}},
		{keys: "rate = \"64k\"\nburst = \"32Ki\"", want: ReportLimits{RateTx: 64000, BurstTx: 32768, RateRx: 64000, BurstRx: 32768}},
		{keys: `rate = "64k"`, want: ReportLimits{RateTx: 64000, BurstTx: 16384, RateRx: 64000, BurstRx: 16384}},
		{keys: `rate_tx = "1.5G"`, want: ReportLimits{RateTx: 15e8, BurstTx: 18_750_000}},
		{keys: "rate = \"1G\"\nrate_rx = 0", want: ReportLimits{RateTx: 1e9, BurstTx: 12_500_000}},
		{keys: "rate = \"1G\"\nrate_rx = \"2G\"\nburst = 100000", want: ReportLimits{RateTx: 1e9, BurstTx: 100_000, RateRx: 2e9, BurstRx: 100_000}},
		{keys: `rate = "1T"`, want: ReportLimits{RateTx: 1e12, BurstTx: 1 << 32, RateRx: 1e12, BurstRx: 1 << 32}},
		{keys: "broadcast_limit = 100\nmulticast_limit = 200\nunknown_unicast_limit = 300", want: ReportLimits{BroadcastLimit: 100, MulticastLimit: 200, UnknownUnicastLimit: 300}},
		{keys: "burst = 20000", warning: "burst"},
		{keys: "rate = \"1M\"\nburst = 1000", want: ReportLimits{RateTx: 1e6, BurstTx: 1000, RateRx: 1e6, BurstRx: 1000}, warning: "burst"},
		{keys: `rate = "10m"`, wrong: "rate"}, {keys: `rate = "10 M"`, wrong: "rate"}, {keys: `rate = "-1M"`, wrong: "rate"},
		{keys: `rate = ""`, wrong: "rate"}, {keys: `rate = "M"`, wrong: "rate"}, {keys: `rate = "1/2k"`, wrong: "rate"}, {keys: `rate = "1e6"`, wrong: "rate"},
		{keys: `rate = "10Mi0"`, wrong: "rate"}, {keys: `rate = "1.5"`, wrong: "rate"}, {keys: `rate = "1001G"`, wrong: "rate"}, {keys: "rate = 1.5", wrong: "rate"},
		{keys: "rate = -1", wrong: "rate"}, {keys: `burst = "5G"`, wrong: "burst"}, {keys: "broadcast_limit = -1", wrong: "broadcast_limit"},
		{keys: `multicast_limit = "1k"`, wrong: "multicast_limit"},
	} {
		t.Run(tt.keys, func(t *testing.T) {
			for _, form := range []string{
				"[tunnel.t]\nlocal = \"192.0.2.1\"\npeer = \"192.0.2.2\"\ntid = 1\nptid = 1\n[tunnel.t.session.s]\nsid = 1\npsid = 1\n%s\n",
				"[tunnel.t]\nlocal = \"192.0.2.1\"\npeer = \"192.0.2.2\"\ntid = 1\nptid = 1\n[tunnel.t.session.s]\nsid = 1\npsid = 1\n[defaults.session]\n%s\n",
			} {
				cfg, err := parse("limits.toml", fmt.Sprintf(form, tt.keys), disk{})
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
					r := cfg.Report(1600)
					if got := r.Tunnels[0].Sessions[0].ReportLimits; got != tt.want {
						t.Errorf("is  %+v\nnot %+v", got, tt.want)
					}
					warned := ""
					for _, w := range r.Warnings {
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
					if cfg, err = parse("limits.toml", b.String(), disk{}); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}
