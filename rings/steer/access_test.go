package steer

import "testing"

func TestWholePort(t *testing.T) {
	b := newBench(t)
	b.core(t)
	b.rules(t, PortRules{Whole: true, Core: true})
	frames := []verdict{
		{"ARP", arp, xdpRedirect, isEncap},
		{"tagged", arpIn(tag(0x8100, 100)), xdpRedirect, isEncap},
		{"tag cut", join(ether(ownMAC), tag(0x8100, 100)[:2]), xdpRedirect, isEncap},
		{"data message to ourselves", overIP(ownMAC), xdpRedirect, isEncap},
		{"GMRP, not reserved", l2cp(gmrpMAC), xdpRedirect, isEncap},
	}
	b.verdicts(t, append(frames,
		verdict{"STP tunnelled", l2cp(stpMAC), xdpRedirect, isEncap},
		verdict{"LLDP tunnelled", l2cp(lldpMAC), xdpRedirect, isEncap}))

	b.rules(t, PortRules{Whole: true, L2CP: L2CPDrop})
	b.verdicts(t, append(frames,
		verdict{"STP dropped", l2cp(stpMAC), xdpDrop, Stats{L2CPDropped: 1}},
		verdict{"LLDP dropped", l2cp(lldpMAC), xdpDrop, Stats{L2CPDropped: 1}},
		verdict{"tagged LLDP dropped", l2cp(lldpMAC, tag(0x8100, 5)), xdpDrop, Stats{L2CPDropped: 1}}))

	b.rules(t, PortRules{Whole: true, L2CP: L2CPHost})
	b.verdicts(t, append(frames,
		verdict{"STP to the host", l2cp(stpMAC), xdpPass, Stats{L2CPHost: 1}},
		verdict{"LLDP to the host", l2cp(lldpMAC), xdpPass, Stats{L2CPHost: 1}}))
}

func TestUntagged(t *testing.T) {
	b := newBench(t)
	b.rules(t, PortRules{Untagged: true, L2CP: L2CPDrop})
	b.verdicts(t, []verdict{
		{"untagged", arp, xdpRedirect, isEncap},
		{"priority tag", arpIn(tag(0x8100, 0xe000)), xdpRedirect, isEncap},
		{"VLAN 1", arpIn(tag(0x8100, 1)), xdpPass, isOther},
		{"VLAN 4094", arpIn(tag(0x8100, 4094)), xdpPass, isOther},
		{"STP", l2cp(stpMAC), xdpDrop, Stats{L2CPDropped: 1}},
		{"STP in a VLAN that is not ours", l2cp(stpMAC, tag(0x8100, 1)), xdpPass, isOther},
	})
}

func (b bench) vlan(t testing.TB, change func(s, c uint16) error, s, c uint16) {
	t.Helper()
	if err := change(s, c); err != nil {
		t.Fatal(err)
	}
}

func TestVLANs(t *testing.T) {
	b := newBench(t)
	b.core(t)
	b.devices(t, Stack{{0x8100, 100}}, Stack{{0x8100, 101}})
	b.vlan(t, b.p.AddVLAN, 100, AnyVLAN)
	b.vlan(t, b.p.AddVLAN, 200, 20)
	b.vlan(t, b.p.AddVLAN, 300, 30)
	b.vlan(t, b.p.AddVLAN, 300, AnyVLAN)
	b.verdicts(t, []verdict{
		{"untagged goes on to core", overIP(ownMAC), xdpRedirect, isDecap},
		{"untagged ARP", arp, xdpPass, isOther},
		{"VLAN 100", arpIn(tag(0x8100, 100)), xdpRedirect, isEncap},
		{"VLAN 100 with priority and DEI", arpIn(tag(0x8100, 0xf000|100)), xdpRedirect, isEncap},
		{"S-VLAN 100", arpIn(tag(0x88a8, 100)), xdpRedirect, isEncap},
		{"old S-VLAN 100", arpIn(tag(0x9100, 100)), xdpRedirect, isEncap},
		{"VLAN 100, any inner", arpIn(tag(0x88a8, 100), tag(0x8100, 7)), xdpRedirect, isEncap},
		{"data message in VLAN 100 is the customer's", overIP(ownMAC, tag(0x8100, 100)), xdpRedirect, isEncap},
		{"data message in VLAN 101 is ours", overIP(ownMAC, tag(0x8100, 101)), xdpRedirect, isDecap},
		{"VLAN 101", arpIn(tag(0x8100, 101)), xdpPass, isOther},
		{"an unknown TPID is no tag", arpIn(tag(0x9200, 100)), xdpPass, isOther},
		{"200.20", arpIn(tag(0x88a8, 200), tag(0x8100, 0xa000|20)), xdpRedirect, isEncap},
		{"200.20 with two C-tags", arpIn(tag(0x8100, 200), tag(0x8100, 20)), xdpRedirect, isEncap},
		{"200.20 and a third tag", arpIn(tag(0x88a8, 200), tag(0x8100, 20), tag(0x8100, 9)), xdpRedirect, isEncap},
		{"200.21", arpIn(tag(0x88a8, 200), tag(0x8100, 21)), xdpPass, isOther},
		{"20.200", arpIn(tag(0x88a8, 20), tag(0x8100, 200)), xdpPass, isOther},
		{"200 alone", arpIn(tag(0x88a8, 200)), xdpPass, isOther},
		{"300.30", arpIn(tag(0x88a8, 300), tag(0x8100, 30)), xdpRedirect, isEncap},
		{"300.31", arpIn(tag(0x88a8, 300), tag(0x8100, 31)), xdpRedirect, isEncap},
	})

	b.vlan(t, b.p.RemoveVLAN, 300, AnyVLAN)
	b.vlan(t, b.p.RemoveVLAN, 200, 20)
	b.vlan(t, b.p.RemoveVLAN, 100, AnyVLAN)
	b.verdicts(t, []verdict{
		{"VLAN 100 removed", arpIn(tag(0x8100, 100)), xdpPass, isOther},
		{"200.20 removed", arpIn(tag(0x88a8, 200), tag(0x8100, 20)), xdpPass, isOther},
		{"300.30 stays", arpIn(tag(0x88a8, 300), tag(0x8100, 30)), xdpRedirect, isEncap},
		{"300.31 removed", arpIn(tag(0x88a8, 300), tag(0x8100, 31)), xdpPass, isOther},
	})
}

// Many at once are what they would be one by one, whatever was there.
func TestManyVLANs(t *testing.T) {
	b := newBench(t)
	b.vlan(t, b.p.AddVLAN, 200, 20)
	list := []VLAN{{200, 20}, {100, AnyVLAN}, {300, 30}, {300, 30}, {300, 31}}
	for c := range uint16(4000) {
		list = append(list, VLAN{400, c})
	}
	if err := b.p.AddVLANs(list); err != nil {
		t.Fatal(err)
	}
	taken := func(s, c uint16) []byte { return arpIn(tag(0x88a8, s), tag(0x8100, c)) }
	b.verdicts(t, []verdict{
		{"100", arpIn(tag(0x8100, 100)), xdpRedirect, isEncap},
		{"200.20", taken(200, 20), xdpRedirect, isEncap},
		{"300.30", taken(300, 30), xdpRedirect, isEncap},
		{"300.31", taken(300, 31), xdpRedirect, isEncap},
		{"300.32", taken(300, 32), xdpPass, isOther},
		{"400.0", taken(400, 0), xdpRedirect, isEncap},
		{"400.3999", taken(400, 3999), xdpRedirect, isEncap},
		{"400.4000", taken(400, 4000), xdpPass, isOther},
	})
	b.vlan(t, b.p.RemoveVLAN, 200, 20)
	b.vlan(t, b.p.RemoveVLAN, 300, 30)
	b.vlan(t, b.p.RemoveVLAN, 300, 31)
	for c := range uint16(4000) {
		b.vlan(t, b.p.RemoveVLAN, 400, c)
	}
	b.verdicts(t, []verdict{
		{"200.20, of which one is left", taken(200, 20), xdpRedirect, isEncap},
		{"300.30, of which one is left", taken(300, 30), xdpRedirect, isEncap},
		{"300.31 removed", taken(300, 31), xdpPass, isOther},
		{"400.0 removed", taken(400, 0), xdpPass, isOther},
	})
	if len(b.p.vlans.inner) != 2 {
		t.Errorf("S-VLANs with pairs: %v, want 200 and 300", b.p.vlans.inner)
	}
	if err := b.p.AddVLANs([]VLAN{{0, 1}}); err == nil {
		t.Error("VLAN 0: no error")
	}
}

func TestVLANUsersAreCounted(t *testing.T) {
	b := newBench(t)
	whole, pair := arpIn(tag(0x8100, 100)), arpIn(tag(0x88a8, 200), tag(0x8100, 20))
	for range 2 {
		b.vlan(t, b.p.AddVLAN, 100, AnyVLAN)
		b.vlan(t, b.p.AddVLAN, 200, 20)
	}
	b.vlan(t, b.p.RemoveVLAN, 100, AnyVLAN)
	b.vlan(t, b.p.RemoveVLAN, 200, 20)
	b.verdicts(t, []verdict{
		{"one user left", whole, xdpRedirect, isEncap},
		{"one user left of the pair", pair, xdpRedirect, isEncap},
	})
	for range 2 {
		b.vlan(t, b.p.RemoveVLAN, 100, AnyVLAN)
		b.vlan(t, b.p.RemoveVLAN, 200, 20)
	}
	b.verdicts(t, []verdict{
		{"no user left", whole, xdpPass, isOther},
		{"no user left of the pair", pair, xdpPass, isOther},
	})
	for _, v := range [][2]uint16{{0, AnyVLAN}, {4095, AnyVLAN}, {100, 4095}} {
		if err := b.p.AddVLAN(v[0], v[1]); err == nil {
			t.Errorf("AddVLAN(%d, %d): no error", v[0], v[1])
		}
	}
}
