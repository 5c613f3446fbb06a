package steer

import (
	"encoding/binary"
	"testing"
)

var typeSession = []byte{0x88, 0x64}

func pppoe(code byte, session uint16) []byte {
	h := binary.BigEndian.AppendUint16([]byte{0x11, code}, session)
	return join(h, []byte{0, 2, 0xc0, 0x21})
}

func (b bench) pppoe(t testing.TB, change func(PPPoE) error, cs ...PPPoE) {
	t.Helper()
	for _, c := range cs {
		if err := change(c); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPPPoE(t *testing.T) {
	b := newBench(t)
	b.core(t)
	untagged := PPPoE{C: AnyVLAN, Session: 1234}
	single, pair := PPPoE{S: 100, C: AnyVLAN, Session: 1}, PPPoE{S: 200, C: 20, Session: 0xfffe}
	b.pppoe(t, b.p.AddPPPoE, untagged, single, single, pair)
	frame := func(rest ...[]byte) []byte { return join(ether(ownMAC), join(rest...)) }
	session := func(n uint16, tags ...[]byte) []byte { return frame(join(tags...), typeSession, pppoe(0, n)) }
	theirs := []verdict{
		{"discovery", frame([]byte{0x88, 0x63}, pppoe(0x09, 1234)), xdpPass, isOther},
		{"discovery in the VLAN", frame(tag(0x8100, 100), []byte{0x88, 0x63}, pppoe(0xa7, 1)), xdpPass, isOther},
		{"another session", session(1235), xdpPass, isOther},
		{"session without its VLAN", session(1), xdpPass, isOther},
		{"session in another VLAN", session(1234, tag(0x8100, 100)), xdpPass, isOther},
		{"inner tag too many", session(1, tag(0x8100, 100), tag(0x8100, 20)), xdpPass, isOther},
		{"inner tag missing", session(0xfffe, tag(0x8100, 200)), xdpPass, isOther},
		{"another code", frame(typeSession, pppoe(1, 1234)), xdpPass, isOther},
		{"header cut", frame(typeSession, pppoe(0, 1234)[:5]), xdpPass, isOther},
		{"ARP", arp, xdpPass, isOther},
		{"data message", overIP(ownMAC), xdpRedirect, isDecap},
	}
	b.verdicts(t, append(theirs,
		verdict{"untagged", session(1234), xdpRedirect, isEncap},
		verdict{"priority tag", session(1234, tag(0x8100, 0xe000)), xdpRedirect, isEncap},
		verdict{"VLAN", session(1, tag(0x8100, 100)), xdpRedirect, isEncap},
		verdict{"QinQ", session(0xfffe, tag(0x88a8, 200), tag(0x8100, 20)), xdpRedirect, isEncap},
		verdict{"another station's MAC", join(ether(otherMAC), typeSession, pppoe(0, 1234)), xdpPass, isForeign},
	))

	b.rules(t, PortRules{Core: true, L2CP: L2CPDrop}) // rules leave sessions alone
	b.pppoe(t, b.p.RemovePPPoE, single, untagged)
	b.verdicts(t, []verdict{
		{"untagged, removed", session(1234), xdpPass, isOther},
		{"VLAN, added twice and removed once", session(1, tag(0x8100, 100)), xdpRedirect, isEncap},
	})
	b.pppoe(t, b.p.RemovePPPoE, single, pair)
	b.verdicts(t, []verdict{{"VLAN, removed", session(1, tag(0x8100, 100)), xdpPass, isOther}})
	if b.p.port.Rule&steerRuleRULE_PPPOE != 0 {
		t.Error("the program still looks for PPPoE sessions")
	}

	for _, bad := range []PPPoE{{C: AnyVLAN}, {C: AnyVLAN, Session: 0xffff}, {C: 20, Session: 1}, {S: 4095, C: AnyVLAN, Session: 1}} {
		if b.p.AddPPPoE(bad) == nil || b.p.RemovePPPoE(bad) == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
