package stream

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"xwire/bench/traffic"
	"xwire/config"
	"xwire/l2tp"
)

// Side is where frames enter or leave the box.
type Side string

// The sides.
const (
	Access Side = "ac"   // the attachment circuit: customers' frames with the session's tags
	Core   Side = "core" // the packet network: L2TPv3 packets, as the peer sends and receives them
)

// lane is one session as a frame on one side shows it.
type lane struct {
	name  string
	tags  []l2tp.Tag     // of the inner frame
	outer *traffic.Outer // nil on the access side
}

// Plan is the sessions of a stream. Source and sink count them alike: both read the same
// configuration, or one that has the same sessions in the same order.
type Plan struct {
	side  Side
	lanes []lane
	byID  map[uint32]int    // core: session id to lane
	byTag map[[2]uint16]int // access: tags to lane
}

// MACs are the addresses of the Ethernet header; on the access side the customers'.
type MACs struct{ Src, Dst l2tp.MAC }

// PlainPlan is one flow of untagged frames, for a path without L2TP.
func PlainPlan() *Plan { return &Plan{side: Access, lanes: []lane{{name: "plain"}}} }

// NewPlan takes the enabled sessions of a configuration, or those named as tunnel/session. send:
// frames go towards the box; else they come from it.
func NewPlan(cfg *config.Config, side Side, send bool, macs MACs, names ...string) (*Plan, error) {
	if side != Access && side != Core {
		return nil, fmt.Errorf("side %q: not ac or core", side)
	}
	p := &Plan{side: side, byID: map[uint32]int{}, byTag: map[[2]uint16]int{}}
	for i := range cfg.Tunnels {
		t := &cfg.Tunnels[i]
		for j := range t.Sessions {
			s := &t.Sessions[j]
			l := lane{name: t.Name + "/" + s.Name}
			if !t.Enabled || !s.Enabled || len(names) > 0 && !slices.Contains(names, l.name) || side == Access && s.Local() {
				continue
			}
			if side == Access {
				l.tags = accessTags(s, cfg.Port(s.Attach))
				if _, there := p.byTag[tagKey(l.tags)]; !there {
					p.byTag[tagKey(l.tags)] = len(p.lanes)
				}
			} else {
				l.tags = innerTags(s, cfg.Port(s.Attach))
				l.outer = outer(t, s, send, macs)
				p.byID[l.outer.SessionID] = len(p.lanes)
			}
			p.lanes = append(p.lanes, l)
		}
	}
	if len(p.lanes) == 0 {
		return nil, fmt.Errorf("the configuration has no enabled session that is wanted on the %s side", side)
	}
	return p, nil
}

// Sessions is how many there are.
func (p *Plan) Sessions() int { return len(p.lanes) }

// accessTags are those of a frame that the session takes from its port.
func accessTags(s *config.Session, port *config.Port) []l2tp.Tag {
	outer := uint16(l2tp.TPIDS)
	if port != nil && port.QinQTPID != 0 {
		outer = port.QinQTPID
	}
	switch s.VLAN.Kind {
	case config.VLANSingle, config.VLANRange:
		return []l2tp.Tag{{TPID: l2tp.TPIDC, TCI: s.VLAN.Lo}}
	case config.VLANQinQ:
		return []l2tp.Tag{{TPID: outer, TCI: s.VLAN.Lo}, {TPID: l2tp.TPIDC, TCI: s.VLAN.C}}
	}
	return nil
}

// innerTags are those of the same frame inside the pseudowire.
func innerTags(s *config.Session, port *config.Port) []l2tp.Tag {
	switch s.PWVLAN.Kind {
	case config.PWNone:
		return nil
	case config.PWVID:
		return []l2tp.Tag{{TPID: l2tp.TPIDC, TCI: s.PWVLAN.VID}}
	}
	return accessTags(s, port)
}

// outer is the packet's header: towards the box what it accepts, from the box what it sends.
func outer(t *config.Tunnel, s *config.Session, send bool, macs MACs) *traffic.Outer {
	local, peer := t.Local, t.Peer
	checksum := t.UDPChecksum
	if t.IP6() {
		checksum = t.UDP6ChecksumTx || !t.UDP6ZeroChecksumRx
	}
	if t.Encap == l2tp.EncapIP {
		local, peer = netip.AddrPortFrom(local.Addr(), 0), netip.AddrPortFrom(peer.Addr(), 0)
	}
	o := &traffic.Outer{Src: macs.Src, Dst: macs.Dst, Local: peer, Peer: local, SessionID: s.SID, Sublayer: s.L2Spec, Checksum: checksum}
	if s.RxCookieCount > 0 {
		o.Cookie = s.RxCookies[0]
	}
	if !send {
		o.Local, o.Peer, o.SessionID, o.Cookie = local, peer, s.PSID, s.TxCookie
	}
	return o
}

func tagKey(tags []l2tp.Tag) (k [2]uint16) {
	for i, t := range tags[:min(len(tags), 2)] {
		k[i] = t.VID()
	}
	return k
}

// innerHeader is the customer's Ethernet header: a flow has a source address of its own.
func (l *lane) innerHeader(b []byte, macs MACs, flow uint16) []byte {
	if l.outer != nil {
		macs = MACs{Src: l2tp.MAC{2, 0, 0, 1, 0, 1}, Dst: l2tp.MAC{2, 0, 0, 1, 0, 2}}
	}
	binary.BigEndian.PutUint16(macs.Src[4:], flow)
	b = traffic.AppendEthernet(b, macs.Dst, macs.Src, l.tags)
	return binary.BigEndian.AppendUint16(b, traffic.EtherTypeTest)
}
