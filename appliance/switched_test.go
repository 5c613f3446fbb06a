package appliance

import (
	"strings"
	"testing"

	"xwire/appliance/api"
)

// TestSwitchedPair takes one session of a pair away, in every way there is: the other one says so.
func TestSwitchedPair(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	const ends = `
[tunnel.x]
local = "192.0.2.1"
peer = "192.0.2.2"
tid = 5
ptid = 5
[tunnel.x.session.a]
TYPE
sid = 1
psid = 1
attach = "y/b"
[tunnel.y]
local = "192.0.2.1:1702"
peer = "192.0.2.3"
tid = 6
ptid = 2
[tunnel.y.session.b]
TYPE
sid = 2
psid = 2
`
	a, c := rig(t, requestText+strings.ReplaceAll(ends, "TYPE", "pseudowire = \"ppp\"\nl2spec_type = \"default\"")+
		strings.NewReplacer("TYPE", "l2spec_type = \"none\"", "tunnel.x", "tunnel.v", "tunnel.y", "tunnel.w", "y/b", "w/b", "tid = ", "tid = 1",
			`"192.0.2.1"`, `"192.0.2.1:1801"`, "1702", "1802").Replace(ends))
	command(t, "ip neigh replace 192.0.2.3 lladdr 02:00:00:00:00:03 dev core0")
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	is := func(name, state, reason string) {
		t.Helper()
		tunnel, session, _ := strings.Cut(name, "/")
		until(t, name+" is "+state+" "+reason, func() bool {
			s, n := a.Session(tunnel, session, false)
			return n == 1 && s.State == state && strings.Contains(s.Reason, reason) && (reason == "") == (s.Reason == "")
		})
	}
	both := func(state, reason string) {
		t.Helper()
		is("x/a", state, reason)
		is("y/b", state, reason)
	}
	both("up", "")
	_, err := c.ModifySession(ctx, "x", "a", api.Keys{"enabled": false})
	must(err)
	is("x/a", "disabled", "")
	is("y/b", "waiting", "x/a does not stand")
	_, err = c.ModifySession(ctx, "x", "a", api.Keys{"enabled": nil})
	must(err)
	both("up", "")
	command(t, "ip route add blackhole 192.0.2.3/32")
	is("x/a", "waiting", "session y/b: no route")
	is("y/b", "waiting", "no route")
	command(t, "ip route del blackhole 192.0.2.3/32")
	both("up", "")

	for _, other := range []string{"y", "w"} { // PPP, Ethernet
		first := map[string]string{"y": "x", "w": "v"}[other]
		must(c.DeleteSession(ctx, first, "a"))
		is(other+"/b", "disabled", "")
		keys := api.Keys{"sid": 1, "psid": 1, "l2spec_type": "default", "attach": other + "/b"}
		if other == "y" {
			keys["pseudowire"] = "ppp"
		}
		_, err = c.CreateSession(ctx, first, "a", keys)
		must(err)
		is(first+"/a", "waiting", "does not stand")
		_, err = c.ModifySession(ctx, other, "b", api.Keys{"enabled": true})
		must(err)
		is(other+"/b", "up", "")
		is(first+"/a", "up", "")
		must(c.DeleteTunnel(ctx, first))
		is(other+"/b", "disabled", "")
	}
}
