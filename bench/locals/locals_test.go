package locals

import (
	"fmt"
	"strings"
	"testing"

	"xwire/appliance/api"
	"xwire/bench/lab"
)

// tunnels are those of both boxes: over IPv4 and IP, and over IPv6 and UDP with all that headers
// can have.
func tunnels(i int) string {
	return fmt.Sprintf(`[port.core0]
interface = "core0"
[tunnel.four]
encap = "ip"
local = "%v"
peer  = "%v"
tid   = 1
ptid  = 1
[tunnel.six]
encap = "udp"
local = "[%v]:1701"
peer  = "[%v]:1701"
tid   = 2
ptid  = 2
`, core4[i], core4[1-i], core6[i], core6[1-i])
}

const (
	custom = `[tunnel.four.session.custom]
sid = 10
psid = 10
l2spec_type = "none"
interface_name = "cust0"
`
	bridged = `[tunnel.four.session.bridged]
sid = 11
psid = 11
l2spec_type = "none"
interface_name = "bridged0"
`
	full = `[tunnel.six.session.full]
sid = 12
psid = 12
l2spec_type = "default"
interface_name = "six0"
tx_cookie = "0102030405060708"
rx_cookie = "0102030405060708"
`
	fixed = `[tunnel.six.session.fixed]
sid = 13
psid = 13
l2spec_type = "none"
interface_name = "fixed0"
mtu = 1400
`
	onPort = `[port.ac0]
interface = "ac0"
[tunnel.four.session.bridged]
sid = 11
psid = 11
l2spec_type = "none"
attach = "ac0"
vlan = "all"
`
)

// What the kernel gives l2tpethN: the path's MTU less the outer headers and 14.
const (
	customMTU = coreMTU - 20 - 4 - 14
	fullMTU   = coreMTU - 40 - 8 - (4 + 8 + 4 + 4) - 14
)

func TestLocalInterfaces(t *testing.T) { testLocals(t, false) }

// testLocals takes local interfaces through their life. withVLANs also puts VLAN devices on them.
func testLocals(t *testing.T, withVLANs bool) {
	w := newWorld(t)
	near, far := w.hosts[0], w.hosts[1]
	b := w.boxes[0]
	launch(t, w.boxes[1], tunnels(1)+custom+onPort+full+fixed)
	launch(t, b, tunnels(0)+custom+bridged+full+fixed)

	for name, mtu := range map[string]int{"cust0": customMTU, "bridged0": customMTU, "six0": fullMTU, "fixed0": 1400} {
		if d := deviceOf(t, near, name); d.MTU != mtu {
			t.Errorf("%s has MTU %d, want %d", name, d.MTU, mtu)
		}
	}
	if s := sessionOf(t, b, "six/full"); s.Interface != "six0" || s.MTU != fullMTU {
		t.Errorf("show tells interface %q and MTU %d", s.Interface, s.MTU)
	}
	for n, name := range []string{"cust0", "six0", "fixed0"} {
		for i, host := range w.hosts {
			ip(t, host, fmt.Sprintf("addr add 10.%d.0.%d/24 dev %s", n+1, i+1, name))
			ip(t, host, "link set "+name+" up")
		}
	}
	// One in a bridge with a customer's link; its other end is the port of box 1.
	ip(t, near, "link add br0 type bridge")
	ip(t, near, "link set br0 mtu 1500 up")
	ip(t, near, "link set ac0 master br0 up")
	ip(t, near, "link set bridged0 mtu 1500 master br0 up")
	if withVLANs {
		for i, host := range w.hosts {
			must(t, host.AddVLAN(lab.VLAN{Name: "cust0.50", Parent: "cust0", ID: 50, MTU: 1500, Addrs: addrs(fmt.Sprintf("10.50.0.%d/24", i+1))}))
		}
	}
	traffic := func(what string, mtu int) {
		t.Helper()
		carries(t, what+": local to local", near, far, "10.1.0.2", mtu)
		carries(t, what+": over IPv6 and UDP", far, near, "10.2.0.1", fullMTU)
		carries(t, what+": with an MTU of its own", near, far, "10.3.0.2", 1400)
		carries(t, what+": bridged", w.sites[0], w.sites[1], "10.9.0.2", 1500)
		if withVLANs {
			carries(t, what+": VLAN on it", near, far, "10.50.0.2", 1500)
		}
	}
	traffic("at first", customMTU)

	// What the operator changed stays, an MTU among it.
	ip(t, near, "link set cust0 mtu 1500")
	devices := []string{"cust0", "bridged0", "six0", "fixed0"}
	look := func() (all []string) {
		for _, name := range devices {
			all = append(all, deviceOf(t, near, name).String())
		}
		return all
	}
	before := look()
	same := func(what string) {
		t.Helper()
		for i, now := range look() {
			if now != before[i] {
				t.Errorf("%s: %s, before: %s", what, now, before[i])
			}
		}
	}
	must(t, b.Stop())
	same("after a stop")
	relaunch(t, b)
	same("after a restart")
	answers(t, "after a restart", near, "10.1.0.2")
	answers(t, "after a restart, bridged", w.sites[0], "10.9.0.2")
	b.Kill()
	same("after a kill")
	relaunch(t, b)
	same("after a start after a kill")
	traffic("after a kill", 1500)

	// Sessions that leave the configuration lose their interfaces, all others stay.
	must(t, b.Stop())
	launch(t, b, tunnels(0)+custom+full)
	for _, name := range []string{"bridged0", "fixed0"} {
		if exists(near, name) {
			t.Errorf("%s is there although its session is gone", name)
		}
	}
	devices, before = []string{"cust0", "six0"}, []string{before[0], before[2]}
	same("after others were removed")
	answers(t, "after others were removed", near, "10.1.0.2")

	t.Run("trunk deleted", func(t *testing.T) {
		ip(t, near, "link del xw-port")
		until(t, "it is made again", func() (bool, string) { return exists(near, "xw-port") && exists(near, "cust0"), "" })
		if d := deviceOf(t, near, "cust0"); len(d.AddrInfo) == 0 || d.AddrInfo[0].Family != "inet" {
			ip(t, near, "addr add 10.1.0.1/24 dev cust0") // gone with the device
		}
		ip(t, near, "link set cust0 up")
		answers(t, "after the trunk was made again", near, "10.1.0.2")
	})
	t.Run("a name that is taken", func(t *testing.T) {
		must(t, b.Stop())
		ip(t, near, "link add bridged0 type bridge")
		must(t, b.Start(t.Context(), tunnels(0)+custom+full+bridged))
		until(t, "the session tells why it waits", func() (bool, string) {
			s := sessionOf(t, b, "four/bridged")
			return s.State == "waiting" && strings.Contains(s.Reason, "bridged0") && strings.Contains(s.Reason, "taken"), s.State + ": " + s.Reason
		})
		answers(t, "the others carry", near, "10.1.0.2")
		ip(t, near, "link del bridged0")
	})
	t.Run("none left", func(t *testing.T) {
		must(t, b.Stop())
		ip(t, near, "link set ac0 nomaster")
		launch(t, b, tunnels(0)+onPort)
		for _, name := range []string{"cust0", "six0", "xw-port", "xw-stack"} {
			if exists(near, name) {
				t.Errorf("%s is there although no session has a local interface", name)
			}
		}
		answers(t, "the port carries", w.sites[0], "10.9.0.2")
		must(t, b.Stop())
	})
	must(t, w.boxes[1].Stop())
	if !exists(far, "cust0") {
		t.Error("a stop took the interfaces of box 1")
	}
}

func sessionOf(t *testing.T, b *lab.Box, name string) (s api.Session) {
	t.Helper()
	must(t, b.Show(t.Context(), &s, "session", name))
	return s
}

// A file of ql2tpd has no ports: the route's interface is taken when that was asked for, and each
// session gets a local interface.
func TestAutoPorts(t *testing.T) { testAutoPorts(t) }

func testAutoPorts(t *testing.T) {
	w := newWorld(t)
	for i, b := range w.boxes {
		b.Args = []string{"--auto-ports"}
		launch(t, b, fmt.Sprintf(`# as ql2tpd takes it
[tunnel.t1]
local = "%v:5000"
peer = "%v:5000"
tid = 412
ptid = 412
encap = "udp"
version = "l2tpv3"
[tunnel.t1.session.s1]
sid = 42
psid = 42
interface_name = "l2t0"
pseudowire = "eth"
cookie = [0x12, 0xe9, 0x54, 0x0f]
peer_cookie = [0x12, 0xe9, 0x54, 0x0f]
`, core4[i], core4[1-i]))
		ip(t, w.hosts[i], fmt.Sprintf("addr add 10.1.0.%d/24 dev l2t0", i+1))
		ip(t, w.hosts[i], "link set l2t0 up")
	}
	// No sublayer is ql2tpd's default.
	carries(t, "between two", w.hosts[0], w.hosts[1], "10.1.0.2", coreMTU-20-8-(4+4+4)-14)
	var ports []api.Port
	must(t, w.boxes[0].Show(t.Context(), &ports, "ports"))
	for _, p := range ports {
		if p.Interface == "ac0" {
			t.Error("ac0 was taken, which no route leaves by")
		}
	}
	for _, b := range w.boxes {
		must(t, b.Stop())
	}
}

// A wide core gives wide local interfaces, as far as the trunk holds them.
func TestWideCore(t *testing.T) {
	for _, c := range []struct{ core, local int }{{3000, 3000 - 20 - 4 - 14}, {9000, 3500}} {
		t.Run(fmt.Sprint(c.core), func(t *testing.T) {
			w := newWorld(t)
			for i := range w.boxes {
				must(t, w.hosts[i].SetMTU("core0", c.core))
			}
			for i, b := range w.boxes {
				launch(t, b, tunnels(i)+custom)
				ip(t, w.hosts[i], fmt.Sprintf("addr add 10.1.0.%d/24 dev cust0", i+1))
				ip(t, w.hosts[i], "link set cust0 up")
				if d := deviceOf(t, w.hosts[i], "cust0"); d.MTU != c.local {
					t.Errorf("cust0 has MTU %d, want %d", d.MTU, c.local)
				}
			}
			carries(t, "full size", w.hosts[0], w.hosts[1], "10.1.0.2", c.local)
			for _, b := range w.boxes {
				must(t, b.Stop())
			}
		})
	}
}
