package appliance

import (
	"fmt"
	"net/netip"

	"xwire/appliance/nexthop"
	"xwire/appliance/trunk"
	"xwire/config"
	"xwire/l2tp"
	"xwire/pw"
	"xwire/rings"
	"xwire/rings/steer"
)

// tunnel is what stays of a tunnel's configuration. What the table knows is asked there.
type tunnel struct {
	name, description, vrf string
	tid, ptid              uint32
	id                     pw.TunnelID
	enabled                bool
	target                 *target
	first, sessions        int // its sessions stand at Appliance.sessions[first : first+sessions]
}

// session is what stays of a session's configuration: at 100,000 sessions every word counts, so
// what the table knows (ids, cookies, sublayer, tags) is asked there.
type session struct {
	name, description string
	local             string // the interface's name, "" with a port
	pwvlan            string
	reason            string // why it is not in the table
	id                pw.SessionID
	tunnel            int32
	mtu               uint16
	enabled, standing bool
}

// trunkMTU lets local interfaces carry full customer frames with tags in chunks of 2048 bytes.
const trunkMTU = 1600

// makeTrunk opens the trunk when a session needs it, and adds its inner end as a port.
func (a *Appliance) makeTrunk(cfg *config.Config) (err error) {
	mtu, needed := trunkMTU, false
	for i := range cfg.Tunnels {
		for j := range cfg.Tunnels[i].Sessions {
			s := &cfg.Tunnels[i].Sessions[j]
			needed = needed || s.Local() && s.Enabled && cfg.Tunnels[i].Enabled
			mtu = max(mtu, int(s.MTU))
		}
	}
	if !needed {
		return nil
	}
	a.trunk, err = trunk.Open(trunk.Config{Dir: a.dir, Queues: len(a.workers), MTU: mtu, Log: a.log})
	if err != nil {
		return fmt.Errorf("open trunk of local interfaces: %w", err)
	}
	p := &port{trunk: true}
	p.Name, p.Interface = "trunk", a.trunk.InnerName()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.addPort(p)
	return nil
}

// makeTunnels fills the table with tunnels and asks for their next hops.
func (a *Appliance) makeTunnels(cfg *config.Config) error {
	a.tunnels = make([]tunnel, 0, len(cfg.Tunnels))
	for i := range cfg.Tunnels {
		c := &cfg.Tunnels[i]
		t := tunnel{name: c.Name, description: c.Description, vrf: c.VRF, tid: c.TID, ptid: c.PTID, enabled: c.Enabled}
		if c.Enabled {
			spec := tunnelSpec(c)
			var err error
			if t.id, err = a.table.AddTunnel(spec); err != nil {
				return fmt.Errorf("add tunnel %s: %w", c.Name, err)
			}
			t.target = a.targets[hopKey(c)]
			a.table.SetTunnelNextHop(t.id, t.target.id)
			if err := a.steering.AddLocal(steer.Local{Addr: spec.Local.Addr(), Encap: uint8(spec.Encap), Port: spec.Local.Port()}); err != nil {
				return fmt.Errorf("steer packets for tunnel %s: %w", c.Name, err)
			}
		}
		a.tunnels = append(a.tunnels, t)
	}
	return nil
}

func hopKey(t *config.Tunnel) nexthop.Key {
	return nexthop.Key{Peer: t.Peer.Addr(), Local: t.Local.Addr(), VRF: t.VRF}
}

func tunnelSpec(c *config.Tunnel) pw.TunnelSpec {
	s := pw.TunnelSpec{Version: c.Version, Encap: c.Encap, Local: c.Local, Peer: c.Peer}
	if c.Encap == l2tp.EncapIP {
		s.Local, s.Peer = netip.AddrPortFrom(c.Local.Addr(), 0), netip.AddrPortFrom(c.Peer.Addr(), 0)
	}
	if c.Peer.Addr().Is4() {
		s.UDPChecksumTx, s.UDPZeroChecksumRx = c.UDPChecksum, true
	} else {
		s.UDPChecksumTx, s.UDPZeroChecksumRx = c.UDP6ChecksumTx, c.UDP6ZeroChecksumRx
	}
	return s
}

// makeSessions fills the table with sessions. One that cannot stand (its interface's name is
// taken, say) does not stop the others: it waits with its reason.
func (a *Appliance) makeSessions(cfg *config.Config) error {
	bindings, failed := a.bindLocals(cfg)
	byName := make(map[string]uint16)
	a.mu.Lock()
	for _, p := range a.ports {
		byName[p.Name] = p.index
	}
	a.mu.Unlock()
	total := 0
	for i := range cfg.Tunnels {
		total += len(cfg.Tunnels[i].Sessions)
	}
	a.sessions = make([]session, 0, total)
	for i := range cfg.Tunnels {
		c := &cfg.Tunnels[i]
		t := &a.tunnels[i]
		t.first, t.sessions = len(a.sessions), len(c.Sessions)
		for j := range c.Sessions {
			sc := &c.Sessions[j]
			s := session{name: sc.Name, description: sc.Description, tunnel: int32(i), enabled: sc.Enabled && c.Enabled,
				pwvlan: sc.PWVLAN.String(), mtu: sc.MTU}
			spec := pw.SessionSpec{
				Tunnel: t.id, SID: sc.SID, PSID: sc.PSID, TxCookie: sc.TxCookie,
				Sublayer: sc.L2Spec, Type: sc.Pseudowire,
			}
			spec.RxCookies, spec.RxCookieCount = sc.RxCookies, int(sc.RxCookieCount)
			if sc.Local() {
				s.local = sc.InterfaceName
				b, ok := bindings[sc.InterfaceName]
				if !ok {
					s.reason = failed
				}
				s.mtu = uint16(b.MTU)
				spec.AC = localAttachment(b, sc, a.trunkIndex())
			} else {
				spec.AC = pw.Attachment{Port: byName[sc.Attach], VLAN: vlanMatch(sc.VLAN), PW: pwTags(sc.PWVLAN), STPID: cfg.Port(sc.Attach).QinQTPID}
			}
			if s.enabled && s.reason == "" {
				id, err := a.table.AddSession(spec)
				if err != nil {
					s.reason = err.Error()
					a.log.Error("session waits", "tunnel", c.Name, "session", sc.Name, "error", err)
				} else {
					s.id, s.standing = id, true
				}
			}
			a.sessions = append(a.sessions, s)
		}
	}
	return nil
}

// bound is a local interface's place on the trunk.
type bound struct {
	trunk.Binding
	MTU int
}

// bindLocals makes or adopts the local interfaces, and removes those whose session has gone.
func (a *Appliance) bindLocals(cfg *config.Config) (map[string]bound, string) {
	bindings := make(map[string]bound)
	if a.trunk == nil {
		return bindings, ""
	}
	var want []trunk.Interface
	mtus := make(map[string]int)
	for i := range cfg.Tunnels {
		c := &cfg.Tunnels[i]
		for j := range c.Sessions {
			s := &c.Sessions[j]
			if !s.Local() || !s.Enabled || !c.Enabled {
				continue
			}
			mtu := int(s.MTU)
			if mtu == 0 {
				mtu = a.localMTU(c, s)
			}
			mtus[s.InterfaceName] = mtu
			want = append(want, trunk.Interface{Name: s.InterfaceName, Session: c.Name + "/" + s.Name, MTU: mtu, KeepMTU: s.MTU == 0})
		}
	}
	if err := a.trunk.Prune(func(name string) bool { _, ok := mtus[name]; return ok }); err != nil {
		a.log.Warn("remove local interfaces of sessions that are gone", "error", err)
	}
	made, err := a.trunk.Ensure(want)
	reason := ""
	if err != nil {
		reason = err.Error()
		a.log.Error("make local interfaces", "error", err)
	}
	for _, b := range made {
		bindings[b.Name] = bound{Binding: b, MTU: mtus[b.Name]}
	}
	return bindings, reason
}

// localMTU is what the kernel would give l2tpethN now: from the route's MTU, or 1500 without one.
func (a *Appliance) localMTU(t *config.Tunnel, s *config.Session) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	path := 1500
	if h := a.targets[hopKey(t)].hop; h.MTU > 0 {
		path = h.MTU
	}
	return l2tp.EthMTU(path, t.Peer.Addr().Is6(), t.Encap, s.TxCookie.Len(), s.L2Spec)
}

// localAttachment places a session on the trunk. The trunk's own tags never travel inside the
// pseudowire: "keep" means that the frame is carried as the interface sent it.
func localAttachment(b bound, s *config.Session, trunkPort uint16) pw.Attachment {
	ac := pw.Attachment{Port: trunkPort, VLAN: pw.VLANMatch{Kind: pw.VLANSingle, Lo: b.CVLAN}, PW: pwTags(s.PWVLAN)}
	if b.SVLAN != 0 {
		ac.VLAN = pw.VLANMatch{Kind: pw.VLANQinQ, Lo: b.SVLAN, C: b.CVLAN}
	}
	if ac.PW.Kind == pw.PWKeep {
		ac.PW = pw.PWTags{Kind: pw.PWNone}
	}
	return ac
}

func (a *Appliance) trunkIndex() uint16 {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.ports {
		if p.trunk {
			return p.index
		}
	}
	return rings.NoPort
}

// vlanMatch and pwTags put the configuration's words into the table's.
func vlanMatch(v config.VLAN) pw.VLANMatch {
	m := pw.VLANMatch{Lo: v.Lo, Hi: v.Hi, C: v.C}
	switch v.Kind {
	case config.VLANUntagged:
		m.Kind = pw.VLANUntagged
	case config.VLANSingle:
		m.Kind = pw.VLANSingle
	case config.VLANRange:
		m.Kind = pw.VLANRange
	case config.VLANQinQ:
		m.Kind = pw.VLANQinQ
	}
	return m
}

func pwTags(v config.PWVLAN) pw.PWTags {
	switch v.Kind {
	case config.PWNone:
		return pw.PWTags{Kind: pw.PWNone}
	case config.PWVID:
		return pw.PWTags{Kind: pw.PWVID, VID: v.VID}
	}
	return pw.PWTags{Kind: pw.PWKeep}
}
