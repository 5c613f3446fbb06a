package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestWarningsNameTheKey: what check warns of stands at the line of the key, be it the session's own, that
// of an included file, or one of the defaults; what is absent at the line of the session.
func TestWarningsNameTheKey(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("more.toml", `[tunnel.six]
local = "2001:db8::1"
peer = "2001:db8::2"
tid = 2
ptid = 2
session = { inline = { sid = 2, psid = 2, l2spec_type = "none", mtu = 1300, df = true } }
[tunnel.six.session.lines]
sid = 3
psid = 3
l2spec_type = "none"
# a comment with df = true
mtu = 1600
burst = 100
rate = "1M"
`)
	path := write("t.toml", `include = ["more.toml"]
[tunnel.four]
encap = "ip"
local = "192.0.2.1"
peer = "192.0.2.2"
tid = 1
ptid = 1
[defaults.session]
mtu = 1400
ttl = "inherit"
[tunnel.four.session.plain]
sid = 1
psid = 1
flow_label = "flow"
tos = 3
[tunnel.four.session.ppp]
pseudowire = "ppp"
sid = 4
psid = 4
ttl = 9
l2spec_type = "none"
rx_cookie = "01020304"
multicast_limit = 5
"unknown_unicast_limit" = 6
pppoe_session_id = 1
pppoe_peer_mac = "02:00:00:00:00:01"
`)
	c, err := Inspect(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range c.Report(1500).Warnings {
		got = append(got, fmt.Sprintf("%s:%d %s", filepath.Base(w.File), w.Line, w.Key))
	}
	want := []string{
		"t.toml:11 tunnel.four.session.plain.l2spec_type",
		"t.toml:11 tunnel.four.session.plain.rx_cookie",
		"t.toml:14 tunnel.four.session.plain.flow_label",
		"t.toml:10 defaults.session.ttl",
		"t.toml:15 tunnel.four.session.plain.tos",
		"t.toml:23 tunnel.four.session.ppp.multicast_limit",
		"t.toml:24 tunnel.four.session.ppp.unknown_unicast_limit",
		"t.toml:10 defaults.session.ttl", // warnings are told apart by tunnel
		"more.toml:6 tunnel.six.session.inline.df",
		"more.toml:13 tunnel.six.session.lines.burst",
		"more.toml:12 tunnel.six.session.lines.mtu",
	}
	if !slices.Equal(got, want) {
		t.Errorf("warnings at\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if c, err = Load(path); err != nil || c.places != nil {
		t.Errorf("Load keeps the texts: %v", err)
	}
}
