package appliance

import (
	"encoding/json"
	"maps"
	"reflect"
	"testing"

	"xwire/appliance/api"
	"xwire/config"
)

const modifyText = `
[port.core0]
interface = "core0"
[port.ac0]
interface = "ac0"
[defaults.session]
l2spec_type = "default"
[tunnel.four]
local = "192.0.2.1"
peer = "192.0.2.2"
tid = 1
ptid = 1
[tunnel.four.session.on-port]
sid = 1
psid = 1
attach = "ac0"
vlan = 100
[tunnel.four.session.on-interface]
sid = 2
psid = 2
interface_name = "loc0"
[tunnel.six]
local = "2001:db8::1"
peer = "2001:db8::2"
tid = 2
ptid = 2
[tunnel.six.session.on-port]
sid = 1
psid = 1
attach = "ac0"
vlan = 101
[tunnel.empty]
encap = "ip"
local = "2001:db8::1"
peer = "2001:db8::3"
tid = 3
ptid = 3
[tunnel.two]
version = "l2tpv2"
local = "192.0.2.1"
peer = "192.0.2.4"
tid = 4
ptid = 4
[tunnel.two.session.ppp]
pseudowire = "ppp"
sid = 1
psid = 1
attach = "ac0"
vlan = 102
pppoe_session_id = 5
pppoe_peer_mac = "02:00:00:00:00:01"
`

// modification says one key of one object. Others that it needs are in with.
type modification struct {
	tunnel, session, key string
	value                any
	with                 api.Keys
	want                 any // read back; nil: as value
}

var modifications = []modification{
	{tunnel: "four", key: "description", value: "changed"},
	{tunnel: "four", key: "enabled", value: false},
	{tunnel: "two", key: "description", value: "changed"},
	{tunnel: "empty", key: "version", value: "l2tpv2", with: api.Keys{"encap": "udp", "local": "192.0.2.1", "peer": "192.0.2.9"}},
	{tunnel: "empty", key: "encap", value: "udp"},
	{tunnel: "four", key: "local", value: "192.0.2.7:1702"},
	{tunnel: "four", key: "peer", value: "192.0.2.3:1799"},
	{tunnel: "four", key: "tid", value: 77},
	{tunnel: "four", key: "ptid", value: 78},
	{tunnel: "four", key: "vrf", value: "red"},
	{tunnel: "empty", key: "keyed", value: true},
	{tunnel: "six", key: "unknown", value: "kernel"},
	{tunnel: "four", key: "udp_checksum", value: true},
	{tunnel: "six", key: "udp6_checksum_tx", value: false},
	{tunnel: "six", key: "udp6_zero_checksum_rx", value: true},
	{tunnel: "four", key: "hello_timeout", value: 60000},
	{tunnel: "four", key: "retry_timeout", value: 300},
	{tunnel: "four", key: "max_retries", value: 7},
	{tunnel: "four", key: "window_size", value: 9},
	{tunnel: "four", key: "ttl", value: 33},
	{tunnel: "four", key: "tos", value: 0x28},
	{tunnel: "four", key: "df", value: true},
	{tunnel: "four", key: "any_peer_port", value: true},
	{tunnel: "four", key: "on_down", value: "ac-down", with: api.Keys{"hello_timeout": 60000}},

	{tunnel: "four", session: "on-port", key: "description", value: "changed"},
	{tunnel: "four", session: "on-port", key: "enabled", value: false},
	{tunnel: "four", session: "on-port", key: "pseudowire", value: "vlan"},
	{tunnel: "four", session: "on-port", key: "sid", value: 900},
	{tunnel: "four", session: "on-port", key: "psid", value: 901},
	{tunnel: "four", session: "on-port", key: "tx_cookie", value: "0102030405060708"},
	{tunnel: "four", session: "on-port", key: "rx_cookie", value: []any{"01020304", "05060708"}},
	{tunnel: "four", session: "on-port", key: "l2spec_type", value: "none"},
	{tunnel: "four", session: "on-interface", key: "attach", value: "ac0", with: api.Keys{"vlan": 103}},
	{tunnel: "four", session: "on-port", key: "vlan", value: "200.5"},
	{tunnel: "four", session: "on-port", key: "pw_vlan", value: 300, want: "300"},
	{tunnel: "four", session: "on-interface", key: "interface_name", value: "loc1"},
	{tunnel: "four", session: "on-interface", key: "mtu", value: 1300},
	{tunnel: "four", session: "on-port", key: "oversize", value: "pw", with: api.Keys{"send_seq": true}},
	{tunnel: "four", session: "on-port", key: "icmp_too_big", value: true},
	{tunnel: "four", session: "on-port", key: "mss_clamp", value: 1200},
	{tunnel: "four", session: "on-port", key: "send_seq", value: true},
	{tunnel: "four", session: "on-port", key: "recv_seq", value: true},
	{tunnel: "four", session: "on-port", key: "lns_mode", value: false},
	{tunnel: "four", session: "on-port", key: "reorder_timeout", value: 20},
	{tunnel: "four", session: "on-port", key: "resync_after", value: 9, with: api.Keys{"recv_seq": true}},
	{tunnel: "four", session: "on-port", key: "rate", value: "10M", want: 10000000},
	{tunnel: "four", session: "on-port", key: "burst", value: "64Ki", with: api.Keys{"rate": "10M"}, want: 65536},
	{tunnel: "four", session: "on-port", key: "rate_tx", value: 5000000},
	{tunnel: "four", session: "on-port", key: "rate_rx", value: 6000000},
	{tunnel: "four", session: "on-port", key: "broadcast_limit", value: 10},
	{tunnel: "four", session: "on-port", key: "multicast_limit", value: 20},
	{tunnel: "four", session: "on-port", key: "unknown_unicast_limit", value: 30},
	{tunnel: "four", session: "on-port", key: "ttl", value: 7},
	{tunnel: "four", session: "on-port", key: "tos", value: "inherit"},
	{tunnel: "four", session: "on-port", key: "df", value: true},
	{tunnel: "four", session: "on-port", key: "pcp_to_dscp", value: []any{0, 8, 16, 24, 32, 40, 46, 56}},
	{tunnel: "four", session: "on-port", key: "ecn", value: "rfc6040"},
	{tunnel: "six", session: "on-port", key: "flow_label", value: "flow"},
	{tunnel: "four", session: "on-port", key: "source_port", value: "flow"},
	{tunnel: "two", session: "ppp", key: "pppoe_session_id", value: 6},
	{tunnel: "two", session: "ppp", key: "pppoe_peer_mac", value: "02:00:00:00:00:09"},
}

// elsewhere are the keys that are not read back by their name: where they are, or why not.
var elsewhere = map[string]string{
	"session.seqnum":      "send_seq and recv_seq",
	"session.cookie_file": "names a file: tx_cookie and rx_cookie are what a request says",
}

// asRead is a value as JSON gives it.
func asRead(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestEveryKeyIsModified: each key of a tunnel and a session can be changed in place, is read back, and
// goes back to what it was, while the object stays the one that it is.
func TestEveryKeyIsModified(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	a, c := rig(t, modifyText)
	ctx := t.Context()
	read := func(tunnel, session string) api.Keys {
		t.Helper()
		if session == "" {
			v, err := c.Tunnel(ctx, tunnel)
			if err != nil {
				t.Fatal(err)
			}
			return v.Config
		}
		v, err := c.TunnelSession(ctx, tunnel, session, true)
		if err != nil {
			t.Fatal(err)
		}
		return v.Config
	}
	modify := func(tunnel, session string, keys api.Keys) (err error) {
		if session == "" {
			_, err = c.ModifyTunnel(ctx, tunnel, keys)
		} else {
			_, err = c.ModifySession(ctx, tunnel, session, keys)
		}
		return err
	}
	tried := map[string]bool{}
	for _, m := range modifications {
		table, name := "tunnel", m.tunnel+"."+m.key
		if m.session != "" {
			table, name = "session", m.tunnel+"/"+m.session+"."+m.key
		}
		tried[table+"."+m.key] = true
		before, s := read(m.tunnel, m.session), a.sessionAt(m.tunnel+"/"+m.session)
		keys := api.Keys{m.key: m.value}
		maps.Copy(keys, m.with)
		if err := modify(m.tunnel, m.session, keys); err != nil {
			t.Errorf("%s = %v: %v", name, m.value, err)
			continue
		}
		want := m.want
		if want == nil {
			want = m.value
		}
		if got := read(m.tunnel, m.session)[m.key]; !reflect.DeepEqual(got, asRead(t, want)) {
			t.Errorf("%s: %v is read back, want %v", name, got, want)
		}
		if now := a.sessionAt(m.tunnel + "/" + m.session); now != s {
			t.Errorf("%s: the session is another one", name)
		}
		back := api.Keys{}
		for k := range keys {
			back[k] = before[k] // nil where it was absent
		}
		if m.key == "attach" {
			back["interface_name"] = before["interface_name"]
		}
		if err := modify(m.tunnel, m.session, back); err != nil {
			t.Errorf("%s back: %v", name, err)
		}
		if got := read(m.tunnel, m.session); !reflect.DeepEqual(got, before) {
			t.Errorf("%s back: %v, want %v", name, got, before)
		}
	}
	for _, k := range config.Keys() {
		if name := k.Table + "." + k.Name; (k.Table == "tunnel" || k.Table == "session") && !k.NoEffect && !tried[name] && elsewhere[name] == "" {
			t.Errorf("%s is not modified here", name)
		}
	}
}
