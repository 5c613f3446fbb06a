package config

import "fmt"

// Marking is what a session's outer headers say otherwise than its tunnel's.
type Marking struct {
	TTL       uint8 // 0: as the tunnel
	TTLInner  bool  // TTL is for frames without a packet inside
	DF        bool  // if DFGiven
	DFInner   bool  // DF is for frames without a packet inside; not with DFGiven
	TOS       uint8 // if TOSGiven and not TOSInner
	TOSInner  bool
	DFGiven   bool
	TOSGiven  bool
	ECN       bool
	PCP       bool // DSCP counts
	FlowLabel bool
	FlowPort  bool
	DSCP      [8]uint8 // by 802.1p priority
}

// ClassSelectors is what pcp_to_dscp = true means: RFC 2474 section 4.2.2.1.
var ClassSelectors = [8]uint8{0, 8, 16, 24, 32, 40, 48, 56}

var (
	ecnWords  = [...]string{"none", "rfc6040"}
	flowWords = [...]string{"fixed", "flow"}
)

// word picks one of two words by a switch.
func word(words [2]string, on bool) string {
	if on {
		return words[1]
	}
	return words[0]
}

// Marks returns the session's marking as its tunnel completes it: TTL, TOS and DF are what is sent,
// but for what comes from inside.
func (s *Session) Marks(t *Tunnel) Marking {
	m := s.Marking
	if m.TTL == 0 {
		m.TTL = t.TTL
	}
	if !m.DFGiven {
		m.DF = t.DF
	}
	if !m.TOSGiven {
		m.TOS = t.TOS
	}
	m.DF, m.DFInner = m.DF && !t.IP6(), m.DFInner && !t.IP6()
	return m
}

// set takes the keys about outer headers.
func (m *Marking) set(r *reader, key string, v any) {
	switch key {
	case "ttl":
		if n, inner, ok := r.orInherit(key, v, 1, 255); ok {
			m.TTL, m.TTLInner = n, inner
		}
	case "df":
		b, isBool := v.(bool)
		if !isBool && v != "inherit" {
			r.errorf(key, `must be true, false, or "inherit", is %s`, describe(v))
			return
		}
		m.DF, m.DFGiven, m.DFInner = b, isBool, !isBool
	case "tos":
		if n, inner, ok := r.orInherit(key, v, 0, 255); ok {
			m.TOS, m.TOSInner, m.TOSGiven = n, inner, true
		}
	case "pcp_to_dscp":
		if d, on, ok := r.dscps(key, v); ok {
			m.DSCP, m.PCP = d, on
		}
	case "ecn":
		if i, ok := r.enum(key, v, ecnWords[:]...); ok {
			m.ECN = i == 1
		}
	case "flow_label":
		if i, ok := r.enum(key, v, flowWords[:]...); ok {
			m.FlowLabel = i == 1
		}
	case "source_port":
		if i, ok := r.enum(key, v, flowWords[:]...); ok {
			m.FlowPort = i == 1
		}
	}
}

// orInherit reads an integer, or the word for what the packet inside has.
func (r *reader) orInherit(key string, v any, lo, hi int64) (n uint8, inner, ok bool) {
	switch v := v.(type) {
	case string:
		_, ok = r.enum(key, v, "inherit")
		return 0, ok, ok
	case int64:
		i, ok := r.integer(key, v, lo, hi)
		return uint8(i), false, ok
	}
	r.errorf(key, `must be an integer from %d to %d, or "inherit", is %s`, lo, hi, describe(v))
	return 0, false, false
}

// dscps reads eight code points, or whether there are any.
func (r *reader) dscps(key string, v any) (d [8]uint8, on, ok bool) {
	if b, isBool := v.(bool); isBool {
		if b {
			d = ClassSelectors
		}
		return d, b, true
	}
	if _, isList := v.([]any); !isList {
		r.errorf(key, "must be true, false, or an array of 8 code points from 0 to 63, is %s", describe(v))
		return d, false, false
	}
	list, ok := r.integers(key, v, 0, 63)
	if !ok {
		return d, false, false
	}
	if len(list) != len(d) {
		r.errorf(key, "has %d code points; give 8, for the priorities 0 to 7", len(list))
		return d, false, false
	}
	for i, n := range list {
		d[i] = uint8(n)
	}
	return d, true, true
}

func (m *Marking) entries(put entries) {
	switch {
	case m.TTLInner:
		put("ttl", "inherit")
	case m.TTL != 0:
		put("ttl", int64(m.TTL))
	}
	switch {
	case m.DFInner:
		put("df", "inherit")
	case m.DFGiven:
		put("df", m.DF)
	}
	switch {
	case m.TOSInner:
		put("tos", "inherit")
	case m.TOSGiven:
		put("tos", int64(m.TOS))
	}
	switch {
	case m.PCP && m.DSCP == ClassSelectors:
		put("pcp_to_dscp", true)
	case m.PCP:
		integers(put, "pcp_to_dscp", m.codePoints())
	}
	if m.ECN {
		put("ecn", word(ecnWords, true))
	}
	if m.FlowLabel {
		put("flow_label", word(flowWords, true))
	}
	if m.FlowPort {
		put("source_port", word(flowWords, true))
	}
}

// codePoints is DSCP where it counts.
func (m *Marking) codePoints() []int {
	if !m.PCP {
		return nil
	}
	list := make([]int, len(m.DSCP))
	for i, c := range m.DSCP {
		list[i] = int(c)
	}
	return list
}

// ReportMarking is what a session's outer headers say.
type ReportMarking struct {
	TTL        uint8  `json:"ttl"`
	TTLInherit bool   `json:"ttl_inherit,omitempty"` // TTL is for frames without a packet inside
	DF         bool   `json:"df"`
	DFInherit  bool   `json:"df_inherit,omitempty"`
	TOS        string `json:"tos"` // "0x00" to "0xff", or "inherit"
	PCPToDSCP  []int  `json:"pcp_to_dscp,omitempty"`
	ECN        string `json:"ecn"`
	FlowLabel  string `json:"flow_label"`
	SourcePort string `json:"source_port"`
}

// TOSText is how a TOS is shown.
func TOSText(tos uint8) string { return fmt.Sprintf("0x%02x", tos) }

// ReportMarks tells what the outer headers of a session of the tunnel say.
func (s *Session) ReportMarks(t *Tunnel) ReportMarking {
	m := s.Marks(t)
	r := ReportMarking{
		TTL: m.TTL, TTLInherit: m.TTLInner, DF: m.DF, DFInherit: m.DFInner, TOS: TOSText(m.TOS), PCPToDSCP: m.codePoints(),
		ECN: word(ecnWords, m.ECN), FlowLabel: word(flowWords, m.FlowLabel), SourcePort: word(flowWords, m.FlowPort),
	}
	if m.TOSInner {
		r.TOS = "inherit"
	}
	return r
}

// markingWarnings tells what of a session's marking has no effect, or not the one that was meant.
func markingWarnings(warn func(key, format string, args ...any), t *Tunnel, s *Session) {
	m := s.Marks(t)
	udp := t.Encap.String() == "udp"
	if m.FlowPort && !udp {
		warn("source_port", `has no effect with encap = "ip"`)
	}
	if m.FlowPort && udp {
		warn("source_port", `needs a peer that takes any source port (an xwire peer: any_peer_port = true); Linux takes none but the one it was told`)
	}
	if m.FlowLabel && !t.IP6() {
		warn("flow_label", "has no effect over IPv4")
	}
	if m.TTLInner {
		warn("ttl", `"inherit" has packets with a TTL of 1 (OSPF, RIP, IGMP) end at the first router of the core: use it where the peer is next to us`)
	}
	if (s.Marking.DF || s.Marking.DFInner) && t.IP6() {
		warn("df", "has no effect over IPv6, which nobody but the sender fragments")
	}
	if m.TOSGiven && !m.ECN && m.TOS&3 != 0 {
		warn("tos", `%#02x says that frames can carry congestion marks, which none brings to the packet inside: use ecn = "rfc6040", or leave the two lowest bits 0`, m.TOS)
	}
}
