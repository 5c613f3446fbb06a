package appliance

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"xwire/config"
)

const keptText = `
[port.core0]
interface = "ens1f0"
[tunnel.t]
encap = "ip"
local = "192.0.2.1"
peer = "198.51.100.7"
tid = 1
ptid = 1
[tunnel.t.session.s]
sid = 1
psid = 2
l2spec_type = "none"
description = "NAME"
`

// What ran from one file runs again when that file is broken, and never in the place of another.
func TestKeptConfigurationIsItsFilesOwn(t *testing.T) {
	dir, state := t.TempDir(), filepath.Join(t.TempDir(), "state")
	file := func(name string) string { return filepath.Join(dir, name) }
	options := func(path string) Options {
		return Options{ConfigFile: path, StateDir: state, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	}
	for _, name := range []string{"a-b.toml", "a.toml"} {
		if err := os.WriteFile(file(name), []byte(strings.Replace(keptText, "NAME", name, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(file(name))
		if err != nil {
			t.Fatal(err)
		}
		(&Appliance{o: options(file(name)), log: slog.New(slog.NewTextHandler(io.Discard, nil))}).keepConfig(cfg)
	}
	for _, name := range []string{"a-b.toml", "a.toml"} {
		if err := os.WriteFile(file(name), []byte("[port.core0"), 0o600); err != nil {
			t.Fatal(err)
		}
		o := options(file(name))
		cfg, err := LoadConfig(&o)
		if err != nil || o.Kept == "" {
			t.Fatalf("%s: %v, kept %q", name, err, o.Kept)
		}
		if got := cfg.Tunnels[0].Sessions[0].Description; got != name {
			t.Errorf("%s: the configuration of %q", name, got)
		}
	}
	for _, name := range []string{"typo.toml", "a/b.toml"} {
		o := options(file(name))
		if cfg, err := LoadConfig(&o); err == nil || o.Kept != "" || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, %v, kept %q", name, cfg, err, o.Kept)
		}
	}
	// The same file by another name of it.
	t.Chdir(dir)
	o := options("a.toml")
	if cfg, err := LoadConfig(&o); err != nil || cfg.Tunnels[0].Sessions[0].Description != "a.toml" {
		t.Errorf("by its relative path: %v", err)
	}
}
