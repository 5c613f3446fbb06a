package veth

import (
	"context"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"xwire/bench/lab"
	"xwire/l2tp"
)

// kernelDevice is the network device of the kernel's own session.
const kernelDevice = "pw0"

// startKernelEncap bridges what comes in with a session of the kernel's own L2TP.
func startKernelEncap(_ context.Context, p *place) (running, error) {
	return inKernel{}, startKernelL2TP(p, p.out, sinkMAC, inName, kernelDevice)
}

// startKernelDecap bridges the session with the way out.
func startKernelDecap(_ context.Context, p *place) (running, error) {
	return inKernel{}, startKernelL2TP(p, p.in, generatorMAC, outName, outName)
}

// startKernelL2TP makes the box's end of the tunnel on a core interface towards a peer with that MAC,
// and a bridge of its session with an access interface; frames to the customer leave by towards.
func startKernelL2TP(p *place, core int, peerMAC l2tp.MAC, access, towards string) error {
	box, peer, _ := p.config.ends()
	bits := 24
	if box.Addr().Is6() {
		bits = 64
		if err := p.box.SetSysctl("net/ipv6/conf/all/disable_ipv6", "0"); err != nil {
			return err
		}
	}
	err := p.box.Run(func() error {
		link, err := netlink.LinkByIndex(core)
		if err != nil {
			return err
		}
		addr := netlink.Addr{IPNet: &net.IPNet{IP: box.Addr().AsSlice(), Mask: net.CIDRMask(bits, box.Addr().BitLen())}, Flags: unix.IFA_F_NODAD}
		if err := netlink.AddrAdd(link, &addr); err != nil {
			return fmt.Errorf("add %v: %w", box.Addr(), err)
		}
		neighbour := netlink.Neigh{LinkIndex: core, State: netlink.NUD_PERMANENT, IP: peer.Addr().AsSlice(), HardwareAddr: peerMAC[:]}
		return netlink.NeighSet(&neighbour)
	})
	if err != nil {
		return err
	}
	if err := p.box.AddKernelTunnel(lab.KernelTunnel{ID: 1, PeerID: 1, Local: box, Remote: peer, NoUDPChecksum: box.Addr().Is6() && box.Port() != 0}); err != nil {
		return fmt.Errorf("make a tunnel of the kernel's (module l2tp_eth, which the machine of --vm has): %w", err)
	}
	if err := p.box.AddKernelSession(lab.KernelSession{
		Tunnel: 1, ID: sessionID, PeerID: sessionID, Name: kernelDevice, TxCookie: cookie().Hex(), RxCookie: cookie().Hex(), Sublayer: "none", MTU: linkMTU - 100,
	}); err != nil {
		return err
	}
	return p.box.Run(func() error {
		bridge, err := addBridge()
		if err != nil {
			return err
		}
		for _, name := range []string{access, kernelDevice} {
			if err := join(bridge, name); err != nil {
				return err
			}
		}
		if err := gro(inName); err != nil {
			return err
		}
		link, err := netlink.LinkByName(towards)
		if err != nil {
			return err
		}
		return addForwarding(link.Attrs().Index, innerDst)
	})
}
