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
	s          *source
	interfaces map[string]*ciscoInterface // by name in lower case
	classes    map[string]*ciscoClass
	l2tps      map[string]*ciscoL2TPClass
	connects   []*ciscoConnect
	told       map[*ciscoInterface]bool // those that the head of the result has spoken of

	// What the lines that come belong to, and whether such a line was indented.
	iface    *ciscoInterface
	l2tpLast *ciscoL2TPClass
	class    *ciscoClass
	connect  *ciscoConnect
	indented bool
}

// ciscoL2TPClass is an l2tp-class: of what it says the HELLO interval alone has a counterpart.
type ciscoL2TPClass struct {
	hello int // seconds
	notes []string
}

// cisco reads static sessions of an IOS configuration. What is not about them, nor about an interface that
// they are on, is passed over.
func (s *source) cisco(text string) {
	r := ciscoReader{
		s: s, interfaces: map[string]*ciscoInterface{}, classes: map[string]*ciscoClass{}, l2tps: map[string]*ciscoL2TPClass{},
		told: map[*ciscoInterface]bool{},
	}
	for i, line := range strings.Split(text, "\n") {
		if words := strings.Fields(line); len(words) > 0 && words[0][0] != '!' {
			indented := line[0] == ' ' || line[0] == '\t'
			if r.indented && !indented {
				r.leave()
			}
			r.indented = indented
			r.line(i+1, words)
		}
	}
	for _, c := range r.connects {
		r.done(c)
	}
}

// leave ends a block: the lines that come belong to nothing.
func (r *ciscoReader) leave() { r.iface, r.class, r.connect, r.l2tpLast = nil, nil, nil, nil }

func (r *ciscoReader) line(n int, words []string) {
	switch w := words[0]; {
	case w == "interface":
		r.leave()
		r.iface = r.interfaceCalled(strings.Join(words[1:], ""))
	case w == "pseudowire-class" && len(words) > 1:
		r.leave()
		r.class = &ciscoClass{}
		r.classes[words[1]] = r.class
	case w == "l2tp-class" && len(words) > 1:
		r.leave()
		r.l2tpLast = &ciscoL2TPClass{hello: ciscoHello}
		r.l2tps[words[1]] = r.l2tpLast
	case w == "exit", w == "end":
		r.leave()
	case r.class != nil:
		r.classLine(n, words)
	case r.l2tpLast != nil:
		r.l2tpClassLine(n, words)
	case w == "service" && len(words) > 2 && words[1] == "instance" && r.iface != nil:
		r.connect = nil
		r.iface = r.interfaceCalled(r.iface.physical() + "." + words[2])
	case w == "xconnect":
		r.xconnect(n, words)
	case w == "l2tp":
		r.l2tp(n, words)
	case r.iface != nil:
		r.iface.line(words)
	}
}

func (r *ciscoReader) l2tpClassLine(n int, words []string) {
	c := r.l2tpLast
	switch {
	case words[0] == "hello" && len(words) == 2:
		c.hello = int(r.s.number(n, words[1], 1000))
	case words[0] == "password", words[0] == "digest", words[0] == "authentication": // may be secret
		c.notes = append(c.notes, "Not imported: "+words[0])
	default:
		c.notes = append(c.notes, "Not imported: "+strings.Join(words, " "))
	}
}

func (r *ciscoReader) classLine(n int, words []string) {
	c := r.class
	switch line := strings.Join(words, " "); {
	case line == "encapsulation l2tpv3":
		c.l2tpv3 = true
	case strings.HasPrefix(line, "ip local interface "):
		c.source, c.sourceLine = strings.Join(words[3:], ""), n
	case words[0] == "sequencing" && len(words) == 2:
		c.send, c.recv = ciscoSequencing(words[1])
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
	case line == "protocol none", line == "interworking ethernet", line == "ip protocol l2tp", line == "ip protocol 115": // as here
	default: // path MTU
		c.notes = append(c.notes, "Not imported: "+line)
	}
}

func ciscoSequencing(word string) (send, recv bool) {
	return word != "receive", word != "transmit"
}

func (r *ciscoReader) xconnect(n int, words []string) {
	c := &ciscoConnect{}
	c.session.line = n
	if len(words) < 3 {
		r.s.errorf(n, "xconnect", "needs the peer's address and a VC id")
		return
	}
	c.peer = words[1]
	c.vlan = "all"
	if r.iface == nil {
		r.s.errorf(n, "xconnect", "stands under no interface; add the interface's line before it")
		return
	}
	c.circuit, c.name = r.iface.name, portName(r.iface.name)
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
		case "sequencing":
			if i+1 < len(words) {
				c.sendSeq, c.recvSeq = ciscoSequencing(words[i+1])
				i++
			}
		case "encapsulation":
		default:
			c.notes = append(c.notes, "Not imported: "+strings.Join(words[i:], " "))
			i = len(words)
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
	r.circuit(&x)
	if class := r.classes[c.class]; class != nil {
		x.sendSeq, x.recvSeq = x.sendSeq || class.send, x.recvSeq || class.recv
		x.ttl, x.tos, x.df = class.ttl, class.tos, class.df
		x.notes = append(x.notes, class.notes...)
	}
	// Cisco sends a sublayer only where sequence numbers need it.
	if x.sendSeq || x.recvSeq {
		x.sublayer = l2tp.SublayerDefault
	}
	t := r.tunnel(local, peer, x.line)
	if c.hello != "" {
		class := r.l2tps[c.hello]
		if class == nil {
			class = &ciscoL2TPClass{hello: ciscoHello, notes: []string{"There is no l2tp-class " + c.hello + " in the file: the HELLO interval is IOS's default."}}
		}
		t.hello = class.hello
		x.notes = append(x.notes, class.notes...)
	}
	t.sessions = append(t.sessions, &x)
}

func (r *ciscoReader) localAddress(c *ciscoConnect) netip.Addr {
	class := r.classes[c.class]
	if class != nil && class.source != "" {
		if v := r.interfaces[strings.ToLower(class.source)]; v != nil && v.address.IsValid() {
			if v.vrf != "" && !r.told[v] {
				r.told[v] = true
				r.s.yours = append(r.s.yours, "Not imported: "+v.name+" is in VRF "+v.vrf+"; key vrf takes the VRF's device here.")
			}
			return v.address
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
