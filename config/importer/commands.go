package importer

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"xwire/config/ipl2tp"
	"xwire/l2tp"
)

// commands reads a script with `ip l2tp` commands, or a file for `ip -batch`. MTUs and names that the script
// gives to the sessions' interfaces are taken too; other commands that name one, of whatever program, are told of.
func (s *source) commands(text string) {
	var other []string
	namespaces := map[string]bool{}
	for _, c := range shell(text) {
		words, netns := ipWords(c.words)
		switch {
		case len(words) > 1 && words[0] == "l2tp":
			if word := unknownVariable(words); word != "" {
				s.errorf(c.line, word, "is a shell variable that the file does not set; write its value")
				continue
			}
			namespaces[netns] = true
			s.command(c.line, words[1:])
		case len(words) > 1 && strings.HasPrefix("link", words[0]) && s.linkSet(words[1:]):
		case s.aboutOurs(c.whole):
			other = append(other, fmt.Sprintf("line %d: %s", c.line, strings.Join(c.whole, " ")))
		}
	}
	if len(namespaces) > 1 {
		s.errorf(0, "-netns", "the file is about %d network namespaces; an xwire is in one: import each by itself", len(namespaces))
	}
	if len(other) > 0 {
		s.yours = append([]string{"These commands are about the sessions' interfaces and stay yours to give:"}, other...)
	}
}

// ipWords returns what stands behind `ip` and its options, and the network namespace that these name.
func ipWords(words []string) (rest []string, netns string) {
	for len(words) > 0 {
		switch name := path.Base(words[0]); {
		case name == "sudo" || name == "exec" || name == "!" || name == "if" || name == "then" || name == "do" || name == "else":
			words = words[1:]
			continue
		case name == "ip" || name == "xwire":
			words = words[1:]
		case name == "l2tp" && words[0] == "l2tp": // in a batch file
			return words, netns
		default:
			return nil, ""
		}
		for len(words) > 0 && strings.HasPrefix(words[0], "-") {
			o := "-" + strings.TrimLeft(words[0], "-")
			words = words[1:]
			takes := o == "-n" || len(o) > 2 && strings.HasPrefix("-netns", o)
			if takes && len(words) > 0 {
				netns = words[0]
			}
			if (takes || o == "-f" || o == "-family" || o == "-control" || o == "-rcvbuf") && len(words) > 0 {
				words = words[1:]
			}
		}
		if len(words) > 3 && words[0] == "netns" && words[1] == "exec" {
			netns = words[2]
			words = words[3:]
			continue
		}
		return words, netns
	}
	return nil, ""
}

func unknownVariable(words []string) string {
	for _, w := range words {
		if strings.ContainsAny(w, "$`") {
			return w
		}
	}
	return ""
}

func (s *source) command(line int, words []string) {
	c, err := ipl2tp.Parse(words)
	var wrong *ipl2tp.Error
	switch {
	case errors.As(err, &wrong):
		word, msg := "", wrong.Text
		if wrong.Word < len(words) {
			word = words[wrong.Word]
		}
		if wrong.Word > 0 && strings.Contains(words[wrong.Word-1], "cookie") {
			word = words[wrong.Word-1] // the value is secret
		}
		if msg == "" {
			msg = "this is a call for help, not a command"
		}
		s.errorf(line, word, "%s", msg)
	case c.Verb == ipl2tp.Delete:
		s.remove(c)
	case c.Verb == ipl2tp.Add:
		if c.Tunnel {
			s.addTunnel(line, c)
		}
		if c.Session {
			s.addSession(line, c)
		}
	}
}

// remove forgets what a script made before; that it first deletes what is left of its last run is
// no error.
func (s *source) remove(c *ipl2tp.Command) {
	for i, t := range s.tunnels {
		if t.tid != c.TunnelID {
			continue
		}
		if c.SessionID == 0 {
			s.tunnels = append(s.tunnels[:i:i], s.tunnels[i+1:]...)
			return
		}
		for j, x := range t.sessions {
			if x.sid == c.SessionID {
				t.sessions = append(t.sessions[:j:j], t.sessions[j+1:]...)
				return
			}
		}
	}
}

func (s *source) addTunnel(line int, c *ipl2tp.Command) {
	if first := s.tunnelOf(c.TunnelID); first != nil {
		s.errorf(line, strconv.Itoa(int(c.TunnelID)), "there is a tunnel of this id in line %d already", first.line)
		return
	}
	s.tunnels = append(s.tunnels, &tunnel{
		line: line, name: TunnelName(c.TunnelID), encap: c.Encap, tid: c.TunnelID, ptid: c.PeerTunnelID,
		local: netip.AddrPortFrom(c.Local, c.LocalPort), peer: netip.AddrPortFrom(c.Remote, c.RemotePort),
		checksum:      c.UDPChecksum && c.Local.Is4(),
		noChecksum6Tx: !c.UDP6ChecksumTx && c.Local.Is6(), zeroChecksum6Rx: !c.UDP6ChecksumRx && c.Local.Is6(),
	})
}

// TunnelName is the name of a tunnel that has none where it comes from.
func TunnelName(tid uint32) string { return "l2tp-" + strconv.FormatUint(uint64(tid), 10) }

func (s *source) addSession(line int, c *ipl2tp.Command) {
	t := s.tunnelOf(c.TunnelID)
	if t == nil {
		s.errorf(line, strconv.FormatUint(uint64(c.TunnelID), 10), "no line above adds a tunnel of this id")
		return
	}
	x := &session{
		line: line, sid: c.SessionID, psid: c.PeerSessionID, tx: c.Cookie, rx: c.PeerCookie,
		sublayer: c.Sublayer, sendSeq: c.SendSeq, recvSeq: c.RecvSeq, iface: c.Name,
	}
	if x.iface == "" {
		x.iface = s.freeName()
	}
	x.name = x.iface
	if x.sublayer == l2tp.SublayerNone && (x.sendSeq || x.recvSeq) {
		x.notes = append(x.notes, "Sequence numbers need the sublayer; with l2spec_type none the kernel sent none, and dropped all that it received with seq recv.")
		x.sendSeq, x.recvSeq = false, false
	}
	t.sessions = append(t.sessions, x)
}

// freeName is the name that the kernel would give on a machine without other sessions, which the
// rest of the script may rely on.
func (s *source) freeName() string {
	for n := 0; ; n++ {
		name := "l2tpeth" + strconv.Itoa(n)
		if s.interfaceOf(name) == nil {
			return name
		}
	}
}

func (s *source) interfaceOf(name string) *session {
	for _, t := range s.tunnels {
		for _, x := range t.sessions {
			if x.iface == name {
				return x
			}
		}
	}
	return nil
}

// linkSet takes the MTU and the new name of `ip link set [dev] NAME mtu N name NEW ...`. It reports false
// where more than that is said.
func (s *source) linkSet(words []string) bool {
	if len(words) < 2 || !strings.HasPrefix("set", words[0]) {
		return false
	}
	words = words[1:]
	if words[0] == "dev" && len(words) > 1 {
		words = words[1:]
	}
	x := s.interfaceOf(words[0])
	if x == nil {
		return false
	}
	only := true
	for i := 1; i < len(words); i++ {
		switch n, err := strconv.Atoi(words[min(i+1, len(words)-1)]); {
		case words[i] == "mtu" && i+1 < len(words) && err == nil:
			x.mtu = n
			i++
		case words[i] == "name" && i+1 < len(words):
			x.iface, x.name = words[i+1], words[i+1]
			i++
		default:
			only = false
		}
	}
	return only
}

// aboutOurs tells whether a command names an interface of a session that was added before: by itself, by a
// VLAN on it, or in a path or a sysctl's name.
func (s *source) aboutOurs(words []string) bool {
	for _, w := range words {
		if s.interfaceOf(w) != nil {
			return true
		}
		for _, part := range strings.FieldsFunc(w, func(r rune) bool { return strings.ContainsRune("./=:@,>", r) }) {
			if s.interfaceOf(part) != nil {
				return true
			}
		}
	}
	return false
}
