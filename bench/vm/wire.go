package vm

import (
	"cmp"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"

	"xwire/bench/lab"
)

// Model is an emulated network card.
type Model string

// Models whose Linux drivers bind AF_XDP sockets without copies.
const (
	IGB    Model = "igb"        // Intel 82576; queues follow the guest's CPUs
	Virtio Model = "virtio-net" // with the DMA API, which zero copy needs
)

// Wire is two cards of the guest joined by a cable. The guest tells its ends by
// their addresses.
type Wire struct {
	Model  Model
	Queues int // of virtio; 0: 1
	Ends   [2]net.HardwareAddr
}

// WireMAC is the usual address of an end of a wire, locally administered.
func WireMAC(wire, end int) net.HardwareAddr {
	return net.HardwareAddr{0x52, 0x54, 0, 0, byte(wire), byte(end)}
}

// NewWire gives wire number n its usual addresses.
func NewWire(n int, model Model, queues int) Wire {
	return Wire{Model: model, Queues: queues, Ends: [2]net.HardwareAddr{WireMAC(n, 0), WireMAC(n, 1)}}
}

// wireDevices are QEMU's arguments. Emulated hubs have one queue a card, so
// virtio cards stand on multi-queue taps over a bridge of the emulator's own
// namespace.
func wireDevices(ns *lab.Namespace, wires []Wire) ([]string, error) {
	var args []string
	for w, wire := range wires {
		if wire.Model == Virtio {
			if err := ns.Run(func() error { return tapWire(w, wire) }); err != nil {
				return nil, fmt.Errorf("lay wire %d: %w", w, err)
			}
		}
		for e, mac := range wire.Ends {
			id := fmt.Sprintf("w%de%d", w, e)
			switch wire.Model {
			case IGB:
				args = append(args,
					"-device", fmt.Sprintf("pcie-root-port,id=port-%s,chassis=%d", id, 1+2*w+e),
					"-netdev", fmt.Sprintf("hubport,id=%s,hubid=%d", id, w+1),
					"-device", fmt.Sprintf("igb,bus=port-%s,netdev=%s,mac=%v,romfile=", id, id, mac))
			case Virtio:
				queues := cmp.Or(wire.Queues, 1)
				args = append(args,
					"-netdev", fmt.Sprintf("tap,id=%s,ifname=%s,script=no,downscript=no,vhost=off,queues=%d", id, id, queues),
					"-device", fmt.Sprintf("virtio-net-pci,netdev=%s,mac=%v,romfile=,iommu_platform=on,disable-legacy=on,mq=%s,vectors=%d",
						id, mac, onOff(queues > 1), 2*queues+2))
			default:
				return nil, fmt.Errorf("lay wire %d: unknown card %q", w, wire.Model)
			}
		}
	}
	return args, nil
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// tapWire makes two taps and a bridge that learns nothing, so that it is a
// cable: every frame goes to the other side.
func tapWire(w int, wire Wire) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = fmt.Sprintf("w%d", w)
	var ageing uint32
	snooping := false
	bridge := &netlink.Bridge{LinkAttrs: attrs, AgeingTime: &ageing, MulticastSnooping: &snooping}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("add bridge: %w", err)
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return fmt.Errorf("set bridge up: %w", err)
	}
	for e := range wire.Ends {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = fmt.Sprintf("w%de%d", w, e)
		tap := &netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP,
			Flags: netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR, Queues: cmp.Or(wire.Queues, 1)}
		if tap.Queues > 1 {
			tap.Flags |= netlink.TUNTAP_MULTI_QUEUE
		} else {
			tap.Flags |= netlink.TUNTAP_ONE_QUEUE
			tap.Queues = 0
		}
		if err := netlink.LinkAdd(tap); err != nil {
			return fmt.Errorf("add tap: %w", err)
		}
		for _, f := range tap.Fds {
			f.Close()
		}
		if err := netlink.LinkSetMTU(tap, 2000); err != nil {
			return fmt.Errorf("set tap's MTU: %w", err)
		}
		if err := netlink.LinkSetMaster(tap, bridge); err != nil {
			return fmt.Errorf("put tap into bridge: %w", err)
		}
		if err := netlink.LinkSetUp(tap); err != nil {
			return fmt.Errorf("set tap up: %w", err)
		}
	}
	return nil
}
