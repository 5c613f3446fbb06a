package appliance

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"sync"
	"time"

	"xwire/appliance/pathmtu"
	"xwire/l2tp"
)

const (
	// pathLasts is how long a path MTU is believed, the kernel's mtu_expires; RFC 1191 section 6.3 has
	// no less.
	pathLasts = 10 * time.Minute
	// pathPause is the least time between two reports that are looked into: each may cost a search
	// among a tunnel's sessions, and anyone can send them.
	pathPause = 20 * time.Millisecond
)

// path is what a router on the way to a peer told of it; the zero value: nothing.
type path struct {
	mtu   int
	until time.Time
}

// mtu is the largest outer packet that goes to the target: by its route, or the narrower path behind it.
func (t *target) mtu() int {
	if t.path.mtu != 0 && (t.hop.MTU == 0 || t.path.mtu < t.hop.MTU) {
		return t.path.mtu
	}
	return t.hop.MTU
}

// ends are a tunnel's two addresses.
type ends struct{ local, peer netip.Addr }

// between lists the tunnels of two addresses. It looks them up, as anyone may send reports about any. The
// caller holds mu.
func (a *Appliance) between(local, peer netip.Addr) []*tunnel {
	if a.ends == nil {
		a.ends = make(map[ends][]*tunnel, len(a.tunnels))
		for _, t := range a.tunnels {
			e := ends{t.Local.Addr(), t.Peer.Addr()}
			a.ends[e] = append(a.ends[e], t)
		}
	}
	return a.ends[ends{local, peer}]
}

// hearPaths follows what routers tell of packets that are too large for them, until ctx ends.
func (a *Appliance) hearPaths(ctx context.Context) error {
	var readers sync.WaitGroup
	var sockets []*pathmtu.Socket
	for _, ip6 := range []bool{false, true} {
		s, err := pathmtu.Open(ip6)
		if err != nil { // IPv6 may be switched off
			a.log.Warn("path MTUs are not learnt", "ipv6", ip6, "error", err)
			continue
		}
		sockets = append(sockets, s)
		readers.Go(func() { a.hearPath(s) })
	}
	<-ctx.Done()
	for _, s := range sockets {
		s.Close() // ends its reader
	}
	readers.Wait()
	return nil
}

func (a *Appliance) hearPath(s *pathmtu.Socket) {
	for {
		r, err := s.Read()
		switch {
		case errors.Is(err, os.ErrClosed):
			return
		case err != nil:
			a.log.Warn("hear of path MTUs", "error", err)
			time.Sleep(time.Second)
		default:
			if a.tooBig(&r, time.Now()) {
				time.Sleep(pathPause)
			}
		}
	}
}

// tooBig lowers the path MTU of the tunnels that a report is about. looked tells that it meant some work.
func (a *Appliance) tooBig(r *pathmtu.Report, now time.Time) (looked bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.between(r.Local.Addr(), r.Peer.Addr()) {
		if t.target == nil || t.Encap != r.Encap || t.Encap == l2tp.EncapUDP && t.Peer.Port() != r.Peer.Port() {
			continue
		}
		p := &t.target.path
		fresh := p.mtu == r.MTU && p.until.Sub(now) > pathLasts*9/10
		if r.MTU > t.target.mtu() || p.mtu != r.MTU && r.MTU == t.target.mtu() || fresh {
			continue // a report never raises it
		}
		looked = true
		if !t.sends(r) {
			continue
		}
		lower := r.MTU < t.target.mtu()
		*p = path{r.MTU, now.Add(pathLasts)}
		if lower {
			a.log.Info("path MTU is lower", "peer", r.Peer.Addr(), "mtu", r.MTU, "route_mtu", t.target.hop.MTU)
			a.table.SetNextHop(t.target.id, a.nextHop(t.target))
		}
	}
	return looked
}

// sends tells whether what a report quotes is of a session of the tunnel. Of UDP a router may quote no
// more than the ports; then these must do.
func (t *tunnel) sends(r *pathmtu.Report) bool {
	m := r.Message
	if t.Encap == l2tp.EncapUDP {
		if len(m) < l2tp.FlagsLen+l2tp.SessionIDLen {
			return t.Local.Port() == r.Local.Port()
		}
		if l2tp.IsDataV2(binary.BigEndian.Uint16(m)) {
			return l2tp.V2(m).Valid() && l2tp.V2(m).IDs()>>16 == t.PTID && t.hasPeer(l2tp.V2(m).IDs()&0xffff, nil)
		}
		m = m[l2tp.FlagsLen:]
	}
	return len(m) >= l2tp.SessionIDLen && t.hasPeer(l2tp.Data(m).SessionID(), m[l2tp.SessionIDLen:])
}

// hasPeer looks for a session by the peer's id, and by as much of the cookie as is there.
func (t *tunnel) hasPeer(psid uint32, rest []byte) bool {
	for _, s := range t.sessions {
		if s.psid != psid || !s.standing {
			continue
		}
		cookie := s.tx.Bytes()
		n := min(len(cookie), len(rest))
		if bytes.Equal(cookie[:n], rest[:n]) {
			return true
		}
	}
	return false
}

// forgetPaths gives paths another try whose time is over. The caller holds mu.
func (a *Appliance) forgetPaths(now time.Time) {
	for _, t := range a.targets {
		if t.path.mtu == 0 || now.Before(t.path.until) {
			continue
		}
		t.path = path{}
		a.log.Info("path MTU is forgotten", "peer", t.hop.Key.Peer, "route_mtu", t.hop.MTU)
		a.table.SetNextHop(t.id, a.nextHop(t))
	}
}
