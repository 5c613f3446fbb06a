package config

import (
	"fmt"
	"strings"
)

// uncommon says in the words of the configuration what else the tunnel's keys do, "" where they are left
// alone.
func (t *ReportTunnel) uncommon() string {
	var w words
	w.add(t.TTL != 64, "ttl %d", t.TTL)
	w.add(t.TOS != TOSText(0), "tos %s", t.TOS)
	w.add(t.DF, "df")
	w.add(t.AnyPeerPort != nil && *t.AnyPeerPort, "any_peer_port")
	w.add(t.HelloTimeout != 0, "hello_timeout %d ms", t.HelloTimeout)
	w.add(t.OnDown != OnDownNone.String(), "on_down %s", t.OnDown)
	return strings.Join(w, ", ")
}

// uncommon says the same of a session of the tunnel.
func (s *ReportSession) uncommon(t *ReportTunnel) string {
	var w words
	w.add(s.SendSeq, "send_seq")
	w.add(s.RecvSeq, "recv_seq")
	if s.LNSMode != nil {
		w.add(true, "lns_mode %t", *s.LNSMode)
	}
	w.add(s.ResyncAfter != 0, "resync_after %d", s.ResyncAfter)
	w.add(s.ReorderTimeout != 0, "reorder_timeout %d ms", s.ReorderTimeout)
	w.add(s.Oversize != OversizeFragment.String(), "oversize %s", s.Oversize)
	w.add(s.AnswerTooBig, "icmp_too_big")
	w.add(s.MSSClamp != "", "mss_clamp %s", s.MSSClamp)
	switch {
	case s.TTLInherit:
		w.add(true, "ttl inherit")
	default:
		w.add(s.TTL != t.TTL, "ttl %d", s.TTL)
	}
	w.add(s.TOS != t.TOS, "tos %s", s.TOS)
	switch {
	case s.DFInherit:
		w.add(true, "df inherit")
	default:
		w.add(s.DF != t.DF, "df %t", s.DF)
	}
	w.add(s.PCPToDSCP != nil, "pcp_to_dscp %v", s.PCPToDSCP)
	w.add(s.ECN != ecnWords[0], "ecn %s", s.ECN)
	w.add(s.FlowLabel != flowWords[0], "flow_label %s", s.FlowLabel)
	w.add(s.SourcePort != flowWords[0], "source_port %s", s.SourcePort)
	w.add(s.RateTx != 0, "rate_tx %d bit/s with a burst of %d bytes", s.RateTx, s.BurstTx)
	w.add(s.RateRx != 0, "rate_rx %d bit/s with a burst of %d bytes", s.RateRx, s.BurstRx)
	w.add(s.BroadcastLimit != 0, "broadcast_limit %d/s", s.BroadcastLimit)
	w.add(s.MulticastLimit != 0, "multicast_limit %d/s", s.MulticastLimit)
	w.add(s.UnknownUnicastLimit != 0, "unknown_unicast_limit %d/s", s.UnknownUnicastLimit)
	return strings.Join(w, ", ")
}

// words are what there is to say.
type words []string

func (w *words) add(is bool, format string, args ...any) {
	if is {
		*w = append(*w, fmt.Sprintf(format, args...))
	}
}
