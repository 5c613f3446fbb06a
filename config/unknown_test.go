package config

import (
	"slices"
	"strings"
	"testing"
)

func TestUnknown(t *testing.T) {
	tunnel := func(name, local, keys string) string {
		return "[tunnel." + name + "]\nencap = \"ip\"\nlocal = \"" + local + "\"\npeer = \"198.51.100.7\"\ntid = " + name[1:] + "\nptid = 1\n" + keys + "\n"
	}
	for _, tt := range []struct {
		name, text string
		want       []Unknown // of each tunnel
	}{
		{"nothing said", tunnel("t1", "192.0.2.1", ""), []Unknown{UnknownDrop}},
		{"for all", tunnel("t1", "192.0.2.1", "") + tunnel("t2", "192.0.2.2", "") + "[appliance]\nunknown = \"kernel\"\n", []Unknown{UnknownKernel, UnknownKernel}},
		{"for one", tunnel("t1", "192.0.2.1", `unknown = "kernel"`) + tunnel("t2", "192.0.2.2", ""), []Unknown{UnknownKernel, UnknownDrop}},
		{"for all but one", "[appliance]\nunknown = \"kernel\"\n" + tunnel("t1", "192.0.2.1", `unknown = "drop"`) + tunnel("t2", "192.0.2.2", ""), []Unknown{UnknownDrop, UnknownKernel}},
		{"by default, but for one", "[appliance]\nunknown = \"kernel\"\n[defaults.tunnel]\nunknown = \"drop\"\n" + tunnel("t1", "192.0.2.1", "") + tunnel("t2", "192.0.2.2", `unknown = "kernel"`), []Unknown{UnknownDrop, UnknownKernel}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := tt.text
			for _, state := range []string{"as it is", "as it is saved"} {
				cfg, err := parse("unknown.toml", text, disk{})
				if err != nil {
					t.Fatal(err)
				}
				var got []Unknown
				for i := range cfg.Tunnels {
					got = append(got, cfg.Tunnels[i].Unknown)
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("%s: %v, want %v", state, got, tt.want)
				}
				var b strings.Builder
				if err := cfg.WriteTOML(&b); err != nil {
					t.Fatal(err)
				}
				text = b.String()
			}
		})
	}
}
