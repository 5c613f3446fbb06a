package stream

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"xwire/bench/traffic"
	"xwire/config"
	"xwire/l2tp"
)

// Side is where frames enter or leave the box.
type Side string

// The sides.
const (
	Access Side = "ac"   // the attachment circuit: customers' frames with the session's tags, of PPP in its PPPoE session
	Core   Side = "core" // the packet network: L2TP packets, as the peer sends and receives them
)

// lane is one session as a frame on one side shows it.
type lane struct {
	name   string
	index  uint32         // of the session, alike on both sides
	ppp    bool           // else Ethernet
	pppoe  *pppoe         // of PPP on the access side
	tags   []l2tp.Tag     // of the inner frame
	popped int            // bytes of headers that the customer's frame has and the inner one has not; negative: the other way round
	outer  *traffic.Outer // nil on the access side
}

// Plan is the sessions of a stream. Source and sink count them alike: both read the same
// configuration, or one that has the same sessions in the same order.
type Plan struct {
	lanes []lane
	at    []int32 // by a session's index: its lane, or -1 if no frame of it is seen on this side
}

// MACs are the addresses of the Ethernet header; on the access side the customers'.
type MACs struct{ Src, Dst l2tp.MAC }

// PlainPlan is one flow of untagged frames, for a path without L2TP.
func PlainPlan() *Plan { return &Plan{lanes: []lane{{name: "plain"}}, at: []int32{0}} }

// NewPlan takes the enabled sessions of a configuration, or those named as tunnel/session. send: frames go towards the box; else they come from it.
func NewPlan(cfg *config.Config, side Side, send bool, macs MACs, names ...string) (*Plan, error) {
	if side != Access && side != Core {
		return nil, fmt.Errorf("side %q: not ac or core", side)
	}
	p := &Plan{}
	missing := slices.Clone(names)
	for i := range cfg.Tunnels {
		t := &cfg.Tunnels[i]
		for j := range t.Sessions {
			s := &t.Sessions[j]
			name := t.Name + "/" + s.Name
			named := slices.Contains(names, name)
			if !t.Enabled || !s.Enabled || len(names) > 0 && !named {
				continue
			}
			missing = slices.DeleteFunc(missing, func(m string) bool { return m == name })
			index, lane := uint32(len(p.at)), int32(-1)
			if side == Core || !s.Switched() && (named || !s.Local()) {
				lane = int32(len(p.lanes))
				p.lanes = append(p.lanes, newLane(cfg, t, s, index, side, send, macs))
			}
			p.at = append(p.at, lane)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("the configuration has no enabled session %s", strings.Join(missing, ", "))
	}
	if len(p.lanes) == 0 {
		return nil, fmt.Errorf("the configuration has no enabled session with frames on the %s side", side)
	}
	return p, nil
}

func newLane(cfg *config.Config, t *config.Tunnel, s *config.Session, index uint32, side Side, send bool, macs MACs) lane {
	l := lane{name: t.Name + "/" + s.Name, index: index, ppp: s.PPP()}
	if side == Access {
		l.tags = accessTags(s, cfg.Port(s.Attach))
		if l.ppp {
			l.pppoe = newPPPoE(s, send)
		}
		return l
	}
	if s.Switched() && !send {
		// What enters by a session leaves by the one that it is switched to.
		tunnel, session, _ := strings.Cut(s.Attach, "/")
		if t = cfg.Tunnel(tunnel); t != nil && t.Session(session) != nil {
			s = t.Session(session)
		}
	}
	if !l.ppp {
		l.tags = innerTags(s, cfg.Port(s.Attach))
	}
	l.popped = (len(accessTags(s, cfg.Port(s.Attach))) - len(l.tags)) * l2tp.TagLen
	if l.ppp {
		l.popped += l2tp.EthernetLen + l2tp.PPPoELen - l2tp.PPPAddressControlLen
	}
	l.outer = outer(t, s, send, macs)
	return l
}

// Sessions is how many there are.
func (p *Plan) Sessions() int { return len(p.lanes) }

// First is the name of the first session that carries Ethernet, as tunnel/session; "" if none does.
func (p *Plan) First() string {
	if i := p.first(); i >= 0 {
		return p.lanes[i].name
	}
	return ""
}

func (p *Plan) first() int { return slices.IndexFunc(p.lanes, func(l lane) bool { return !l.ppp }) }

// Smallest is the size of frame, as a Mix has it, that all sessions can have: smaller ones are made as
// large as their headers and the stamp are.
func (p *Plan) Smallest() int {
	size := traffic.MinSize
	for i := range p.lanes {
		l := &p.lanes[i]
		size = max(size, l.headerLen()+l.popped+stampLen+traffic.FCS)
	}
	return size
}

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
	if t.Keyed { // any id will do but that of control messages
		o.SessionID = cmp.Or(s.SID, math.MaxUint32)
	}
	o.Sequenced = send && s.Sequence.Requires()
	tid := t.TID
	if !send {
		o.Local, o.Peer, o.SessionID, o.Cookie = local, peer, s.PSID, s.TxCookie
		tid = t.PTID
	}
	if o.V2 = t.Version == 2; o.V2 {
		o.SessionID |= tid << 16
	}
	return o
}

func tagKey(tags []l2tp.Tag) (k [2]uint16) {
	for i, t := range tags[:min(len(tags), 2)] {
		k[i] = t.VID()
	}
	return k
}

// headerLen is the bytes before the stamp, behind the outer header.
func (l *lane) headerLen() int {
	n := l2tp.EthernetLen + len(l.tags)*l2tp.TagLen
	switch {
	case l.pppoe != nil:
		n += l2tp.PPPoELen + pppLen
	case l.ppp:
		n = l2tp.PPPAddressControlLen + pppLen
	}
	return n
}

// appendHeader appends them. A flow has a source address of its own, of PPP in IPv4. body is the
// bytes of stamp and filling.
func (l *lane) appendHeader(b []byte, macs MACs, flow uint16, body int) []byte {
	if l.ppp {
		return l.appendPPP(b, macs, flow, body)
	}
	if l.outer != nil {
		macs = MACs{Src: l2tp.MAC{2, 0, 0, 1, 0, 1}, Dst: l2tp.MAC{2, 0, 0, 1, 0, 2}}
	}
	binary.BigEndian.PutUint16(macs.Src[4:], flow)
	b = traffic.AppendEthernet(b, macs.Dst, macs.Src, l.tags)
	return binary.BigEndian.AppendUint16(b, traffic.EtherTypeTest)
}
