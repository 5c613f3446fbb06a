package steer

import (
	"net/netip"
	"testing"
)

func TestLocalsAreCounted(t *testing.T) {
	b := newBench(t)
	b.rules(t, PortRules{Core: true})
	if err := b.p.AddMAC([6]byte(ownMAC)); err != nil {
		t.Fatal(err)
	}
	ip := Local{Addr: netip.MustParseAddr("192.0.2.1"), Encap: EncapIP}
	udp := Local{Addr: netip.MustParseAddr("::ffff:192.0.2.1"), Encap: EncapUDP, Port: 1701}
	fragment := join(ether(ownMAC), typeIPv4, ipv4(115, 1, func(h []byte) { h[7] = 1 }), session1)

	steps := []struct {
		name   string
		change func(Local) error
		local  Local
		want   []verdict
	}{
		{"add IP", b.s.AddLocal, ip, []verdict{
			{"over IP", overIP(ownMAC), xdpRedirect, isDecap}, {"over UDP", overUDP(dataV3), xdpPass, isOther},
			{"fragment", fragment, xdpPass, isFragment}}},
		{"add IP again", b.s.AddLocal, ip, nil},
		{"add UDP", b.s.AddLocal, udp, []verdict{
			{"over IP", overIP(ownMAC), xdpRedirect, isDecap}, {"over UDP", overUDP(dataV3), xdpRedirect, isDecap}}},
		{"remove IP", b.s.RemoveLocal, ip, []verdict{{"over IP", overIP(ownMAC), xdpRedirect, isDecap}}},
		{"remove IP again", b.s.RemoveLocal, ip, []verdict{
			{"over IP", overIP(ownMAC), xdpPass, isOther}, {"over UDP", overUDP(dataV3), xdpRedirect, isDecap},
			{"fragment", fragment, xdpPass, isFragment}}},
		{"remove IP once too often", b.s.RemoveLocal, ip, []verdict{{"over UDP", overUDP(dataV3), xdpRedirect, isDecap}}},
		{"remove UDP", b.s.RemoveLocal, udp, []verdict{
			{"over UDP", overUDP(dataV3), xdpPass, isOther}, {"fragment", fragment, xdpPass, isOther}}},
	}
	for _, s := range steps {
		if err := s.change(s.local); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		b.verdicts(t, s.want)
	}
}

func TestLocalRefused(t *testing.T) {
	for _, l := range []Local{
		{},
		{Addr: netip.IPv4Unspecified(), Encap: EncapIP},
		{Addr: netip.MustParseAddr("ff02::1"), Encap: EncapIP},
		{Addr: netip.MustParseAddr("192.0.2.1"), Encap: EncapUDP},
		{Addr: netip.MustParseAddr("192.0.2.1"), Encap: 2},
	} {
		if _, err := l.keys(); err == nil {
			t.Errorf("%+v: no error", l)
		}
	}
}

func TestRemovedMAC(t *testing.T) {
	b := newBench(t)
	b.core(t)
	if err := b.p.AddMAC([6]byte(otherMAC)); err != nil {
		t.Fatal(err)
	}
	b.verdicts(t, []verdict{{"second MAC", overIP(otherMAC), xdpRedirect, isDecap}})
	if err := b.p.RemoveMAC([6]byte(otherMAC)); err != nil {
		t.Fatal(err)
	}
	b.verdicts(t, []verdict{
		{"second MAC removed", overIP(otherMAC), xdpPass, isForeign},
		{"first MAC", overIP(ownMAC), xdpRedirect, isDecap},
	})
	if err := b.p.AddMAC([6]byte(otherMAC)); err != nil {
		t.Fatal(err)
	}
	if err := b.p.RemoveMAC([6]byte(ownMAC)); err != nil {
		t.Fatal(err)
	}
	b.rules(t, PortRules{Core: true})
	b.verdicts(t, []verdict{
		{"first MAC removed", overIP(ownMAC), xdpPass, isForeign},
		{"second MAC", overIP(otherMAC), xdpRedirect, isDecap},
		{"no MAC", overIP(make([]byte, 6)), xdpPass, isForeign},
	})
	if err := b.p.AddMAC([6]byte(groupMAC)); err == nil {
		t.Error("add a group address: no error")
	}
}
