package config

import (
	"fmt"

	"xwire/l2tp"
)

// Oversize is what becomes of a frame whose packet is larger than the path's MTU.
type Oversize uint8

// In the order of the key's values.
const (
	OversizeFragment Oversize = iota
	OversizeDrop
	OversizePW
)

var oversizes = [...]string{"fragment", "drop", "pw"}

func (o Oversize) String() string { return oversizes[o] }

// MSSByPath as Session.MSSClamp stands for what fits the path whole.
const MSSByPath = -1

// An MSS is at least what RFC 9293 section 3.7.1 has every IPv4 host take without being told, and at
// most what the largest IPv4 packet leaves.
const (
	leastMSS = 536
	mostMSS  = 65535 - 40
)

// then says what becomes of what is too large.
func (o Oversize) then() string {
	return [...]string{"is sent in IP fragments", "is dropped", "is fragmented inside the pseudowire"}[o]
}

// sizeWarnings tells what does not fit a core of that MTU whole, what becomes of it, and which core would
// have room. mtu is that of the customer's packets.
func sizeWarnings(warn func(key, format string, args ...any), t *Tunnel, s *Session, mtu, coreMTU int) {
	whole := 1500
	if s.PPP() {
		whole -= pppoeRoom // what PPPoE clients send
	}
	then := s.Oversize.then()
	switch {
	case s.Switched() && s.AnswerTooBig:
		warn("icmp_too_big", "has no effect between two sessions: what is larger than %d %s", mtu, then)
	case s.AnswerTooBig && s.Oversize != OversizeDrop:
		then += ", but for IPv4 with DF and IPv6, whose senders are told"
	case s.AnswerTooBig:
		then += ", and senders of IPv4 with DF and IPv6 are told"
	}
	switch need := s.CoreMTU(t, whole); {
	case s.Local() && s.MTU != 0 && s.CoreMTU(t, mtu) > coreMTU:
		warn("mtu", "%d does not fit through a core MTU of %d: what is larger than %d %s; a core MTU of %d carries it whole",
			s.MTU, coreMTU, int(s.MTU)-s.CoreMTU(t, mtu)+coreMTU, then, s.CoreMTU(t, mtu))
	case mtu >= whole || need <= coreMTU || s.Local() && s.MTU != 0:
	case s.Local() && s.MTU == 0:
		warn("mtu", "is %d, as the kernel's would be: the interface takes nothing larger, customers' %d-byte packets neither; with mtu = %d what is larger %s, and a core MTU of %d carries it whole",
			mtu, whole, whole+s.InterfaceMTU(t, coreMTU)-mtu, then, need)
	default:
		warn("mtu", "is %d: what is larger, customers' %d-byte packets too, %s; a core MTU of %d carries them whole", mtu, whole, then, need)
	}
}

// checkOversize knows what RFC 4623 section 3 asks of sessions that fragment inside the pseudowire.
func (s *Session) checkOversize(p problems, t *Tunnel) {
	if s.Oversize != OversizePW {
		return
	}
	switch {
	case t.Version != 3 || s.L2Spec != l2tp.SublayerDefault:
		p.errorf("oversize", `"pw" needs L2TPv3 with l2spec_type = "default", which has the bits for it`)
	case !s.Sequence.Send || s.Sequence.LNS == LNSOff:
		p.errorf("oversize", `"pw" needs send_seq = true, and no lns_mode = false: fragments are told apart by their numbers`)
	case s.Marking.DFGiven && !s.Marking.DF || s.Marking.DFInner:
		p.errorf("oversize", `"pw" sends all packets with DF over IPv4, but df is not true`)
	}
}

// MSSClampText is how mss_clamp is shown: "path", a number of bytes, or "" where nothing is clamped.
func (s *Session) MSSClampText() string {
	switch s.MSSClamp {
	case 0:
		return ""
	case MSSByPath:
		return "path"
	}
	return fmt.Sprint(s.MSSClamp)
}

func (r *reader) mssClamp(key string, v any) int32 {
	if b, ok := v.(bool); ok {
		if b {
			return MSSByPath
		}
		return 0
	}
	if _, ok := v.(int64); !ok {
		r.errorf(key, "must be true, false, or a number of bytes, is %s", describe(v))
		return 0
	}
	n, _ := r.integer(key, v, leastMSS, mostMSS)
	return int32(n)
}
