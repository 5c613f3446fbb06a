package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const before = `
[port.core0]
interface = "ens1f0"
[port.ac0]
interface = "ens1f1"
[tunnel.a]
encap = "ip"
local = "192.0.2.1"
peer = "198.51.100.7"
tid = 1
ptid = 1
[tunnel.a.session.one]
sid = 1
psid = 2
rx_cookie = "01020304"
attach = "ac0"
vlan = 100
[tunnel.a.session.two]
sid = 2
psid = 2
interface_name = "two"
[tunnel.b]
local = "192.0.2.1"
peer = "198.51.100.8"
tid = 2
ptid = 1
[tunnel.b.session.three]
sid = 1
psid = 2
`

func TestCompare(t *testing.T) {
	tests := []struct {
		name   string
		change []string // pairs: what is replaced in before, by what
		want   []string
	}{
		{name: "nothing"},
		{name: "the default is said", change: []string{"sid = 1\npsid = 2\nrx", "enabled = true\nsid = 1\npsid = 2\nrx"}},
		{"description", []string{"[tunnel.a.session.two]", "[tunnel.a.session.two]\ndescription = \"d\""}, []string{"session a/two changed [description] hitless"}},
		{"second cookie", []string{`"01020304"`, `["01020304", "05060708"]`}, []string{"session a/one changed [rx_cookie] hitless"}},
		{"other cookie", []string{`"01020304"`, `"05060708"`}, []string{"session a/one changed [rx_cookie] session blip"}},
		{"tx cookie", []string{"rx_cookie =", "tx_cookie = \"09090909\"\nrx_cookie ="}, []string{"session a/one changed [tx_cookie] hitless"}},
		{"VLAN and id", []string{"vlan = 100", "vlan = 101", "sid = 1\npsid = 2\nrx", "sid = 7\npsid = 2\nrx"}, []string{"session a/one changed [sid vlan] session blip"}},
		{"peer", []string{"198.51.100.7", "198.51.100.9"}, []string{"tunnel a changed [peer] session blip"}},
		{"checksum", []string{"tid = 2", "tid = 2\nudp_checksum = true"}, []string{"tunnel b changed [udp_checksum] hitless"}},
		{"queues", []string{`"ens1f0"`, "\"ens1f0\"\nqueues = [0]"}, []string{"port core0 changed [queues] port reset"}},
		{"l2cp", []string{`"ens1f1"`, "\"ens1f1\"\nl2cp = \"drop\""}, []string{"port ac0 changed [l2cp] hitless"}},
		{"appliance", []string{"[port.core0]", "[appliance]\ncpus = [1]\n[port.core0]"}, []string{"appliance  changed [cpus] restart"}},
		{"tunnel gone", []string{before[strings.Index(before, "[tunnel.b]"):], ""}, []string{"tunnel b removed [] hitless", "session b/three removed [] hitless"}},
		{"session in another's place", []string{"session.two]", "session.zwei]"}, []string{"session a/two removed [] hitless", "session a/zwei added [] hitless"}},
		{"port added", []string{"[tunnel.a]\n", "[port.new]\ninterface = \"ens2\"\n[tunnel.a]\n"}, []string{"port new added [] hitless"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			from, to := parsed(t, before), parsed(t, strings.NewReplacer(tt.change...).Replace(before))
			var got []string
			d := Compare(from, to)
			for _, c := range d.Changes() {
				got = append(got, fmt.Sprintf("%s %s %s %v %s", c.Kind, c.Name, c.Action, c.Keys, c.Effect))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if d.Empty() != (len(tt.want) == 0) {
				t.Errorf("Empty() = %v", d.Empty())
			}
		})
	}
}

func parsed(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("test.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Amend changes what it is asked to, and refuses what a file could not say either.
func TestAmend(t *testing.T) {
	tests := []struct {
		name   string
		change Amendment
		want   []string // changes
		err    string   // part of it
	}{
		{"cookies", Amendment{"a", "one", false, map[string]any{"rx_cookie": []any{"01020304", "05060708"}}}, []string{"session a/one changed [rx_cookie] hitless false"}, ""},
		{"by the alias", Amendment{"a", "one", false, map[string]any{"peer_cookie": nil}}, []string{"session a/one changed [rx_cookie] session blip false"}, ""},
		{"new session", Amendment{"a", "new", false, map[string]any{"sid": int64(9), "psid": int64(9)}}, []string{"session a/new added [] hitless true"}, ""},
		{"id taken", Amendment{"a", "new", false, map[string]any{"sid": int64(1), "psid": int64(9)}}, nil, `api: tunnel.a.session.new.sid: 1 is the sid of session "a/one" already (running)`},
		{"VLAN taken", Amendment{"b", "new", false, map[string]any{"sid": int64(3), "psid": int64(9), "attach": "ac0", "vlan": int64(100)}}, nil, `"100" overlaps "100" of session "a/one"`},
		{"interface taken", Amendment{"b", "new", false, map[string]any{"sid": int64(3), "psid": int64(9), "interface_name": "two"}}, nil, `"two" is taken by session "a/two"`},
		{"to an interface", Amendment{"a", "one", false, map[string]any{"attach": nil, "interface_name": "x"}}, []string{"session a/one changed [attach vlan interface_name] session blip false"}, ""},
		{"to a port", Amendment{"a", "two", false, map[string]any{"attach": "ac0", "vlan": "200-299"}}, []string{"session a/two changed [attach vlan interface_name] session blip false"}, ""},
		{"peer", Amendment{"a", "", false, map[string]any{"peer": "198.51.100.77"}}, []string{"tunnel a changed [peer] session blip false"}, ""},
		{"no such key", Amendment{"a", "one", false, map[string]any{"vlam": int64(1)}}, nil, "tunnel.a.session.one.vlam: is not a known key"},
		{"cookie file", Amendment{"a", "one", false, map[string]any{"cookie_file": "/etc/shadow"}}, nil, "a request gives the cookies themselves"},
		{"remove", Amendment{"a", "one", true, nil}, []string{"session a/one removed [] hitless false"}, ""},
		{"new tunnel", Amendment{"c", "", false, map[string]any{"local": "192.0.2.1", "peer": "198.51.100.9", "tid": int64(3), "ptid": int64(3),
			"session": map[string]any{"x": map[string]any{"sid": int64(77), "psid": int64(1)}}}}, []string{"tunnel c added [] hitless true", "session c/x added [] hitless true"}, ""},
		{"tid taken", Amendment{"c", "", false, map[string]any{"local": "192.0.2.1", "peer": "198.51.100.9", "tid": int64(1), "ptid": int64(3)}}, nil, `1 is the tid of tunnel "a"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			from := parsed(t, before)
			to, err := from.Amend(tt.change)
			if err != nil || tt.err != "" {
				if err == nil || tt.err == "" || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			var got []string
			for _, c := range Compare(from, to).Changes() {
				got = append(got, fmt.Sprintf("%s %s %s %v %s %v", c.Kind, c.Name, c.Action, c.Keys, c.Effect, c.Requested))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// What requests created stays when the file is read again, unless the file has it now.
func TestRequestedObjectsSurvive(t *testing.T) {
	text := before + "[defaults.session]\npw_vlan = \"keep\"\nmtu = 1400\n"
	ran, err := parsed(t, text).Amend(
		Amendment{Tunnel: "a", Session: "new", Keys: map[string]any{"sid": int64(9), "psid": int64(9)}},
		Amendment{Tunnel: "b", Session: "kept", Keys: map[string]any{"sid": int64(10), "psid": int64(9)}},
		Amendment{Tunnel: "c", Keys: map[string]any{"local": "192.0.2.1", "peer": "198.51.100.9", "tid": int64(3), "ptid": int64(3)}},
	)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	read := func(text string) {
		t.Helper()
		c, err := parseAnew("test.toml", text, disk{}, ran)
		if err != nil {
			t.Fatal(err)
		}
		list = nil
		for _, tun := range c.Tunnels {
			list = append(list, fmt.Sprint(tun.Name, " ", tun.Requested))
			for _, s := range tun.Sessions {
				list = append(list, fmt.Sprint(tun.Name, "/", s.Name, " ", s.Requested, " ", s.MTU))
			}
		}
	}
	read(text)
	if want := []string{"a false", "a/one false 0", "a/two false 1400", "a/new true 0", "b false", "b/three false 1400", "b/kept true 0", "c true"}; !slices.Equal(list, want) {
		t.Errorf("%q, want %q", list, want)
	}
	read(text[:strings.Index(text, "[tunnel.b]")] + "[tunnel.a.session.new]\nsid = 11\npsid = 1\n")
	if want := []string{"a false", "a/one false 0", "a/two false 0", "a/new false 0", "b true", "b/kept true 0", "c true"}; !slices.Equal(list, want) {
		t.Errorf("%q, want %q", list, want)
	}
	if _, err := parseAnew("test.toml", strings.Replace(text, "two]\nsid = 2\n", "two]\nsid = 9\n", 1), disk{}, ran); err == nil || !strings.Contains(err.Error(), "(test.toml:") {
		t.Errorf("a clash with what a request created: %v", err)
	}
}

// Packets that wait for others are lost only where a session ceases to look at numbers.
func TestCompareWaiting(t *testing.T) {
	with := func(keys string) *Config {
		return parsed(t, strings.Replace(before, "sid = 2\n", "sid = 2\nl2spec_type = \"default\"\n"+keys, 1))
	}
	from := with("recv_seq = true\nreorder_timeout = 20\n")
	for keys, want := range map[string]Effect{
		"recv_seq = true\nreorder_timeout = 30\n": Hitless,
		"recv_seq = true\n":                       Hitless,
		"lns_mode = false\n":                      Hitless,
		"":                                        SessionBlip,
	} {
		if c := Compare(from, with(keys)).Changes(); len(c) != 1 || c[0].Effect != want {
			t.Errorf("%q: %+v, want %v", keys, c, want)
		}
	}
}
