package config

import (
	"unique"

	"xwire/l2tp"
)

// WidestLocal is the largest MTU of a local interface in bytes: what the kernel's XDP on veth takes in one
// piece.
const WidestLocal = 3500

// Session is a [tunnel.NAME.session.NAME] table. There may be 100,000 of them: fields are in an
// order that leaves no gaps.
type Session struct {
	Name          string
	Description   string
	Attach        string // the attachment circuit: a port, or tunnel/session; empty: a local interface
	InterfaceName string // of the local interface, given or derived; empty with Attach
	Pos           Pos

	SID, PSID  uint32
	VLAN       VLAN // VLANAbsent without Attach
	PWVLAN     PWVLAN
	MTU        uint16 // of the local interface; 0: as the kernel computes it
	Pseudowire l2tp.PWType

	PPPoESession uint16   // with PPP, unless switched
	PPPoEPeer    l2tp.MAC // whose PPPoE session it is

	TxCookie      l2tp.Cookie
	RxCookies     [2]l2tp.Cookie // the first RxCookieCount are accepted
	RxCookieCount uint8
	L2Spec        l2tp.Sublayer
	Oversize      Oversize
	AnswerTooBig  bool
	Sequence      Sequence
	Marking       Marking
	limits        unique.Handle[Limits] // few sessions have any; the zero handle: none
	MSSClamp      int32                 // largest MSS; MSSByPath: what fits the path; 0: anything
	L2SpecGiven   bool                  // by the session or by [defaults.session]
	Enabled       bool
	Requested     bool // created by a request: no file has it
}

// Limits returns what the session may carry.
func (s *Session) Limits() Limits {
	if s.limits == (unique.Handle[Limits]{}) {
		return Limits{}
	}
	return s.limits.Value()
}

// Local reports whether the session ends on a local interface.
func (s *Session) Local() bool { return s.Attach == "" }

func (s *Session) set(r *reader, key string, v any) {
	switch key {
	case "description":
		if d, ok := r.text(key, v, maxDescription); ok {
			s.Description = d
		}
	case "enabled":
		r.setBoolean(key, v, &s.Enabled)
	case "pseudowire":
		i, ok := r.enum(key, v, "eth", "vlan", "ppp", "pppac")
		switch {
		case ok && i == 1:
			s.Pseudowire = l2tp.PWEthVLAN
		case ok && i == 2:
			s.Pseudowire = l2tp.PWPPP
		case ok && i == 3:
			s.Pseudowire = l2tp.PWPPPAC
		default:
			s.Pseudowire = l2tp.PWEth
		}
	case "sid":
		s.SID = r.id(key, v)
	case "psid":
		s.PSID = r.id(key, v)
	case "tx_cookie", "cookie":
		s.TxCookie, _ = r.cookie(key, v)
	case "rx_cookie", "peer_cookie":
		s.RxCookies, s.RxCookieCount = r.rxCookies(key, v)
	case "l2spec_type":
		if i, ok := r.enum(key, v, "none", "default"); ok {
			s.L2Spec = l2tp.Sublayer(i)
		}
	case "attach":
		a, ok := r.str(key, v)
		switch {
		case !ok:
		case a == "":
			r.errorf(key, "is empty; name a port, or leave the key out for a local interface")
		default:
			s.Attach = r.intern(a)
		}
	case "vlan":
		s.VLAN, _ = r.vlan(key, v)
	case "pw_vlan":
		s.PWVLAN, _ = r.pwVLAN(key, v)
	case "interface_name":
		if n, ok := r.ifname(key, v); ok {
			s.InterfaceName = n
		}
	case "mtu":
		if n, ok := r.integer(key, v, 0, 65535); ok {
			if n != 0 && n < 68 || n > WidestLocal {
				r.errorf(key, "%d is out of range; use 68 to %d, or 0 for the kernel's", n, WidestLocal)
				return
			}
			s.MTU = uint16(n)
		}
	case "oversize":
		if i, ok := r.enum(key, v, oversizes[:]...); ok {
			s.Oversize = Oversize(i)
		}
	case "icmp_too_big":
		r.setBoolean(key, v, &s.AnswerTooBig)
	case "mss_clamp":
		s.MSSClamp = r.mssClamp(key, v)
	case "rate", "burst", "rate_tx", "rate_rx", "broadcast_limit", "multicast_limit", "unknown_unicast_limit":
		l := s.Limits()
		l.set(r, key, v)
		s.limits = unique.Make(l)
	case "ttl", "tos", "df", "pcp_to_dscp", "ecn", "flow_label", "source_port":
		s.Marking.set(r, key, v)
	case "cookie_file":
		// Read by the loader, which knows the files.
		if f, ok := r.str(key, v); ok && f == "" {
			r.errorf(key, "is empty; name a file, or leave the key out")
		}
	case "seqnum", "send_seq", "recv_seq", "lns_mode", "reorder_timeout", "resync_after":
		s.Sequence.set(r, key, v)
	case "pppoe_session_id", "pppoe_peer_mac":
		s.setPPPoE(r, key, v)
	default:
		panic("config: no setter for session." + key)
	}
}

// check settles what depends on several keys of the session. given tells which keys have a value
// from the session itself or from [defaults.session], own which from the session itself.
func (s *Session) check(p problems, t *Tunnel, own, given keySet) {
	has := func(name string) bool { return tables["session"].holds(given, name) }
	mine := func(name string) bool { return tables["session"].holds(own, name) }
	s.L2SpecGiven = has("l2spec_type")
	s.checkVersion(p, t, mine)
	s.Sequence.check(p, has, s.numbered(t))
	s.Sequence.warn(p, mine)
	s.checkOversize(p, t)
	s.checkPPP(p, mine)
	if !has("attach") {
		switch {
		case mine("vlan"):
			p.errorf("vlan", "needs attach: name the port whose frames are meant, or leave both out for a local interface")
		case mine("pw_vlan") && s.PWVLAN.Kind == PWVID:
			p.errorf("pw_vlan", "needs attach: a local interface carries its tags as they are")
		}
		s.VLAN, s.PWVLAN = VLAN{}, PWVLAN{}
		return
	}
	if s.Switched() {
		for _, k := range []string{"vlan", "pw_vlan", "interface_name", "mtu"} {
			if mine(k) {
				p.errorf(k, "has no meaning between two sessions, whose frames are carried as they are; leave it out, or name a port in attach")
			}
		}
		s.VLAN, s.PWVLAN, s.InterfaceName, s.MTU = VLAN{}, PWVLAN{}, "", 0
		return
	}
	if !has("vlan") && s.Attach != "" && !s.PPP() {
		p.errorf("vlan", `is missing; with attach = %q say which frames: "all", "untagged", 100, "100-199" or "100.20"`, s.Attach)
	}
	for _, k := range []string{"interface_name", "mtu"} {
		if mine(k) {
			p.errorf(k, "is for local interfaces; the session is attached to port %q, leave one of the two out", s.Attach)
		}
	}
	s.InterfaceName, s.MTU = "", 0

	switch v, pw := s.VLAN, s.PWVLAN; {
	case (v.Kind == VLANRange || v.Kind == VLANAll) && pw.Kind != PWKeep:
		p.errorf("pw_vlan", `must be "keep" with vlan = %q: the tag would be lost that tells the VLANs apart`, v)
	case s.Pseudowire == l2tp.PWEthVLAN && pw.Kind == PWNone:
		p.errorf("pw_vlan", `"none" contradicts pseudowire = "vlan", whose frames carry a tag; use "keep", a VLAN, or pseudowire = "eth"`)
	case s.Pseudowire == l2tp.PWEthVLAN && v.Kind == VLANUntagged && pw.Kind == PWKeep:
		p.errorf("pw_vlan", `is needed: pseudowire = "vlan" carries a tag and vlan = "untagged" has none; name a VLAN, or use pseudowire = "eth"`)
	case s.Pseudowire == l2tp.PWEthVLAN && v.Kind == VLANAll:
		p.warnf("vlan", `"all" sends untagged frames too into a pseudowire of type "vlan", where the peer expects a tag`)
	}
}
