package lab

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// KernelTunnel is a static L2TPv3 tunnel of the kernel's own implementation.
type KernelTunnel struct {
	ID, PeerID    uint32
	Local, Remote netip.AddrPort // port 0: encapsulation IP; else UDP
	UDPChecksum   bool           // over IPv4
	NoUDPChecksum bool           // over IPv6: neither sent nor wanted; else both
}

// AddKernelTunnel makes a tunnel by `ip l2tp`.
func (n *Namespace) AddKernelTunnel(t KernelTunnel) error {
	args := []string{"l2tp", "add", "tunnel", "tunnel_id", id(t.ID), "peer_tunnel_id", id(t.PeerID),
		"local", t.Local.Addr().String(), "remote", t.Remote.Addr().String()}
	if t.Local.Port() == 0 {
		args = append(args, "encap", "ip")
	} else {
		args = append(args, "encap", "udp", "udp_sport", id(uint32(t.Local.Port())), "udp_dport", id(uint32(t.Remote.Port())))
		if t.UDPChecksum {
			args = append(args, "udp_csum", "on")
		}
		if t.NoUDPChecksum {
			args = append(args, "udp6_csum_tx", "off", "udp6_csum_rx", "off")
		}
	}
	_, err := n.Command("ip", args...)
	return err
}

// KernelSession is a session of a KernelTunnel and its network device.
type KernelSession struct {
	Tunnel, ID, PeerID uint32
	Name               string // of the device
	TxCookie, RxCookie string // hexadecimal; the kernel's "cookie" and "peer_cookie"
	Sublayer           string // "none" or "default"
	Seq                string // "send", "recv", "both"; empty: "none"
	MTU                int
	Addrs              []netip.Prefix
}

// AddKernelSession makes a session by `ip l2tp` and brings its device up.
func (n *Namespace) AddKernelSession(s KernelSession) error {
	args := []string{"l2tp", "add", "session", "name", s.Name, "tunnel_id", id(s.Tunnel),
		"session_id", id(s.ID), "peer_session_id", id(s.PeerID), "l2spec_type", s.Sublayer}
	if s.TxCookie != "" {
		args = append(args, "cookie", s.TxCookie)
	}
	if s.RxCookie != "" {
		args = append(args, "peer_cookie", s.RxCookie)
	}
	if s.Seq != "" {
		args = append(args, "seq", s.Seq)
	}
	if _, err := n.Command("ip", args...); err != nil {
		return err
	}
	return n.onLink(s.Name, "set up", func(link netlink.Link) error {
		if s.MTU != 0 {
			if err := netlink.LinkSetMTU(link, s.MTU); err != nil {
				return err
			}
		}
		if err := addAddrs(link, s.Addrs); err != nil {
			return err
		}
		return netlink.LinkSetUp(link)
	})
}

func id(v uint32) string { return strconv.FormatUint(uint64(v), 10) }

// KernelStats are a session's counters under the kernel's names.
type KernelStats struct {
	TxPackets, TxBytes, TxErrors          uint64
	RxPackets, RxBytes                    uint64
	RxSeqDiscards, RxOOSPackets, RxErrors uint64
	RxCookieDiscards, RxInvalid           uint64
}

// Numbers of include/uapi/linux/l2tp.h.
const (
	l2tpSessionGet  = 8
	l2tpConnID      = 9
	l2tpSessionID   = 11
	l2tpStats       = 30
	l2tpStatsFields = 11
)

// KernelStats reads the counters of a session, which `ip l2tp` does not print.
func (n *Namespace) KernelStats(tunnel, session uint32) (s KernelStats, err error) {
	err = n.Run(func() error {
		family, err := netlink.GenlFamilyGet("l2tp")
		if err != nil {
			return err
		}
		req := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_ACK)
		req.AddData(&nl.Genlmsg{Command: l2tpSessionGet, Version: 1})
		req.AddData(nl.NewRtAttr(l2tpConnID, nl.Uint32Attr(tunnel)))
		req.AddData(nl.NewRtAttr(l2tpSessionID, nl.Uint32Attr(session)))
		messages, err := req.Execute(unix.NETLINK_GENERIC, 0)
		if err != nil {
			return err
		}
		for _, m := range messages {
			attrs, err := nl.ParseRouteAttrAsMap(m[nl.SizeofGenlmsg:])
			if err != nil {
				return err
			}
			stats, err := nl.ParseRouteAttrAsMap(attrs[l2tpStats].Value)
			if err != nil {
				return err
			}
			for i, field := range [l2tpStatsFields + 1]*uint64{
				1: &s.TxPackets, 2: &s.TxBytes, 3: &s.TxErrors, 4: &s.RxPackets, 5: &s.RxBytes,
				6: &s.RxSeqDiscards, 7: &s.RxOOSPackets, 8: &s.RxErrors, 10: &s.RxCookieDiscards, 11: &s.RxInvalid,
			} {
				if v := stats[uint16(i)].Value; field != nil && len(v) == 8 {
					*field = nl.NativeEndian().Uint64(v)
				}
			}
		}
		return nil
	})
	if err != nil {
		return s, fmt.Errorf("read counters of session %d in %s: %w", session, n.name, err)
	}
	return s, nil
}
