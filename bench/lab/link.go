package lab

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// End is one end of a veth pair.
type End struct {
	Namespace *Namespace
	Name      string           // up to 15 bytes, unique in its namespace
	MAC       net.HardwareAddr // nil: the kernel chooses
	Addrs     []netip.Prefix   // address and prefix length
	MTU       int              // 0: 1500
	Queues    int              // receive and transmit queues; 0: 1
	// Plain turns off what would hand half-made frames to an XDP program on
	// the other end: checksum, TSO, GSO and VLAN tag insertion. Set it on an
	// end of a network stack whose peer is a port of xwire.
	Plain bool
	Down  bool // leave it down
}

// Connect joins two namespaces by a veth pair and brings both ends up.
func (l *Lab) Connect(a, b End) error {
	peer, err := b.Namespace.open()
	if err != nil {
		return fmt.Errorf("join %s to %s: %w", a.Name, b.Name, err)
	}
	defer peer.Close()
	err = a.Namespace.Run(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.HardwareAddr, attrs.MTU = a.Name, a.MAC, cmp.Or(a.MTU, 1500)
		attrs.NumTxQueues, attrs.NumRxQueues = cmp.Or(a.Queues, 1), cmp.Or(a.Queues, 1)
		v := netlink.NewVeth(attrs)
		v.PeerName, v.PeerHardwareAddr, v.PeerMTU = b.Name, b.MAC, uint32(cmp.Or(b.MTU, 1500))
		v.PeerNumTxQueues, v.PeerNumRxQueues = uint32(cmp.Or(b.Queues, 1)), uint32(cmp.Or(b.Queues, 1))
		v.PeerNamespace = netlink.NsFd(int(peer.Fd()))
		return netlink.LinkAdd(v)
	})
	if err != nil {
		return fmt.Errorf("join %s to %s: %w", a.Name, b.Name, err)
	}
	for _, e := range [...]End{a, b} {
		if err := e.Namespace.Run(e.setUp); err != nil {
			return fmt.Errorf("set up %s in %s: %w", e.Name, e.Namespace.name, err)
		}
	}
	if a.Down || b.Down {
		return nil
	}
	for _, e := range [...]End{a, b} {
		if err := e.Namespace.WaitLink(e.Name, 30*time.Second); err != nil {
			return err
		}
	}
	return nil
}

// WaitLink waits until an interface has carrier and none of its addresses is
// tentative.
func (n *Namespace) WaitLink(name string, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	return n.onLink(name, "wait for", func(link netlink.Link) error {
		for {
			ready, err := linkReady(link.Attrs().Index)
			if err != nil || ready {
				return err
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("not up after %v", limit)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

func linkReady(index int) (bool, error) {
	link, err := netlink.LinkByIndex(index)
	if err != nil {
		return false, err
	}
	if link.Attrs().RawFlags&unix.IFF_RUNNING == 0 {
		return false, nil
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V6)
	if err != nil {
		return false, err
	}
	for _, a := range addrs {
		if a.Flags&unix.IFA_F_TENTATIVE != 0 {
			return false, nil
		}
	}
	return true, nil
}

func (e End) setUp() error {
	link, err := netlink.LinkByName(e.Name)
	if err != nil {
		return err
	}
	if e.Plain {
		if err := Offloads(e.Name, false); err != nil {
			return err
		}
	}
	if err := addAddrs(link, e.Addrs); err != nil {
		return err
	}
	if e.Down {
		return nil
	}
	return netlink.LinkSetUp(link)
}

func addAddrs(link netlink.Link, addrs []netip.Prefix) error {
	for _, p := range addrs {
		a := &netlink.Addr{IPNet: &net.IPNet{
			IP:   p.Addr().AsSlice(),
			Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}}
		if p.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, a); err != nil {
			return fmt.Errorf("add address %v: %w", p, err)
		}
	}
	return nil
}

// SetLink brings an interface up or down.
func (n *Namespace) SetLink(name string, up bool) error {
	return n.onLink(name, "set state of", func(link netlink.Link) error {
		if up {
			return netlink.LinkSetUp(link)
		}
		return netlink.LinkSetDown(link)
	})
}

// SetMTU changes an interface's MTU in bytes.
func (n *Namespace) SetMTU(name string, mtu int) error {
	return n.onLink(name, "set MTU of", func(link netlink.Link) error { return netlink.LinkSetMTU(link, mtu) })
}

// AddAddr gives an interface an address.
func (n *Namespace) AddAddr(name string, p netip.Prefix) error {
	return n.onLink(name, "add address to", func(link netlink.Link) error {
		return addAddrs(link, []netip.Prefix{p})
	})
}

// DelLink deletes an interface (of a veth pair: both ends).
func (n *Namespace) DelLink(name string) error {
	return n.onLink(name, "delete", netlink.LinkDel)
}

// MAC reads an interface's address.
func (n *Namespace) MAC(name string) (mac net.HardwareAddr, err error) {
	err = n.onLink(name, "read MAC of", func(link netlink.Link) error {
		mac = link.Attrs().HardwareAddr
		return nil
	})
	return mac, err
}

// AddRoute routes a prefix to a gateway.
func (n *Namespace) AddRoute(dst netip.Prefix, via netip.Addr) error {
	err := n.Run(func() error {
		return netlink.RouteReplace(&netlink.Route{
			Dst: &net.IPNet{IP: dst.Addr().AsSlice(), Mask: net.CIDRMask(dst.Bits(), dst.Addr().BitLen())},
			Gw:  via.AsSlice(),
		})
	})
	if err != nil {
		return fmt.Errorf("route %v via %v in %s: %w", dst, via, n.name, err)
	}
	return nil
}

func (n *Namespace) onLink(name, verb string, f func(netlink.Link) error) error {
	err := n.Run(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return f(link)
	})
	if err != nil {
		return fmt.Errorf("%s %s in %s: %w", verb, name, n.name, err)
	}
	return nil
}
