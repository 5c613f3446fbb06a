package appliance

import (
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"xwire/appliance/api"
)

const circuitsText = `
[port.core0]
interface = "core0"
[port.whole]
interface = "acc0"
[port.shared]
interface = "acc1"
[tunnel.t]
encap = "udp"
local = "192.0.2.1"
peer = "192.0.2.2"
tid = 1
ptid = 1
hello_timeout = 200
retry_timeout = 500
on_down = "ac-down"
[tunnel.t.session.local]
sid = 1
psid = 1
l2spec_type = "none"
interface_name = "cust0"
[tunnel.t.session.whole]
sid = 2
psid = 2
l2spec_type = "none"
attach = "whole"
vlan = "all"
[tunnel.t.session.vlan]
sid = 3
psid = 3
l2spec_type = "none"
attach = "shared"
vlan = 10
`

// running is what bridges, bonds and routing daemons look at; up is administrative.
func running(t *testing.T, name string) (running, up bool) {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().RawFlags&unix.IFF_RUNNING != 0, l.Attrs().RawFlags&unix.IFF_UP != 0
}

// Attachment circuits go down with their tunnel and come back with it, or with the stop.
func TestCircuitsFollowThePeer(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	core(t)
	for _, n := range []string{"0", "1"} {
		command(t, "ip link add acc"+n+" type veth peer name site"+n)
		command(t, "ip link set acc"+n+" up")
		command(t, "ip link set site"+n+" up")
	}
	f := farEnd(t)
	var on atomic.Bool
	on.Store(true)
	f.answerer("udp4", "192.0.2.2:1701", 1, &on)
	a, log, stop := launch(t, circuitsText)
	command(t, "ip link set cust0 up")
	command(t, "ip addr add 10.0.0.1/24 dev cust0")
	session := func(name string) api.Session {
		s, _ := a.Session("t", name, false)
		return s
	}
	allUp := func() bool {
		for _, name := range []string{"cust0", "acc0", "acc1"} {
			if r, u := running(t, name); !r || !u {
				return false
			}
		}
		for _, name := range []string{"local", "whole", "vlan"} {
			if session(name).State != "up" {
				return false
			}
		}
		return true
	}
	down := func() bool {
		local, admin := running(t, "cust0")
		_, whole := running(t, "acc0")
		site, _ := running(t, "site0")
		return !local && admin && !whole && !site
	}
	until(t, "all circuits up", allUp)
	on.Store(false)
	until(t, "circuits down with the tunnel", down)
	if r, u := running(t, "acc1"); !r || !u {
		t.Error("a port that carries single VLANs is down")
	}
	for _, name := range []string{"local", "whole", "vlan"} {
		until(t, "session "+name+" waits", func() bool {
			s := session(name)
			return s.State == "waiting" && strings.Contains(s.Reason, "peer is down")
		})
	}
	if addrs, err := netlink.AddrList(mustLink(t, "cust0"), netlink.FAMILY_V4); err != nil || len(addrs) != 1 {
		t.Errorf("cust0 has addresses %v (%v), want its one", addrs, err)
	}
	on.Store(true)
	until(t, "all circuits up again", allUp)
	on.Store(false)
	until(t, "circuits down again", down)
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"cust0", "acc0"} {
		// The kernel tells of a carrier a little later.
		until(t, "after the stop "+name+" is up and running", func() bool { r, u := running(t, name); return r && u })
	}
	if _, err := os.Stat(a.dir + "/host.json"); err == nil {
		t.Error("the journal of host settings is still there")
	}
	if log.count("attachment circuit down with its tunnel") < 4 {
		t.Error("the log does not tell of two circuits down twice")
	}
}

func mustLink(t *testing.T, name string) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
