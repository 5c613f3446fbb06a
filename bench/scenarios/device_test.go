package scenarios

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"xwire/appliance/api"
	"xwire/bench/lab"
	"xwire/bench/vm"
)

// TestVLANDevices needs the kernel's VLAN devices, which the machine may not have: it runs in a
// virtual machine. The tunnels' addresses are those of core0.100, the port is core0, and the tag is
// on the wire. VLANs of the access port that no session has are the kernel's, with addresses and
// all.
func TestVLANDevices(t *testing.T) {
	if !vm.Inside(t, vm.Config{Env: []string{lab.BinaryEnv + "=" + program}}) {
		return
	}
	w := pair(t, shape{NoCoreAddrs: true, AccessMTU: taggedMTU})
	none := [2]string{"none", "none"}
	wires := []*wire{
		{name: "ip4", sid: [2]uint32{10, 20}, vlan: vlanOf(0), pwVLAN: none},
		{name: "udp4", udp: true, sid: [2]uint32{11, 21}, vlan: vlanOf(1), pwVLAN: none, more: "udp_checksum = true"},
		{name: "ip6", six: true, sid: [2]uint32{12, 22}, vlan: vlanOf(2), pwVLAN: none, sublayer: "default"},
		{name: "udp6", udp: true, six: true, sid: [2]uint32{13, 23}, vlan: vlanOf(3), pwVLAN: none, cookie: [2]string{"01020304", "05060708"}},
	}
	for i, n := range w.hosts {
		must(t, n.Run(func() error { return lab.Offloads("core0", false) }))
		must(t, n.AddVLAN(lab.VLAN{Name: "core0.100", Parent: "core0", ID: 100,
			Addrs: []netip.Prefix{netip.PrefixFrom(core4[i], 24), netip.PrefixFrom(core6[i], 64)}}))
	}
	qinq := &wire{name: "qinq", vlan: [2]string{"120.20", "120.20"}, sid: [2]uint32{2, 2}}
	wires = append(wires, qinq)
	for i, n := range []*lab.Namespace{w.hosts[0], w.sites[0]} {
		parent := []string{"ac0", "eth0"}[i]
		must(t, n.Run(func() error { return lab.Offloads(parent, false) }))
		must(t, n.AddVLAN(lab.VLAN{Name: "v900", Parent: parent, ID: 900, Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 0, byte(1 + i)}), 24)}}))
		must(t, n.AddVLAN(lab.VLAN{Name: "s120", Parent: parent, ID: 120, Service: true}))
		must(t, n.AddVLAN(lab.VLAN{Name: "c21", Parent: "s120", ID: 21, Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 1, byte(1 + i)}), 24)}}))
	}
	box := w.start(t, 0, config(0, wires...))

	// Host 1 has no box yet: its core0 sees what is on the wire.
	capture, err := w.hosts[1].Capture("core0")
	must(t, err)
	defer capture.Close()
	for n := range wires[:4] {
		must(t, w.sites[0].SendFrames("eth0", tagged(0, vids(uint16(100+n))...)))
	}
	must(t, w.sites[0].SendFrames("eth0", tagged(0, vids(120, 20)...)))
	got := received(capture, len(wires))
	for _, f := range got {
		if tpid, tci := binary.BigEndian.Uint16(f[12:]), binary.BigEndian.Uint16(f[14:]); tpid != 0x8100 || tci != 100 {
			t.Errorf("the packet's tag is %#x %#x: %x", tpid, tci, f)
		}
	}
	if len(got) != len(wires) {
		t.Errorf("%d packets on the wire, want %d", len(got), len(wires))
	}
	var tunnels []api.Tunnel
	must(t, box.Show(t.Context(), &tunnels, "tunnels"))
	for _, x := range tunnels {
		if len(x.NextHop.VLANs) != 1 || x.NextHop.VLANs[0] != 100 || x.NextHop.Port != "core0" {
			t.Errorf("next hop of %s: %+v", x.Name, x.NextHop)
		}
	}

	w.start(t, 1, config(1, wires...))
	for n, x := range wires[:4] {
		w.carry(t, 0, vids(uint16(100+n)), x.vlan[1])
		w.carry(t, 1, vids(uint16(600+n)), x.vlan[0])
	}
	w.carry(t, 0, vids(120, 20), "120.20")
	for _, to := range []string{"10.9.0.1", "10.9.1.1"} {
		r, err := w.sites[0].Ping(t.Context(), netip.MustParseAddr(to), lab.PingConfig{Count: 5, Timeout: 20 * time.Second})
		if err != nil || r.Lost() != 0 {
			t.Errorf("ping the box at %s: %+v, %v", to, r, err)
		}
	}
	for _, to := range []netip.Addr{core4[0], core6[0]} {
		if r, err := w.hosts[1].Ping(t.Context(), to, lab.PingConfig{Count: 3, Timeout: 20 * time.Second}); err != nil || r.Lost() != 0 {
			t.Errorf("ping the box at %v: %+v, %v", to, r, err)
		}
	}
}
