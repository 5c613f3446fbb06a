package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"xwire/l2tp"
)

func cookie(t *testing.T, s string) l2tp.Cookie {
	t.Helper()
	c, err := l2tp.ParseCookie(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDesign(t *testing.T) {
	c := load(t, "testdata/design.toml")
	if got, want := fmt.Sprint(c.Files), "[testdata/design.toml testdata/paris.cookies testdata/tunnels.d/oslo.toml]"; got != want {
		t.Errorf("Files = %v, want %v", got, want)
	}
	if c.AutoPorts() || len(c.Warnings) != 0 {
		t.Errorf("AutoPorts = %v, Warnings = %v, want false and none", c.AutoPorts(), c.Warnings)
	}
	if got, want := fmt.Sprintf("%+v", c.Appliance), "{CPUs:[2 3] Control:/run/xwire/control.sock ControlGroup: Metrics:127.0.0.1:9780 MetricsSessions:true Unknown:drop Strict:false}"; got != want {
		t.Errorf("Appliance = %v, want %v", got, want)
	}
	want := Session{
		Name: "customer-b", Attach: "access0", Pos: Pos{"testdata/design.toml", 44}, SID: 101, PSID: 201,
		VLAN: VLAN{VLANQinQ, 200, 200, 20}, PWVLAN: PWVLAN{PWVID, 300}, Pseudowire: l2tp.PWEth,
		TxCookie: cookie(t, "0a0b0c0d"), RxCookies: [2]l2tp.Cookie{cookie(t, "1a1b1c1d"), cookie(t, "2a2b2c2d")}, RxCookieCount: 2, Enabled: true,
	}
	if got := *c.Tunnel("paris").Session("customer-b"); got != want {
		t.Errorf("customer-b = %+v, want %+v", got, want)
	}
	oslo := c.Tunnel("oslo")
	if oslo.Local != netip.MustParseAddrPort("[2001:db8::1]:1701") || oslo.Peer != netip.MustParseAddrPort("[2001:db8:1::7]:5000") || !oslo.IP6() || !oslo.UDP6ChecksumTx {
		t.Errorf("oslo = %+v", oslo)
	}
	if got := c.Tunnel("paris").Session("here").InterfaceName; got != "l2tpeth102" {
		t.Errorf("derived interface name = %q, want l2tpeth102", got)
	}
}

func TestQL2TPD(t *testing.T) {
	c, err := Load("testdata/ql2tpd.toml")
	if err != nil {
		t.Fatal(err)
	}
	if !c.AutoPorts() {
		t.Error("AutoPorts = false for a file without [port]")
	}
	s := c.Tunnel("t1").Session("s1")
	if s.TxCookie != cookie(t, "12e9540fe26872bc") || s.RxCookieCount != 1 || s.RxCookies[0] != cookie(t, "742e28a8") || !s.Local() || s.L2Spec != l2tp.SublayerDefault {
		t.Errorf("t1/s1 = %+v", s)
	}
	if s := c.Tunnel("t1").Session("s2"); s.L2Spec != l2tp.SublayerNone || s.L2SpecGiven {
		t.Errorf("l2spec_type absent: %+v, want none, not given", s)
	}
	if tun := c.Tunnel("t2"); tun.Encap != l2tp.EncapIP || tun.Local != netip.MustParseAddrPort("192.0.2.1:0") {
		t.Errorf(`":0" with encap ip: %v`, tun.Local)
	}
	// The same sid under two peers: both interfaces need a name.
	if a, b := c.Tunnel("t2").Sessions[0].InterfaceName, c.Tunnel("t3").Sessions[0].InterfaceName; a != "l2tpeth1" || !strings.HasPrefix(b, "l2tp-") || len(b) > 15 {
		t.Errorf("derived names = %q, %q", a, b)
	}
	// Never silence about a key without effect.
	if tun := c.Tunnel("t1"); tun.HelloTimeout != 7500*time.Millisecond || tun.RetryTimeout != 1500*time.Millisecond {
		t.Errorf("hello_timeout %v, retry_timeout %v", tun.HelloTimeout, tun.RetryTimeout)
	}
	for _, key := range []string{"host_name", "framing_caps"} {
		if !warned(c, "tunnel.t1."+key, "has no effect in this version") {
			t.Errorf("no warning of %s in %v", key, c.Warnings)
		}
	}
	for _, key := range []string{"pppoe_session_id", "pppoe_peer_mac"} {
		if !warned(c, "tunnel.t1.session.s1."+key, `has no effect with pseudowire = "eth"`) {
			t.Errorf("no warning of %s in %v", key, c.Warnings)
		}
	}
}

func warned(c *Config, key, part string) bool {
	for _, w := range c.Warnings {
		if w.Key == key && w.Line > 0 && strings.Contains(w.Msg, part) {
			return true
		}
	}
	return false
}

const (
	tunnelText  = "[tunnel.a]\nencap = \"ip\"\nlocal = \"192.0.2.1\"\npeer = \"198.51.100.7\"\ntid = 1\nptid = 1\n"
	sessionText = "[tunnel.a.session.s]\nsid = 1\npsid = 1\n"
)

// TestSeveralFiles has what needs more than one file. The marks are as in testdata/broken.
func TestSeveralFiles(t *testing.T) {
	tests := []struct {
		name   string
		files  map[string]string // main.toml is the one that is loaded
		shared string
		check  func(t *testing.T, c *Config)
	}{
		{
			name: "a pattern, in order of names; defaults hold for all files",
			files: map[string]string{
				"main.toml":  "include = [\"d/*.toml\"]\n[defaults.session]\nl2spec_type = \"default\"\n",
				"d/2.toml":   strings.NewReplacer("tunnel.a", "tunnel.b", "= 1", "= 2").Replace(tunnelText),
				"d/1.toml":   tunnelText + sessionText,
				"d/readme":   "not TOML",
				"other.toml": "not TOML",
			},
			check: func(t *testing.T, c *Config) {
				if len(c.Tunnels) != 2 || c.Tunnels[0].Name != "a" || c.Tunnels[1].Name != "b" {
					t.Errorf("tunnels = %+v", c.Tunnels)
				}
				if s := c.Tunnels[0].Sessions[0]; s.L2Spec != l2tp.SublayerDefault || !s.L2SpecGiven {
					t.Errorf("session = %+v, want the default's sublayer", s)
				}
			},
		},
		{
			name: "a file that two patterns match is read once",
			files: map[string]string{
				"main.toml": "include = [\"d/*.toml\", \"d/1.toml\"]\n",
				"d/1.toml":  tunnelText,
			},
		},
		{
			name: "includes of includes are relative to the file they stand in",
			files: map[string]string{
				"main.toml":  "include = [\"d/1.toml\"]\n",
				"d/1.toml":   "include = [\"e/2.toml\"]\n",
				"d/e/2.toml": tunnelText,
			},
			check: func(t *testing.T, c *Config) {
				if len(c.Tunnels) != 1 {
					t.Errorf("tunnels = %+v", c.Tunnels)
				}
			},
		},
		{
			name: "a circle",
			files: map[string]string{
				"main.toml": "include = [\"b.toml\"]\n",
				"b.toml":    "include = [\"main.toml\"] # WANT include: leads back to main.toml\n",
			},
		},
		{
			name: "a name may stand in one file only",
			files: map[string]string{
				"main.toml": "include = [\"b.toml\"]\n[port.p]\ninterface = \"ens1\"\n[appliance]\n" + tunnelText + sessionText,
				"b.toml":    "[port.p] # WANT port.p: the port stands in main.toml:2 already\ninterface = \"ens2\"\n[appliance] # WANT appliance: stands in main.toml:4\n[tunnel.a.session.t] # WANT tunnel.a.session.t: tunnel \"a\" stands in main.toml:5 already\n[tunnel.a.session.u]\n[defaults.tunnel]\n",
			},
		},
		{
			name: "a clash across files",
			files: map[string]string{
				"main.toml": "include = [\"b.toml\"]\n" + tunnelText,
				"b.toml":    "[tunnel.b]\nencap = \"ip\"\nlocal = \"192.0.2.1\"\npeer = \"198.51.100.8\"\ntid = 1 # WANT tunnel.b.tid: 1 is the tid of tunnel \"a\" already (main.toml:2)\nptid = 1\n",
			},
		},
		{
			name: "errors of every file at once",
			files: map[string]string{
				"main.toml": "include = [\"b.toml\", \"c.toml\"]\nx = 1 # WANT x: is not a known key\n",
				"b.toml":    "y = 1 # WANT y: is not a known key\n",
				"c.toml":    "[tunnel.a\n# WANT@1 : table header\n",
			},
		},
		{
			name: "cookies kept apart",
			files: map[string]string{
				"main.toml": tunnelText + sessionText + "cookie_file = \"s/secret\"\n",
				"s/secret":  "[tunnel.a.session.s]\ncookie = [1,2,3,4]\npeer_cookie = \"0102030405060708\"\n[tunnel.a.session.gone]\ntx_cookie = \"01020304\"\n",
			},
			check: func(t *testing.T, c *Config) {
				s := c.Tunnels[0].Sessions[0]
				if s.TxCookie != cookie(t, "01020304") || s.RxCookieCount != 1 || s.RxCookies[0] != cookie(t, "0102030405060708") {
					t.Errorf("session = %+v", s)
				}
				if len(c.Warnings) != 1 || c.Warnings[0].Key != "tunnel.a.session.gone" || c.Warnings[0].Line != 4 {
					t.Errorf("warnings = %v, want one of tunnel.a.session.gone", c.Warnings)
				}
			},
		},
		{
			name: "one cookie file for all sessions",
			files: map[string]string{
				"main.toml": "[defaults.session]\ncookie_file = \"secret\"\n" + tunnelText + sessionText + "[tunnel.a.session.t] # WANT tunnel.a.session.t.cookie_file: secret has no table [tunnel.a.session.t]\nsid = 2\npsid = 2\n",
				"secret":    "[tunnel.a.session.s]\ntx_cookie = \"01020304\"\n",
			},
		},
		{
			name: "secrets that others can read",
			files: map[string]string{
				"main.toml": tunnelText + sessionText + "cookie_file = \"secret\" # WANT tunnel.a.session.s.cookie_file: secret has mode 0644, others can read the secrets; run chmod 600 secret\n",
				"secret":    "[tunnel.a.session.s]\ntx_cookie = \"01020304\"\n",
			},
			shared: "secret",
		},
		{
			name: "a cookie file with errors",
			files: map[string]string{
				"main.toml": tunnelText + sessionText + "cookie_file = \"secret\"\n",
				"secret":    "x = 1 # WANT x: stands before the first table\n[tunnel.a.session.s]\ntx_cookie = \"010203\" # WANT tunnel.a.session.s.tx_cookie: cookie of 3 bytes\nsid = 5 # WANT tunnel.a.session.s.sid: does not belong into a cookie file\nrx = 1 # WANT tunnel.a.session.s.rx: is not a known key\n[tunnel.a] # WANT tunnel.a: write [tunnel.NAME.session.NAME]\n[tunnel.a.session.s] # WANT tunnel.a.session.s: the session stands in line 2 already\n[tunnel.a.session.t]\ntx_cookie = 1-2 # WANT tunnel.a.session.t.tx_cookie: in quotes\n[tunnel.a.session.u]\n11121314 # WANT tunnel.a.session.u: cannot be read; write tx_cookie = \n",
			},
		},
		{
			name: "a cookie file that is the cookie",
			files: map[string]string{
				"main.toml": tunnelText + sessionText + "cookie_file = \"secret\"\n",
				"secret":    "0102030405060708 # WANT : write [tunnel.a.session.s], and below it tx_cookie = \"0102030405060708\" and rx_cookie = \n",
			},
		},
		{
			name: "cookies here and in a file",
			files: map[string]string{
				"main.toml": tunnelText + sessionText + "cookie_file = \"secret\"\n" +
					"cookie = \"01020304\" # WANT tunnel.a.session.s.cookie: is given twice\npeer_cookie = \"01020304\" # WANT tunnel.a.session.s.peer_cookie: is given twice\n",
				"secret": "[tunnel.a.session.s]\n",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parse("main.toml", tt.files["main.toml"], memory{tt.files, map[string]bool{tt.shared: true}})
			var got Errors
			if err != nil && !errors.As(err, &got) {
				t.Fatal(err)
			}
			for name, text := range tt.files {
				var of Errors
				for _, e := range got {
					if e.File == name {
						of = append(of, e)
					}
				}
				match(t, name, of, wants(t, text))
			}
			if tt.check != nil && err == nil {
				tt.check(t, c)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	const udp = "[tunnel.u]\nlocal = \"192.0.2.1\"\npeer = \"198.51.100.7\"\ntid = 2\nptid = 2\n"
	tests := []struct{ text, key, part string }{
		{"include = [\"none.d/*.toml\"]\n" + tunnelText, "include", "matches no file"},
		{"", "", "there is no [tunnel.NAME]: nothing will be carried"},
		{"[port.p]\ninterface = \"e\"\n", "", "there is no [tunnel.NAME]"},
		{tunnelText + "udp_checksum = true\n", "tunnel.a.udp_checksum", `no effect with encap = "ip"`},
		{udp + "udp6_checksum_tx = true\n", "tunnel.u.udp6_checksum_tx", "no effect over IPv4"},
		{strings.NewReplacer("192.0.2.1", "2001:db8::1", "198.51.100.7", "2001:db8::7").Replace(udp) + "udp_checksum = true\n", "tunnel.u.udp_checksum", "no effect over IPv6"},
		{strings.Replace(tunnelText, "192.0.2.1", "192.0.2.1:1701", 1), "tunnel.a.local", `port 1701 has no effect with encap = "ip"`},
		{strings.Replace(tunnelText, "192.0.2.1", "198.51.100.7", 1), "tunnel.a.peer", "is the tunnel's own local address"},
		{"[defaults.session]\nseqnum = true\n" + tunnelText + sessionText, "defaults.session.seqnum", "has no effect without l2spec_type"},
		{"[port.p]\ninterface = \"e\"\n" + tunnelText + sessionText + "attach = \"p\"\nvlan = \"all\"\npseudowire = \"vlan\"\n", "tunnel.a.session.s.vlan", "sends untagged frames too"},
	}
	for _, tt := range tests {
		c, err := Parse("x.toml", []byte(tt.text))
		if err != nil {
			t.Errorf("%s: %v", tt.key, err)
			continue
		}
		if len(c.Warnings) != 1 || !warned(c, tt.key, tt.part) {
			t.Errorf("warnings = %v, want one of %s: ...%s...", c.Warnings, tt.key, tt.part)
		}
	}
}

// TestNotEnabled: what is not enabled may share ids, circuits and names with what is.
func TestNotEnabled(t *testing.T) {
	text := "[port.p]\ninterface = \"e\"\n" + tunnelText + sessionText + "attach = \"p\"\nvlan = 5\n" +
		"[tunnel.a.session.next]\nenabled = false\nsid = 1\npsid = 1\nattach = \"p\"\nvlan = 5\n" +
		strings.Replace(tunnelText, "tunnel.a", "tunnel.b", 1) + "enabled = false\n" + strings.Replace(sessionText, "tunnel.a", "tunnel.b", 1)
	c, err := Parse("x.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if c.Tunnels[0].Sessions[1].Enabled || c.Tunnels[1].Enabled || !c.Tunnels[1].Sessions[0].Enabled {
		t.Errorf("tunnels = %+v", c.Tunnels)
	}
}

// TestDefaults: a tunnel's or session's own key wins over [defaults], which wins over the built-in.
func TestDefaults(t *testing.T) {
	c, err := Parse("x.toml", []byte(`
[tunnel.a]
local = "192.0.2.1"
peer = "198.51.100.7"
tid = 1
[tunnel.a.session.own]
sid = 1
l2spec_type = "none"
peer_cookie = "05060708"
[tunnel.a.session.inherits]
sid = 2
[defaults.tunnel]
encap = "ip"
ptid = 9
enabled = false
[defaults.session]
psid = 7
l2spec_type = "default"
rx_cookie = "01020304"
`))
	if err != nil {
		t.Fatal(err)
	}
	a := c.Tunnels[0]
	own, inherits := a.Sessions[0], a.Sessions[1]
	if a.Encap != l2tp.EncapIP || a.PTID != 9 || a.Enabled || !a.UDP6ChecksumTx {
		t.Errorf("tunnel = %+v", a)
	}
	if own.PSID != 7 || own.L2Spec != l2tp.SublayerNone || own.RxCookies[0] != cookie(t, "05060708") {
		t.Errorf("own = %+v", own)
	}
	if inherits.PSID != 7 || inherits.L2Spec != l2tp.SublayerDefault || inherits.RxCookies[0] != cookie(t, "01020304") || !inherits.Enabled || inherits.Pseudowire != l2tp.PWEth {
		t.Errorf("inherits = %+v", inherits)
	}
}

// TestSpellings: TOML has several ways to write the same tables.
func TestSpellings(t *testing.T) {
	for _, text := range []string{
		tunnelText + sessionText,
		"\ufeff" + tunnelText + sessionText,
		strings.ReplaceAll(tunnelText+sessionText, "\n", "\r\n"),
		sessionText + tunnelText,
		"[ tunnel . 'a' ] # comment ]\n'encap' = 'ip'\n\"local\" = \"192.0.2.1\"\npeer = \"\"\"\n198.51.100.7\"\"\"\ntid = 0x1\nptid = 0b1\n[tunnel.\"\\u0061\".session.s]\nsid = +1\npsid = 1\n",
		"[tunnel]\na = { encap = \"ip\", local = \"192.0.2.1\", peer = \"198.51.100.7\", tid = 1, ptid = 1, session.s = { sid = 1, psid = 1 } }\n",
		"tunnel.a.encap = \"ip\"\ntunnel.a.local = \"192.0.2.1\"\ntunnel.a.peer = \"198.51.100.7\"\ntunnel.a.tid = 1\ntunnel.a.ptid = 1\ntunnel.a.session.s.sid = 1\ntunnel.a.session.s.psid = 1\n",
		"[tunnel.a.session]\n[tunnel]\n" + tunnelText + sessionText,
		"  [tunnel.a]\n  encap=\"ip\"\n  local=\"192.0.2.1\"\n  peer=\"198.51.100.7\"\n  tid=1\n  ptid=1\n  [tunnel.a.session]\n  s={sid=1,psid=1}\n",
	} {
		c, err := Parse("x.toml", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		a := c.Tunnel("a")
		if len(c.Tunnels) != 1 || a == nil || a.Encap != l2tp.EncapIP || a.TID != 1 || a.Peer.Addr().String() != "198.51.100.7" || len(a.Sessions) != 1 || a.Sessions[0].SID != 1 {
			t.Errorf("%q: %+v", text, c.Tunnels)
		}
	}
}

// TestOrder: tables inside tables come in the order of the text as well.
func TestOrder(t *testing.T) {
	var b strings.Builder
	b.WriteString(tunnelText)
	for i := range 50 {
		fmt.Fprintf(&b, "session.s%d = { sid = %d, psid = 1 }\n", (i*37)%50, i+1)
	}
	c, err := Parse("x.toml", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range c.Tunnels[0].Sessions {
		if want := fmt.Sprintf("s%d", (i*37)%50); s.Name != want || s.Pos.Line != 7+i {
			t.Fatalf("session %d is %s (%v), want %s in line %d", i, s.Name, s.Pos, want, 7+i)
		}
	}
}
