package gol2tp

import (
	"fmt"
	"strings"
	"testing"

	"xwire/appliance/api"
)

// On each of two hosts xwire has a static tunnel at the address and port that xl2tpd has, too, and both
// talk to the same other host: the customers' frames pass, each end answers the other's HELLOs, and one
// xl2tpd dials the other. The daemons come when xwire is there already.
func TestBesideXl2tpd(t *testing.T) {
	if !withXl2tpd(t) {
		return
	}
	hosts, sites := [2]space{newSpace(t), newSpace(t)}, [2]space{newSpace(t), newSpace(t)}
	wire := func(a space, name string, b space, other string) {
		command(t, fmt.Sprintf("ip link add %s netns %d type veth peer name %s netns %d", name, a.pid, other, b.pid))
		a.run("ip link set " + name + " up")
		b.run("ip link set " + other + " up")
	}
	wire(hosts[0], "core0", hosts[1], "core0")
	program := buildXwire(t)
	var clients [2]*api.Client
	for i, host := range hosts {
		host.run(fmt.Sprintf("ip addr add 192.0.2.%d/24 dev core0", i+1))
		host.run("ethtool -K core0 tx off tso off gso off") // what the other end's xwire gets must be whole
		wire(host, "acc0", sites[i], "eth0")
		sites[i].run(fmt.Sprintf("ip addr add 10.0.0.%d/24 dev eth0", i+1))
		sites[i].run("ethtool -K eth0 tx off tso off gso off")
	}
	for i, host := range hosts {
		clients[i] = startXwire(t, program, host, fmt.Sprintf(`[tunnel.static]
local = "192.0.2.%d:1701"
peer = "192.0.2.%d:1701"
tid = 60000
ptid = 60000
unknown = "kernel"
hello_timeout = 300
[tunnel.static.session.s]
sid = 1
psid = 1
l2spec_type = "default"
attach = "access0"
vlan = "all"
`, i+1, 2-i))
	}
	works := func(what string) {
		t.Helper()
		for _, c := range clients {
			until(t, what+": the tunnel is up", func() bool {
				list, err := c.Tunnels(t.Context())
				return err == nil && len(list) == 1 && list[0].State == "up"
			})
		}
		sites[0].run("ping -q -c 5 -i 0.2 -W 2 10.0.0.2")
	}
	works("alone")

	const global = "[global]\nlisten-addr = 192.0.2.%d\nport = 1701\n"
	lns := startXl2tpdAs(t, hosts[1], fmt.Sprintf(global, 2)+
		"[lns default]\nip range = 10.9.0.2-10.9.0.9\nlocal ip = 10.9.0.1\nrequire authentication = no\npppoptfile = /dev/null\n", "")
	lac := startXl2tpdAs(t, hosts[0], fmt.Sprintf(global, 1)+
		"[lac isp]\nlns = 192.0.2.2\nautodial = yes\nrequire authentication = no\npppoptfile = /dev/null\n", askEnv+"=1")
	const request = "ff03c0210107000a0506feedface"
	until(t, "the LNS has the LAC's frame", func() bool { return strings.Contains(lns.frames(), request) })
	until(t, "the LAC has the answer", func() bool { return strings.Contains(lac.frames(), strings.Replace(request, "c02101", "c02102", 1)) })
	works("beside xl2tpd")
	for i, c := range clients {
		list, err := c.Ports(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list {
			if p.Name == "core0" && (p.ToKernel["control"] == 0 || p.ToKernel["unknown_session"] == 0) {
				t.Errorf("host %d: xl2tpd's messages did not come by %s: %+v", i, p.Name, p.ToKernel)
			}
		}
	}
}
