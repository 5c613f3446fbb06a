package veth

import (
	"context"
	"fmt"
	"net"

	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"xwire/bench/traffic"
	"xwire/l2tp"
)

// inKernel is a path that the kernel carries; it goes with its namespace.
type inKernel struct{ always }

func (inKernel) mode() string { return "kernel" }
func (inKernel) close() error { return nil }

func startBridge(_ context.Context, p *place) (running, error) {
	err := p.box.Run(func() error {
		bridge, err := addBridge()
		if err != nil {
			return err
		}
		for _, name := range []string{inName, outName} {
			if err := join(bridge, name); err != nil {
				return err
			}
		}
		// Frames that are sent by redirection are received by NAPI only, which a veth runs for GRO.
		if err := gro(inName); err != nil {
			return err
		}
		return addForwarding(p.out, innerDst)
	})
	return inKernel{}, err
}

const (
	vxlanID   = 42
	vxlanPort = 4789
)

// vxlanPushed is Ethernet, IPv4, UDP and VXLAN.
func vxlanPushed(Config) int { return 14 + 20 + 8 + 8 }

func startVXLAN(_ context.Context, p *place) (running, error) {
	err := p.box.Run(func() error {
		bridge, err := addBridge()
		if err != nil {
			return err
		}
		out, err := netlink.LinkByIndex(p.out)
		if err != nil {
			return err
		}
		local, remote := net.IPv4(192, 0, 2, 1), net.IPv4(192, 0, 2, 2)
		if err := netlink.AddrAdd(out, &netlink.Addr{IPNet: &net.IPNet{IP: local, Mask: net.CIDRMask(24, 32)}}); err != nil {
			return err
		}
		neighbour := netlink.Neigh{LinkIndex: p.out, State: netlink.NUD_PERMANENT, IP: remote, HardwareAddr: sinkMAC[:]}
		if err := netlink.NeighSet(&neighbour); err != nil {
			return err
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = "vx0", linkMTU-50
		vxlan := &netlink.Vxlan{LinkAttrs: attrs, VxlanId: vxlanID, SrcAddr: local, Group: remote, Port: vxlanPort,
			VtepDevIndex: p.out, Learning: false, UDPCSum: false}
		if err := netlink.LinkAdd(vxlan); err != nil {
			return fmt.Errorf("make a VXLAN device: %w", err)
		}
		link, err := netlink.LinkByName("vx0")
		if err != nil {
			return err
		}
		for _, name := range []string{inName, "vx0"} {
			if err := join(bridge, name); err != nil {
				return err
			}
		}
		if err := gro(inName); err != nil {
			return err
		}
		return addForwarding(link.Attrs().Index, innerDst)
	})
	return inKernel{}, err
}

// addBridge makes a bridge that learns nothing of its own.
func addBridge() (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "br0"
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		return nil, fmt.Errorf("make a bridge: %w", err)
	}
	bridge, err := netlink.LinkByName("br0")
	if err != nil {
		return nil, err
	}
	return bridge, netlink.LinkSetUp(bridge)
}

func join(bridge netlink.Link, name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetMaster(link, bridge); err != nil {
		return fmt.Errorf("add %s to the bridge: %w", name, err)
	}
	if err := netlink.LinkSetLearning(link, false); err != nil {
		return fmt.Errorf("turn learning of %s off: %w", name, err)
	}
	return netlink.LinkSetUp(link)
}

// addForwarding has the bridge send frames to an address by a port.
func addForwarding(port int, mac l2tp.MAC) error {
	err := netlink.NeighAppend(&netlink.Neigh{LinkIndex: port, Family: unix.AF_BRIDGE, Flags: netlink.NTF_MASTER,
		State: netlink.NUD_NOARP, HardwareAddr: mac[:]}) // permanent would mean the bridge itself
	if err != nil {
		return fmt.Errorf("add a static forwarding entry: %w", err)
	}
	return nil
}

// gro turns GRO of an interface of the calling thread's namespace on.
func gro(name string) error {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return fmt.Errorf("open ethtool: %w", err)
	}
	defer e.Close()
	if err := e.Change(name, map[string]bool{"rx-gro": true}); err != nil {
		return fmt.Errorf("turn GRO of %s on: %w", name, err)
	}
	return nil
}

// inDriver is the redirection within the driver.
type inDriver struct {
	always
	redirect *traffic.Redirect
}

func (d *inDriver) mode() string { return "native XDP" }
func (d *inDriver) close() error { return d.redirect.Close() }

func startRedirect(_ context.Context, p *place) (running, error) {
	d := &inDriver{}
	err := p.box.Run(func() (err error) {
		d.redirect, err = traffic.AttachRedirect(p.in, p.out)
		return err
	})
	return d, err
}
