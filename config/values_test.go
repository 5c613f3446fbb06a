package config

import (
	"fmt"
	"strings"
	"testing"
)

// one loads a session with some keys and returns it, or the errors.
func one(t *testing.T, keys string) (*Session, error) {
	t.Helper()
	c, err := Parse("x.toml", []byte("[port.p]\ninterface = \"e\"\n"+tunnelText+sessionText+keys))
	if err != nil {
		return nil, err
	}
	return &c.Tunnels[0].Sessions[0], nil
}

func TestVLANValues(t *testing.T) {
	tests := []struct {
		toml string
		want VLAN
		tags int
	}{
		{`"all"`, VLAN{Kind: VLANAll}, 0},
		{`"untagged"`, VLAN{Kind: VLANUntagged}, 0},
		{`1`, VLAN{VLANSingle, 1, 1, 0}, 1},
		{`4094`, VLAN{VLANSingle, 4094, 4094, 0}, 1},
		{`"100"`, VLAN{VLANSingle, 100, 100, 0}, 1},
		{`0x64`, VLAN{VLANSingle, 100, 100, 0}, 1},
		{`"100-199"`, VLAN{VLANRange, 100, 199, 0}, 1},
		{`"1-4094"`, VLAN{VLANRange, 1, 4094, 0}, 1},
		{`"100.20"`, VLAN{VLANQinQ, 100, 100, 20}, 2},
	}
	for _, tt := range tests {
		s, err := one(t, "attach = \"p\"\nvlan = "+tt.toml+"\n")
		if err != nil {
			t.Errorf("vlan = %s: %v", tt.toml, err)
			continue
		}
		if s.VLAN != tt.want || s.Tags() != tt.tags {
			t.Errorf("vlan = %s: %+v with %d tags, want %+v with %d", tt.toml, s.VLAN, s.Tags(), tt.want, tt.tags)
		}
		if again, err := ParseVLAN(s.VLAN.String()); err != nil || again != tt.want {
			t.Errorf("ParseVLAN(%q) = %+v, %v, want %+v", s.VLAN, again, err, tt.want)
		}
	}
}

func TestPWVLANValues(t *testing.T) {
	tests := []struct {
		vlan, toml string
		want       PWVLAN
		tags       int
	}{
		{`100`, `"keep"`, PWVLAN{}, 1},
		{`"100.20"`, `"keep"`, PWVLAN{}, 2},
		{`100`, `"none"`, PWVLAN{Kind: PWNone}, 0},
		{`"100.20"`, `"none"`, PWVLAN{Kind: PWNone}, 0},
		{`"100.20"`, `300`, PWVLAN{PWVID, 300}, 1},
		{`"untagged"`, `"300"`, PWVLAN{PWVID, 300}, 1},
		{`"untagged"`, `"none"`, PWVLAN{Kind: PWNone}, 0},
	}
	for _, tt := range tests {
		s, err := one(t, fmt.Sprintf("attach = \"p\"\nvlan = %s\npw_vlan = %s\n", tt.vlan, tt.toml))
		if err != nil {
			t.Errorf("vlan = %s, pw_vlan = %s: %v", tt.vlan, tt.toml, err)
			continue
		}
		if s.PWVLAN != tt.want || s.Tags() != tt.tags {
			t.Errorf("vlan = %s, pw_vlan = %s: %+v with %d tags, want %+v with %d", tt.vlan, tt.toml, s.PWVLAN, s.Tags(), tt.want, tt.tags)
		}
	}
}

func TestCookieValues(t *testing.T) {
	tests := []struct {
		toml string
		want []string // in hex
	}{
		{`""`, nil},
		{`[]`, nil},
		{`"01020304"`, []string{"01020304"}},
		{`"0x01020304"`, []string{"01020304"}},
		{`"0102030405060708"`, []string{"0102030405060708"}},
		{`"AABBCCDD"`, []string{"aabbccdd"}},
		{`[1, 2, 3, 0xff]`, []string{"010203ff"}},
		{"[ # ql2tpd\n0x12, 0xe9, 0x54, 0x0f,\n0xe2, 0x68, 0x72, 0xbc, ]", []string{"12e9540fe26872bc"}},
		{`["01020304"]`, []string{"01020304"}},
		{`["01020304", "05060708"]`, []string{"01020304", "05060708"}},
		{`[[1, 2, 3, 4], [5, 6, 7, 8]]`, []string{"01020304", "05060708"}},
		{`[[1, 2, 3, 4], "05060708"]`, []string{"01020304", "05060708"}},
	}
	for _, tt := range tests {
		for _, key := range []string{"rx_cookie", "peer_cookie"} {
			s, err := one(t, key+" = "+tt.toml+"\n")
			if err != nil {
				t.Errorf("%s = %s: %v", key, tt.toml, err)
				continue
			}
			var got []string
			for i := range s.RxCookieCount {
				got = append(got, s.RxCookies[i].Hex())
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("%s = %s: %v, want %v", key, tt.toml, got, tt.want)
			}
		}
		if len(tt.want) > 1 || strings.Contains(tt.toml, `["`) {
			continue
		}
		s, err := one(t, "cookie = "+tt.toml+"\n")
		if err != nil || s.TxCookie.Hex() != strings.Join(tt.want, "") {
			t.Errorf("cookie = %s: %v, %v, want %v", tt.toml, s, err, tt.want)
		}
	}
}

// TestErrorsHideCookies: an error goes to logs and terminals.
func TestErrorsHideCookies(t *testing.T) {
	for _, text := range []string{
		`tx_cookie = "c0ffee00c0ffee00c0"`, `tx_cookie = "c0ffee00c0ffee0x"`, `rx_cookie = ["c0ffee00", "c0ffee00c0ffee00"]`,
		`rx_cookie = ["c0ffee00", "c0ffee00"]`, `tx_cookie = ["c0ffee00"]`, `rx_cookie = ["c0ffee00", "c0ffee01", "c0ffee02"]`,
		"tx_cookie = \"c0ffee00\"\ncookie = \"c0ffee00\"", `rx_cookie = { a = "c0ffee00" }`,
	} {
		if _, err := one(t, text+"\n"); err == nil || strings.Contains(err.Error(), "c0ffee") {
			t.Errorf("%s: error %v, want one without the cookie", text, err)
		}
	}
}

func TestEndpoints(t *testing.T) {
	tests := []struct {
		text, addr string
		port       uint16
		hasPort    bool
	}{
		{"192.0.2.1", "192.0.2.1", 0, false},
		{"192.0.2.1:0", "192.0.2.1", 0, true},
		{"192.0.2.1:1701", "192.0.2.1", 1701, true},
		{"2001:db8::1", "2001:db8::1", 0, false},
		{"[2001:db8::1]", "2001:db8::1", 0, false},
		{"[2001:db8::1]:5000", "2001:db8::1", 5000, true},
	}
	for _, tt := range tests {
		ep, err := parseEndpoint(tt.text)
		if err != nil || ep.Addr().String() != tt.addr || ep.Port() != tt.port || ep.hasPort != tt.hasPort {
			t.Errorf("parseEndpoint(%q) = %v, %v, %v, want %s port %d (%v)", tt.text, ep.AddrPort, ep.hasPort, err, tt.addr, tt.port, tt.hasPort)
		}
	}
}

func TestInterfaceName(t *testing.T) {
	for sid, want := range map[uint32]string{1: "l2tpeth1", 99999999: "l2tpeth99999999", 100000000: "l2tpx05f5e100", 4294967295: "l2tpxffffffff"} {
		if got := InterfaceName(sid); got != want || len(got) > 15 {
			t.Errorf("InterfaceName(%d) = %q, want %q", sid, got, want)
		}
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"encap", "tx_cookie", "l2spec_type", "interface_name", "vlan", "sid"}
	for s, want := range map[string]string{
		"enacp": "encap", "tx-cookie": "tx_cookie", "TX_COOKIE": "tx_cookie", "l2spec": "l2spec_type", "vlans": "vlan",
		"ifname": "", "x": "", "completely-other": "", "psid": "sid",
	} {
		got := suggest(s, known)
		if want == "" && got != "" || want != "" && !strings.Contains(got, `"`+want+`"`) {
			t.Errorf("suggest(%q) = %q, want %q", s, got, want)
		}
	}
	encaps, pseudowires := []string{"udp", "ip"}, []string{"eth", "vlan", "ppp", "pppac"}
	for _, tt := range []struct {
		word  string
		known []string
		want  string
	}{
		{"upd", encaps, "udp"}, {"UDP", encaps, "udp"}, {"pi", encaps, "ip"},
		{"tcp", encaps, ""}, // another word, no slip of the fingers
		{"eht", pseudowires, "eth"}, {"ethernet", pseudowires, "eth"}, {"vlna", pseudowires, "vlan"},
		{"of", spreadNames, "off"}, {"zero-copy", modeNames, "zerocopy"},
	} {
		want := ""
		if tt.want != "" {
			want = `; did you mean "` + tt.want + `"?`
		}
		if got := suggest(tt.word, tt.known); got != want {
			t.Errorf("suggest(%q, %q) = %q, want %q", tt.word, tt.known, got, want)
		}
	}
}

// TestCookiesStayHidden: whatever is wrong with a cookie, its digits are in no message.
func TestCookiesStayHidden(t *testing.T) {
	const secret = "0712345607123456"
	for _, form := range []string{
		"tx_cookie = %s", "tx_cookie = \"%s0\"", "tx_cookie = 0x%s99", "rx_cookie = [ %s ]", "rx_cookie = [\n  %s\n]", "'cookie' = %s", "cookie = +%s",
		"tx_cookie = %s-01-02", "tx_cookie = %s.", "peer_cookie = {a = %s}", "tx_cookie = 1e%s_", "rx_cookie = [\"%s\", \"%[1]s\"]",
	} {
		line := fmt.Sprintf(form, secret)
		for _, text := range []string{tunnelText + sessionText + line + "\n", tunnelText + "session.s = { sid = 1, psid = 1, " + line + " }\n"} {
			_, err := Parse("x.toml", []byte(text))
			if err == nil || strings.Contains(err.Error(), secret[1:]) {
				t.Errorf("%s: %v, want an error without the digits", line, err)
			}
		}
		_, err := parse("main.toml", tunnelText+sessionText+"cookie_file = \"secret\"\n", memory{map[string]string{"secret": "[tunnel.a.session.s]\n" + line + "\n"}, nil})
		if err == nil || strings.Contains(err.Error(), secret[1:]) {
			t.Errorf("%s in a cookie file: %v, want an error without the digits", line, err)
		}
	}
}
