package config

import (
	"net/netip"
	"time"

	"xwire/l2tp"
)

// Tunnel is a [tunnel.NAME] table with its sessions.
type Tunnel struct {
	Name        string
	Description string
	VRF         string         // device whose table routes to the peer; empty: main
	Local, Peer netip.AddrPort // one family; port 0 with EncapIP
	TID, PTID   uint32
	Sessions    []Session
	Pos         Pos
	Version     uint8 // 2 or 3
	Encap       l2tp.Encap
	Enabled     bool
	Requested   bool    // created by a request: no file has it
	Unknown     Unknown // of one local address and port, all tunnels have the same

	Keyed        bool // RFC 8159: one session, found by the addresses
	UnknownGiven bool // by the tunnel or by [defaults.tunnel]

	TTL         uint8
	TOS         uint8
	DF          bool // IPv4
	AnyPeerPort bool // UDP: whatever port the peer sends from

	UDPChecksum        bool // IPv4: send checksums
	UDP6ChecksumTx     bool // IPv6: send checksums
	UDP6ZeroChecksumRx bool // IPv6: accept frames without

	HelloTimeout time.Duration // 0: no HELLO is sent
	RetryTimeout time.Duration
	MaxRetries   uint16 // how often a HELLO is sent
	WindowSize   uint16
	OnDown       OnDown
}

// IP6 reports whether the outer header is IPv6.
func (t *Tunnel) IP6() bool { return t.Local.Addr().Is6() }

// Session returns the session of that name, or nil.
func (t *Tunnel) Session(name string) *Session {
	for i := range t.Sessions {
		if t.Sessions[i].Name == name {
			return &t.Sessions[i]
		}
	}
	return nil
}

// tunnelDraft is a tunnel while the files are read.
type tunnelDraft struct {
	Tunnel
	draft
	local, peer endpoint
	sessions    []draft        // in step with Tunnel.Sessions
	byName      map[string]int // places in Sessions
}

func (t *tunnelDraft) set(r *reader, key string, v any) {
	switch key {
	case "description":
		if s, ok := r.text(key, v, maxDescription); ok {
			t.Description = s
		}
	case "enabled":
		r.setBoolean(key, v, &t.Enabled)
	case "version":
		t.Version = 3
		if i, ok := r.enum(key, v, "l2tpv3", "l2tpv2"); ok && i == 1 {
			t.Version = 2
		}
	case "encap":
		if i, ok := r.enum(key, v, "udp", "ip"); ok {
			t.Encap = l2tp.Encap(i)
		}
	case "local":
		t.local = r.endpoint(key, v)
	case "peer":
		t.peer = r.endpoint(key, v)
	case "tid":
		t.TID = r.id(key, v)
	case "ptid":
		t.PTID = r.id(key, v)
	case "vrf":
		if s, ok := r.text(key, v, 15); ok {
			t.VRF = r.intern(s)
		}
	case "keyed":
		r.setBoolean(key, v, &t.Keyed)
	case "unknown":
		if i, ok := r.enum(key, v, unknowns[:]...); ok {
			t.Unknown = Unknown(i)
		}
	case "udp_checksum":
		r.setBoolean(key, v, &t.UDPChecksum)
	case "udp6_checksum_tx":
		r.setBoolean(key, v, &t.UDP6ChecksumTx)
	case "udp6_zero_checksum_rx":
		r.setBoolean(key, v, &t.UDP6ZeroChecksumRx)
	case "on_down":
		if i, ok := r.enum(key, v, onDowns[:]...); ok {
			t.OnDown = OnDown(i)
		}
	case "hello_timeout", "retry_timeout", "max_retries", "window_size":
		t.setLiveness(r, key, v)
	case "ttl":
		if n, ok := r.integer(key, v, 1, 255); ok {
			t.TTL = uint8(n)
		}
	case "tos":
		if n, ok := r.integer(key, v, 0, 255); ok {
			t.TOS = uint8(n)
		}
	case "df":
		r.setBoolean(key, v, &t.DF)
	case "any_peer_port":
		r.setBoolean(key, v, &t.AnyPeerPort)
	case "host_name":
		if _, ok := r.text(key, v, 255); ok {
			r.noEffect(key)
		}
	case "framing_caps":
		list, ok := v.([]any)
		if !ok {
			r.errorf(key, `must be an array of "sync" and "async", is %s`, describe(v))
			return
		}
		for _, e := range list {
			if _, ok := r.enum(key, e, "sync", "async"); !ok {
				return
			}
		}
		r.noEffect(key)
	default:
		panic("config: no setter for tunnel." + key)
	}
}

func (r *reader) endpoint(key string, v any) endpoint {
	s, ok := r.str(key, v)
	if !ok {
		return endpoint{}
	}
	ep, err := parseEndpoint(s)
	if err != nil {
		r.errorf(key, "%v", err)
		return endpoint{}
	}
	return ep
}

// id reads a tunnel or session id; 0 after an error.
func (r *reader) id(key string, v any) uint32 {
	n, _ := r.integer(key, v, 1, 0xffffffff)
	return uint32(n)
}

// check settles what depends on several keys of the tunnel.
func (t *tunnelDraft) check(p problems) {
	if t.Version == 2 {
		t.checkV2(p)
	}
	t.Local, t.Peer = t.port(p, "local", t.local), t.port(p, "peer", t.peer)
	l, q := t.Local.Addr(), t.Peer.Addr()
	if l.IsValid() && q.IsValid() {
		switch {
		case l.Is4() != q.Is4():
			p.errorf("peer", "%s and local %s are of different families; use two IPv4 or two IPv6 addresses", q, l)
		case l == q && t.Encap == l2tp.EncapUDP && t.Local.Port() == t.Peer.Port() && t.Local.Port() != 0:
			p.errorf("peer", "%s is the tunnel's own local address and port", t.Peer)
		case l == q:
			p.warnf("peer", "%s is the tunnel's own local address", q)
		}
	}
	if l.Is6() && t.DF && tables["tunnel"].holds(t.own, "df") {
		p.warnf("df", "has no effect over IPv6, which nobody but the sender fragments")
	}
	if t.Encap != l2tp.EncapUDP && tables["tunnel"].holds(t.own, "any_peer_port") {
		p.warnf("any_peer_port", `has no effect with encap = "ip"`)
	}
	t.checkKeyed(p)
	udpKeys := []struct {
		name string
		ip6  bool
	}{{"udp_checksum", false}, {"udp6_checksum_tx", true}, {"udp6_zero_checksum_rx", true}}
	for _, k := range udpKeys {
		switch {
		case !tables["tunnel"].holds(t.own, k.name):
		case t.Encap != l2tp.EncapUDP:
			p.warnf(k.name, `has no effect with encap = "ip"`)
		case l.IsValid() && l.Is6() != k.ip6 && k.ip6:
			p.warnf(k.name, "has no effect over IPv4; udp_checksum is the key for it")
		case l.IsValid() && l.Is6() != k.ip6:
			p.warnf(k.name, "has no effect over IPv6; udp6_checksum_tx is the key for it")
		}
	}
	t.checkLiveness(p)
}

func (t *tunnelDraft) checkV2(p problems) {
	if t.Encap != l2tp.EncapUDP {
		p.errorf("encap", `must be "udp" with version = "l2tpv2"`)
	}
	checkV2ID(p, "tunnel", "tid", t.TID)
	checkV2ID(p, "tunnel", "ptid", t.PTID)
}

// checkV2ID refuses the id of a tunnel or session that has no room in L2TPv2's 16 bits.
func checkV2ID(p problems, kind, key string, id uint32) {
	if id > 0xffff {
		p.errorf(key, "%d is out of range; L2TPv2 has %s ids of 1 to 65535", id, kind)
	}
}

func (t *tunnelDraft) port(p problems, key string, ep endpoint) netip.AddrPort {
	if !ep.IsValid() {
		return netip.AddrPort{}
	}
	if t.Encap == l2tp.EncapIP {
		if ep.Port() != 0 {
			p.warnf(key, `port %d has no effect with encap = "ip"`, ep.Port())
		}
		return netip.AddrPortFrom(ep.Addr(), 0)
	}
	if !ep.hasPort {
		return netip.AddrPortFrom(ep.Addr(), defaultTunnelPort)
	}
	if ep.Port() == 0 {
		p.errorf(key, `port 0 is for encap = "ip" only; name a UDP port, or leave it out for %d`, defaultTunnelPort)
	}
	return ep.AddrPort
}
