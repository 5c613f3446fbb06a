package pw

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"xwire/l2tp"
)

// Step is one thing that is looked at or done on a frame's way. The first that is not OK is why the
// frame is dropped.
type Step struct {
	What string
	OK   bool
	Text string
}

// Sent is a frame as it leaves.
type Sent struct {
	Port  uint16
	Frame []byte
}

// Explanation is a frame's way.
type Explanation struct {
	Seen
	Steps []Step
	Drop  Drop // if Out is empty
	Out   []Sent
}

// Namer tells what numbers are called.
type Namer interface {
	PortName(uint16) string
	TunnelName(TunnelID) string
	SessionName(SessionID) string
}

// Explain tells what becomes of a frame that port in receives, as things are now. Nothing is counted
// or sent, and no state is touched: of sequence numbers and rates it tells what would become of the
// first frame. Cookies are not in its texts. It is for people and takes milliseconds; workers go on
// meanwhile.
func (t *Table) Explain(frame []byte, in uint16, n Namer) (x Explanation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := &Forwarder{table: t, sessions: t.workers[0].sessions}
	e := explainer{t: t, f: f, n: n, x: &x, in: in}
	e.say("frame", "%s", describe(frame))
	if len(frame) < l2tp.EthernetLen {
		e.drop("frame", DropRunt)
		return x
	}
	x.Outer = f.OuterPort(in)
	record, way := f.find(frame, in)
	x.Way = way
	if record == 0 {
		e.nobody(frame)
		return x
	}
	d := t.session(record)
	x.Session, x.Outer = SessionID(d.slot), way == WayDecap
	extra := t.extraNow(d)
	x.Other = SessionID(extra.joined)
	if way == WayEncap {
		e.say("session", "%s takes %s of port %s", n.SessionName(x.Session), circuitText(d, &extra), n.PortName(in))
	} else {
		e.decap(frame, d)
	}
	if x.Other != 0 {
		e.say("switch", "to session %s", n.SessionName(x.Other))
		d = t.session(t.slots.at(uint32(x.Other)).record)
	}
	if way == WayEncap || x.Other != 0 {
		e.encap(d)
	}
	e.rehearse(frame, record)
	return x
}

// explainer makes one explanation. It holds the table's lock.
type explainer struct {
	t  *Table
	f  *Forwarder // looks at what the first worker sees, and forwards nothing
	n  Namer
	x  *Explanation
	in uint16
}

func (e *explainer) say(what, format string, args ...any) {
	e.x.Steps = append(e.x.Steps, Step{what, true, fmt.Sprintf(format, args...)})
}

func (e *explainer) drop(what string, why Drop) {
	e.x.Steps = append(e.x.Steps, Step{what, false, why.Help()})
	e.x.Drop = why
}

// nobody explains a frame of no session.
func (e *explainer) nobody(b []byte) {
	state := e.t.ports[e.in%MaxPorts].state.Load()
	if state&portCore == 0 {
		e.drop("session", DropNoAttachment)
		return
	}
	if state&portAttached != 0 {
		e.say("circuit", "no session of port %s takes it; it is looked at as a packet from the core", e.n.PortName(e.in))
	}
	var l lookup
	if why := parseOuter(b, &l); why != dropNone {
		if why == DropIPFragment {
			if g, _, ok := e.t.workers[0].fragmentOf(b, &l); ok {
				e.say("outer", "a %s fragment of a packet, which waits for the others", map[bool]string{true: "first", false: "later"}[g.at == 0])
				return
			}
		}
		e.drop("outer", why)
		return
	}
	e.outer(b, &l)
	if l.class.udp() {
		if _, ok := udpSumOK(b, &l); !ok {
			e.drop("checksum", DropUDPChecksum)
			return
		}
	}
	fl := flowOf(b, &l)
	e.drop("session", e.t.stranger(&fl))
}

// outer tells of the headers before the session id.
func (e *explainer) outer(b []byte, l *lookup) {
	p := b[l.l3:]
	var src, dst netip.Addr
	l4 := l2tp.IPv4Len
	if l.class.ip6() {
		l4 = l2tp.IPv6Len
		src, _ = netip.AddrFromSlice(p[8:24])
		dst, _ = netip.AddrFromSlice(p[24:40])
	} else {
		src, _ = netip.AddrFromSlice(p[12:16])
		dst, _ = netip.AddrFromSlice(p[16:20])
	}
	if !l.class.udp() {
		e.say("outer", "%s to %s, protocol 115, session id %d", src, dst, l.sid)
		return
	}
	u := p[l4:]
	from, to := netip.AddrPortFrom(src, binary.BigEndian.Uint16(u)), netip.AddrPortFrom(dst, binary.BigEndian.Uint16(u[2:]))
	if l.class.v2() {
		e.say("outer", "%s to %s, UDP, L2TPv2, tunnel id %d, session id %d", from, to, l.sid>>16, l.sid&0xffff)
		return
	}
	e.say("outer", "%s to %s, UDP, session id %d", from, to, l.sid)
}

// decap explains a packet of a session up to the frame inside.
func (e *explainer) decap(b []byte, d *session) {
	var l lookup
	if parseOuter(b, &l) != dropNone {
		return // it was found, so that it can be parsed
	}
	e.outer(b, &l)
	tun := e.t.tunnels.at(d.tunnel)
	e.say("tunnel", "%s", e.n.TunnelName(TunnelID(tun.slot)))
	e.say("session", "%s", e.n.SessionName(e.x.Session))
	if l.class.udp() {
		present, ok := udpSumOK(b, &l)
		switch {
		case !ok:
			e.drop("checksum", DropUDPChecksum)
			return
		case !present && l.class.ip6() && !tun.zeroRx:
			e.drop("checksum", DropUDPZeroChecksum)
			return
		case present:
			e.say("checksum", "right")
		default:
			e.say("checksum", "none")
		}
	}
	if l.class.v2() {
		m := l2tp.V2(b[l.at:l.end])
		header, ok := m.HeaderLen()
		if !ok {
			e.drop("header", DropOffset)
			return
		}
		if ns, ok := m.Ns(); ok {
			e.say("header", "sequence number %d", ns)
		}
		e.say("inner", "PPP, %d bytes", len(l2tp.TrimPPP(m[header:])))
		return
	}
	m := b[l.at:l.end]
	if len(m) < int(d.rxLen) {
		e.drop("header", DropShort)
		return
	}
	if !e.cookie(m, d) {
		return
	}
	if d.defaultSublayer() {
		switch w := l2tp.Data(m).Sublayer(int(d.rxCookieLen)); {
		case w&l2tp.SublayerV != 0:
			e.drop("sublayer", DropOAM)
			return
		case w&l2tp.SublayerS != 0:
			e.say("sublayer", "sequence number %d", w&l2tp.SublayerSeq)
		default:
			e.say("sublayer", "%08x, without a sequence number", w)
		}
	}
	inner := m[d.rxLen:]
	if d.ppp() {
		e.say("inner", "PPP, %d bytes", len(l2tp.TrimPPP(inner)))
		return
	}
	e.say("inner", "%s", describe(inner))
	if d.port == NoPort || len(inner) < l2tp.EthernetLen {
		return
	}
	if state := e.t.ports[d.port%MaxPorts].state.Load(); state&portOverlaps != 0 && e.f.foreign(d, state, inner) {
		e.drop("tags", DropVLANMismatch)
	}
}

// cookie tells whether a message's is one of those accepted.
func (e *explainer) cookie(m []byte, d *session) bool {
	if d.rxCookieLen == 0 {
		e.say("cookie", "none is wanted")
		return true
	}
	var word [l2tp.MaxCookieLen]byte
	copy(word[:], m[l2tp.SessionIDLen:l2tp.SessionIDLen+int(d.rxCookieLen)])
	switch binary.LittleEndian.Uint64(word[:]) {
	case d.rxCookie[0]:
		e.say("cookie", "%d bytes, right", d.rxCookieLen)
	case d.rxCookie[1]:
		e.say("cookie", "%d bytes, right: the second of those accepted", d.rxCookieLen)
	default:
		e.drop("cookie", DropCookieMismatch)
		return false
	}
	return true
}

// encap tells where the packets of a session leave.
func (e *explainer) encap(d *session) {
	tun := e.t.tunnels.at(d.tunnel)
	s := tun.spec()
	e.say("tunnel", "%s, %s to %s, %s", e.n.TunnelName(TunnelID(tun.slot)), endpointText(s.Encap, s.Local), endpointText(s.Encap, s.Peer), s.Encap)
	hop := e.t.hops.at(e.t.hopNow.at(tun.hop.Load()).Load()).spec()
	if hop.Port == NoPort {
		e.say("next hop", "none") // that drops the frame, unless something else does before
		return
	}
	e.say("next hop", "port %s, %s, MTU %d", e.n.PortName(hop.Port), macText(hop.Dst), hop.MTU)
}

// rehearse forwards the frame in a table of its own, which has nothing but its session.
func (e *explainer) rehearse(frame []byte, record uint32) {
	for _, s := range e.x.Steps {
		if !s.OK {
			return
		}
	}
	t := NewTable(1)
	for p := range e.t.attached {
		if spec := e.t.attached[p].spec; spec != (PortSpec{}) {
			t.SetPort(uint16(p), spec)
		}
	}
	id, err := e.copyTo(t, record)
	if err == nil && e.x.Other != 0 {
		var other SessionID
		if other, err = e.copyTo(t, e.t.slots.at(uint32(e.x.Other)).record); err == nil {
			err = t.Join(id, other)
		}
	}
	if err != nil { // they stand in one table, so they can stand in another
		e.say("outcome", "is not known: %v", err)
		return
	}
	const room = 2 * minChunk // chunks for frames made of this one
	size := 2 * minChunk
	for size < len(frame)+room {
		size *= 2
	}
	mem := make([]byte, 8*size)
	copy(mem[minChunk/4:], frame)
	f := t.Forwarder(0)
	var spare []uint64
	for i := 1; i < 8; i++ {
		spare = append(spare, uint64(i*size+minChunk/4))
	}
	f.Supply(spare)
	out, why, dropped := f.Alone(mem, Frame{Addr: minChunk / 4, Len: uint32(len(frame)), In: e.in}, 1, make([]Frame, 0, 64))
	for _, o := range out {
		if o.Out < gone {
			e.x.Out = append(e.x.Out, Sent{o.Out, bytesOf(mem, &o)})
		}
	}
	if len(e.x.Out) == 0 && dropped {
		e.drop("forward", why)
	}
}

// copyTo adds a session, and its tunnel with its next hop, to another table.
func (e *explainer) copyTo(t *Table, record uint32) (SessionID, error) {
	d := e.t.session(record)
	r := e.t.tunnels.at(d.tunnel)
	tunnel, err := t.AddTunnel(r.spec())
	if err != nil {
		return 0, err
	}
	t.SetTunnelNextHop(tunnel, t.AddNextHop(e.t.hops.at(e.t.hopNow.at(r.hop.Load()).Load()).spec()))
	s := d.spec()
	s.Tunnel = tunnel
	extra := e.t.extraNow(d)
	extra.addTo(&s)
	id, err := t.AddSession(s)
	if err == nil && extra.circuit != nil {
		t.extraOf(uint32(id)).circuit.peer.Store(extra.circuit.peer.Load())
	}
	return id, err
}

// describe tells of an Ethernet frame what its header does.
func describe(b []byte) string {
	if len(b) < l2tp.EthernetLen {
		return fmt.Sprintf("%d bytes, less than an Ethernet header", len(b))
	}
	h := l2tp.Ethernet(b)
	tags, n, typ := h.Tags()
	var s strings.Builder
	fmt.Fprintf(&s, "%d bytes, %s to %s", len(b), macText(h.Src()), macText(h.Dst()))
	for _, tag := range tags[:n] {
		fmt.Fprintf(&s, ", VLAN %d", tag.VID())
	}
	switch typ {
	case l2tp.TypeIPv4:
		s.WriteString(", IPv4")
	case l2tp.TypeIPv6:
		s.WriteString(", IPv6")
	default:
		fmt.Fprintf(&s, ", type 0x%04x", typ)
	}
	return s.String()
}

// Describe tells in a line of an Ethernet frame's header.
func Describe(frame []byte) string { return describe(frame) }

func circuitText(d *session, e *extra) string {
	if e.circuit != nil {
		return fmt.Sprintf("PPPoE session %d", e.circuit.SessionID)
	}
	s := d.spec()
	switch s.AC.VLAN.Kind {
	case VLANAll:
		return "all frames"
	case VLANUntagged:
		return "untagged frames"
	}
	return "VLAN " + s.AC.VLAN.String()
}

func endpointText(e l2tp.Encap, a netip.AddrPort) string {
	if e == l2tp.EncapUDP {
		return a.String()
	}
	return a.Addr().String()
}

func macText(m l2tp.MAC) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}
