package ipl2tp

import (
	"fmt"
	"net/netip"
	"strings"

	"xwire/l2tp"
)

// Verb is what is to be done.
type Verb uint8

const (
	Add Verb = iota
	Delete
	Show
)

// Command is one call of `ip l2tp`. IDs, ports and addresses that were not given are zero.
type Command struct {
	Verb            Verb
	Tunnel, Session bool // of what; both may be named
	TunnelID        uint32
	PeerTunnelID    uint32
	SessionID       uint32
	PeerSessionID   uint32
	Encap           l2tp.Encap
	Local, Remote   netip.Addr
	LocalPort       uint16
	RemotePort      uint16
	UDPChecksum     bool // IPv4; the two below are for IPv6 and on unless told
	UDP6ChecksumTx  bool
	UDP6ChecksumRx  bool
	Name            string // of the interface
	Cookie          l2tp.Cookie
	PeerCookie      l2tp.Cookie
	Sublayer        l2tp.Sublayer // default unless told
	SendSeq         bool
	RecvSeq         bool
	Ignored         []string // options that never do anything, with what `ip` says of them
}

// Error is a call that cannot be understood, in iproute2's words.
type Error struct {
	Text  string
	Word  int  // place of the word that is wrong, from 0; that of a missing one is behind the last
	Usage bool // iproute2 prints its usage too
}

func (e *Error) Error() string { return e.Text }

// Usage lists the arguments.
const Usage = `Usage: xwire [ -json ] [ -pretty ] [ -oneline ] [ --control SOCKET ] l2tp ...
       xwire l2tp add tunnel   tunnel_id ID peer_tunnel_id ID local ADDR remote ADDR
                               [ encap udp|ip ] [ udp_sport PORT ] [ udp_dport PORT ]
                               [ udp_csum on|off ] [ udp6_csum_tx on|off ] [ udp6_csum_rx on|off ]
       xwire l2tp add session  tunnel_id ID session_id ID peer_session_id ID [ name NAME ]
                               [ cookie HEX ] [ peer_cookie HEX ] [ l2spec_type none|default ]
                               [ seq none|send|recv|both ]
       xwire l2tp del tunnel   tunnel_id ID
       xwire l2tp del session  tunnel_id ID session_id ID
       xwire l2tp show tunnel  [ tunnel_id ID ]
       xwire l2tp show session [ tunnel_id ID ] [ session_id ID ]
       IDs are 1 to 4294967295, cookies 8 or 16 hexadecimal digits. Verbs may be shortened; tid, ptid,
       sid and psid are the short names of the ids.
`

// verbs go in the order in which iproute2 looks for an abbreviation.
var verbs = []struct {
	name string
	verb Verb
}{{"add", Add}, {"delete", Delete}, {"show", Show}, {"lst", Show}, {"list", Show}}

// Parse reads the words behind `ip l2tp`. Its error is an *Error.
func Parse(words []string) (*Command, error) {
	if len(words) == 0 || words[0] == "" || strings.HasPrefix("help", words[0]) {
		return nil, &Error{Usage: true}
	}
	for _, v := range verbs {
		if strings.HasPrefix(v.name, words[0]) {
			c := &Command{Verb: v.verb, Sublayer: l2tp.SublayerDefault, UDP6ChecksumTx: true, UDP6ChecksumRx: true}
			a := arguments{words: words, at: 1, c: c}
			if err := a.read(); err != nil {
				return nil, err
			}
			return c, c.check(len(words))
		}
	}
	return nil, &Error{Text: fmt.Sprintf("Command %q is unknown, try \"xwire l2tp help\".", words[0])}
}

// check finds what is missing, in the order in which iproute2 tells.
func (c *Command) check(end int) error {
	type need struct {
		is   bool
		name string
	}
	needs := []need{{c.Tunnel || c.Session, "tunnel or session"}}
	switch c.Verb {
	case Add:
		needs = append(needs, need{c.TunnelID != 0, "tunnel_id"},
			need{!c.Session || c.PeerSessionID != 0, "peer_session_id"},
			need{!c.Session || c.SessionID != 0, "session_id"})
		if c.Tunnel {
			udp := c.Encap == l2tp.EncapUDP
			needs = append(needs, need{c.PeerTunnelID != 0, "peer_tunnel_id"},
				need{c.Local.IsValid(), "local"}, need{c.Remote.IsValid(), "remote"},
				need{!udp || c.LocalPort != 0, "udp_sport"}, need{!udp || c.RemotePort != 0, "udp_dport"})
		}
	case Delete:
		needs = append(needs, need{!c.Tunnel || c.TunnelID != 0, "tunnel_id"}, need{!c.Session || c.SessionID != 0, "session_id"})
	}
	for _, n := range needs {
		if !n.is {
			return &Error{Text: fmt.Sprintf("Error: argument %q is required", n.name), Word: end}
		}
	}
	return nil
}
