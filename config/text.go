package config

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteText prints the report for people.
func (r Report) WriteText(w io.Writer) error {
	out := bufio.NewWriter(w)
	tw := tabwriter.NewWriter(&trimmer{w: out}, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "core MTU %d\n", r.CoreMTU)
	if r.AutoPorts {
		fmt.Fprintf(tw, "no [port]: runs with `xwire run --auto-ports` only\n")
	} else {
		fmt.Fprintf(tw, "\nPORT\tINTERFACE\tMODE\tQUEUES\tL2CP\tSESSIONS\tDESCRIPTION\n")
		for _, p := range r.Ports {
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", p.Name, p.Interface, p.Mode, p.queues(), p.L2CP, p.SessionCount, p.Description)
		}
	}
	for i := range r.Tunnels {
		t := &r.Tunnels[i]
		fmt.Fprintf(tw, "\ntunnel %s: %s\n", t.Name, t.line())
		if len(t.Sessions) == 0 {
			fmt.Fprintf(tw, "  no sessions\n")
			continue
		}
		fmt.Fprintf(tw, "  SESSION\tSID\tPSID\tPW\tL2SPEC\tTX COOKIE\tRX COOKIE\tATTACHED TO\tPW VLAN\tOVERHEAD\tMTU\tDESCRIPTION\n")
		for j := range t.Sessions {
			s := &t.Sessions[j]
			fmt.Fprintf(tw, "  %s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n", s.Name, s.SessionID, s.PeerSessionID, s.Pseudowire, s.L2SpecType,
				cookieText(s.CookieBytes, 1), cookieText(s.PeerCookieBytes, s.PeerCookies), s.attachedTo(), dash(s.PWVLAN), s.Overhead, s.MTU, s.remark())
		}
		for j := range t.Sessions {
			if more := t.Sessions[j].uncommon(t); more != "" {
				fmt.Fprintf(tw, "  %s: %s\n", t.Sessions[j].Name, more)
			}
		}
		if err := tw.Flush(); err != nil { // columns align within a tunnel
			return err
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for i, x := range r.Warnings {
		if i == 0 {
			fmt.Fprintf(out, "\nwarnings:\n")
		}
		fmt.Fprintf(out, "  %s\n", x)
	}
	return out.Flush()
}

// trimmer takes off the blanks that tabwriter leaves where the last column is empty.
type trimmer struct {
	w      *bufio.Writer
	blanks int // not written yet
}

func (t *trimmer) Write(p []byte) (int, error) {
	for _, c := range p {
		switch c {
		case ' ':
			t.blanks++
			continue
		case '\n':
			t.blanks = 0
		}
		for ; t.blanks > 0; t.blanks-- {
			t.w.WriteByte(' ')
		}
		t.w.WriteByte(c) // the error stays with the bufio.Writer, for Flush
	}
	return len(p), nil
}

func (w ReportWarning) String() string {
	if w.More == 0 {
		return w.Warning.String()
	}
	return fmt.Sprintf("%s (and %d more of this sort)", w.Warning, w.More)
}

func (p ReportPort) queues() string {
	if len(p.Queues) == 0 {
		return "all"
	}
	return strings.NewReplacer("[", "", "]", "", "{", "", "}", "", " ", ",").Replace(fmt.Sprint(p.Queues))
}

func (t *ReportTunnel) line() string {
	host := func(addr string, port uint16) string {
		switch {
		case port == 0:
			return addr
		case strings.Contains(addr, ":"):
			return fmt.Sprintf("[%s]:%d", addr, port)
		}
		return fmt.Sprintf("%s:%d", addr, port)
	}
	encap := t.Encap
	if t.Version != "l2tpv3" {
		encap = t.Version + " " + encap
	}
	s := fmt.Sprintf("%s %s to %s", encap, host(t.Local, t.LocalPort), host(t.Peer, t.PeerPort))
	if t.Keyed {
		s += ", keyed"
	} else {
		s += fmt.Sprintf(", tid %d, ptid %d", t.TunnelID, t.PeerTunnelID)
	}
	switch {
	case t.Checksum != nil:
		s += ", checksum " + onOff(*t.Checksum)
	case t.ChecksumTx != nil:
		s += ", checksum " + onOff(*t.ChecksumTx)
		if !*t.ChecksumRx {
			s += ", zero accepted"
		}
	}
	if t.VRF != "" {
		s += ", vrf " + t.VRF
	}
	if more := t.uncommon(); more != "" {
		s += ", " + more
	}
	if t.Unknown != UnknownDrop.String() {
		s += ", unknown sessions to the " + t.Unknown
	}
	if !t.Enabled {
		s += ", not enabled"
	}
	if t.Description != "" {
		s += " (" + t.Description + ")"
	}
	return s
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func cookieText(length, n int) string {
	switch {
	case length == 0 || n == 0:
		return "-"
	case n == 2:
		return fmt.Sprintf("2 of %d bytes", length)
	}
	return fmt.Sprintf("%d bytes", length)
}

func (s *ReportSession) attachedTo() string {
	if s.Switched != "" {
		return "session " + s.Switched
	}
	to := "interface " + s.Interface
	if s.Port != "" {
		to = s.Port + " vlan " + s.VLAN
	}
	if s.PPPoESessionID != 0 {
		to += fmt.Sprintf(" pppoe %d of %s", s.PPPoESessionID, s.PPPoEPeerMAC)
	}
	return to
}

func (s *ReportSession) remark() string {
	if s.Enabled {
		return s.Description
	}
	return strings.TrimSpace("(not enabled) " + s.Description)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
