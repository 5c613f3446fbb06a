package lab

import (
	"fmt"
	"net/netip"
	"strings"
)

// Pseudowire is a tunnel with one session as xwire's configuration has it.
type Pseudowire struct {
	Name               string         // of tunnel and session
	Local, Peer        netip.AddrPort // port 0: encapsulation IP; else UDP
	TID, PTID          uint32
	SID, PSID          uint32
	TxCookie, RxCookie string // hexadecimal; empty: none
	Sublayer           string // "none" or "default"
	Attach, VLAN       string
	PWVLAN             string // empty: the default
	Keys               string // further lines of the session's table
}

// TOML is the pseudowire's part of a configuration.
func (p Pseudowire) TOML() string {
	var b strings.Builder
	encap, local, peer := "ip", p.Local.Addr().String(), p.Peer.Addr().String()
	if p.Local.Port() != 0 {
		encap, local, peer = "udp", p.Local.String(), p.Peer.String()
	}
	fmt.Fprintf(&b, "[tunnel.%s]\nversion = \"l2tpv3\"\nencap = %q\nlocal = %q\npeer = %q\ntid = %d\nptid = %d\n",
		p.Name, encap, local, peer, p.TID, p.PTID)
	fmt.Fprintf(&b, "[tunnel.%s.session.%s]\npseudowire = \"eth\"\nsid = %d\npsid = %d\nl2spec_type = %q\n",
		p.Name, p.Name, p.SID, p.PSID, p.Sublayer)
	for _, k := range [...]struct{ key, value string }{
		{"tx_cookie", p.TxCookie}, {"rx_cookie", p.RxCookie},
		{"attach", p.Attach}, {"vlan", p.VLAN}, {"pw_vlan", p.PWVLAN},
	} {
		if k.value != "" {
			fmt.Fprintf(&b, "%s = %q\n", k.key, k.value)
		}
	}
	b.WriteString(p.Keys)
	return b.String()
}

// KernelPeer is the other end of the pseudowire in the kernel's words: what the
// one sends is what the other accepts.
func (p Pseudowire) KernelPeer(device string, mtu int, addrs ...netip.Prefix) (KernelTunnel, KernelSession) {
	t := KernelTunnel{ID: p.PTID, PeerID: p.TID, Local: p.Peer, Remote: p.Local}
	s := KernelSession{Tunnel: p.PTID, ID: p.PSID, PeerID: p.SID, Name: device,
		TxCookie: p.RxCookie, RxCookie: p.TxCookie, Sublayer: p.Sublayer, MTU: mtu, Addrs: addrs}
	return t, s
}

// AddKernelPeer makes the other end of the pseudowire in the namespace.
func (n *Namespace) AddKernelPeer(p Pseudowire, device string, mtu int, addrs ...netip.Prefix) error {
	t, s := p.KernelPeer(device, mtu, addrs...)
	if err := n.AddKernelTunnel(t); err != nil {
		return err
	}
	return n.AddKernelSession(s)
}
