package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"xwire/appliance/api"
)

// table aligns rows of tab-separated cells under a header.
func table(header string, rows func(row func(format string, args ...any))) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, header)
	rows(func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) })
	w.Flush()
	return b.String()
}

// counted is a number of things: 1 frame, 2 frames.
func counted(n uint64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func statusText(s api.Status) string {
	var b strings.Builder
	fmt.Fprintf(&b, "xwire %s, pid %d, up %.0f s, %s\n", s.Version, s.PID, s.UptimeSeconds, s.Config)
	fmt.Fprintf(&b, "ports %d of %d up, tunnels %d of %d up, %s, %s\n",
		s.PortsUp, s.Ports, s.TunnelsUp, s.Tunnels, counted(uint64(s.Sessions), "session"), counted(uint64(s.Workers), "worker"))
	pages := "small pages"
	if s.Arena.HugePages {
		pages = "huge pages"
	}
	fmt.Fprintf(&b, "memory %.1f MiB resident, arena of %d frames of %d bytes in %s\n",
		float64(s.ResidentBytes)/(1<<20), s.Arena.Chunks, s.Arena.ChunkBytes, pages)
	if n := s.Arena.Quarantine; n > 0 {
		fmt.Fprintf(&b, "%d frames of the arena are out of use until the drivers of closed ports let go of them\n", n)
	}
	b.WriteString(insteadText(&s))
	for _, w := range s.Waiting {
		fmt.Fprintf(&b, "waiting: %s\n", w)
	}
	return b.String()
}

// insteadText tells why what runs is not what the file says.
func insteadText(s *api.Status) string {
	which := "what ran before it"
	if s.Kept != "" {
		which = "the kept configuration " + s.Kept
	}
	switch {
	case s.Confirm != nil:
		return fmt.Sprintf("the last reload is rolled back at %s unless `xwire confirm` comes\n", s.Confirm.Local().Format(time.TimeOnly))
	case s.Instead == api.InsteadErrors:
		return fmt.Sprintf("%s HAS ERRORS: %s runs instead\n", s.Config, which)
	case s.Instead != "":
		return fmt.Sprintf("%s WAS NOT CONFIRMED: %s runs instead, until it is changed or reloaded\n", s.Config, which)
	}
	return ""
}

func endpoint(addr string, port uint16) string {
	if port == 0 {
		return addr
	}
	if strings.Contains(addr, ":") {
		return fmt.Sprintf("[%s]:%d", addr, port)
	}
	return fmt.Sprintf("%s:%d", addr, port)
}

func nextHopText(n api.NextHop) string {
	if n.State != "resolved" {
		if n.Reason != "" {
			return n.State + ": " + n.Reason
		}
		return n.State
	}
	s := n.Port
	for _, v := range n.VLANs {
		s += fmt.Sprintf(".%d", v)
	}
	return s + " " + n.Lladdr
}

// sinceText is how long ago something happened.
func sinceText(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return time.Since(*t).Round(time.Second).String()
}

func tunnelsText(ts []api.Tunnel) string {
	return table("TUNNEL\tID\tPEER ID\tENCAP\tLOCAL\tPEER\tSESSIONS\tSTATE\tSINCE\tNEXT HOP\tPATH MTU\tTX PACKETS\tRX PACKETS\tRX INVALID\tORIGIN", func(row func(string, ...any)) {
		for _, t := range ts {
			row("%s\t%d\t%d\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s", t.Name, t.TunnelID, t.PeerTunnel, encapText(t),
				endpoint(t.Local, t.LocalPort), endpoint(t.Peer, t.PeerPort), t.SessionCount, t.State, sinceText(t.Since),
				nextHopText(t.NextHop), t.PathMTU, t.TxPackets, t.RxPackets, t.RxInvalid, t.Origin)
		}
	})
}

func encapText(t api.Tunnel) string {
	if t.Keyed {
		return t.Encap + " keyed"
	}
	return t.Encap
}

func attachmentText(s api.Session) string {
	switch {
	case s.PPPoESessionID != 0:
		return pppoeText(s)
	case s.Interface != "":
		return s.Interface
	case s.Switched != "":
		return "session " + s.Switched
	}
	return s.Port + " vlan " + s.VLAN
}

func pppoeText(s api.Session) string {
	on := s.Interface
	if s.Port != "" {
		on = s.Port + " vlan " + s.VLAN
	}
	return fmt.Sprintf("%s pppoe %d", on, s.PPPoESessionID)
}

func sessionsText(ss []api.Session, rates bool) string {
	var b strings.Builder
	header := "SESSION\tID\tPEER ID\tATTACHMENT\tSTATE\tTX PACKETS\tTX BYTES\tRX PACKETS\tRX BYTES\tTX ERRORS\tRX ERRORS\tORIGIN"
	if rates {
		header += "\tTX/S\tTX BIT/S\tRX/S\tRX BIT/S"
	}
	b.WriteString(table(header, func(row func(string, ...any)) {
		for _, s := range ss {
			line := fmt.Sprintf("%s/%s\t%d\t%d\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s", s.Tunnel, s.Name, s.SessionID, s.PeerSessionID,
				attachmentText(s), s.State, s.TxPackets, s.TxBytes, s.RxPackets, s.RxBytes, s.TxErrors, s.RxErrors, s.Origin)
			if rates && s.Rates != nil {
				line += fmt.Sprintf("\t%.0f\t%.0f\t%.0f\t%.0f", s.Rates.TxPackets, 8*s.Rates.TxBytes, s.Rates.RxPackets, 8*s.Rates.RxBytes)
			}
			row("%s", line)
		}
	}))
	for _, s := range ss {
		if s.Suspicion != "" {
			fmt.Fprintf(&b, "%s/%s: %s\n", s.Tunnel, s.Name, s.Suspicion)
		}
	}
	return b.String()
}

func sessionText(s api.Session) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	line := func(name string, format string, args ...any) {
		fmt.Fprintf(w, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	line("session", "%s/%s", s.Tunnel, s.Name)
	if s.Description != "" {
		line("description", "%s", s.Description)
	}
	line("origin", "%s", s.Origin)
	line("state", "%s", strings.TrimSpace(s.State+" "+s.Reason))
	if s.SessionID == 0 { // of a keyed tunnel
		line("session id", "any, peer %d", s.PeerSessionID)
	} else {
		line("session id", "%d, peer %d", s.SessionID, s.PeerSessionID)
	}
	line("tunnel id", "%d, peer %d", s.TunnelID, s.PeerTunnelID)
	line("pseudowire", "%s, l2spec_type %s", s.Pseudowire, s.L2SpecType)
	line("attachment", "%s", attachmentText(s))
	if s.PWVLAN != "" {
		line("pw_vlan", "%s", s.PWVLAN)
	}
	if s.MTU != 0 {
		line("mtu", "%d", s.MTU)
	}
	line("marking", "%s", markingText(s.Marking))
	if s.Limits != (api.Limits{}) {
		line("limits", "%s", limitsText(s.Limits))
	}
	line("oversize", "%s", oversizeText(s))
	if s.NS != nil {
		line("numbers", "%s", numbersText(s))
	}
	line("tx cookie", "%s", cookieText(s.CookieBytes, s.Cookie))
	for i, n := range s.CookieFrames {
		clear := ""
		if i < len(s.PeerCookie) {
			clear = s.PeerCookie[i]
		}
		line(fmt.Sprintf("rx cookie %d", i+1), "%s, %d frames", cookieText(s.PeerCookieBytes, clear), n)
	}
	for _, c := range []struct {
		name  string
		count uint64
	}{
		{"tx_packets", s.TxPackets}, {"tx_bytes", s.TxBytes}, {"tx_errors", s.TxErrors},
		{"rx_packets", s.RxPackets}, {"rx_bytes", s.RxBytes}, {"rx_errors", s.RxErrors},
		{"rx_seq_discards", s.RxSeqDiscards}, {"rx_oos_packets", s.RxOOSPackets},
		{"rx_cookie_discards", s.RxCookieDiscards}, {"rx_invalid", s.RxInvalid},
		{"rx_sublayer_bits", s.SublayerBits}, {"rx_oam_discards", s.OAM}, {"rx_fragment_discards", s.Fragments}, {"rx_ecn_discards", s.ECNDiscards},
		{"tx_rate_discards", s.TxRateDiscards}, {"rx_rate_discards", s.RxRateDiscards}, {"rx_storm_discards", s.StormDiscards}, {"suspect", s.Suspect},
	} {
		line(c.name, "%d", c.count)
	}
	if s.Suspicion != "" {
		line("suspicion", "%s", s.Suspicion)
	}
	configLines(line, "session", s.Config)
	w.Flush()
	return b.String()
}

func oversizeText(s api.Session) string {
	text := s.Oversize
	if s.AnswerTooBig {
		text += ", icmp_too_big"
	}
	if s.MSSClamp != "" {
		text += ", mss_clamp " + s.MSSClamp
	}
	return text
}

func numbersText(s api.Session) string {
	text := fmt.Sprintf("ns %d, nr %d, %d lost, %d resyncs", *s.NS, *s.NR, s.SeqLost, s.SeqResyncs)
	for _, k := range []struct {
		is   bool
		text string
	}{{s.SendSeq, "sent"}, {s.RecvSeq, "required"}, {s.LNSMode != nil && !*s.LNSMode, "as the peer does"}, {s.ReorderTimeout != 0, fmt.Sprintf("reordered within %d ms", s.ReorderTimeout)}} {
		if k.is {
			text += ", " + k.text
		}
	}
	return text
}

func limitsText(l api.Limits) string {
	var parts []string
	rate := func(name string, bits, burst int64) {
		if bits != 0 {
			parts = append(parts, fmt.Sprintf("%s %d bit/s, burst %d bytes", name, bits, burst))
		}
	}
	rate("tx", l.RateTx, l.BurstTx)
	rate("rx", l.RateRx, l.BurstRx)
	for _, k := range []struct {
		name  string
		limit uint32
	}{{"broadcast", l.BroadcastLimit}, {"multicast", l.MulticastLimit}, {"unknown unicast", l.UnknownUnicastLimit}} {
		if k.limit != 0 {
			parts = append(parts, fmt.Sprintf("%s %d/s", k.name, k.limit))
		}
	}
	return strings.Join(parts, ", ")
}

func markingText(m api.Marking) string {
	text := fmt.Sprintf("ttl %d, tos %s", m.TTL, m.TOS)
	if m.TTLInherit {
		text = fmt.Sprintf("ttl inherit, tos %s", m.TOS)
	}
	switch {
	case m.DFInherit:
		text += ", df inherit"
	case m.DF:
		text += ", df"
	}
	if m.PCPToDSCP != nil {
		text += fmt.Sprintf(", pcp_to_dscp %v", m.PCPToDSCP)
	}
	return text + fmt.Sprintf(", ecn %s, flow_label %s, source_port %s", m.ECN, m.FlowLabel, m.SourcePort)
}

func cookieText(bytes int, clear string) string {
	switch {
	case bytes == 0:
		return "none"
	case clear != "":
		return clear
	default:
		return fmt.Sprintf("%d bytes (--cookies prints it)", bytes)
	}
}

func sum(m map[string]uint64) (n uint64) {
	for _, v := range m {
		n += v
	}
	return n
}

func portsText(ps []api.Port) string {
	var b strings.Builder
	b.WriteString(table("PORT\tINTERFACE\tSTATE\tMODE\tDRIVER\tMTU\tMAX FRAME\tQUEUES\tRECEIVED\tSENT\tHELD\tDROPPED\tTRANSMITTED", func(row func(string, ...any)) {
		for _, p := range ps {
			row("%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d", p.Name, p.Interface, p.State, p.Mode, p.Driver, p.MTU, p.MaxFrame,
				len(p.Queues), p.Received, p.Sent, p.Held, sum(p.Drops), p.Transmitted)
		}
	}))
	for _, p := range ps {
		if p.Reason != "" {
			fmt.Fprintf(&b, "%s: %s\n", p.Name, p.Reason)
		}
		for _, reason := range sortedReasons(p.Drops) {
			fmt.Fprintf(&b, "%s: dropped %d %s\n", p.Name, p.Drops[reason], reason)
		}
		for _, reason := range sortedReasons(p.ToKernel) {
			fmt.Fprintf(&b, "%s: left to the kernel %d %s\n", p.Name, p.ToKernel[reason], reason)
		}
		for _, reason := range sortedReasons(p.Spliced) {
			fmt.Fprintf(&b, "%s: dropped before local interfaces %d %s\n", p.Name, p.Spliced[reason], reason)
		}
		for _, c := range p.Changes {
			fmt.Fprintf(&b, "%s: changed %s\n", p.Name, c)
		}
	}
	return b.String()
}

// sortedReasons gives the reasons that occurred, by name.
func sortedReasons(drops map[string]uint64) []string {
	var names []string
	for reason, n := range drops {
		if n != 0 {
			names = append(names, reason)
		}
	}
	slices.Sort(names)
	return names
}

func dropsText(ds []api.Drop, all bool) string {
	return table("REASON\tFRAMES\tPORTS\tMEANING", func(row func(string, ...any)) {
		for _, d := range ds {
			if d.Frames == 0 && !all {
				continue
			}
			var ports []string
			for _, p := range sortedReasons(d.Ports) {
				ports = append(ports, fmt.Sprintf("%s=%d", p, d.Ports[p]))
			}
			row("%s\t%d\t%s\t%s", d.Reason, d.Frames, strings.Join(ports, " "), d.Help)
		}
	})
}

func workersText(ws []api.Worker) string {
	return table("WORKER\tCPU\tSTATE\tBUSY S\tROUNDS\tBATCHES\tFRAMES\tPER BATCH\tPOLLS\tWAKE-UPS\tTX KICKS\tSUPPRESSED", func(row func(string, ...any)) {
		for _, w := range ws {
			state := "running"
			if w.Parked {
				state = "parked"
			}
			row("%d\t%d\t%s\t%.3f\t%d\t%d\t%d\t%.1f\t%d\t%d\t%d\t%d", w.Index, w.CPU, state, w.BusySeconds, w.Rounds,
				w.Batches, w.Frames, w.FramesPerBatch, w.Polls, w.Wakeups, w.Kicks, w.KicksSaved)
		}
	})
}
