package ipl2tp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"xwire/l2tp"
)

// Tunnel is what `ip l2tp show tunnel` tells of one.
type Tunnel struct {
	ID, PeerID            uint32
	Encap                 l2tp.Encap
	Local, Remote         netip.Addr
	LocalPort, RemotePort uint16
	Checksum              bool // UDP over IPv4; the two below over IPv6
	ChecksumTx            bool
	ChecksumRx            bool
}

// Session is what `ip l2tp show session` tells of one.
type Session struct {
	ID, TunnelID         uint32
	PeerID, PeerTunnelID uint32
	Interface            string // "": none
	Cookie, PeerCookie   l2tp.Cookie
	ReorderTimeout       uint64 // ms; 0: none
	SendSeq, RecvSeq     bool
}

// Format says how to print.
type Format struct {
	JSON, Pretty bool // Pretty: JSON with line ends
	Oneline      bool // text with a backslash for most of its line ends
}

func (f Format) newline() string {
	if f.Oneline {
		return `\`
	}
	return "\n"
}

// WriteTunnels prints tunnels as `ip l2tp show tunnel`.
func (f Format) WriteTunnels(w io.Writer, list []Tunnel) error { return write(f, w, list) }

// WriteSessions prints sessions as `ip l2tp show session`.
func (f Format) WriteSessions(w io.Writer, list []Session) error { return write(f, w, list) }

// printed is a pointer to what there are lists of.
type printed[T any] interface {
	*T
	text(b *bytes.Buffer, nl string)
	members() []member
}

func write[T any, P printed[T]](f Format, w io.Writer, list []T) error {
	var b bytes.Buffer
	if f.JSON {
		objects := make([][]member, len(list))
		for i := range list {
			objects[i] = P(&list[i]).members()
		}
		f.array(&b, objects)
	} else {
		for i := range list {
			P(&list[i]).text(&b, f.newline())
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (t *Tunnel) text(b *bytes.Buffer, nl string) {
	fmt.Fprintf(b, "Tunnel %d, encap %s%s", t.ID, strings.ToUpper(t.Encap.String()), nl)
	fmt.Fprintf(b, "  From %s to %s%s  Peer tunnel %d%s", t.Local, t.Remote, nl, t.PeerID, nl)
	if t.Encap != l2tp.EncapUDP {
		return
	}
	fmt.Fprintf(b, "  UDP source / dest ports: %d/%d%s  UDP checksum: ", t.LocalPort, t.RemotePort, nl)
	tx, rx := t.ChecksumTx, t.ChecksumRx
	if t.Local.Is4() {
		tx, rx = t.Checksum, t.Checksum
	}
	switch {
	case tx && rx:
		b.WriteString("enabled\n")
	case tx:
		b.WriteString("tx\n")
	case rx:
		b.WriteString("rx\n")
	default:
		b.WriteString("disabled\n")
	}
}

func (s *Session) text(b *bytes.Buffer, nl string) {
	fmt.Fprintf(b, "Session %d in tunnel %d%s  Peer session %d, tunnel %d%s", s.ID, s.TunnelID, nl, s.PeerID, s.PeerTunnelID, nl)
	if s.Interface != "" {
		fmt.Fprintf(b, "  interface name: %s%s", s.Interface, nl)
	}
	b.WriteString("  offset 0, peer offset 0\n")
	if s.Cookie.Len() > 0 {
		b.WriteString("  cookie " + s.Cookie.Hex())
	}
	if s.PeerCookie.Len() > 0 {
		b.WriteString("  peer cookie " + s.PeerCookie.Hex())
	}
	if s.ReorderTimeout != 0 {
		fmt.Fprintf(b, "  reorder timeout: %d", s.ReorderTimeout)
	}
	if s.SendSeq || s.RecvSeq {
		b.WriteString(nl + "  sequence numbering:")
		if s.SendSeq {
			b.WriteString(" send")
		}
		if s.RecvSeq {
			b.WriteString(" recv")
		}
	}
	b.WriteByte('\n')
}

// member is one of a JSON object; a nil value is null.
type member struct {
	name  string
	value any
}

func (t *Tunnel) members() []member {
	list := []member{
		{"tunnel_id", t.ID}, {"encap", strings.ToUpper(t.Encap.String())},
		{"local", t.Local}, {"peer", t.Remote}, {"peer_tunnel", t.PeerID},
	}
	switch {
	case t.Encap != l2tp.EncapUDP:
		return list
	case t.Local.Is4():
		return append(list, member{"local_port", t.LocalPort}, member{"peer_port", t.RemotePort}, member{"checksum", t.Checksum})
	}
	return append(list, member{"local_port", t.LocalPort}, member{"peer_port", t.RemotePort},
		member{"checksum_tx", t.ChecksumTx}, member{"checksum_rx", t.ChecksumRx})
}

func (s *Session) members() []member {
	list := []member{
		{"session_id", s.ID}, {"tunnel_id", s.TunnelID},
		{"peer_session_id", s.PeerID}, {"peer_tunnel_id", s.PeerTunnelID},
	}
	if s.Interface != "" {
		list = append(list, member{"interface", s.Interface})
	}
	if s.Cookie.Len() > 0 {
		list = append(list, member{"cookie", s.Cookie.Hex()})
	}
	if s.PeerCookie.Len() > 0 {
		list = append(list, member{"peer_cookie", s.PeerCookie.Hex()})
	}
	if s.ReorderTimeout != 0 {
		list = append(list, member{"reorder_timeout", s.ReorderTimeout})
	}
	if s.SendSeq {
		list = append(list, member{"send_seq", nil})
	}
	if s.RecvSeq {
		list = append(list, member{"recv_seq", nil})
	}
	return list
}

// array writes JSON with iproute2's spacing, which no other writer of JSON has.
func (f Format) array(b *bytes.Buffer, objects [][]member) {
	open, first, next, colon, end, last := "[", "", ",", ":", "", "]\n"
	if f.Pretty {
		open, first, next, colon, end, last = "[ ", "\n        ", ",\n        ", ": ", "\n    ", " ]\n"
		if len(objects) == 0 {
			last = "]\n"
		}
	}
	b.WriteString(open)
	for i, members := range objects {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('{')
		for j, m := range members {
			if j == 0 {
				b.WriteString(first)
			} else {
				b.WriteString(next)
			}
			value, _ := json.Marshal(m.value) // numbers, strings, addresses: cannot fail
			fmt.Fprintf(b, "%q%s%s", m.name, colon, value)
		}
		b.WriteString(end + "}")
	}
	b.WriteString(last)
}
