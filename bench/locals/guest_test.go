package locals

import (
	"fmt"
	"strings"
	"testing"

	"xwire/appliance/api"
	"xwire/bench/lab"
	"xwire/bench/vm"
)

// TestGuest holds in a virtual machine what this machine's kernel may lack: local interfaces that
// are VLAN devices, tunnel addresses on VLAN interfaces over the port, VRFs, bonds.
func TestGuest(t *testing.T) {
	c := vm.Config{Env: []string{lab.BinaryEnv + "=" + program}}
	if !vm.Inside(t, c) {
		return
	}
	t.Run("local interfaces", func(t *testing.T) { testLocals(t, true) })
	t.Run("auto-ports", testAutoPorts)
	t.Run("core on a VLAN", testCoreVLAN)
	t.Run("core in a VRF", testCoreVRF)
	t.Run("core in foreign VLANs", testForeignVLANs)
}

// onPorts is one pseudowire between the sites.
func onPorts(i int, local, peer string, more string) string {
	return fmt.Sprintf(`[port.core0]
interface = "core0"
[port.ac0]
interface = "ac0"
[tunnel.t]
encap = "ip"
local = "%s"
peer  = "%s"
tid   = 1
ptid  = 1
%s
[tunnel.t.session.s]
sid = 5
psid = 5
l2spec_type = "none"
attach = "ac0"
vlan = "all"
`, local, peer, more)
}

func hopOf(t *testing.T, b *lab.Box) api.NextHop {
	t.Helper()
	var tunnels []api.Tunnel
	must(t, b.Show(t.Context(), &tunnels, "tunnels"))
	return tunnels[0].NextHop
}

// waitsFor waits until the next hop is in a state, with a reason that holds a text.
func waitsFor(t *testing.T, b *lab.Box, state, reason string) (h api.NextHop) {
	t.Helper()
	until(t, "next hop is "+state, func() (bool, string) {
		h = hopOf(t, b)
		return h.State == state && strings.Contains(h.Reason, reason), h.State + ": " + h.Reason
	})
	return h
}

// The tag of the core VLAN is written on the way out and expected on the way in; the device may be
// deleted and made again while the box runs.
func testCoreVLAN(t *testing.T) {
	w := newWorld(t)
	add := func(i int) {
		t.Helper()
		must(t, w.hosts[i].AddVLAN(lab.VLAN{Name: "core0.100", Parent: "core0", ID: 100, Addrs: addrs(fmt.Sprintf("198.51.100.%d/24", i+1))}))
	}
	add(0)
	add(1)
	for i, b := range w.boxes {
		launch(t, b, onPorts(i, fmt.Sprintf("198.51.100.%d", i+1), fmt.Sprintf("198.51.100.%d", 2-i), ""))
	}
	b := w.boxes[0]
	answers(t, "through the core VLAN", w.sites[0], "10.9.0.2")
	if h := hopOf(t, b); h.Port != "core0" || len(h.VLANs) != 1 || h.VLANs[0] != 100 {
		t.Errorf("the next hop is port %s, VLANs %v", h.Port, h.VLANs)
	}
	// A device over the port with a MAC of its own.
	for _, mac := range []string{"", "02:00:5e:00:01:00"} {
		must(t, w.hosts[0].DelLink("core0.100"))
		waitsFor(t, b, "no_address", "198.51.100.1")
		add(0)
		if mac != "" {
			ip(t, w.hosts[0], "link set core0.100 address "+mac)
		}
		answers(t, "after the device was made again with MAC "+mac, w.sites[0], "10.9.0.2")
	}
	for _, b := range w.boxes {
		must(t, b.Stop())
	}
}

// A tunnel looks its peer up in its VRF; the VRF may come later.
func testCoreVRF(t *testing.T) {
	w := newWorld(t)
	b := w.boxes[0]
	launch(t, w.boxes[1], onPorts(1, core4[1].String(), core4[0].String(), ""))
	must(t, b.Start(t.Context(), onPorts(0, core4[0].String(), core4[1].String(), `vrf = "blue"`)))
	waitsFor(t, b, "no_route", "blue")
	ip(t, w.hosts[0], "link add blue type vrf table 10")
	ip(t, w.hosts[0], "link set blue up")
	// What is not in a VRF's table is looked for in the main one, unless that is said:
	ip(t, w.hosts[0], "route add table 10 unreachable default metric 4278198272")
	waitsFor(t, b, "no_route", "192.0.2.2")
	ip(t, w.hosts[0], "link set core0 master blue")
	answers(t, "in the VRF", w.sites[0], "10.9.0.2")
	ip(t, w.hosts[0], "link set core0 nomaster")
	waitsFor(t, b, "no_route", "192.0.2.2")
	ip(t, w.hosts[0], "link set core0 master blue")
	answers(t, "in the VRF again", w.sites[0], "10.9.0.2")
	ip(t, w.hosts[0], "link del blue")
	waitsFor(t, b, "no_route", "blue")
	r, err := w.hosts[1].Ping(t.Context(), core4[0], lab.PingConfig{Count: 3, Timeout: soon()})
	if err != nil || r.Received == 0 {
		t.Errorf("the host does not answer: %+v (%v)", r, err)
	}
	for _, b := range w.boxes {
		must(t, b.Stop())
	}
}
