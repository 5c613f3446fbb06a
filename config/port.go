package config

import "strings"

// Mode is how a port's sockets are bound.
type Mode uint8

const (
	ModeAuto Mode = iota // the best that the driver grants
	ModeZeroCopy
	ModeCopy
	ModeSKB
)

var modeNames = []string{"auto", "zerocopy", "copy", "skb"}

func (m Mode) String() string { return modeNames[m] }

// L2CP is what becomes of layer 2 control frames (STP, LACP, LLDP) that an attached port receives.
type L2CP uint8

const (
	L2CPTunnel L2CP = iota
	L2CPDrop
	L2CPHost
)

var l2cpNames = []string{"tunnel", "drop", "host"}

func (l L2CP) String() string { return l2cpNames[l] }

// Spread says whether workers other than the one that receives a frame may process it.
type Spread uint8

const (
	SpreadAuto Spread = iota // where the port has fewer queues than there are workers
	SpreadOff
)

var spreadNames = []string{"auto", "off"}

func (s Spread) String() string { return spreadNames[s] }

// Port is a [port.NAME] table.
type Port struct {
	Name        string
	Description string
	Interface   string
	Queues      []uint32 // nil: all
	Mode        Mode
	Spread      Spread
	BusyPoll    bool
	L2CP        L2CP
	QinQTPID    uint16 // of the S-tags we send
	Pos         Pos
}

func (p *Port) set(r *reader, key string, v any) {
	switch key {
	case "interface":
		if s, ok := r.ifname(key, v); ok {
			p.Interface = s
		}
	case "description":
		if s, ok := r.text(key, v, maxDescription); ok {
			p.Description = s
		}
	case "queues":
		list, ok := r.integers(key, v, 0, 4095)
		if !ok {
			return
		}
		if len(list) == 0 {
			r.errorf(key, "is empty; name a queue, or leave the key out for all of them")
		}
		seen := map[int64]bool{}
		for _, q := range list {
			if seen[q] {
				r.errorf(key, "names queue %d twice", q)
			}
			seen[q] = true
			p.Queues = append(p.Queues, uint32(q))
		}
	case "mode":
		if i, ok := r.enum(key, v, modeNames...); ok {
			p.Mode = Mode(i)
		}
	case "spread":
		if i, ok := r.enum(key, v, spreadNames...); ok {
			p.Spread = Spread(i)
		}
	case "busy_poll":
		r.setBoolean(key, v, &p.BusyPoll)
	case "l2cp":
		if i, ok := r.enum(key, v, l2cpNames...); ok {
			p.L2CP = L2CP(i)
		}
	case "qinq_tpid":
		if n, ok := r.integer(key, v, 0, 0xffff); ok {
			switch n {
			case 0x8100, 0x88a8, 0x9100:
				p.QinQTPID = uint16(n)
			default:
				r.errorf(key, "%#04x is not known; use 0x88a8, 0x8100 or 0x9100", n)
			}
		}
	default:
		panic("config: no setter for port." + key)
	}
}

// maxDescription is in bytes.
const maxDescription = 255

// ifname reads the name of a network interface, by the kernel's rules (IFNAMSIZ is 16 with the
// terminating zero).
func (r *reader) ifname(key string, v any) (string, bool) {
	s, ok := r.str(key, v)
	if !ok {
		return "", false
	}
	switch {
	case s == "":
		r.errorf(key, "is empty; name an interface, or leave the key out")
	case len(s) > 15:
		r.errorf(key, "%q is %d bytes long; an interface name has at most 15", s, len(s))
	case s == "." || s == ".." || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '/' || c == ':' }):
		r.errorf(key, "%q is not an interface name: no spaces, slashes or colons", s)
	default:
		return strings.Clone(s), true
	}
	return "", false
}
