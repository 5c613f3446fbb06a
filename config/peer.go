package config

import (
	"fmt"
	"net/netip"
	"strings"

	"xwire/l2tp"
)

// PeerKind is a system whose commands for the other end of a tunnel are known.
type PeerKind string

const (
	PeerLinux    PeerKind = "linux"    // ip l2tp, iproute2
	PeerCisco    PeerKind = "cisco"    // IOS, xconnect ... manual
	PeerRouterOS PeerKind = "routeros" // MikroTik RouterOS 7
)

// comment is the system's comment mark, empty for a system that is not known.
func (k PeerKind) comment() string {
	switch k {
	case PeerLinux, PeerRouterOS:
		return "#"
	case PeerCisco:
		return "!"
	}
	return ""
}

// PeerCommands returns the commands for the other ends of all enabled tunnels, whose packets go through
// paths of the given MTU (outer IP header included).
func (c *Config) PeerCommands(kind PeerKind, coreMTU int, cookies bool) (string, error) {
	var all []string
	sockets := map[netip.AddrPort]string{} // of the peers, by the first tunnel that has them
	for i := range c.Tunnels {
		t := &c.Tunnels[i]
		if !t.Enabled {
			continue
		}
		text, err := c.peerCommands(t, kind, coreMTU, cookies)
		if err != nil {
			if kind.comment() == "" {
				return "", err
			}
			// A tunnel that such a peer cannot have does not hide the others.
			all = append(all, fmt.Sprintf("%s %v\n", kind.comment(), err))
			continue
		}
		if first, again := sockets[t.Peer]; !again {
			sockets[t.Peer] = t.Name
		} else if kind == PeerLinux && t.Encap == l2tp.EncapUDP {
			text = fmt.Sprintf("# The kernel does not let tunnels %s and %s share %s: give one of them another port, or put their sessions into one.\n", first, t.Name, t.Peer) + text
		}
		all = append(all, text)
	}
	return strings.Join(all, "\n"), nil
}

// peerCommands returns the commands that set up the other end of a tunnel, with everything seen
// from there: our peer address is its local one, what we send is what it expects. Cookies are in
// them only if asked for.
func (c *Config) peerCommands(t *Tunnel, kind PeerKind, coreMTU int, cookies bool) (string, error) {
	if t.Version == 2 && kind.comment() != "" {
		return "", fmt.Errorf("tunnel %q: no commands are known for the other end of a static L2TPv2 tunnel", t.Name)
	}
	p := peer{c: c, t: t, coreMTU: coreMTU, show: cookies}
	switch kind {
	case PeerLinux:
		p.linux()
	case PeerCisco:
		if t.Encap != l2tp.EncapIP {
			return "", fmt.Errorf(`tunnel %q: Cisco carries static L2TPv3 over IP protocol 115 only; use encap = "ip"`, t.Name)
		}
		if t.IP6() {
			return "", fmt.Errorf("tunnel %q: no Cisco commands are known for an IPv6 tunnel", t.Name)
		}
		p.cisco()
	case PeerRouterOS:
		if t.Keyed {
			return "", fmt.Errorf("tunnel %q: no RouterOS commands are known for a keyed tunnel", t.Name)
		}
		p.routeros()
	default:
		known := []string{string(PeerLinux), string(PeerCisco), string(PeerRouterOS)}
		return "", fmt.Errorf("peer %q is not known; use %s%s", string(kind), orList(known), suggest(string(kind), known))
	}
	return p.b.String(), nil
}

// peer writes the commands for one tunnel.
type peer struct {
	b       strings.Builder
	c       *Config
	t       *Tunnel
	coreMTU int // of the path
	show    bool
}

func (p *peer) printf(format string, args ...any) { fmt.Fprintf(&p.b, format, args...) }

// cookie is what stands in a command for a cookie.
func (p *peer) cookie(c l2tp.Cookie) string {
	if p.show {
		return c.Hex()
	}
	return fmt.Sprintf("HIDDEN-%d-BYTES", c.Len())
}

func (p *peer) enabled() []*Session {
	var list []*Session
	for i := range p.t.Sessions {
		if s := &p.t.Sessions[i]; s.Enabled && !s.PPP() {
			list = append(list, &p.t.Sessions[i])
		}
	}
	return list
}

// header tells what a reader must know before the commands, behind the system's comment mark.
func (p *peer) header(mark, system string) {
	p.printf("%s %s, the peer of tunnel %s\n", mark, system, p.t.Name)
	for i := range p.t.Sessions {
		if s := &p.t.Sessions[i]; s.Enabled && s.PPP() {
			p.printf("%s Session %s carries PPP, for which no commands are known.\n", mark, s.Name)
		}
	}
	if p.show {
		return
	}
	for _, s := range p.enabled() {
		if s.TxCookie.Len()+s.RxCookies[0].Len() > 0 {
			p.printf("%s Cookies are left out; ask for them to be shown.\n", mark)
			return
		}
	}
}

// tagged tells a peer whose pseudowires know no VLANs which tags it will see.
func (p *peer) tagged(s *Session) []string {
	switch {
	case s.PWVLAN.Kind == PWVID:
		return []string{fmt.Sprintf("Its frames carry VLAN tag %d.", s.PWVLAN.VID)}
	case s.PWVLAN.Kind == PWNone || s.Local() || s.Switched():
		return nil
	case s.VLAN.Kind == VLANSingle:
		return []string{fmt.Sprintf("Its frames carry VLAN tag %d.", s.VLAN.Lo)}
	case s.VLAN.Kind == VLANRange:
		return []string{fmt.Sprintf("Its frames carry VLAN tags %d to %d.", s.VLAN.Lo, s.VLAN.Hi)}
	case s.VLAN.Kind == VLANQinQ:
		return []string{fmt.Sprintf("Its frames carry S-VLAN tag %d and C-VLAN tag %d.", s.VLAN.Lo, s.VLAN.C)}
	}
	return nil
}

// cisco writes IOS configuration. There a local cookie is the one that received packets must have,
// which is ours to send; values are given as 32-bit words, the low one first.
func (p *peer) cisco() {
	t := p.t
	class := "xwire-" + plainName(t.Name)
	p.header("!", "Cisco IOS")
	p.printf("! The loopback must have the address %s; put each xconnect under its attachment circuit.\n", t.Peer.Addr())
	classes := map[string]bool{}
	for _, s := range p.enabled() {
		seq := s.Sequence.cisco()
		if name := class + seq; !classes[name] {
			classes[name] = true
			p.printf("pseudowire-class %s\n encapsulation l2tpv3\n protocol none\n ip local interface Loopback0\n", name)
			if seq != "" {
				p.printf(" sequencing %s\n", seq[1:])
			}
		}
	}
	for _, s := range p.enabled() {
		seq := s.Sequence.cisco()
		p.printf("!\n! session %s\n", s.Name)
		if s.L2Spec == l2tp.SublayerDefault && seq == "" {
			p.printf("! Cisco sends no sublayer unless sequencing is on; l2spec_type = \"none\" here is what fits.\n")
		}
		p.printf("interface <attachment circuit of %s>\n", s.Name)
		for _, l := range p.tagged(s) {
			p.printf(" ! %s\n", l)
		}
		p.printf(" xconnect %s %d encapsulation l2tpv3 manual pw-class %s\n", t.Local.Addr(), s.SID, class+seq)
		p.printf("  l2tp id %d %d\n", s.PSID, s.SID)
		p.ciscoCookie("local", s.TxCookie)
		p.ciscoCookie("remote", s.RxCookies[0])
	}
}

func (p *peer) ciscoCookie(side string, c l2tp.Cookie) {
	b := c.Bytes()
	switch {
	case len(b) == 0:
	case !p.show:
		p.printf("  l2tp cookie %s %d HIDDEN\n", side, len(b))
	case len(b) == 4:
		p.printf("  l2tp cookie %s 4 0x%x\n", side, b)
	default:
		p.printf("  l2tp cookie %s 8 0x%x 0x%x\n", side, b[4:], b[:4])
	}
}

// routeros writes one interface a session.
func (p *peer) routeros() {
	t := p.t
	p.header("#", "MikroTik RouterOS 7")
	proto := "l2tpv3-udp"
	if t.Encap == l2tp.EncapIP {
		proto = "l2tpv3-ip"
	} else if t.Local.Port() != defaultTunnelPort || t.Peer.Port() != defaultTunnelPort {
		p.printf("# RouterOS has no key for UDP ports: this tunnel's %d and %d will not fit, use %d.\n", t.Local.Port(), t.Peer.Port(), defaultTunnelPort)
	}
	for _, s := range p.enabled() {
		p.printf("\n# session %s\n", s.Name)
		for _, l := range p.tagged(s) {
			p.printf("# %s\n", l)
		}
		p.printf("/interface l2tp-ether add name=%s connect-to=%s local-address=%s l2tp-proto-version=%s unmanaged-mode=yes", plainName(t.Name+"-"+s.Name), t.Local.Addr(), t.Peer.Addr(), proto)
		p.printf(" local-tunnel-id=%d remote-tunnel-id=%d local-session-id=%d remote-session-id=%d", t.PTID, t.TID, s.PSID, s.SID)
		if s.RxCookieCount > 0 {
			p.printf(" send-cookie=%s", p.cookie(s.RxCookies[0]))
		}
		if s.TxCookie.Len() > 0 {
			p.printf(" peer-cookie=%s", p.cookie(s.TxCookie))
		}
		sublayer := "no"
		if s.L2Spec == l2tp.SublayerDefault {
			sublayer = "yes"
		}
		p.printf(" use-l2-specific-sublayer=%s disabled=no\n", sublayer)
	}
}

// plainName turns a name into one that needs no quotes anywhere.
func plainName(s string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x80 && isBare(byte(c)) {
			return c
		}
		return '-'
	}, s)
}
