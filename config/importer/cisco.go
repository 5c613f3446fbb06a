package importer

import (
	"net/netip"
	"strconv"
	"strings"

	"xwire/l2tp"
)

// ciscoClass is a pseudowire-class.
type ciscoClass struct {
	source     string // interface whose address is ours
	sourceLine int
	l2tpv3     bool
	send, recv bool
	ttl, tos   string // as TOML; "": not said
	df         bool
	notes      []string
}

// ciscoHello is the HELLO interval of an l2tp-class that does not tell it, in seconds.
const ciscoHello = 60

// ciscoConnect is one `xconnect ... encapsulation l2tpv3 manual` and what stands below it.
type ciscoConnect struct {
	session
	peer      string
	class     string
	classLine int
	hello     string // l2tp-class
	manual    bool
	ids       bool
}

// ciscoReader reads IOS configuration, which says by order and not by braces what belongs together.
type ciscoReader struct {
	s           *source
	addresses   map[string]netip.Addr // of interfaces
	classes     map[string]*ciscoClass
	hellos      map[string]int // seconds, by l2tp-class
	description map[string]string
	vlans       map[string]string
	connects    []*ciscoConnect

	// What the lines that come belong to.
	iface, l2tpClass string
	class            *ciscoClass
	connect          *ciscoConnect
}

// cisco reads static sessions of an IOS configuration. What is not about them is passed over.
func (s *source) cisco(text string) {
	r := ciscoReader{
		s: s, addresses: map[string]netip.Addr{}, classes: map[string]*ciscoClass{}, hellos: map[string]int{},
		description: map[string]string{}, vlans: map[string]string{},
	}
	for i, line := range strings.Split(text, "\n") {
		if words := strings.Fields(line); len(words) > 0 && words[0][0] != '!' {
			r.line(i+1, words)
		}
	}
	for _, c := range r.connects {
		r.done(c)
	}
}

func (r *ciscoReader) line(n int, words []string) {
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	switch w := words[0]; {
	case w == "interface":
		r.iface, r.class, r.connect, r.l2tpClass = strings.Join(words[1:], ""), nil, nil, ""
	case w == "pseudowire-class":
		r.class, r.iface, r.connect, r.l2tpClass = &ciscoClass{}, "", nil, ""
		r.classes[arg(1)] = r.class
	case w == "l2tp-class":
		r.l2tpClass, r.iface, r.class, r.connect = arg(1), "", nil, nil
	case w == "exit", w == "end":
		r.iface, r.class, r.connect, r.l2tpClass = "", nil, nil, ""
	case r.class != nil:
		r.classLine(n, words)
	case r.l2tpClass != "":
		if w == "hello" {
			r.hellos[r.l2tpClass] = int(r.s.number(n, arg(1), 1000))
		}
	case w == "description":
		r.description[r.iface] = strings.Join(words[1:], " ")
	case w == "ip" && arg(1) == "address" && arg(3) != "secondary" && arg(4) != "secondary":
		if a, err := netip.ParseAddr(strings.Split(arg(2), "/")[0]); err == nil {
			r.addresses[strings.ToLower(r.iface)] = a
		}
	case w == "encapsulation" && strings.EqualFold(arg(1), "dot1q"):
		r.vlans[r.iface] = arg(2)
		if arg(3) == "second-dot1q" {
			r.vlans[r.iface] += "." + arg(4)
		}
	case w == "xconnect":
		r.xconnect(n, words)
	case w == "l2tp":
		r.l2tp(n, words)
	}
}

func (r *ciscoReader) classLine(n int, words []string) {
	c := r.class
	switch line := strings.Join(words, " "); {
	case line == "encapsulation l2tpv3":
		c.l2tpv3 = true
	case strings.HasPrefix(line, "ip local interface "):
		c.source, c.sourceLine = strings.Join(words[3:], ""), n
	case words[0] == "sequencing":
		c.send = line != "sequencing receive"
		c.recv = line != "sequencing transmit"
	case strings.HasPrefix(line, "ip ttl ") && len(words) == 3:
		c.ttl = strconv.FormatUint(r.s.number(n, words[2], 255), 10)
	case line == "ip tos reflect":
		c.tos = `"inherit"`
	case strings.HasPrefix(line, "ip tos value ") && len(words) == 4:
		if c.tos = "0"; words[3] != "0" {
			c.tos = strconv.FormatUint(r.s.number(n, words[3], 255), 10)
		}
	case line == "ip dfbit set":
		c.df = true
	case words[0] == "protocol", words[0] == "encapsulation", words[0] == "interworking", strings.HasPrefix(line, "ip protocol "):
	default: // path MTU
		c.notes = append(c.notes, "Not imported: "+line)
	}
}

func (r *ciscoReader) xconnect(n int, words []string) {
	c := &ciscoConnect{}
	c.session.line = n
	if len(words) < 3 {
		r.s.errorf(n, "xconnect", "needs the peer's address and a VC id")
		return
	}
	c.peer = words[1]
	c.circuit, c.vlan = r.iface, "all"
	if r.iface == "" {
		r.s.errorf(n, "xconnect", "stands under no interface; add the interface's line before it")
	}
	c.name = portName(r.iface)
	l2tpv3 := false
	for i := 3; i < len(words); i++ {
		switch words[i] {
		case "l2tpv3":
			l2tpv3 = true
		case "manual":
			c.manual = true
		case "pw-class":
			if i+1 < len(words) {
				c.class, c.classLine = words[i+1], n
				i++
			}
		}
	}
	if class := r.classes[c.class]; class != nil && class.l2tpv3 {
		l2tpv3 = true
	}
	if !l2tpv3 {
		r.s.notef("Line %d: xconnect %s %s is no L2TPv3.", n, words[1], words[2])
		return
	}
	r.connect = c
	r.connects = append(r.connects, c)
}

func (r *ciscoReader) l2tp(n int, words []string) {
	c := r.connect
	if c == nil {
		r.s.errorf(n, strings.Join(words, " "), "stands below no xconnect ... encapsulation l2tpv3 manual")
		return
	}
	switch {
	case len(words) == 4 && words[1] == "id":
		c.sid = uint32(r.s.number(n, words[2], 1<<32-1))
		c.psid = uint32(r.s.number(n, words[3], 1<<32-1))
		c.ids = true
	case len(words) >= 5 && words[1] == "cookie" && words[2] == "local":
		c.rx = r.cookie(n, words[3:])
	case len(words) >= 5 && words[1] == "cookie" && words[2] == "remote":
		c.tx = r.cookie(n, words[3:])
	case len(words) == 3 && words[1] == "hello":
		c.hello = words[2]
	default:
		r.s.errorf(n, words[min(1, len(words)-1)], "is not understood; known are l2tp id LOCAL REMOTE, l2tp cookie local|remote SIZE LOW [HIGH], l2tp hello CLASS")
	}
}

// cookie reads SIZE LOW [HIGH], two words of 32 bits in decimal or with 0x.
func (r *ciscoReader) cookie(n int, words []string) (c l2tp.Cookie) {
	var parts [2]uint64
	size := words[0]
	if size != "4" && size != "8" || size == "4" && len(words) != 2 || size == "8" && len(words) != 3 {
		r.s.errorf(n, size, "a cookie is 4 LOW or 8 LOW HIGH")
		return c
	}
	for i, w := range words[1:] {
		v, err := strconv.ParseUint(w, 0, 32)
		if err != nil {
			r.s.errorf(n, "cookie", "value %d must be a number of 32 bits, in decimal or with 0x", i+1)
			return c
		}
		parts[i] = v
	}
	b := []byte{byte(parts[0] >> 24), byte(parts[0] >> 16), byte(parts[0] >> 8), byte(parts[0])}
	if size == "8" {
		b = append([]byte{byte(parts[1] >> 24), byte(parts[1] >> 16), byte(parts[1] >> 8), byte(parts[1])}, b...)
	}
	c, _ = l2tp.NewCookie(b)
	return c
}

// done puts a session into the tunnel between its two addresses.
func (r *ciscoReader) done(c *ciscoConnect) {
	s := r.s
	if !c.manual {
		s.notef("Line %d: the session to %s is negotiated by the control protocol; it is not imported.", c.session.line, c.peer)
		return
	}
	peer := s.address(c.session.line, c.peer)
	local := r.localAddress(c)
	if !c.ids {
		s.errorf(c.session.line, "xconnect", "has no l2tp id below it")
	}
	if !peer.IsValid() || !local.IsValid() || !c.ids {
		return
	}
	x := c.session
	x.description = r.description[c.circuit]
	if v := r.vlans[c.circuit]; v != "" {
		x.vlan = v
	}
	if class := r.classes[c.class]; class != nil {
		x.sendSeq, x.recvSeq = class.send, class.recv
		x.ttl, x.tos, x.df = class.ttl, class.tos, class.df
		x.notes = append(x.notes, class.notes...)
	}
	// Cisco sends a sublayer only where sequence numbers need it.
	if x.sendSeq || x.recvSeq {
		x.sublayer = l2tp.SublayerDefault
	}
	t := r.tunnel(local, peer, x.line)
	if seconds, told := r.hellos[c.hello]; told {
		t.hello = seconds
	} else if c.hello != "" {
		t.hello = ciscoHello
	}
	t.sessions = append(t.sessions, &x)
}

func (r *ciscoReader) localAddress(c *ciscoConnect) netip.Addr {
	class := r.classes[c.class]
	if class != nil && class.source != "" {
		if a, ok := r.addresses[strings.ToLower(class.source)]; ok {
			return a
		}
	}
	switch {
	case r.s.o.Local.IsValid():
		return r.s.o.Local
	case c.class != "" && class == nil:
		r.s.errorf(c.classLine, c.class, "there is no pseudowire-class of this name in the file; add it, or give the local address with --local")
	case class != nil && class.source != "":
		r.s.errorf(class.sourceLine, class.source, "has no ip address in the file; add its lines, or give the local address with --local")
	default:
		r.s.errorf(c.session.line, "xconnect", "the file does not tell the local address; give it with --local")
	}
	return netip.Addr{}
}

// tunnel finds or makes the tunnel between two addresses. IOS has no tunnel ids for static sessions,
// and none is on the wire: they are counted.
func (r *ciscoReader) tunnel(local, peer netip.Addr, line int) *tunnel {
	for _, t := range r.s.tunnels {
		if t.local.Addr() == local && t.peer.Addr() == peer {
			return t
		}
	}
	id := uint32(len(r.s.tunnels) + 1)
	t := &tunnel{
		line: line, name: TunnelName(id), tid: id, ptid: id, encap: l2tp.EncapIP,
		local: netip.AddrPortFrom(local, 0), peer: netip.AddrPortFrom(peer, 0),
		notes: []string{"Tunnel ids are counted: static sessions have none on the wire."},
	}
	r.s.tunnels = append(r.s.tunnels, t)
	return t
}
