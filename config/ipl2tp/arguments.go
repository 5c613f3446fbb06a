package ipl2tp

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"xwire/l2tp"
)

// arguments are read one by one; the words of a value follow its name.
type arguments struct {
	words []string
	at    int
	c     *Command
}

func (a *arguments) read() error {
	if a.at == len(a.words) {
		return &Error{Usage: true, Word: a.at}
	}
	for ; a.at < len(a.words); a.at++ {
		name := a.words[a.at]
		set, known := setters[name]
		switch {
		case name == "tunnel":
			a.c.Tunnel = true
			continue
		case name == "session":
			a.c.Session = true
			continue
		case !known && name != "" && strings.HasPrefix("help", name):
			return &Error{Usage: true, Word: a.at}
		case !known:
			return &Error{Text: "Unknown command: " + name, Usage: true, Word: a.at}
		case a.at+1 == len(a.words):
			return &Error{Text: "Command line is not complete. Try option \"help\"", Word: a.at + 1}
		}
		a.at++
		if text := set(a.c, a.words[a.at]); text != "" {
			return &Error{Text: text, Word: a.at}
		}
	}
	return nil
}

// A setter takes a value, or returns what iproute2 says of a wrong one.
type setter func(c *Command, word string) string

var setters = map[string]setter{
	"tunnel_id":       id(func(c *Command) *uint32 { return &c.TunnelID }),
	"tid":             id(func(c *Command) *uint32 { return &c.TunnelID }),
	"peer_tunnel_id":  id(func(c *Command) *uint32 { return &c.PeerTunnelID }),
	"ptid":            id(func(c *Command) *uint32 { return &c.PeerTunnelID }),
	"session_id":      id(func(c *Command) *uint32 { return &c.SessionID }),
	"sid":             id(func(c *Command) *uint32 { return &c.SessionID }),
	"peer_session_id": id(func(c *Command) *uint32 { return &c.PeerSessionID }),
	"psid":            id(func(c *Command) *uint32 { return &c.PeerSessionID }),
	"local":           address(func(c *Command) *netip.Addr { return &c.Local }),
	"remote":          address(func(c *Command) *netip.Addr { return &c.Remote }),
	"udp_sport":       port(func(c *Command) *uint16 { return &c.LocalPort }),
	"udp_dport":       port(func(c *Command) *uint16 { return &c.RemotePort }),
	"udp_csum":        onOff("udp_csum", func(c *Command) *bool { return &c.UDPChecksum }),
	"udp6_csum_tx":    onOff("udp6_csum_tx", func(c *Command) *bool { return &c.UDP6ChecksumTx }),
	"udp6_csum_rx":    onOff("udp6_csum_rx", func(c *Command) *bool { return &c.UDP6ChecksumRx }),
	"cookie":          cookie(func(c *Command) *l2tp.Cookie { return &c.Cookie }),
	"peer_cookie":     cookie(func(c *Command) *l2tp.Cookie { return &c.PeerCookie }),
	"encap": func(c *Command, word string) string {
		switch word {
		case "ip":
			c.Encap = l2tp.EncapIP
		case "udp":
			c.Encap = l2tp.EncapUDP
		default:
			return fmt.Sprintf("Unknown tunnel encapsulation %q", word)
		}
		return ""
	},
	"name": func(c *Command, word string) string {
		if !validName(word) {
			return wrong(word, `"name" not a valid ifname`)
		}
		c.Name = word
		return ""
	},
	"l2spec_type": func(c *Command, word string) string {
		switch strings.ToLower(word) {
		case "default":
			c.Sublayer = l2tp.SublayerDefault
		case "none":
			c.Sublayer = l2tp.SublayerNone
		default:
			return fmt.Sprintf("Unknown layer2specific header type %q", word)
		}
		return ""
	},
	// As in iproute2, a later seq adds to an earlier one, but for none.
	"seq": func(c *Command, word string) string {
		switch strings.ToLower(word) {
		case "both":
			c.SendSeq, c.RecvSeq = true, true
		case "send":
			c.SendSeq = true
		case "recv":
			c.RecvSeq = true
		case "none":
			c.SendSeq, c.RecvSeq = false, false
		default:
			return fmt.Sprintf("Unknown seq value %q", word)
		}
		return ""
	},
	"offset":      ignored("offset"),
	"peer_offset": ignored("peer_offset"),
}

func wrong(word, why string) string {
	return fmt.Sprintf("Error: argument %q is wrong: %s", word, why)
}

func ignored(name string) setter {
	return func(c *Command, _ string) string {
		c.Ignored = append(c.Ignored, fmt.Sprintf("Ignoring option %q", name))
		return ""
	}
}

func id(field func(*Command) *uint32) setter {
	return func(c *Command, word string) string {
		n, err := number(word, 32)
		if err != nil {
			return wrong(word, "invalid ID")
		}
		*field(c) = uint32(n)
		return ""
	}
}

func port(field func(*Command) *uint16) setter {
	return func(c *Command, word string) string {
		n, err := number(word, 16)
		if err != nil {
			return wrong(word, "invalid port")
		}
		*field(c) = uint16(n)
		return ""
	}
}

// number reads what C's strtoul does with base 0: 16, 0x10, 020.
func number(word string, bits int) (uint64, error) {
	lower := strings.ToLower(word)
	switch {
	case strings.HasPrefix(lower, "0x"):
		return strconv.ParseUint(lower[2:], 16, bits)
	case strings.HasPrefix(lower, "0"):
		return strconv.ParseUint(lower, 8, bits)
	}
	return strconv.ParseUint(lower, 10, bits)
}

func address(field func(*Command) *netip.Addr) setter {
	return func(c *Command, word string) string {
		if word == "any" || word == "all" || word == "default" { // no address, which is then missing
			*field(c) = netip.Addr{}
			return ""
		}
		a, err := netip.ParseAddr(word)
		if err != nil || a.Zone() != "" {
			return fmt.Sprintf("Error: any valid address is expected rather than %q.", word)
		}
		*field(c) = a
		return ""
	}
}

func onOff(name string, field func(*Command) *bool) setter {
	return func(c *Command, word string) string {
		if word != "on" && word != "off" {
			return wrong(word, "invalid option for "+name)
		}
		*field(c) = word == "on"
		return ""
	}
}

// cookie does not repeat the digits as iproute2 does: they are a secret.
func cookie(field func(*Command) *l2tp.Cookie) setter {
	return func(c *Command, word string) string {
		shown := fmt.Sprintf("(%d characters)", len(word))
		if len(word) != 8 && len(word) != 16 {
			return wrong(shown, "cookie must be either 8 or 16 hex digits")
		}
		v, err := l2tp.ParseCookie(word)
		if err != nil {
			return wrong(shown, "cookie must be a hex string")
		}
		*field(c) = v
		return ""
	}
}

// validName tells whether the kernel takes the name for an interface.
func validName(s string) bool {
	return s != "" && len(s) <= 15 && s != "." && s != ".." && !strings.ContainsAny(s, "/ \t\n\v\f\r")
}
