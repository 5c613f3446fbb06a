package config

import (
	"strings"
	"testing"

	"xwire/l2tp"
)

func TestKeyed(t *testing.T) {
	const tunnel = "[tunnel.t]\nkeyed = true\nlocal = \"2001:db8::1\"\npeer = \"2001:db8::2\"\n"
	const session = "[tunnel.t.session.s]\ntx_cookie = \"0102030405060708\"\nrx_cookie = [\"1112131415161718\", \"2122232425262728\"]\n"
	for _, tt := range []struct {
		name, text string
		psid       uint32
		warning    string
	}{
		{"nothing else", tunnel + session, 0xffffffff, ""},
		{"its psid", tunnel + session + "psid = 7\n", 7, ""},
		{"an encapsulation by default", "[defaults.tunnel]\nencap = \"ip\"\n" + tunnel + session, 0xffffffff, ""},
		{"ids as another implementation has them", tunnel + "tid = 1\nptid = 2\n" + session + "sid = 3\npsid = 4\n", 4, "sid: 3 has no effect"},
		{"hellos", tunnel + "hello_timeout = 5000\n" + session, 0xffffffff, "hello_timeout: has no effect"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := tt.text
			for _, state := range []string{"as it is", "as it is saved"} {
				cfg, err := parse("keyed.toml", text, disk{})
				if err != nil {
					t.Fatalf("%s: %v", state, err)
				}
				tun := cfg.Tunnels[0]
				s := tun.Sessions[0]
				if !tun.Keyed || tun.Encap != l2tp.EncapIP || s.SID != 0 || s.PSID != tt.psid || s.RxCookieCount != 2 || s.InterfaceName != hashedName("t", "s") {
					t.Errorf("%s: %+v", state, tun)
				}
				if warned := len(cfg.Warnings) > 0; state == "as it is" && warned != (tt.warning != "") || warned && !strings.Contains(cfg.Warnings[0].String(), tt.warning) {
					t.Errorf("%s: warnings %v, want %q", state, cfg.Warnings, tt.warning)
				}
				for _, w := range cfg.Report(1600).Warnings {
					if strings.Contains(w.Key, "l2spec_type") {
						t.Errorf("report warns %v; RFC 8159 has no sublayer unless asked for", w)
					}
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

func TestKeyedPeer(t *testing.T) {
	cfg, err := parse("keyed.toml", `[tunnel.t]
keyed = true
local = "2001:db8::1"
peer = "2001:db8::2"
[tunnel.t.session.s]
psid = 9
tx_cookie = "0102030405060708"
rx_cookie = "1112131415161718"
`, disk{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := cfg.PeerCommands(PeerLinux, 1600, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 1 encap ip local 2001:db8::2 remote 2001:db8::1\n",
		"tunnel_id 1 session_id 9 peer_session_id 9 cookie 1112131415161718 peer_cookie 0102030405060708 l2spec_type none\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("commands lack %q:\n%s", want, got)
		}
	}
}
