package importer

import (
	"net/netip"
	"strconv"
	"strings"

	"xwire/l2tp"
)

// vyosPort is the UDP port of both ends where none is set.
const vyosPort = 5000

// vyosTunnel is one `interfaces l2tpv3 NAME`.
type vyosTunnel struct {
	tunnel
	session
	localPort, peerPort uint16
	seen                map[string]bool
}

// vyosLine is one line, its words with the path that they stand below. iface is empty outside l2tpv3.
type vyosLine struct {
	number int
	iface  string
	words  []string // behind the interface's name, where there is one
}

// vyos reads the set commands, or the braces, of a VyOS configuration, which is the whole machine. Of what
// is not an l2tpv3 interface, lines that name one (a bridge's members, routes, a firewall's zones) are told
// of; the others are passed over.
func (s *source) vyos(text string) {
	byName := map[string]*vyosTunnel{}
	var order []*vyosTunnel
	lines := vyosLines(text)
	for _, l := range lines {
		if l.iface == "" {
			continue
		}
		v := byName[l.iface]
		if v == nil {
			v = &vyosTunnel{localPort: vyosPort, peerPort: vyosPort, seen: map[string]bool{}}
			v.tunnel.line, v.session.line, v.iface = l.number, l.number, l.iface
			v.sublayer = l2tp.SublayerDefault
			byName[l.iface] = v
			order = append(order, v)
		}
		if len(l.words) > 0 {
			s.vyosKey(v, l)
		}
	}
	for _, l := range lines {
		if v := vyosNamed(byName, l.words); l.iface == "" && v != nil {
			v.yours = append(v.yours, "Yours to set for "+v.iface+": "+strings.Join(l.words, " "))
		}
	}
	for _, v := range order {
		s.vyosDone(v)
	}
}

// vyosNamed finds the interface that a line about something else names, itself or by a VLAN on it.
func vyosNamed(byName map[string]*vyosTunnel, words []string) *vyosTunnel {
	for _, w := range words {
		name, _, _ := strings.Cut(w, ".")
		if v := byName[name]; v != nil {
			return v
		}
	}
	return nil
}

// vyosLines are the lines of either form: those about l2tpv3 interfaces, and the other leaves.
func vyosLines(text string) []vyosLine {
	var list []vyosLine
	var path []string // of open braces
	bare := false     // the last brace has nothing in it so far
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "/*") || strings.HasPrefix(line, "//") {
			continue
		}
		words := vyosWords(line)
		switch {
		case len(words) == 0:
		case words[0] == "set" && len(path) == 0:
			if len(words) >= 4 && words[1] == "interfaces" && words[2] == "l2tpv3" {
				list = append(list, vyosLine{i + 1, words[3], words[4:]})
			} else {
				list = append(list, vyosLine{i + 1, "", words[1:]})
			}
		case words[len(words)-1] == "{":
			path = append(path, words[:len(words)-1]...)
			path = append(path, "{")
			bare = true
			if name, below := vyosBelow(path); name != "" && below == nil {
				list = append(list, vyosLine{i + 1, name, nil})
			}
		case words[0] == "}":
			if name, _ := vyosBelow(path); name == "" && bare {
				list = append(list, vyosLine{i + 1, "", vyosPath(path)})
			}
			bare = false
			for len(path) > 0 {
				path = path[:len(path)-1]
				if len(path) == 0 || path[len(path)-1] == "{" {
					break
				}
			}
		default:
			bare = false
			name, below := vyosBelow(path)
			if name == "" {
				below = vyosPath(path)
			}
			list = append(list, vyosLine{i + 1, name, append(below, words...)})
		}
	}
	return list
}

// vyosBelow tells which l2tpv3 interface the open braces are of, and the nodes between it and here.
func vyosBelow(path []string) (name string, below []string) {
	for i := 0; i+1 < len(path); i++ {
		if path[i] == "l2tpv3" {
			return path[i+1], vyosPath(path[i+2:])
		}
	}
	return "", nil
}

// vyosPath are the nodes of a path without its braces.
func vyosPath(path []string) (nodes []string) {
	for _, p := range path {
		if p != "{" {
			nodes = append(nodes, p)
		}
	}
	return nodes
}

// vyosWords splits a line; values may stand in quotes.
func vyosWords(line string) []string {
	var words []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if q := line[0]; q == '\'' || q == '"' {
			inside, rest, _ := strings.Cut(line[1:], string(q))
			words, line = append(words, inside), rest
			continue
		}
		end := strings.IndexAny(line, " \t")
		if end < 0 {
			end = len(line)
		}
		words, line = append(words, line[:end]), line[end:]
	}
	return words
}

func (s *source) vyosKey(v *vyosTunnel, l vyosLine) {
	key := l.words[0]
	if key == "disable" {
		v.disabled = true
		return
	}
	if len(l.words) < 2 {
		s.errorf(l.number, key, "needs a value")
		return
	}
	value := l.words[1]
	v.seen[key] = true
	switch key {
	case "description":
		v.session.description = value
	case "encapsulation":
		switch value {
		case "udp":
			v.encap = l2tp.EncapUDP
		case "ip":
			v.encap = l2tp.EncapIP
		default:
			s.errorf(l.number, value, "must be udp or ip")
		}
	case "source-address", "local-ip":
		v.local = netip.AddrPortFrom(s.address(l.number, value), 0)
	case "remote", "remote-ip":
		v.peer = netip.AddrPortFrom(s.address(l.number, value), 0)
	case "source-port":
		v.localPort = uint16(s.number(l.number, value, 65535))
	case "destination-port":
		v.peerPort = uint16(s.number(l.number, value, 65535))
	case "tunnel-id":
		v.tid = uint32(s.number(l.number, value, 1<<32-1))
	case "peer-tunnel-id":
		v.ptid = uint32(s.number(l.number, value, 1<<32-1))
	case "session-id":
		v.sid = uint32(s.number(l.number, value, 1<<32-1))
	case "peer-session-id":
		v.psid = uint32(s.number(l.number, value, 1<<32-1))
	case "mtu":
		v.mtu = int(s.number(l.number, value, 65535))
	case "address", "bridge-group", "ip", "ipv6", "mirror", "redirect", "traffic-policy", "vrf":
		v.yours = append(v.yours, "Yours to set on "+l.iface+": "+strings.Join(l.words, " "))
	default:
		s.errorf(l.number, key, "is no key of an l2tpv3 interface that is known here")
	}
}

// address and number report what is wrong with a value; the zero value is never right.
func (s *source) address(line int, word string) netip.Addr {
	a, err := netip.ParseAddr(word)
	if err != nil {
		s.errorf(line, word, "is not an IP address")
		return netip.Addr{}
	}
	return a
}

func (s *source) number(line int, word string, most uint64) uint64 {
	n, err := strconv.ParseUint(word, 0, 64)
	if err != nil || n == 0 || n > most {
		s.errorf(line, word, "must be a number from 1 to %d", most)
		return 0
	}
	return n
}

// vyosDone makes tunnel and session of what was read. VyOS has one session a tunnel.
func (s *source) vyosDone(v *vyosTunnel) {
	must := []struct{ key, old string }{
		{"source-address", "local-ip"}, {"remote", "remote-ip"},
		{key: "tunnel-id"}, {key: "peer-tunnel-id"}, {key: "session-id"}, {key: "peer-session-id"},
	}
	whole := true
	for _, m := range must {
		if !v.seen[m.key] && !v.seen[m.old] {
			s.errorf(v.tunnel.line, v.iface, "has no %s", m.key)
			whole = false
		}
	}
	if !whole {
		return
	}
	t, x := v.tunnel, v.session
	t.local, t.peer = netip.AddrPortFrom(t.local.Addr(), v.localPort), netip.AddrPortFrom(t.peer.Addr(), v.peerPort)
	t.name, x.name = TunnelName(t.tid), x.iface
	if x.mtu == 0 {
		x.yours = append(x.yours, "VyOS gives it an MTU of 1488 unless told, which an MTU of 1500 on the way does not carry whole; here it is what does.")
	}
	t.sessions = []*session{&x}
	s.tunnels = append(s.tunnels, &t)
}
