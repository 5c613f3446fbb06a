package config

import (
	"cmp"
	"fmt"
	"strings"

	"xwire/l2tp"
)

// linux writes `ip l2tp` commands. iproute2 calls what is sent cookie and what is expected
// peer_cookie, and means the 4-byte sublayer unless told, so l2spec_type is always said.
func (p *peer) linux() {
	t := p.t
	p.header("#", "Linux")
	if t.Keyed {
		p.printf("# The kernel knows no keyed tunnels: any ids that it has not elsewhere will do in place of these.\n")
	}
	p.printf("modprobe -a %s\n", strings.Join(p.modules(), " "))
	p.printf("ip l2tp add tunnel tunnel_id %d peer_tunnel_id %d encap %s local %s remote %s", max(t.PTID, 1), max(t.TID, 1), t.Encap, t.Peer.Addr(), t.Local.Addr())
	if t.Encap == l2tp.EncapUDP {
		p.printf(" udp_sport %d udp_dport %d", t.Peer.Port(), t.Local.Port())
		switch {
		case t.IP6(): // we must take what it sends, and it what we send
			p.printf(" udp6_csum_tx on udp6_csum_rx %s", onOff(t.UDP6ChecksumTx))
		case t.UDPChecksum:
			p.printf(" udp_csum on")
		}
	}
	p.printf("\n")
	for _, s := range p.enabled() {
		p.linuxSession(s)
	}
}

// modules are what the commands need; not every kernel loads them by itself.
func (p *peer) modules() []string {
	list := []string{"l2tp_eth"}
	switch {
	case p.t.Encap != l2tp.EncapIP:
	case p.t.IP6():
		list = append(list, "l2tp_ip6")
	default:
		list = append(list, "l2tp_ip")
	}
	for _, s := range p.enabled() {
		if s.Tags() > 0 {
			return append(list, "8021q")
		}
	}
	return list
}

func (p *peer) linuxSession(s *Session) {
	name := InterfaceName(s.PSID)
	p.printf("\n# session %s\n", s.Name)
	for _, l := range s.linuxCannot() {
		p.printf("# %s\n", l)
	}
	p.printf("ip l2tp add session name %s tunnel_id %d session_id %d peer_session_id %d", name, max(p.t.PTID, 1), s.PSID, cmp.Or(s.SID, s.PSID))
	if s.RxCookieCount > 0 {
		p.printf(" cookie %s", p.cookie(s.RxCookies[0]))
	}
	if s.TxCookie.Len() > 0 {
		p.printf(" peer_cookie %s", p.cookie(s.TxCookie))
	}
	p.printf(" l2spec_type %s", s.L2Spec)
	if seq := s.Sequence.iproute2(); seq != "" {
		p.printf(" seq %s", seq)
	}
	p.printf("\n")
	mtu := p.mtu(s)
	p.up(name, mtu)
	for _, l := range p.tagged(s) {
		p.printf("# %s\n", l)
	}
	p.vlans(s, name, mtu)
}

// linuxCannot tells what of the session the kernel does not do, or not as it is meant.
func (s *Session) linuxCannot() (list []string) {
	if s.Oversize == OversizePW {
		list = append(list, `The kernel knows no fragments inside the pseudowire, and delivers ours as frames: use oversize = "fragment" in the file.`)
	}
	if s.Sequence.Require && !s.Sequence.Send {
		list = append(list, "The kernel ceases to number once a packet without a number comes: set send_seq = true in the file beside recv_seq.")
	}
	if s.Marking.FlowPort {
		list = append(list, `The kernel takes no source port but the one that it is told: leave source_port = "flow" out of the file.`)
	}
	return list
}

// mtu is that of the peer's interface: no packet that it takes is too large for the path in either
// direction.
func (p *peer) mtu(s *Session) int {
	if s.Local() && s.MTU != 0 {
		return int(s.MTU)
	}
	return l2tp.EthMTU(p.coreMTU, p.t.IP6(), p.t.Encap, max(s.TxCookie.Len(), s.RxCookies[0].Len()), s.L2Spec)
}

func (p *peer) up(name string, mtu int) {
	if mtu < 68 { // the least that an interface takes
		p.printf("# A core MTU of %d leaves %d bytes for a packet, too few for an interface.\n", p.coreMTU, mtu)
		p.printf("ip link set %s up\n", name)
		return
	}
	p.printf("ip link set %s mtu %d up\n", name, mtu)
}

// vlans writes the VLAN devices that take a session's tags off. The kernel does not count a tag in an
// interface's MTU, so each device has four bytes less than the one below it.
func (p *peer) vlans(s *Session, name string, mtu int) {
	var ids []uint16
	switch v := s.VLAN; {
	case s.Tags() == 0:
		return
	case s.PWVLAN.Kind == PWVID:
		ids = []uint16{s.PWVLAN.VID}
	case v.Kind == VLANQinQ:
		ids = []uint16{v.Lo, v.C}
	case v.Kind == VLANRange:
		dev := linuxVLANName(s.PSID, v.Lo)
		p.printf("# Each of them can have a device of its own, as here the first:\n")
		p.printf("# ip link add link %s name %s type vlan id %d\n# ip link set %s mtu %d up\n", name, dev, v.Lo, dev, mtu-l2tp.TagLen)
		return
	default:
		ids = []uint16{v.Lo}
	}
	for i, id := range ids {
		dev, protocol := linuxVLANName(s.PSID, ids[:i+1]...), ""
		if i < len(ids)-1 {
			protocol = p.serviceTag(s)
		}
		p.printf("ip link add link %s name %s type vlan%s id %d\n", name, dev, protocol, id)
		mtu -= l2tp.TagLen
		p.up(dev, mtu)
		name = dev
	}
	p.printf("# Addresses and bridges go to %s.\n", name)
}

// serviceTag is the argument for the EtherType of S-tags, which the port says.
func (p *peer) serviceTag(s *Session) string {
	port := p.c.Port(s.Attach)
	switch {
	case port == nil:
	case port.QinQTPID == 0x8100:
		return ""
	case port.QinQTPID == 0x9100:
		p.printf("# Linux has no VLAN device for EtherType 0x9100; set qinq_tpid = 0x88a8 on port %s.\n", port.Name)
	}
	return " protocol 802.1ad"
}

// linuxVLANName names a VLAN device after its session's interface and its tags, in hexadecimal where
// that is longer than the 15 bytes that the kernel takes.
func linuxVLANName(psid uint32, ids ...uint16) string {
	name, short := InterfaceName(psid), fmt.Sprintf("v%x", psid)
	for i, id := range ids {
		name += fmt.Sprintf(".%d", id)
		if short += "."; i > 0 {
			short = fmt.Sprintf("q%08x%03x", psid, ids[0])
		}
		short += fmt.Sprintf("%03x", id)
	}
	if len(name) > 15 {
		return short
	}
	return name
}
