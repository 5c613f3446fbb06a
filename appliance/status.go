package appliance

import (
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"xwire/appliance/api"
	"xwire/appliance/nexthop"
	"xwire/config"
	"xwire/l2tp"
	"xwire/pw"
	"xwire/rings"
)

// Status tells of the process as a whole.
func (a *Appliance) Status() api.Status {
	s := api.Status{
		Version: a.o.Version, PID: os.Getpid(), Started: a.started, UptimeSeconds: time.Since(a.started).Seconds(),
		Config: a.o.ConfigFile, Ready: a.ready.Load(),
		Workers: len(a.workers), ResidentBytes: residentBytes(), Waiting: a.waiting(),
		Arena: api.Arena{ChunkBytes: a.arena.ChunkSize(), Chunks: a.arena.Chunks(), HugePages: a.arena.HugePages(), Quarantine: a.fabric.Quarantined()},
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s.Kept, s.Instead, s.Confirm = a.kept, a.instead, a.confirm
	s.Sessions, s.Tunnels, s.Ports = a.count, len(a.tunnels), len(a.ports)
	for _, p := range a.ports {
		if p.opened != nil && !p.opened.down {
			s.PortsUp++
		}
	}
	for _, tun := range a.tunnels {
		if t := tun.target; t != nil && t.hop.State == nexthop.Resolved {
			s.TunnelsUp++
		}
	}
	return s
}

// Tunnels lists all tunnels in the order of the configuration.
func (a *Appliance) Tunnels() []api.Tunnel { return a.listTunnels(a.apiTunnel) }

// TunnelConfigs is Tunnels, each with its configuration.
func (a *Appliance) TunnelConfigs() []api.Tunnel { return a.listTunnels(a.apiTunnelConfig) }

func (a *Appliance) listTunnels(tell func(*tunnel) api.Tunnel) []api.Tunnel {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]api.Tunnel, 0, len(a.tunnels))
	for _, t := range a.tunnels {
		list = append(list, tell(t))
	}
	return list
}

func (a *Appliance) apiTunnelConfig(t *tunnel) api.Tunnel {
	v := a.apiTunnel(t)
	v.Config = t.Keys()
	return v
}

func (a *Appliance) apiTunnel(t *tunnel) api.Tunnel {
	v := api.Tunnel{
		Name: t.Name, Description: t.Description, Enabled: t.Enabled, TunnelID: t.TID, PeerTunnel: t.PTID, VRF: t.VRF,
		Version: fmt.Sprintf("l2tpv%d", t.Version), Keyed: t.Keyed, Unknown: t.Unknown.String(), Encap: t.Encap.String(), Local: t.Local.Addr().String(), Peer: t.Peer.Addr().String(),
		SessionCount: len(t.sessions), Origin: origin(t.Requested), State: "disabled", OnDown: t.OnDown.String(), NextHop: api.NextHop{State: "disabled"},
	}
	v.TTL, v.DF, v.TOS = t.TTL, t.DF && !t.IP6(), config.TOSText(t.TOS)
	if t.Encap == l2tp.EncapUDP {
		spec := tunnelSpec(&t.Tunnel)
		v.LocalPort, v.PeerPort, v.AnyPeerPort = t.Local.Port(), t.Peer.Port(), &spec.AnyPeerPort
		tx, rx := spec.UDPChecksumTx, !spec.UDPZeroChecksumRx
		if t.IP6() {
			v.ChecksumTx, v.ChecksumRx = &tx, &rx
		} else {
			v.Checksum = &tx
		}
	}
	if t.target == nil {
		return v
	}
	a.apiPeer(&v)
	h := t.target.hop
	v.PathMTU = t.target.mtu()
	v.NextHop = api.NextHop{State: h.State.String(), Reason: h.Reason, MTU: h.MTU}
	if !h.Since.IsZero() {
		v.NextHop.Since = &h.Since
	}
	if p := a.portOf(h.Ifindex); p != nil {
		v.NextHop.Port, v.NextHop.Interface = p.Name, p.Interface
	}
	if h.State == nexthop.Resolved {
		v.NextHop.Lladdr = macText(h.Dst)
		for _, tag := range h.Tags {
			v.NextHop.VLANs = append(v.NextHop.VLANs, int(tag.TCI&0xfff))
		}
	}
	v.Statistics = statistics(a.table.TunnelCounters(t.id))
	return v
}

func macText(m l2tp.MAC) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

func statistics(c pw.Counters) api.Statistics {
	return api.Statistics{
		TxPackets: c.TxPackets, TxBytes: c.TxBytes, TxErrors: c.TxErrors,
		RxPackets: c.RxPackets, RxBytes: c.RxBytes, RxErrors: c.RxErrors,
		RxSeqDiscards: c.RxSeqDiscards, RxOOSPackets: c.RxOOSPackets,
		RxCookieDiscards: c.RxCookieDiscards, RxInvalid: c.RxInvalid,
	}
}

// Sessions gives the sessions that a query asks for, in the order of the configuration, one at a
// time: a list of 100,000 is never in memory. It reports false for a tunnel that does not exist.
func (a *Appliance) Sessions(q api.SessionQuery) (iter.Seq[api.Session], bool) {
	a.mu.Lock()
	var list []*session // a copy: sessions come and go meanwhile
	if q.Tunnel == "" {
		list = slices.AppendSeq(make([]*session, 0, a.count), a.eachSession)
	} else if t := a.byName[q.Tunnel]; t != nil {
		list = slices.Clone(t.sessions)
	} else {
		a.mu.Unlock()
		return nil, false
	}
	a.mu.Unlock()
	return func(yield func(api.Session) bool) {
		for _, s := range list {
			a.mu.Lock()
			if s.gone {
				a.mu.Unlock()
				continue
			}
			v := a.apiSession(s, q.Cookies)
			if q.Config {
				c := s.config()
				v.Config = sessionKeys(&c, q.Cookies)
			}
			a.mu.Unlock()
			if q.Errors && v.TxErrors+v.RxErrors+v.RxCookieDiscards+v.RxSeqDiscards+v.Suspect == 0 {
				continue
			}
			if !yield(v) {
				return
			}
		}
	}, true
}

// Session gives one session and the number of sessions that fit the name; an empty tunnel fits all.
func (a *Appliance) Session(tunnel, name string, cookies bool) (found api.Session, matches int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := a.tunnels
	if t := a.byName[tunnel]; t != nil {
		list = append(list[:0:0], t)
	} else if tunnel != "" {
		list = nil
	}
	for _, t := range list {
		if s := t.session(name); s != nil {
			c := s.config()
			found = a.apiSession(s, cookies)
			found.Config = sessionKeys(&c, cookies)
			matches++
		}
	}
	return found, matches
}

func (a *Appliance) apiSession(s *session, cookies bool) api.Session {
	t, conf := s.tunnel, s.config()
	v := api.Session{
		Name: conf.Name, Tunnel: t.Name, Description: conf.Description, Enabled: s.runs(), TunnelID: t.TID, PeerTunnelID: t.PTID,
		SessionID: conf.SID, PeerSessionID: conf.PSID, Pseudowire: conf.Pseudowire.String(), L2SpecType: conf.L2Spec.String(),
		Interface: conf.InterfaceName, PWVLAN: conf.PWVLAN.String(), MTU: int(s.mtu), Origin: origin(s.api),
		Oversize: conf.Oversize.String(), AnswerTooBig: conf.AnswerTooBig, MSSClamp: conf.MSSClampText(),
		Marking: api.Marking(conf.ReportMarks(&t.Tunnel)), Limits: api.Limits(conf.Limits().Report()),
		CookieBytes: conf.TxCookie.Len(), State: "disabled", CookieFrames: []uint64{},
		SendSeq: conf.Sequence.Send, RecvSeq: conf.Sequence.Requires(), LNSMode: conf.Sequence.Deciding(), ReorderTimeout: int64(conf.Sequence.ReorderTimeout), ResyncAfter: int64(conf.Sequence.Resync),
	}
	for i := range conf.RxCookieCount {
		v.PeerCookieBytes = conf.RxCookies[i].Len()
	}
	if cookies {
		v.Cookie = conf.TxCookie.Hex()
		for i := range conf.RxCookieCount {
			v.PeerCookie = append(v.PeerCookie, conf.RxCookies[i].Hex())
		}
	}
	if conf.PPPoESession != 0 {
		v.PPPoESessionID, v.PPPoEPeerMAC, v.PWVLAN = conf.PPPoESession, macText(conf.PPPoEPeer), ""
	}
	switch {
	case conf.Switched():
		v.Switched, v.PWVLAN = conf.Attach, ""
	case !conf.Local():
		v.Port, v.VLAN = conf.Attach, conf.VLAN.String()
	}
	v.State, v.Reason = a.sessionState(s, &conf)
	if !s.standing {
		return v
	}
	if n, ok := a.table.Numbering(s.id); ok {
		v.SendSeq, v.NS, v.NR, v.SeqLost, v.SeqResyncs = n.Sending, &n.NS, &n.NR, n.Lost, n.Resyncs
	}
	c := a.table.SessionCounters(s.id)
	v.Statistics = statistics(c)
	v.CookieFrames = append(v.CookieFrames, c.RxCookie[:conf.RxCookieCount]...)
	v.Suspect, v.SublayerBits, v.OAM, v.Fragments = c.Suspect, c.SublayerBits, c.RxOAM, c.RxFragments
	if c.Suspect > 0 {
		v.Suspicion = a.table.Suspicion(s.id).String()
	}
	v.ECNDiscards, v.TxRateDiscards, v.RxRateDiscards, v.StormDiscards = c.RxECNDiscards, c.TxRateDiscards, c.RxRateDiscards, c.RxStormDiscards
	return v
}

// circuitReason tells why a session's attachment circuit cannot be used, or "".
func (a *Appliance) circuitReason(s *session, c *config.Session) string {
	if s.tunnel.cut {
		return "the tunnel's peer is down (on_down)"
	}
	if s.waits != nil {
		return s.reason()
	}
	if c.Switched() {
		return a.switchedReason(c.Attach)
	}
	p := a.trunkPort()
	if !c.Local() {
		p = a.portNamed(c.Attach)
	}
	if p == nil {
		return "its port is gone"
	}
	if p.opened == nil || p.opened.down {
		return "port " + p.Name + ": " + p.reason
	}
	return ""
}

// switchedReason tells why frames do not leave by the other session of a pair, or "".
func (a *Appliance) switchedReason(other string) string {
	o := a.sessionAt(other)
	switch {
	case o == nil || !o.standing || o.tunnel.target == nil:
		return ""
	case o.tunnel.cut:
		return "session " + other + ": the tunnel's peer is down (on_down)"
	case o.tunnel.target.hop.State != nexthop.Resolved:
		return "session " + other + ": " + hopText(o.tunnel.target.hop)
	}
	return ""
}

// Ports lists all ports in the order of the configuration, the trunk of local interfaces last.
func (a *Appliance) Ports() []api.Port {
	spliced := a.spliceDrops() // may wait until the trunk has made its interfaces: not with mu
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]api.Port, 0, len(a.ports))
	for _, p := range a.ports {
		v := api.Port{Name: p.Name, Description: p.Description, Interface: p.Interface, Index: int(p.index), State: "waiting", Reason: p.reason, BusyPoll: p.BusyPoll}
		if p.trunk {
			v.Spliced = spliced
		}
		v.ToKernel, v.ControlHeard = p.passed, p.heard
		packets, merged := a.table.PortReassembled(p.index) // before the frames that came
		s, l2cp := p.last, p.l2cp
		if o := p.opened; o != nil {
			s = o.rings.Status()
			if program, err := o.program.Stats(); err == nil {
				l2cp += program.L2CPDropped
				v.ControlHeard += program.Heard
				v.ToKernel = sum(p.passed, program.ToKernel())
			}
			v.State, v.Ifindex, v.Driver, v.MTU = "up", o.info.Ifindex, o.info.Driver, o.info.MTU
			if o.down {
				v.State = "down"
			}
			v.Mode, v.Held, v.MaxFrame, v.MultiBuffer = o.rings.Mode().String(), s.Held, s.Longest, s.Jumbo
			for _, q := range s.Queues {
				v.Queues = append(v.Queues, api.Queue{
					Queue: q.Queue, Worker: q.Worker,
					RxDropped: q.Statistics.Rx_dropped, RxInvalidDescs: q.Statistics.Rx_invalid_descs,
					TxInvalidDescs: q.Statistics.Tx_invalid_descs, RxRingFull: q.Statistics.Rx_ring_full,
					RxFillRingEmpty: q.Statistics.Rx_fill_ring_empty_descs, TxRingEmpty: q.Statistics.Tx_ring_empty_descs,
				})
			}
			for _, ch := range o.plan.Changes {
				v.Changes = append(v.Changes, fmt.Sprintf("%s of %s from %s to %s: %s", ch.Setting, ch.Interface, ch.From, ch.To, ch.Why))
			}
		}
		v.Reassembled = packets
		v.Received, v.Sent, v.Transmitted, v.Drops = s.Received+l2cp-merged, s.Sent, s.Transmitted, map[string]uint64{}
		if l2cp > 0 {
			v.Drops["l2cp"] = l2cp
		}
		for reason, n := range s.Drops {
			if n > 0 {
				v.Drops[reason] += n
			}
		}
		for reason, n := range a.table.PortDrops(p.index) {
			if n > 0 {
				v.Drops[pw.Drop(reason).String()] += n
			}
		}
		list = append(list, v)
	}
	return list
}

// spliceDrops counts what was dropped between the trunk and local interfaces, by reason.
func (a *Appliance) spliceDrops() map[string]uint64 {
	t := a.trunk.Load()
	if t == nil {
		return nil
	}
	drops, err := t.Drops()
	if err != nil {
		return nil
	}
	return drops.ByReason()
}

// Drops lists every reason not to forward a frame, the table's first and then the rings' by name.
func (a *Appliance) Drops() []api.Drop {
	frames := make(map[string]map[string]uint64)
	for _, p := range a.Ports() {
		for reason, n := range p.Drops {
			if frames[reason] == nil {
				frames[reason] = make(map[string]uint64)
			}
			frames[reason][p.Name] += n
		}
	}
	var list []api.Drop
	add := func(reason, help string) {
		d := api.Drop{Reason: reason, Help: help, Ports: frames[reason]}
		if d.Ports == nil {
			d.Ports = map[string]uint64{}
		}
		for _, n := range d.Ports {
			d.Frames += n
		}
		list = append(list, d)
		delete(frames, reason)
	}
	for _, d := range pw.AllDrops() {
		add(d.String(), d.Help())
	}
	add("l2cp", "A layer 2 control frame (STP, LACP, LLDP), as l2cp = \"drop\" asks.")
	for d := range rings.NumDrops {
		add(d.String(), d.Help())
	}
	for _, reason := range slices.Sorted(maps.Keys(rings.KernelDrops())) {
		add(reason, rings.KernelDrops()[reason])
	}
	rest := make([]string, 0, len(frames))
	for reason := range frames {
		rest = append(rest, reason)
	}
	slices.SortFunc(rest, strings.Compare)
	for _, reason := range rest {
		add(reason, "")
	}
	return list
}

// Workers lists the workers and what their rounds did.
func (a *Appliance) Workers() []api.Worker {
	var list []api.Worker
	for _, w := range a.fabric.WorkerStatus() {
		v := api.Worker{
			Index: w.Index, CPU: w.CPU, Parked: w.Parked, Rounds: w.Rounds, Batches: w.Batches, Frames: w.Frames,
			Polls: w.Polls, Wakeups: w.Wakeups, Kicks: w.Kicks, KicksSaved: w.KicksSuppressed, BusySeconds: w.Busy.Seconds(),
		}
		v.OAM, v.OAMLost = a.table.Forwarder(w.Index).OAM().Count()
		if w.Batches > 0 {
			v.FramesPerBatch = float64(w.Frames) / float64(w.Batches)
		}
		list = append(list, v)
	}
	return list
}
