// Package kernel reads the tunnels and sessions of the kernel's own L2TP subsystem, in the network
// namespace of the caller, by generic netlink (family "l2tp"). It changes nothing.
package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"xwire/config/importer"
	"xwire/config/ipl2tp"
	"xwire/l2tp"
)

// Numbers of include/uapi/linux/l2tp.h.
const (
	tunnelGet  = 4
	sessionGet = 8

	attrPWType         = 1
	attrEncap          = 2
	attrVersion        = 7
	attrInterface      = 8
	attrTunnelID       = 9
	attrPeerTunnelID   = 10
	attrSessionID      = 11
	attrPeerSessionID  = 12
	attrUDPChecksum    = 13
	attrCookie         = 15
	attrPeerCookie     = 16
	attrRecvSeq        = 18
	attrSendSeq        = 19
	attrReorderTimeout = 22
	attrLocal4         = 24
	attrPeer4          = 25
	attrLocalPort      = 26
	attrPeerPort       = 27
	attrLocal6         = 31
	attrPeer6          = 32
	attrZeroChecksumTx = 33
	attrZeroChecksumRx = 34
)

// Read lists what the kernel has. A kernel without the subsystem, or that has not loaded it, has
// nothing.
func Read() ([]importer.KernelTunnel, []importer.KernelSession, error) {
	family, err := netlink.GenlFamilyGet("l2tp")
	if errors.Is(err, unix.ENOENT) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("ask for the kernel's L2TP: %w", err)
	}
	var tunnels []importer.KernelTunnel
	err = dump(family.ID, tunnelGet, func(a attributes) { tunnels = append(tunnels, a.tunnel()) })
	if err != nil {
		return nil, nil, fmt.Errorf("list the kernel's L2TP tunnels (that needs CAP_NET_ADMIN): %w", err)
	}
	var sessions []importer.KernelSession
	err = dump(family.ID, sessionGet, func(a attributes) { sessions = append(sessions, a.session()) })
	if err != nil {
		return nil, nil, fmt.Errorf("list the kernel's L2TP sessions: %w", err)
	}
	if len(sessions) == 0 {
		return tunnels, nil, nil
	}
	links, err := netlink.LinkList()
	if err != nil {
		return nil, nil, fmt.Errorf("list the sessions' interfaces: %w", err)
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, nil, fmt.Errorf("list the sessions' addresses: %w", err)
	}
	surround(sessions, links, addrs)
	return tunnels, sessions, nil
}

// surround tells of each session what its interface has and is in. It may be in another namespace.
func surround(sessions []importer.KernelSession, links []netlink.Link, addrs []netlink.Addr) {
	byName := map[string]*importer.KernelSession{}
	for i := range sessions {
		byName[sessions[i].Interface] = &sessions[i]
	}
	link := map[int]netlink.Link{}
	byIndex := map[int]*importer.KernelSession{}
	for _, l := range links {
		a := l.Attrs()
		link[a.Index] = l
		if s := byName[a.Name]; s != nil {
			s.MTU = a.MTU
			byIndex[a.Index] = s
		}
	}
	for _, l := range links {
		a := l.Attrs()
		if s := byIndex[a.Index]; s != nil && a.MasterIndex != 0 {
			what := "master of index " + strconv.Itoa(a.MasterIndex)
			if master := link[a.MasterIndex]; master != nil {
				what = master.Type() + " " + master.Attrs().Name
			}
			s.Stands = append(s.Stands, what)
		}
		if s := byIndex[a.ParentIndex]; s != nil && a.NetNsID < 0 {
			s.Stands = append(s.Stands, l.Type()+" "+a.Name+" on it")
		}
	}
	for _, a := range addrs {
		if s := byIndex[a.LinkIndex]; s != nil && !a.IP.IsLinkLocalUnicast() {
			s.Stands = append(s.Stands, "address "+a.IPNet.String())
		}
	}
}

// attributes are those of one message, by number.
type attributes map[uint16]syscall.NetlinkRouteAttr

func dump(family uint16, command uint8, visit func(attributes)) error {
	req := nl.NewNetlinkRequest(int(family), unix.NLM_F_DUMP)
	req.AddData(&nl.Genlmsg{Command: command, Version: 1})
	messages, err := req.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return err
	}
	for _, m := range messages {
		if len(m) < nl.SizeofGenlmsg {
			continue
		}
		attrs, err := nl.ParseRouteAttrAsMap(m[nl.SizeofGenlmsg:])
		if err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		visit(attrs)
	}
	return nil
}

// has tells whether the attribute is there: the kernel's flags have no value.
func (a attributes) has(n uint16) bool { _, ok := a[n]; return ok }

func (a attributes) u8(n uint16) uint8 {
	if v := a[n].Value; len(v) >= 1 {
		return v[0]
	}
	return 0
}

func (a attributes) u16(n uint16) uint16 {
	if v := a[n].Value; len(v) >= 2 {
		return nl.NativeEndian().Uint16(v)
	}
	return 0
}

func (a attributes) u32(n uint16) uint32 {
	if v := a[n].Value; len(v) >= 4 {
		return nl.NativeEndian().Uint32(v)
	}
	return 0
}

func (a attributes) address(n4, n6 uint16) netip.Addr {
	for _, n := range []uint16{n4, n6} {
		if addr, ok := netip.AddrFromSlice(a[n].Value); ok {
			return addr
		}
	}
	return netip.Addr{}
}

// cookie of a length that is not ours is none.
func (a attributes) cookie(n uint16) l2tp.Cookie {
	c, _ := l2tp.NewCookie(a[n].Value)
	return c
}

func (a attributes) tunnel() importer.KernelTunnel {
	return importer.KernelTunnel{Version: a.u8(attrVersion), Tunnel: ipl2tp.Tunnel{
		ID: a.u32(attrTunnelID), PeerID: a.u32(attrPeerTunnelID), Encap: l2tp.Encap(a.u16(attrEncap)),
		Local: a.address(attrLocal4, attrLocal6), Remote: a.address(attrPeer4, attrPeer6),
		LocalPort: a.u16(attrLocalPort), RemotePort: a.u16(attrPeerPort), Checksum: a.u8(attrUDPChecksum) != 0,
		ChecksumTx: !a.has(attrZeroChecksumTx), ChecksumRx: !a.has(attrZeroChecksumRx),
	}}
}

func (a attributes) session() importer.KernelSession {
	s := importer.KernelSession{PWType: l2tp.PWType(a.u16(attrPWType)), Session: ipl2tp.Session{
		ID: a.u32(attrSessionID), PeerID: a.u32(attrPeerSessionID), TunnelID: a.u32(attrTunnelID), PeerTunnelID: a.u32(attrPeerTunnelID),
		Interface: unix.ByteSliceToString(a[attrInterface].Value), Cookie: a.cookie(attrCookie), PeerCookie: a.cookie(attrPeerCookie),
		SendSeq: a.u8(attrSendSeq) != 0, RecvSeq: a.u8(attrRecvSeq) != 0,
	}}
	if v := a[attrReorderTimeout].Value; len(v) >= 8 {
		s.ReorderTimeout = nl.NativeEndian().Uint64(v)
	}
	return s
}
