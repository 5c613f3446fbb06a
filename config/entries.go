package config

import "xwire/l2tp"

// entries give an object's keys in the order of a manual, each with a value that its setter takes back:
// string, bool, int64 or []any. They are what is saved, compared and shown: a key that is missing here
// is lost. Keys that stand at their default are left out where that makes a file easier to read, empty
// strings always.
type entries func(key string, v any)

func (put entries) str(key, v string) {
	if v != "" {
		put(key, v)
	}
}

// id leaves out those that a keyed tunnel does without.
func (put entries) id(key string, n uint32) {
	if n != 0 {
		put(key, int64(n))
	}
}

// unless leaves out a value that is the default.
func (put entries) unless(def, v bool, key string) {
	if v != def {
		put(key, v)
	}
}

func integers[T int | uint32](put entries, key string, list []T) {
	if list == nil {
		return
	}
	out := make([]any, len(list))
	for i, n := range list {
		out[i] = int64(n)
	}
	put(key, out)
}

func (a *Appliance) entries(put entries) {
	integers(put, "cpus", a.CPUs)
	put.str("control", a.Control)
	put.str("control_group", a.ControlGroup)
	put.str("metrics", a.Metrics)
	if !a.MetricsSessions {
		put("metrics_sessions", "none")
	}
	if a.Unknown != UnknownDrop {
		put("unknown", a.Unknown.String())
	}
	if a.Strict {
		put("start", "strict")
	}
}

func (p *Port) entries(put entries) {
	put.str("description", p.Description)
	put.str("interface", p.Interface)
	integers(put, "queues", p.Queues)
	put("mode", p.Mode.String())
	put("spread", p.Spread.String())
	put.unless(false, p.BusyPoll, "busy_poll")
	put("l2cp", p.L2CP.String())
	put("qinq_tpid", int64(p.QinQTPID))
}

func (t *Tunnel) entries(put entries) {
	put.str("description", t.Description)
	put.unless(true, t.Enabled, "enabled")
	if t.Version == 2 {
		put("version", "l2tpv2")
	}
	put("encap", t.Encap.String())
	if t.Encap == l2tp.EncapIP {
		put("local", t.Local.Addr().String())
		put("peer", t.Peer.Addr().String())
	} else {
		put("local", t.Local.String())
		put("peer", t.Peer.String())
		put.unless(false, t.UDPChecksum, "udp_checksum")
		put.unless(true, t.UDP6ChecksumTx, "udp6_checksum_tx")
		put.unless(false, t.UDP6ZeroChecksumRx, "udp6_zero_checksum_rx")
	}
	put.unless(false, t.Keyed, "keyed")
	put.id("tid", t.TID)
	put.id("ptid", t.PTID)
	put.str("vrf", t.VRF)
	if t.OnDown != OnDownNone {
		put("on_down", t.OnDown.String())
	}
	t.liveness(func(key string, n int64) {
		if n != orBuiltin(key, 0) {
			put(key, n)
		}
	})
	if t.TTL != 64 {
		put("ttl", int64(t.TTL))
	}
	if t.TOS != 0 {
		put("tos", int64(t.TOS))
	}
	put.unless(false, t.DF, "df")
	put.unless(false, t.AnyPeerPort, "any_peer_port")
	if t.UnknownGiven || t.Unknown != UnknownDrop {
		put("unknown", t.Unknown.String())
	}
}

func (s *Session) entries(put entries) {
	put.str("description", s.Description)
	put.unless(true, s.Enabled, "enabled")
	put("pseudowire", s.Pseudowire.String())
	put.id("sid", s.SID)
	put("psid", int64(s.PSID))
	put.str("tx_cookie", s.TxCookie.Hex())
	switch s.RxCookieCount {
	case 1:
		put("rx_cookie", s.RxCookies[0].Hex())
	case 2:
		put("rx_cookie", []any{s.RxCookies[0].Hex(), s.RxCookies[1].Hex()})
	}
	if s.L2SpecGiven {
		put("l2spec_type", s.L2Spec.String())
	}
	s.Sequence.entries(put)
	if s.Oversize != OversizeFragment {
		put("oversize", s.Oversize.String())
	}
	if s.AnswerTooBig {
		put("icmp_too_big", true)
	}
	switch {
	case s.MSSClamp == MSSByPath:
		put("mss_clamp", true)
	case s.MSSClamp != 0:
		put("mss_clamp", int64(s.MSSClamp))
	}
	s.Marking.entries(put)
	s.Limits().entries(put)
	if s.PPPoESession != 0 {
		put("pppoe_session_id", int64(s.PPPoESession))
		put("pppoe_peer_mac", macText(s.PPPoEPeer))
	}
	if s.Local() {
		put.str("interface_name", s.InterfaceName)
		if s.MTU != 0 {
			put("mtu", int64(s.MTU))
		}
		return
	}
	put.str("attach", s.Attach)
	if s.Switched() {
		return
	}
	put.str("vlan", s.VLAN.String())
	if s.PWVLAN.Kind != PWKeep {
		put("pw_vlan", s.PWVLAN.String())
	}
}
