package importer

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	"xwire/config/ipl2tp"
	"xwire/l2tp"
)

// Kind is what a text is.
type Kind string

const (
	IPL2TP Kind = "ip-l2tp"
	VyOS   Kind = "vyos"
	Cisco  Kind = "cisco"
)

// Options are what a source does not tell.
type Options struct {
	Ports    []Port     // to be written; an attachment circuit on the interface From is put on its port
	Local    netip.Addr // our address, for tunnels whose own is not in the text
	OtherEnd bool       // write the configuration of the peers instead
}

// Port gives an interface of this machine for one of the source's, or a name of ours.
type Port struct {
	From, Interface string // From is a physical interface, without the number of a subinterface
}

// Error is something wrong in a source. Word is empty where the fault is no word.
type Error struct {
	File string
	Line int
	Word string
	Msg  string
}

func (e Error) Error() string {
	s := e.File + ": "
	if e.Line > 0 {
		s = fmt.Sprintf("%s:%d: ", e.File, e.Line)
	}
	if e.Word != "" {
		s += fmt.Sprintf("%q: ", e.Word)
	}
	return s + e.Msg
}

// Errors is everything wrong in a source, in the order of its lines.
type Errors []Error

func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Detect tells what a text is.
func Detect(text []byte) (Kind, error) {
	for line := range bytes.Lines(text) {
		words := strings.Fields(string(line))
		for i, w := range words {
			after := strings.Join(words[i+1:min(i+3, len(words))], " ")
			switch {
			case w == "l2tp" && (strings.Contains(after, " tunnel") || strings.Contains(after, " session")) && !strings.HasPrefix(after, "id "):
				return IPL2TP, nil
			case i == 0 && w == "set" && after == "interfaces l2tpv3", i == 0 && w == "l2tpv3" && len(words) == 3 && words[2] == "{":
				return VyOS, nil
			case i == 0 && w == "xconnect", i == 0 && w == "pseudowire-class", i == 0 && w == "l2tp" && (after == "id" || strings.HasPrefix(after, "id ") || strings.HasPrefix(after, "cookie ")):
				return Cisco, nil
			}
		}
	}
	return "", fmt.Errorf("it is none of what can be told apart: it has no `ip l2tp add`, no `set interfaces l2tpv3` and no `xconnect`; name its kind with --from")
}

// Text turns a text into a configuration in TOML. name is that of the file, for errors.
func Text(kind Kind, name string, text []byte, o Options) ([]byte, error) {
	s := &source{name: name, what: "Made of " + name, o: o}
	switch kind {
	case IPL2TP:
		s.commands(string(text))
	case VyOS:
		s.vyos(string(text))
	case Cisco:
		s.cisco(string(text))
	default:
		return nil, fmt.Errorf("%q is no kind of text that can be imported: use %s, %s or %s", kind, IPL2TP, VyOS, Cisco)
	}
	if len(s.errs) == 0 && len(s.tunnels) == 0 {
		s.errorf(0, "", "there is no static L2TPv3 tunnel in it%s", s.why())
	}
	return s.result()
}

// Kernel turns what a kernel has into a configuration in TOML.
func Kernel(tunnels []KernelTunnel, sessions []KernelSession, o Options) ([]byte, error) {
	s := &source{name: "the kernel", what: "Made of what the kernel had", o: o}
	s.kernel(tunnels, sessions)
	if len(s.errs) == 0 && len(s.tunnels) == 0 {
		s.errorf(0, "", "it has no static L2TPv3 tunnel in this network namespace%s", s.why())
	}
	return s.result()
}

// KernelTunnel and KernelSession are what the kernel tells beyond what `ip l2tp` prints.
type KernelTunnel struct {
	ipl2tp.Tunnel
	Version uint8
}

// KernelSession is a session and what is known of its interface.
type KernelSession struct {
	ipl2tp.Session
	PWType l2tp.PWType
	MTU    int      // 0: not known
	Stands []string // what the interface has and is in, as "bridge br0"
}

// source is one reading.
type source struct {
	name, what string
	o          Options
	tunnels    []*tunnel
	notes      []string // for the head of the result
	yours      []string // likewise: what the user has to do at this end
	errs       Errors
}

// tunnel and session are what the result has of each, whatever the source.
type tunnel struct {
	line              int
	name, description string
	encap             l2tp.Encap
	local, peer       netip.AddrPort
	tid, ptid         uint32
	checksum          bool
	noChecksum6Tx     bool
	zeroChecksum6Rx   bool
	hello             int // seconds; 0: none
	notes             []string
	sessions          []*session
}

type session struct {
	line              int
	name, description string
	disabled          bool
	sid, psid         uint32
	tx, rx            l2tp.Cookie
	sublayer          l2tp.Sublayer
	sendSeq, recvSeq  bool
	reorder           uint64 // ms
	ttl, tos          string // as TOML; "": the default
	df                bool
	iface             string // of a local interface
	mtu               int
	circuit           string // the source's interface, if it was one that carries frames
	vlan              string // of the circuit
	notes             []string
	yours             []string // what the user has to do at this end
}

func (s *source) errorf(line int, word, format string, args ...any) {
	s.errs = append(s.errs, Error{File: s.name, Line: line, Word: word, Msg: fmt.Sprintf(format, args...)})
}

func (s *source) notef(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

func (s *source) why() string {
	if len(s.notes) == 0 {
		return ""
	}
	return ": " + strings.Join(s.notes, "; ")
}

func (s *source) tunnelOf(tid uint32) *tunnel {
	for _, t := range s.tunnels {
		if t.tid == tid {
			return t
		}
	}
	return nil
}
