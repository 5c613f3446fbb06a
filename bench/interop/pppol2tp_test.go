package interop

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The kernel's static tunnels of L2TPv2 and sessions with PPP are beyond `ip l2tp`: what follows makes
// them by netlink, with commands and attributes of linux/l2tp.h.
const (
	cmdTunnelCreate  = 1
	cmdSessionCreate = 5

	attrPWType        = 1
	attrEncap         = 2
	attrL2Spec        = 5
	attrVersion       = 7
	attrConnID        = 9
	attrPeerConnID    = 10
	attrSessionID     = 11
	attrPeerSessionID = 12
	attrCookie        = 15
	attrPeerCookie    = 16
	attrSendSeq       = 19
	attrLNSMode       = 20
	attrSource        = 24 // IPv6: 31
	attrDestination   = 25
	attrSourcePort    = 26
	attrDestPort      = 27
	attrSource6       = 31
	attrDestination6  = 32

	pwPPP = 7
)

// l2tpRequest sends a command of the generic netlink family l2tp in the present namespace.
func l2tpRequest(cmd uint8, attrs map[int][]byte) error {
	family, err := netlink.GenlFamilyGet("l2tp")
	if err != nil {
		return err
	}
	r := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_ACK)
	r.AddData(&nl.Genlmsg{Command: cmd, Version: 1})
	for typ, data := range attrs {
		r.AddData(nl.NewRtAttr(typ, data))
	}
	_, err = r.Execute(unix.NETLINK_GENERIC, 0)
	return err
}

func (c *pppCircuit) addTunnel() error {
	peer, local := c.addrs()
	attrs := map[int][]byte{
		attrConnID: nl.Uint32Attr(c.ptid()), attrPeerConnID: nl.Uint32Attr(c.tid()), attrVersion: nl.Uint8Attr(c.version),
		attrEncap: nl.Uint16Attr(0), attrSourcePort: nl.Uint16Attr(c.port()), attrDestPort: nl.Uint16Attr(1701),
	}
	if c.ip {
		attrs[attrEncap] = nl.Uint16Attr(1)
		delete(attrs, attrSourcePort)
		delete(attrs, attrDestPort)
	}
	if c.six {
		attrs[attrSource6], attrs[attrDestination6] = local.AsSlice(), peer.AsSlice()
	} else {
		attrs[attrSource], attrs[attrDestination] = local.AsSlice(), peer.AsSlice()
	}
	if err := l2tpRequest(cmdTunnelCreate, attrs); err != nil {
		return fmt.Errorf("create the kernel's tunnel %s: %w", c.name, err)
	}
	return nil
}

func (c *pppCircuit) addSession() error {
	attrs := map[int][]byte{
		attrConnID: nl.Uint32Attr(c.ptid()), attrSessionID: nl.Uint32Attr(c.psid()), attrPeerSessionID: nl.Uint32Attr(c.sid()),
		attrPWType: nl.Uint16Attr(pwPPP), attrL2Spec: nl.Uint8Attr(1),
	}
	if c.seq {
		attrs[attrSendSeq], attrs[attrLNSMode] = nl.Uint8Attr(1), nl.Uint8Attr(1)
	}
	if c.cookie > 0 {
		tx, rx := c.cookies()
		attrs[attrCookie], attrs[attrPeerCookie] = unhex(rx), unhex(tx)
	}
	if err := l2tpRequest(cmdSessionCreate, attrs); err != nil {
		return fmt.Errorf("create the kernel's session %s: %w", c.name, err)
	}
	return nil
}

// socket opens a socket of the kernel's session: linux/if_pppol2tp.h.
func (c *pppCircuit) socket() (*os.File, error) {
	const ol2tp = 1 // PX_PROTO_OL2TP
	fd, err := unix.Socket(unix.AF_PPPOX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, ol2tp)
	if err != nil {
		return nil, fmt.Errorf("open a PPPoL2TP socket: %w", err)
	}
	e := binary.NativeEndian
	a := e.AppendUint32(e.AppendUint16(nil, unix.AF_PPPOX), ol2tp)
	a = e.AppendUint32(a, 0)           // pid
	a = e.AppendUint32(a, ^uint32(0))  // of the tunnel's socket: the kernel's own
	a = append(a, make([]byte, 16)...) // address: the tunnel has it
	for _, id := range []uint32{c.ptid(), c.psid(), c.tid(), c.sid()} {
		if c.version == 2 {
			a = e.AppendUint16(a, uint16(id))
		} else {
			a = e.AppendUint32(a, id)
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&a[0])), uintptr(len(a))); errno != 0 {
		unix.Close(fd)
		return nil, fmt.Errorf("connect a PPPoL2TP socket to %s: %w", c.name, errno)
	}
	return os.NewFile(uintptr(fd), "pppol2tp"), nil
}
