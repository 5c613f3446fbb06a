package host

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// InterfaceInfo is what an appliance asks about an interface. Only Name, Ifindex, MTU and Up are
// sure; what the driver does not tell is zero.
type InterfaceInfo struct {
	Name     string
	Ifindex  int
	Kind     string // of a virtual interface, as 'ip -d link' calls it: veth, vlan, bond
	Driver   string // as 'ethtool -i' calls it
	MAC      [6]byte
	MTU      int
	Up       bool // administratively
	Ethernet bool // its frames have an Ethernet header, and it is not the loopback
	VNetHdr  bool // a tap whose user may leave checksums and segments to us
	RxQueues int  // in use now
	TxQueues int
	NUMANode int    // -1: unknown, or it does not matter
	Speed    uint32 // Mbit/s
	Peer     Peer   // of a veth
}

// Peer is the other end of a veth.
type Peer struct {
	Name    string // empty: in another namespace
	Ifindex int    // in its own namespace; 0: this is no veth
	NetNsID int    // of that namespace as ours numbers it; -1: our own
}

// Info looks at an interface by name.
func (h *Host) Info(name string) (InterfaceInfo, error) {
	l, err := h.links.LinkByName(name)
	if err != nil {
		return InterfaceInfo{}, fmt.Errorf("look up interface %s: %w", name, err)
	}
	return h.info(l)
}

// InfoByIndex looks at an interface by index.
func (h *Host) InfoByIndex(ifindex int) (InterfaceInfo, error) {
	l, err := h.links.LinkByIndex(ifindex)
	if err != nil {
		return InterfaceInfo{}, fmt.Errorf("look up interface %d: %w", ifindex, err)
	}
	return h.info(l)
}

func (h *Host) info(l netlink.Link) (InterfaceInfo, error) {
	a := l.Attrs()
	i := InterfaceInfo{
		Name: a.Name, Ifindex: a.Index, MTU: a.MTU, Up: a.Flags&net.FlagUp != 0, Ethernet: a.EncapType == "ether",
		RxQueues: a.NumRxQueues, TxQueues: a.NumTxQueues, NUMANode: -1,
	}
	copy(i.MAC[:], a.HardwareAddr)
	if kind := l.Type(); kind != "device" {
		i.Kind = kind
	}
	driver, bus, err := h.ethtool.driver(a.Name)
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return i, fmt.Errorf("ask %s for its driver: %w", a.Name, err)
	}
	i.Driver, i.NUMANode = driver, numaNode(bus)
	if c, err := h.ethtool.channels(a.Name); err == nil {
		i.RxQueues, i.TxQueues = int(c.rx+c.combined), int(c.tx+c.combined)
	}
	if tap, ok := l.(*netlink.Tuntap); ok {
		i.VNetHdr = tap.Flags&netlink.TUNTAP_VNET_HDR != 0
		i.RxQueues = max(tap.Queues, 1)
		i.TxQueues = i.RxQueues
	}
	i.Speed = h.ethtool.speed(a.Name)
	if i.Kind == "veth" {
		i.Peer = h.peer(a)
	}
	return i, nil
}

func (h *Host) peer(a *netlink.LinkAttrs) Peer {
	p := Peer{Ifindex: a.ParentIndex, NetNsID: a.NetNsID}
	if p.NetNsID < 0 {
		if l, err := h.links.LinkByIndex(p.Ifindex); err == nil {
			p.Name = l.Attrs().Name
		}
	}
	return p
}

// numaNode reads a hint from the bus, which is the same in every namespace.
func numaNode(bus string) int {
	if bus == "" {
		return -1
	}
	raw, err := os.ReadFile(filepath.Join("/sys/bus/pci/devices", filepath.Base(bus), "numa_node"))
	if err != nil {
		return -1
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return -1
	}
	return n
}
