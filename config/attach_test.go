package config

import (
	"fmt"
	"strings"
	"testing"
)

// TestPPPoEVLANs has two sessions on a port, of Ethernet (e) or of PPPoE (p): whether a frame could be both's.
func TestPPPoEVLANs(t *testing.T) {
	for _, tt := range []struct {
		a, b  string // kind and VLAN; of PPPoE with the id
		clash bool
	}{
		{"p100/1", "p100/2", false},
		{"p100/1", "p100/1", true},
		{"p100/1", "p100.20/1", false},
		{"p100.20/1", "p100.20/1", true},
		{"p100.20/1", "p100.20/2", false},
		{"p100.20/1", "p100.21/1", false},
		{"p100/1", "e100", true},
		{"p100/1", "e100.20", true},
		{"p100.20/1", "e100", true},
		{"p100.20/1", "e100.20", true},
		{"p100.20/1", "e100.21", false},
		{"p100/1", "e90-110", true},
		{"p100.20/1", "e90-110", true},
		{"p100/1", "eall", true},
		{"puntagged/1", "euntagged", true},
		{"puntagged/1", "puntagged/2", false},
		{"puntagged/1", "p100/1", false},
		{"puntagged/1", "e100", false},
		{"puntagged/1", "eall", true},
		{"e100", "e100.20", true},
	} {
		for _, turn := range []bool{false, true} {
			a, b := tt.a, tt.b
			if turn {
				a, b = b, a
			}
			var text strings.Builder
			text.WriteString("[port.core0]\ninterface = \"core0\"\n[port.ac0]\ninterface = \"ac0\"\n[tunnel.t]\nlocal = \"192.0.2.1\"\npeer = \"192.0.2.2\"\ntid = 1\nptid = 1\n")
			for i, s := range []string{a, b} {
				vlan, id, ppp := strings.Cut(s[1:], "/")
				fmt.Fprintf(&text, "[tunnel.t.session.s%d]\nsid = %d\npsid = 1\nl2spec_type = \"none\"\nattach = \"ac0\"\n", i, i+1)
				if strings.ContainsAny(vlan, ".-al") {
					vlan = fmt.Sprintf("%q", vlan)
				}
				fmt.Fprintf(&text, "vlan = %s\n", vlan)
				if ppp {
					fmt.Fprintf(&text, "pseudowire = \"ppp\"\npppoe_session_id = %s\npppoe_peer_mac = \"02:00:00:00:00:01\"\n", id)
				}
			}
			if _, err := parse("vlans.toml", text.String(), disk{}); (err != nil) != tt.clash {
				t.Errorf("%s and %s: %v", a, b, err)
			}
		}
	}
}
