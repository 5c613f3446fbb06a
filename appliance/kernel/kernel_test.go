package kernel

import (
	"net"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"xwire/config/importer"
	"xwire/config/ipl2tp"
)

// TestSurround: what a session's interface is in, has on it and has as addresses is found.
func TestSurround(t *testing.T) {
	attrs := func(index int, name string, master, parent int) netlink.LinkAttrs {
		a := netlink.NewLinkAttrs()
		a.Index, a.Name, a.MTU, a.MasterIndex, a.ParentIndex, a.NetNsID = index, name, 1400+index, master, parent, -1
		return a
	}
	links := []netlink.Link{
		&netlink.GenericLink{LinkAttrs: attrs(2, "l2tpeth0", 5, 0), LinkType: "l2tpeth"},
		&netlink.GenericLink{LinkAttrs: attrs(3, "l2tpeth1", 0, 0), LinkType: "l2tpeth"},
		&netlink.Dummy{LinkAttrs: attrs(4, "eth0", 0, 0)},
		&netlink.Bridge{LinkAttrs: attrs(5, "br0", 0, 0)},
		&netlink.Vlan{LinkAttrs: attrs(6, "l2tpeth1.7", 5, 3)},
	}
	addr := func(index int, text string) netlink.Addr {
		ip, n, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		return netlink.Addr{LinkIndex: index, IPNet: &net.IPNet{IP: ip, Mask: n.Mask}}
	}
	sessions := make([]importer.KernelSession, 3)
	for i, name := range []string{"l2tpeth0", "l2tpeth1", "elsewhere"} {
		sessions[i].Session = ipl2tp.Session{Interface: name}
	}
	surround(sessions, links, []netlink.Addr{addr(3, "10.0.0.1/30"), addr(3, "fe80::1/64"), addr(4, "192.0.2.1/24"), addr(3, "2001:db8::1/64")})
	for i, want := range []importer.KernelSession{
		{MTU: 1402, Stands: []string{"bridge br0"}},
		{MTU: 1403, Stands: []string{"vlan l2tpeth1.7 on it", "address 10.0.0.1/30", "address 2001:db8::1/64"}},
		{},
	} {
		if s := sessions[i]; s.MTU != want.MTU || !slices.Equal(s.Stands, want.Stands) {
			t.Errorf("%s: MTU %d, %q, want %d, %q", s.Interface, s.MTU, s.Stands, want.MTU, want.Stands)
		}
	}
}
