package steer

import "testing"

func (b bench) devices(t testing.TB, stacks ...Stack) {
	t.Helper()
	if err := b.p.SetDevices(stacks); err != nil {
		t.Fatal(err)
	}
}

// A data message is taken without a tag and with those of a device; one in any other VLAN is the
// kernel's, which has no use for it.
func TestDevices(t *testing.T) {
	b := newBench(t)
	b.core(t)
	six := func(tags ...[]byte) []byte { return join(ether(ownMAC, tags...), typeIPv6, ipv6(115, 1), session1) }
	overUDP := func(tags ...[]byte) []byte {
		return join(ether(ownMAC, tags...), typeIPv4, ipv4(17, 1, nil), udp(1701, dataV3))
	}
	always := []verdict{
		{"no tag", overIP(ownMAC), xdpRedirect, isDecap},
		{"no tag, IPv6", six(), xdpRedirect, isDecap},
		{"priority tag", overIP(ownMAC, tag(0x8100, 0xe000)), xdpRedirect, isDecap},
		{"priority S-tag", overIP(ownMAC, tag(0x88a8, 0)), xdpRedirect, isDecap},
		{"two priority tags", overIP(ownMAC, tag(0x88a8, 0), tag(0x8100, 0x6000)), xdpRedirect, isDecap},
		{"another VLAN", overIP(ownMAC, tag(0x8100, 7)), xdpPass, isForeignVLAN},
		{"another VLAN, IPv6", six(tag(0x8100, 7)), xdpPass, isForeignVLAN},
		{"another VLAN, UDP", overUDP(tag(0x8100, 7)), xdpPass, isForeignVLAN},
		{"another VLAN, another MAC", overIP(otherMAC, tag(0x8100, 7)), xdpPass, isForeign},
		{"another pair", overIP(ownMAC, tag(0x8100, 7), tag(0x8100, 100)), xdpPass, isForeignVLAN},
		{"another VLAN behind a priority tag", overIP(ownMAC, tag(0x8100, 0), tag(0x8100, 7)), xdpPass, isForeignVLAN},
		{"old tag, which no device can have", overIP(ownMAC, tag(0x9100, 100)), xdpPass, isForeignVLAN},
		{"old priority tag", overIP(ownMAC, tag(0x9100, 0)), xdpPass, isForeignVLAN},
		{"old inner tag", overIP(ownMAC, tag(0x8100, 100), tag(0x9100, 20)), xdpPass, isForeignVLAN},
		{"control message in another VLAN", join(ether(ownMAC, tag(0x8100, 7)), typeIPv4, ipv4(115, 1, nil), session0), xdpPass, isControl},
		{"ARP in another VLAN", arpIn(tag(0x8100, 7)), xdpPass, isOther},
	}
	c100 := []verdict{
		{"C-VLAN 100", overIP(ownMAC, tag(0x8100, 100)), xdpRedirect, isDecap},
		{"C-VLAN 100 with priority and DEI", overIP(ownMAC, tag(0x8100, 0xf000|100)), xdpRedirect, isDecap},
		{"C-VLAN 100, IPv6", six(tag(0x8100, 100)), xdpRedirect, isDecap},
		{"C-VLAN 100, UDP", overUDP(tag(0x8100, 100)), xdpRedirect, isDecap},
		{"C-VLAN 100, a priority tag inside", overIP(ownMAC, tag(0x8100, 100), tag(0x8100, 0)), xdpRedirect, isDecap},
		{"C-VLAN 100 behind a priority tag", overIP(ownMAC, tag(0x8100, 0), tag(0x8100, 100)), xdpRedirect, isDecap},
		{"C-VLAN 100, a group's MAC", overIP(groupMAC, tag(0x8100, 100)), xdpPass, isForeign},
	}
	s100 := []verdict{{"S-VLAN 100", overIP(ownMAC, tag(0x88a8, 100)), xdpRedirect, isDecap}}
	pair := []verdict{
		{"100.20", overIP(ownMAC, tag(0x88a8, 100), tag(0x8100, 20)), xdpRedirect, isDecap},
		{"100.20 with priorities, IPv6", six(tag(0x88a8, 0xe000|100), tag(0x8100, 0x2000|20)), xdpRedirect, isDecap},
	}
	neither := []verdict{
		{"100.21", overIP(ownMAC, tag(0x88a8, 100), tag(0x8100, 21)), xdpPass, isForeignVLAN},
		{"20.100", overIP(ownMAC, tag(0x88a8, 20), tag(0x8100, 100)), xdpPass, isForeignVLAN},
		{"100.20 of C-tags", overIP(ownMAC, tag(0x8100, 100), tag(0x8100, 20)), xdpPass, isForeignVLAN},
		{"20", overIP(ownMAC, tag(0x8100, 20)), xdpPass, isForeignVLAN},
	}
	not := func(list []verdict) (foreign []verdict) {
		for _, v := range list {
			if v.count == isDecap {
				v.action, v.count = xdpPass, isForeignVLAN
			}
			v.name += " without a device"
			foreign = append(foreign, v)
		}
		return foreign
	}
	for _, step := range []struct {
		stacks []Stack
		want   [][]verdict
	}{
		{nil, [][]verdict{not(c100), not(s100), not(pair)}},
		{[]Stack{{{0x8100, 100}}}, [][]verdict{c100, not(s100), not(pair)}},
		{[]Stack{{{0x8100, 100}}, {{0x88a8, 100}}}, [][]verdict{c100, s100, not(pair)}},
		{[]Stack{{{0x88a8, 100}, {0x8100, 20}}, {{0x8100, 100}}, {{0x8100, 100}}}, [][]verdict{c100, not(s100), pair}},
		{[]Stack{{{0x88a8, 100}, {0x8100, 20}}}, [][]verdict{not(c100), not(s100), pair}},
		{nil, [][]verdict{not(c100), not(s100), not(pair)}},
	} {
		b.devices(t, step.stacks...)
		b.verdicts(t, always)
		b.verdicts(t, neither)
		for _, v := range step.want {
			b.verdicts(t, v)
		}
	}
}

// Rules, and attachment circuits in the VLANs of devices, come first.
func TestDevicesAreForTunnelsOnly(t *testing.T) {
	b := newBench(t)
	b.core(t)
	b.devices(t, Stack{{0x8100, 100}}, Stack{{0x8100, 101}})
	b.vlan(t, b.p.AddVLAN, 100, AnyVLAN)
	b.verdicts(t, []verdict{
		{"a customer's VLAN", overIP(ownMAC, tag(0x8100, 100)), xdpRedirect, isEncap},
		{"what is no message of a tunnel", arpIn(tag(0x8100, 101)), xdpPass, isOther},
	})
	b.rules(t, PortRules{})
	b.verdicts(t, []verdict{{"no core port", overIP(ownMAC, tag(0x8100, 101)), xdpPass, isOther}})
	b.rules(t, PortRules{Whole: true})
	b.verdicts(t, []verdict{{"whole port", overIP(ownMAC, tag(0x8100, 7)), xdpRedirect, isEncap}})
}
