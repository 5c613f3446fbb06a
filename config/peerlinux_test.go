package config

import (
	"strings"
	"testing"
)

// TestPeerLinux: the commands for sessions of every kind. All of these forms were run once in a virtual
// machine, whose kernel (Linux 7.2) and iproute2 6.1 took them; whoever changes one should do that again.
func TestPeerLinux(t *testing.T) {
	const ports = "[port.p]\ninterface = \"e0\"\n[port.old]\ninterface = \"e1\"\nqinq_tpid = 0x8100\n[port.odd]\ninterface = \"e2\"\nqinq_tpid = 0x9100\n"
	six := strings.NewReplacer("192.0.2.1", "2001:db8::1", "198.51.100.7", "2001:db8::7")
	udp := strings.NewReplacer("encap = \"ip\"\n", "")
	for _, tt := range []struct {
		name, tunnel, keys string
		mtu                int
		want               string // lines in this order, " | " between them
		not                string
	}{
		{"port", tunnelText, "attach = \"p\"\nvlan = \"all\"\n", 1500,
			"modprobe -a l2tp_eth l2tp_ip | ip l2tp add tunnel | ip l2tp add session name l2tpeth1 | ip link set l2tpeth1 mtu 1462 up", "vlan"},
		{"over UDP", udp.Replace(tunnelText), "", 1500, "modprobe -a l2tp_eth | ip link set l2tpeth1 mtu 1450 up", "l2tp_ip"},
		{"over IPv6", six.Replace(tunnelText), "", 1500, "modprobe -a l2tp_eth l2tp_ip6 | ip link set l2tpeth1 mtu 1442 up", ""},
		{"longer cookie counts, on whichever side", tunnelText, "tx_cookie = \"01020304\"\nrx_cookie = \"0102030405060708\"\nl2spec_type = \"default\"\n", 1600,
			"ip link set l2tpeth1 mtu 1550 up", ""},
		{"mtu of the file", tunnelText, "mtu = 1400\n", 1500, "ip link set l2tpeth1 mtu 1400 up", ""},
		{"no room", tunnelText, "", 68, "# A core MTU of 68 leaves 30 bytes | ip link set l2tpeth1 up", "mtu 30"},
		{"one VLAN", tunnelText, "attach = \"p\"\nvlan = 100\n", 1500,
			"modprobe -a l2tp_eth l2tp_ip 8021q | ip link set l2tpeth1 mtu 1462 up | ip link add link l2tpeth1 name l2tpeth1.100 type vlan id 100 | ip link set l2tpeth1.100 mtu 1458 up | # Addresses and bridges go to l2tpeth1.100.", ""},
		{"VLAN pseudowire", tunnelText, "pseudowire = \"vlan\"\nattach = \"p\"\nvlan = \"untagged\"\npw_vlan = 300\n", 1500, "name l2tpeth1.300 type vlan id 300", ""},
		{"tag taken off", tunnelText, "attach = \"p\"\nvlan = 100\npw_vlan = \"none\"\n", 1500, "ip link set l2tpeth1 mtu 1462 up", "vlan"},
		{"QinQ", tunnelText, "attach = \"p\"\nvlan = \"200.20\"\n", 1500,
			"ip link add link l2tpeth1 name l2tpeth1.200 type vlan protocol 802.1ad id 200 | ip link set l2tpeth1.200 mtu 1458 up | " +
				"ip link add link l2tpeth1.200 name l2tpeth1.200.20 type vlan id 20 | ip link set l2tpeth1.200.20 mtu 1454 up", ""},
		{"QinQ of 0x8100", tunnelText, "attach = \"old\"\nvlan = \"200.20\"\n", 1500, "name l2tpeth1.200 type vlan id 200", "802.1ad"},
		{"QinQ of 0x9100", tunnelText, "attach = \"odd\"\nvlan = \"200.20\"\n", 1500, "no VLAN device for EtherType 0x9100; set qinq_tpid = 0x88a8 on port odd | protocol 802.1ad id 200", ""},
		{"QinQ to one tag", tunnelText, "attach = \"p\"\nvlan = \"200.20\"\npw_vlan = 7\n", 1500, "name l2tpeth1.7 type vlan id 7", "802.1ad"},
		{"numbers both ways", tunnelText, "l2spec_type = \"default\"\nseqnum = true\n", 1500, "l2spec_type default seq both", "ceases"},
		{"numbers of the kernel alone", tunnelText, "l2spec_type = \"default\"\nrecv_seq = true\n", 1500, "# The kernel ceases to number | l2spec_type default seq send", ""},
		{"fragments inside", tunnelText, "l2spec_type = \"default\"\nsend_seq = true\noversize = \"pw\"\n", 1500, "# The kernel knows no fragments inside the pseudowire | seq recv", ""},
		{"port by the flow", udp.Replace(tunnelText), "source_port = \"flow\"\n", 1500, "# The kernel takes no source port but | ip l2tp add session", ""},
		{"range", tunnelText, "attach = \"p\"\nvlan = \"100-199\"\n", 1500, "# ip link add link l2tpeth1 name l2tpeth1.100 type vlan id 100 | # ip link set l2tpeth1.100 mtu 1458 up", ""},
		{"long names", tunnelText, "psid = 4294967295\nattach = \"p\"\nvlan = \"4094.4093\"\n", 1500,
			"name l2tpxffffffff | name vffffffff.ffe type | name qffffffffffeffd type", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			session := sessionText
			if strings.HasPrefix(tt.keys, "psid") {
				session = strings.Replace(session, "psid = 1\n", "", 1)
			}
			c, err := Parse("x.toml", []byte(ports+tt.tunnel+session+tt.keys))
			if err != nil {
				t.Fatal(err)
			}
			text, err := c.PeerCommands(PeerLinux, tt.mtu, true)
			if err != nil {
				t.Fatal(err)
			}
			rest := text
			for _, want := range strings.Split(tt.want, " | ") {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("no %q, or not in that order, in:\n%s", want, text)
				}
				rest = after
			}
			if tt.not != "" && strings.Contains(text, tt.not) {
				t.Errorf("%q in:\n%s", tt.not, text)
			}
			for _, f := range strings.Fields(strings.ReplaceAll(text, "name ", "name=")) {
				if dev, ok := strings.CutPrefix(f, "name="); ok && len(dev) > 15 {
					t.Errorf("%s is longer than 15 bytes", dev)
				}
			}
		})
	}
}
