package config

import (
	"fmt"

	"xwire/l2tp"
)

// Report is what a configuration would run: what `xwire check` prints. Its JSON has no cookies. One
// attribute has one name and one type here and in `xwire show --json` (appliance/api): that of `ip -j
// l2tp` where there is one, else that of the file.
type Report struct {
	CoreMTU   int             `json:"core_mtu"`
	AutoPorts bool            `json:"auto_ports"` // runs with `run --auto-ports` only
	Ports     []ReportPort    `json:"ports"`
	Tunnels   []ReportTunnel  `json:"tunnels"`
	Warnings  []ReportWarning `json:"warnings"`
}

type ReportPort struct {
	Name         string        `json:"name"`
	Description  string        `json:"description,omitempty"`
	Interface    string        `json:"interface"`
	Mode         string        `json:"mode"`             // asked for; show tells what was granted
	Queues       []ReportQueue `json:"queues,omitempty"` // absent: all
	Spread       string        `json:"spread"`
	BusyPoll     bool          `json:"busy_poll"`
	L2CP         string        `json:"l2cp"`
	QinQTPID     string        `json:"qinq_tpid"`
	SessionCount int           `json:"session_count"` // attached and enabled
}

type ReportQueue struct {
	Queue uint32 `json:"queue"`
}

type ReportTunnel struct {
	Name         string          `json:"name"`
	Description  string          `json:"description,omitempty"`
	Enabled      bool            `json:"enabled"`
	Version      string          `json:"version"`
	Encap        string          `json:"encap"`
	Local        string          `json:"local"`
	Peer         string          `json:"peer"`
	LocalPort    uint16          `json:"local_port,omitempty"`
	PeerPort     uint16          `json:"peer_port,omitempty"`
	TunnelID     uint32          `json:"tunnel_id"`
	PeerTunnelID uint32          `json:"peer_tunnel"`
	VRF          string          `json:"vrf,omitempty"`
	Keyed        bool            `json:"keyed,omitempty"`
	Unknown      string          `json:"unknown"`
	HelloTimeout int64           `json:"hello_timeout,omitempty"` // ms
	TTL          uint8           `json:"ttl"`
	DF           bool            `json:"df"`
	TOS          string          `json:"tos"`                     // "0x00" to "0xff"
	AnyPeerPort  *bool           `json:"any_peer_port,omitempty"` // UDP
	Checksum     *bool           `json:"checksum,omitempty"`      // UDP over IPv4
	ChecksumTx   *bool           `json:"checksum_tx,omitempty"`   // UDP over IPv6: sent
	ChecksumRx   *bool           `json:"checksum_rx,omitempty"`   // UDP over IPv6: demanded
	OnDown       string          `json:"on_down"`
	Sessions     []ReportSession `json:"sessions"`
}

type ReportSession struct {
	Name            string `json:"name"`
	Tunnel          string `json:"tunnel"`
	Description     string `json:"description,omitempty"`
	Enabled         bool   `json:"enabled"`
	SessionID       uint32 `json:"session_id"`
	TunnelID        uint32 `json:"tunnel_id"`
	PeerSessionID   uint32 `json:"peer_session_id"`
	PeerTunnelID    uint32 `json:"peer_tunnel_id"`
	Pseudowire      string `json:"pseudowire"`
	L2SpecType      string `json:"l2spec_type"`
	CookieBytes     int    `json:"cookie_bytes"`      // of tx_cookie
	PeerCookieBytes int    `json:"peer_cookie_bytes"` // of rx_cookie
	PeerCookies     int    `json:"peer_cookies"`      // how many are accepted
	SendSeq         bool   `json:"send_seq"`
	RecvSeq         bool   `json:"recv_seq"`           // by itself, or by lns_mode
	LNSMode         *bool  `json:"lns_mode,omitempty"` // false: the peer decides; true: we; absent: nobody
	ReorderTimeout  int    `json:"reorder_timeout"`    // ms
	ResyncAfter     int    `json:"resync_after,omitempty"`
	Interface       string `json:"interface,omitempty"` // local interface
	Port            string `json:"port,omitempty"`
	Switched        string `json:"switched,omitempty"` // tunnel/session of the other session
	VLAN            string `json:"vlan,omitempty"`
	PWVLAN          string `json:"pw_vlan,omitempty"`
	PPPoESessionID  uint16 `json:"pppoe_session_id,omitempty"`
	PPPoEPeerMAC    string `json:"pppoe_peer_mac,omitempty"`
	Oversize        string `json:"oversize"`
	AnswerTooBig    bool   `json:"icmp_too_big"`
	MSSClamp        string `json:"mss_clamp,omitempty"` // "path", or bytes
	ReportMarking
	ReportLimits
	Overhead int `json:"overhead"` // bytes from the outer IP header to the inner frame
	MTU      int `json:"mtu"`      // of the customer's packets
}

// ReportWarning stands for all warnings of one sort in one tunnel.
type ReportWarning struct {
	Warning
	More int `json:"more,omitempty"` // how many others say the same
}

// Report reckons overheads and MTUs for a core of the given MTU (that of the path to the peer,
// outer IP header included).
func (c *Config) Report(coreMTU int) Report {
	r := Report{CoreMTU: coreMTU, AutoPorts: c.AutoPorts(), Ports: []ReportPort{}, Tunnels: []ReportTunnel{}, Warnings: []ReportWarning{}}
	attached := map[string]int{}
	g := grouper{at: map[[3]string]int{}}
	for i := range c.Tunnels {
		t := &c.Tunnels[i]
		rt := reportTunnel(t)
		for j := range t.Sessions {
			s := &t.Sessions[j]
			rs := reportSession(t, s, coreMTU)
			rt.Sessions = append(rt.Sessions, rs)
			if !s.Enabled || !t.Enabled {
				continue
			}
			attached[s.Attach]++
			c.sessionWarnings(&g, t, s, rs, coreMTU)
		}
		r.Tunnels = append(r.Tunnels, rt)
	}
	for i := range c.Ports {
		p := &c.Ports[i]
		r.Ports = append(r.Ports, ReportPort{
			Name: p.Name, Description: p.Description, Interface: p.Interface, Mode: p.Mode.String(),
			Spread: p.Spread.String(), BusyPoll: p.BusyPoll, L2CP: p.L2CP.String(), QinQTPID: fmt.Sprintf("%#04x", p.QinQTPID), SessionCount: attached[p.Name],
		})
		for _, q := range p.Queues {
			r.Ports[i].Queues = append(r.Ports[i].Queues, ReportQueue{q})
		}
	}
	for _, w := range c.Warnings {
		g.add("", lastKey(w.Key), w.Msg, func() Error { return Error(w) })
	}
	r.Warnings = append(r.Warnings, g.list...)
	return r
}

func reportTunnel(t *Tunnel) ReportTunnel {
	rt := ReportTunnel{
		Name: t.Name, Description: t.Description, Enabled: t.Enabled, Version: fmt.Sprintf("l2tpv%d", t.Version), Encap: t.Encap.String(),
		Local: t.Local.Addr().String(), Peer: t.Peer.Addr().String(), LocalPort: t.Local.Port(), PeerPort: t.Peer.Port(),
		TunnelID: t.TID, PeerTunnelID: t.PTID, VRF: t.VRF, HelloTimeout: t.HelloTimeout.Milliseconds(), OnDown: t.OnDown.String(),
		TTL: t.TTL, DF: t.DF && !t.IP6(), TOS: TOSText(t.TOS), Keyed: t.Keyed, Unknown: t.Unknown.String(), Sessions: make([]ReportSession, 0, len(t.Sessions)),
	}
	if t.Encap == l2tp.EncapUDP {
		rt.AnyPeerPort = &t.AnyPeerPort
	}
	switch demanded := !t.UDP6ZeroChecksumRx; {
	case t.Encap != l2tp.EncapUDP:
	case t.IP6():
		rt.ChecksumTx, rt.ChecksumRx = &t.UDP6ChecksumTx, &demanded
	default:
		rt.Checksum = &t.UDPChecksum
	}
	return rt
}

func reportSession(t *Tunnel, s *Session, coreMTU int) ReportSession {
	rs := ReportSession{
		Name: s.Name, Tunnel: t.Name, Description: s.Description, Enabled: s.Enabled && t.Enabled,
		SessionID: s.SID, TunnelID: t.TID, PeerSessionID: s.PSID, PeerTunnelID: t.PTID,
		Pseudowire: s.Pseudowire.String(), L2SpecType: s.L2Spec.String(),
		CookieBytes: s.TxCookie.Len(), PeerCookieBytes: s.RxCookies[0].Len(), PeerCookies: int(s.RxCookieCount),
		SendSeq: s.Sequence.Send, RecvSeq: s.Sequence.Requires(), LNSMode: s.Sequence.Deciding(), ReorderTimeout: int(s.Sequence.ReorderTimeout), ResyncAfter: int(s.Sequence.Resync),
		Oversize: s.Oversize.String(), AnswerTooBig: s.AnswerTooBig, MSSClamp: s.MSSClampText(),
		Interface: s.InterfaceName, ReportMarking: s.ReportMarks(t), ReportLimits: s.Limits().Report(),
		Overhead: s.Overhead(t), MTU: s.PathMTU(t, coreMTU),
	}
	if s.PPPoESession != 0 {
		rs.PPPoESessionID, rs.PPPoEPeerMAC = s.PPPoESession, macText(s.PPPoEPeer)
	}
	switch {
	case s.Switched():
		rs.Switched = s.Attach
	case !s.Local():
		rs.Port, rs.VLAN = s.Attach, s.VLAN.String()
		if !s.PPP() {
			rs.PWVLAN = s.PWVLAN.String()
		}
	}
	return rs
}

// Overhead returns the bytes from the outer IP header's first to the last before the inner frame.
func (s *Session) Overhead(t *Tunnel) int {
	n := l2tp.Overhead(t.IP6(), t.Encap, s.TxCookie.Len(), s.L2Spec)
	if t.Version == 2 {
		n = l2tp.OverheadV2(t.IP6(), s.Sequence.Send || s.Sequence.LNS == LNSOff)
	}
	if s.PPP() {
		n += l2tp.PPPAddressControlLen
	}
	return n
}

// InterfaceMTU returns the MTU of the session's local interface for a path of the given MTU: what is
// configured, or what the kernel would give. That of a PPP session has room for the header of PPPoE.
func (s *Session) InterfaceMTU(t *Tunnel, pathMTU int) int {
	switch {
	case s.MTU != 0:
		return int(s.MTU)
	case s.PPP():
		return l2tp.PPPMTU(pathMTU, s.Overhead(t)) + pppoeRoom
	}
	return l2tp.EthMTU(pathMTU, t.IP6(), t.Encap, s.TxCookie.Len(), s.L2Spec)
}

// pppoeRoom is what PPPoE and the protocol of PPP take of an interface's MTU.
const pppoeRoom = l2tp.PPPoELen + 2

// PathMTU returns the largest packet that a customer can send through a path of the given MTU. For
// a local interface it is what the kernel gives l2tpethN, unless mtu is set; a frame that keeps its
// VLAN tags inside the pseudowire loses four bytes for each. Of PPP it is the MTU of its IP packets.
func (s *Session) PathMTU(t *Tunnel, coreMTU int) int {
	switch {
	case s.PPP() && s.Local():
		return s.InterfaceMTU(t, coreMTU) - pppoeRoom
	case s.PPP():
		return l2tp.PPPMTU(coreMTU, s.Overhead(t))
	case s.Local() && s.MTU != 0:
		return int(s.MTU)
	}
	return l2tp.EthMTU(coreMTU, t.IP6(), t.Encap, s.TxCookie.Len(), s.L2Spec) - l2tp.TagLen*s.Tags()
}

// CoreMTU returns the smallest path MTU through which a customer's packets of that size fit.
func (s *Session) CoreMTU(t *Tunnel, packet int) int {
	if s.PPP() {
		return packet + 2 + s.Overhead(t)
	}
	return packet + l2tp.EthernetLen + l2tp.TagLen*s.Tags() + s.Overhead(t)
}

func (c *Config) sessionWarnings(g *grouper, t *Tunnel, s *Session, rs ReportSession, coreMTU int) {
	warn := func(key, format string, args ...any) {
		g.add(t.Name, key, fmt.Sprintf(format, args...), func() Error { return c.where(t, s, key) })
	}
	if !s.L2SpecGiven && !t.Keyed && t.Version == 3 {
		warn("l2spec_type", `is absent, which means "none" as in ql2tpd; Linux, VyOS and tunneldigger peers send 4 bytes unless told otherwise: say "none" or "default"`)
	}
	if s.RxCookieCount == 0 && t.Encap == l2tp.EncapIP {
		warn("rx_cookie", "is absent: over IP whoever can forge the peer's address and guess the session id can inject frames")
	}
	markingWarnings(warn, t, s)
	limitWarnings(warn, s)
	sizeWarnings(warn, t, s, rs.MTU, coreMTU)
}

// grouper keeps the first of the warnings that say the same, and counts the others.
type grouper struct {
	list []ReportWarning
	at   map[[3]string]int
}

// add takes a warning; where tells its place, which is asked for once.
func (g *grouper) add(object, key, msg string, where func() Error) {
	id := [3]string{object, key, msg}
	if i, again := g.at[id]; again {
		g.list[i].More++
		return
	}
	g.at[id] = len(g.list)
	w := where()
	w.Msg = msg
	g.list = append(g.list, ReportWarning{Warning: Warning(w)})
}

// where is the place of a session's key, if it has it: in its own table, or in the defaults. Else, or if
// nobody has kept where keys stand, it is that of the session.
func (c *Config) where(t *Tunnel, s *Session, key string) Error {
	if c.places == nil {
		return Error{File: s.Pos.File, Line: s.Pos.Line, Key: joinPath([]string{"tunnel", t.Name, "session", s.Name, key})}
	}
	d := c.places.byName[t.Name]
	p := problems{c.places, "session", &d.sessions[d.byName[s.Name]]}
	at, key := p.place(key), p.spelled(key)
	return Error{File: at.src.name, Line: at.line(key), Key: keyName(at, key)}
}

// lastKey returns the key itself of a dotted path.
func lastKey(path string) string {
	parts := barePath(path)
	if parts == nil {
		return path
	}
	return parts[len(parts)-1]
}
