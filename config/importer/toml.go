package importer

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"xwire/config"
	"xwire/l2tp"
)

// writer writes TOML and knows which line of the source each of its lines is from.
type writer struct {
	strings.Builder
	from  int   // line of the source
	lines []int // by line written
}

func (w *writer) linef(format string, args ...any) {
	fmt.Fprintf(&w.Builder, format+"\n", args...)
	w.lines = append(w.lines, w.from)
}

func (w *writer) str(key, value string) {
	if value != "" {
		w.linef("%s = %s", key, strconv.Quote(value))
	}
}

func (w *writer) notes(list []string) {
	for _, n := range list {
		w.linef("# %s", strings.Join(strings.Fields(n), " "))
	}
}

// result writes the configuration and checks it.
func (s *source) result() ([]byte, error) {
	if len(s.errs) > 0 {
		return nil, s.errs
	}
	if s.o.OtherEnd {
		s.turn()
	}
	w := &writer{}
	w.linef("# %s by xwire import. `xwire check` tells what it asks for.", s.what)
	if len(s.o.Ports) == 0 {
		w.linef("# It names no port: add [port.NAME] tables, or start it with `xwire run --auto-ports`.")
	}
	w.notes(s.notes)
	w.notes(s.yours)
	for _, p := range s.o.Ports {
		w.linef("")
		w.linef("[port.%s]", strconv.Quote(portName(p.From)))
		w.str("interface", p.Interface)
	}
	for _, t := range s.tunnels {
		s.tunnel(w, t)
	}
	text := w.String()
	_, err := config.Parse(s.name, []byte(text))
	var list config.Errors
	if !errors.As(err, &list) {
		return []byte(text), err
	}
	for _, e := range list {
		line := 0
		if e.Line > 0 && e.Line <= len(w.lines) {
			line = w.lines[e.Line-1]
		}
		// What another object is said to stand at is a line of the result.
		s.errorf(line, e.Key[strings.LastIndexByte(e.Key, '.')+1:], "%s", stripPlace(e.Msg, s.name))
	}
	return nil, s.errs
}

// stripPlace removes " (NAME:LINE)" from a message.
func stripPlace(msg, name string) string {
	for {
		i := strings.Index(msg, " ("+name+":")
		if i < 0 {
			return msg
		}
		j := strings.IndexByte(msg[i:], ')')
		if j < 0 {
			return msg
		}
		msg = msg[:i] + msg[i+j+1:]
	}
}

func (s *source) tunnel(w *writer, t *tunnel) {
	w.from = t.line
	w.linef("")
	w.notes(t.notes)
	w.linef("[tunnel.%s]", strconv.Quote(t.name))
	w.str("description", t.description)
	w.str("version", "l2tpv3")
	w.str("encap", t.encap.String())
	w.str("local", endpoint(t.encap, t.local))
	w.str("peer", endpoint(t.encap, t.peer))
	w.linef("tid = %d", t.tid)
	w.linef("ptid = %d", t.ptid)
	if t.encap == l2tp.EncapUDP {
		if t.checksum {
			w.linef("udp_checksum = true")
		}
		if t.noChecksum6Tx {
			w.linef("udp6_checksum_tx = false")
		}
		if t.zeroChecksum6Rx {
			w.linef("udp6_zero_checksum_rx = true")
		}
	}
	if t.hello > 0 {
		w.linef("hello_timeout = %d", 1000*t.hello)
	}
	for _, x := range t.sessions {
		s.session(w, t, x)
	}
}

func endpoint(e l2tp.Encap, a netip.AddrPort) string {
	if e == l2tp.EncapIP {
		return a.Addr().String()
	}
	return a.String()
}

func (s *source) session(w *writer, t *tunnel, x *session) {
	w.from = x.line
	w.linef("")
	w.notes(x.notes)
	w.notes(x.yours)
	w.linef("[tunnel.%s.session.%s]", strconv.Quote(t.name), strconv.Quote(x.name))
	w.str("description", x.description)
	if x.disabled {
		w.linef("enabled = false")
	}
	w.str("pseudowire", "eth")
	w.linef("sid = %d", x.sid)
	w.linef("psid = %d", x.psid)
	w.str("tx_cookie", x.tx.Hex())
	w.str("rx_cookie", x.rx.Hex())
	w.str("l2spec_type", x.sublayer.String())
	sequencing(w, x)
	if x.ttl != "" {
		w.linef("ttl = %s", x.ttl)
	}
	if x.tos != "" {
		w.linef("tos = %s", x.tos)
	}
	if x.df {
		w.linef("df = true")
	}
	if x.circuit != "" {
		physical, _, _ := strings.Cut(x.circuit, ".")
		for _, p := range s.o.Ports {
			if p.From == physical {
				w.str("attach", portName(p.From))
				if n, err := strconv.Atoi(x.vlan); err == nil {
					w.linef("vlan = %d", n)
				} else {
					w.str("vlan", x.vlan)
				}
				return
			}
		}
		w.linef("# Was on %s, VLAN %s: --port %s=INTERFACE puts it on a port; so it is a local interface.", x.circuit, x.vlan, physical)
	}
	w.str("interface_name", x.iface)
	if x.mtu != 0 {
		w.linef("mtu = %d", x.mtu)
	}
}

func sequencing(w *writer, x *session) {
	if x.sendSeq {
		w.linef("send_seq = true")
	}
	if x.recvSeq {
		w.linef("recv_seq = true")
	}
	if x.reorder > 0 {
		w.linef("reorder_timeout = %d", x.reorder)
	}
}

// portName turns an interface's name into that of a port, which must have no slash.
func portName(s string) string { return strings.ReplaceAll(s, "/", "-") }

// turn exchanges the two ends of every tunnel. What was a circuit or an interface there is none here.
func (s *source) turn() {
	s.what = strings.Replace(s.what, "Made", "The other end, made", 1)
	s.yours = nil
	peers := map[netip.Addr]bool{}
	for _, t := range s.tunnels {
		peers[t.peer.Addr()] = true
		t.local, t.peer, t.tid, t.ptid = t.peer, t.local, t.ptid, t.tid
		// We take what it sends, and send what it takes.
		t.noChecksum6Tx, t.zeroChecksum6Rx = t.zeroChecksum6Rx, t.noChecksum6Tx
		for _, x := range t.sessions {
			x.sid, x.psid, x.tx, x.rx = x.psid, x.sid, x.rx, x.tx
			x.sendSeq, x.recvSeq = x.recvSeq, x.sendSeq
			x.iface, x.circuit, x.mtu, x.yours = "", "", 0, nil
		}
	}
	if len(peers) > 1 {
		s.notef("The tunnels have %d peer addresses: if these are several machines, give each its own tunnels.", len(peers))
	}
}
