package interop

import (
	"fmt"
	"net/netip"

	"xwire/bench/lab"
)

// newCircuit numbers a circuit: its VLAN, ids, subnet and, over UDP, the
// kernel's port (the kernel cannot share one) follow from its number. xwire has
// one address and port for all.
func newCircuit(n int, name string, six, udp bool) *circuit {
	c := &circuit{
		vlan:     uint16(100 + n),
		near:     fmt.Sprintf("c0.%d", 100+n),
		far:      fmt.Sprintf("pw%d", n),
		nearAddr: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(n), 1}), 24),
		farAddr:  netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(n), 2}), 24),
	}
	local, peer := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	if six {
		local, peer = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	}
	localPort, peerPort := uint16(0), uint16(0)
	if udp {
		localPort, peerPort = 1701, uint16(2000+n)
	}
	c.Pseudowire = lab.Pseudowire{
		Name: name, Sublayer: "none",
		Local: netip.AddrPortFrom(local, localPort), Peer: netip.AddrPortFrom(peer, peerPort),
		TID: uint32(1000 + n), PTID: uint32(2000 + n), SID: uint32(3000 + n), PSID: uint32(4000 + n),
		Attach: "access", VLAN: fmt.Sprint(c.vlan), PWVLAN: "none",
	}
	return c
}

// cookie makes a cookie of so many bytes that tells direction and circuit.
func cookie(bytes int, direction, n int) string {
	text := ""
	for i := range bytes {
		text += fmt.Sprintf("%02x", direction<<4|i) // the last byte is the circuit's
	}
	if bytes == 0 {
		return ""
	}
	return text[:len(text)-2] + fmt.Sprintf("%02x", n+1)
}

func family(six bool) string {
	if six {
		return "ipv6"
	}
	return "ipv4"
}

func encap(udp bool) string {
	if udp {
		return "udp"
	}
	return "ip"
}

// matrix is every mixture of family, encapsulation, cookie length and sublayer,
// the cookies of the two directions different.
func matrix() (out []*circuit) {
	for _, six := range []bool{false, true} {
		for _, udp := range []bool{false, true} {
			for _, bytes := range []int{0, 4, 8} {
				for _, sublayer := range []string{"none", "default"} {
					n := len(out)
					c := newCircuit(n, fmt.Sprintf("%s-%s-cookie%d-%s", family(six), encap(udp), bytes, sublayer), six, udp)
					c.Sublayer = sublayer
					c.TxCookie, c.RxCookie = cookie(bytes, 1, n), cookie(bytes, 2, n)
					c.kernel.TxCookie, c.kernel.RxCookie = c.RxCookie, c.TxCookie
					out = append(out, c)
				}
			}
		}
	}
	// Numbered by both ends, each of which refuses what is not; by the peer as long as we do; by us as
	// long as the peer does, which ceases because we do not begin.
	for _, udp := range []bool{false, true} {
		for _, end := range []struct{ name, keys, seq string }{
			{"both", "send_seq = true\nrecv_seq = true\nreorder_timeout = 50\n", "both"},
			{"peer-follows", "send_seq = true\n", ""},
			{"we-follow", "lns_mode = false\n", "send"},
		} {
			n := len(out)
			c := newCircuit(n, fmt.Sprintf("ipv4-%s-numbers-%s", encap(udp), end.name), false, udp)
			c.Sublayer, c.Keys, c.kernel.Seq = "default", end.keys, end.seq
			out = append(out, c)
		}
	}
	// Outer headers that are not as the kernel's own.
	for _, six := range []bool{false, true} {
		for _, udp := range []bool{false, true} {
			n := len(out)
			c := newCircuit(n, fmt.Sprintf("%s-%s-marked", family(six), encap(udp)), six, udp)
			c.Keys = "ttl = 9\ntos = \"inherit\"\npcp_to_dscp = true\necn = \"rfc6040\"\nrate = \"10G\"\nunknown_unicast_limit = 1000000\n"
			if six {
				c.Keys += "flow_label = \"flow\"\n"
			} else {
				c.Keys += "df = true\n"
			}
			out = append(out, c)
		}
	}
	return out
}

// mismatches are circuits whose ends disagree about the cookies of both
// directions: wrong values, and none where one is wanted.
func mismatches() (out []*circuit) {
	for _, six := range []bool{false, true} {
		for _, udp := range []bool{false, true} {
			for _, bytes := range []int{4, 8} {
				n := 100 + len(out)
				c := newCircuit(n, fmt.Sprintf("%s-%s-cookie%d", family(six), encap(udp), bytes), six, udp)
				c.TxCookie, c.RxCookie = cookie(bytes, 1, n), cookie(bytes, 2, n)
				// Off by one bit in the last byte.
				c.kernel.TxCookie, c.kernel.RxCookie = cookie(bytes, 2, n^1), cookie(bytes, 1, n^1)
				out = append(out, c)
			}
		}
	}
	for _, udp := range []bool{false, true} {
		n := 100 + len(out)
		c := newCircuit(n, fmt.Sprintf("ipv4-%s-cookie-missing", encap(udp)), false, udp)
		// Frames must be longer than a cookie to be cookie errors, and are.
		c.RxCookie, c.kernel.RxCookie = cookie(8, 2, n), cookie(8, 1, n)
		out = append(out, c)
	}
	return out
}
