package lab

import (
	"bytes"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
)

// TakeCard moves the network card with this address out of the caller's
// namespace into n, named name. Only for virtual machines: when the lab closes,
// the kernel gives a physical card back to its first namespace.
func (n *Namespace) TakeCard(mac net.HardwareAddr, name string) error {
	ns, err := n.open()
	if err != nil {
		return err
	}
	defer ns.Close()
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("look for card %v: %w", mac, err)
	}
	for _, link := range links {
		if !bytes.Equal(link.Attrs().HardwareAddr, mac) {
			continue
		}
		// Renamed after the move: a card that came back from an earlier lab
		// may still have the name here.
		if err := netlink.LinkSetNsFd(link, int(ns.Fd())); err != nil {
			return fmt.Errorf("move card %v to %s: %w", mac, n.name, err)
		}
		return n.onLink(link.Attrs().Name, "name card", func(moved netlink.Link) error {
			return netlink.LinkSetName(moved, name)
		})
	}
	return fmt.Errorf("look for card %v: not in this namespace", mac)
}
