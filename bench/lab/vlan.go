package lab

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// VLAN is a VLAN device over an interface of the same namespace.
type VLAN struct {
	Name    string
	Parent  string
	ID      uint16
	Service bool // 802.1ad (0x88a8) instead of 802.1Q
	MTU     int  // 0: the parent's
	Addrs   []netip.Prefix
}

// AddVLAN makes a VLAN device and brings it up. A parent whose peer is a port of
// xwire must be Plain: a tag that the stack leaves to the device gets lost.
func (n *Namespace) AddVLAN(v VLAN) error {
	err := n.Run(func() error {
		parent, err := netlink.LinkByName(v.Parent)
		if err != nil {
			return fmt.Errorf("find %s: %w", v.Parent, err)
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.ParentIndex, attrs.MTU = v.Name, parent.Attrs().Index, v.MTU
		link := &netlink.Vlan{LinkAttrs: attrs, VlanId: int(v.ID), VlanProtocol: netlink.VLAN_PROTOCOL_8021Q}
		if v.Service {
			link.VlanProtocol = netlink.VLAN_PROTOCOL_8021AD
		}
		if err := netlink.LinkAdd(link); err != nil {
			return err
		}
		if err := addAddrs(link, v.Addrs); err != nil {
			return err
		}
		return netlink.LinkSetUp(link)
	})
	if err != nil {
		return fmt.Errorf("add VLAN %d as %s in %s: %w", v.ID, v.Name, n.name, err)
	}
	return nil
}
