package liveness

import (
	"errors"
	"net/netip"
	"time"

	"xwire/l2tp"
	"xwire/l2tp/control"
)

// takenKey is what the control messages of a tunnel over UDP have in common.
type takenKey struct {
	local, peer netip.AddrPort
	version     uint8
	tid         uint32
}

func (t *tunnel) takenKey() takenKey {
	return takenKey{withoutZone(t.Local), withoutZone(t.Peer), t.Version, t.TID}
}

func withoutZone(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().WithZone(""), a.Port())
}

// take has the messages of a tunnel over UDP come here, or go to the kernel.
func (w *Watcher) take(t *tunnel, on bool) error {
	if t.Encap != l2tp.EncapUDP || t.taken == on {
		return nil
	}
	if err := w.c.Take(t.Local, t.Version, t.TID, on); err != nil {
		return err
	}
	t.taken = on
	if on {
		w.taken[t.takenKey()] = t
	} else if w.taken[t.takenKey()] == t {
		delete(w.taken, t.takenKey())
	}
	return nil
}

// Receive takes an IP packet with a control message over UDP, perhaps with bytes behind it, and
// answers it. What is of no tunnel that is watched is forgotten.
func (w *Watcher) Receive(packet []byte) {
	local, peer, payload := datagram(packet)
	m, err := control.Parse(payload)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		if t := w.taken[takenKey{local, peer, m.Version, m.ID}]; t != nil {
			w.hear(t.line, &m)
			return
		}
	}
	w.strays++
}

// datagram finds the ends and the payload of a UDP datagram; the payload is nil in anything else.
func datagram(packet []byte) (local, peer netip.AddrPort, payload []byte) {
	var src, dst netip.Addr
	var u l2tp.UDP
	switch p4, p6 := l2tp.IPv4(packet), l2tp.IPv6(packet); {
	case p4.Valid() && p4.Protocol() == protocolUDP && !p4.Fragment():
		src, dst, u = netip.AddrFrom4(p4.Src()), netip.AddrFrom4(p4.Dst()), l2tp.UDP(packet[p4.HeaderLen():p4.TotalLen()])
	case p6.Valid() && p6.NextHeader() == protocolUDP:
		src, dst, u = netip.AddrFrom16(p6.Src()), netip.AddrFrom16(p6.Dst()), l2tp.UDP(packet[l2tp.IPv6Len:l2tp.IPv6Len+p6.PayloadLen()])
	}
	if !u.Valid() {
		return local, peer, nil
	}
	return netip.AddrPortFrom(dst, u.DstPort()), netip.AddrPortFrom(src, u.SrcPort()), u[l2tp.UDPLen:u.Len()]
}

// mostTold is how many reasons are logged: a thousand peers without a route are no news any more.
// Status has each.
const mostTold = 16

// refused has the tunnels of a line that is not open unknown.
func (w *Watcher) refused(l *line, err error) {
	l.open, l.reason = false, err.Error()
	for _, t := range l.tunnels {
		if err := w.take(t, false); err != nil {
			w.c.Log.Warn("control messages of a tunnel do not reach the program that has its socket", "tunnel", t.Name, "error", err)
		}
		w.refuse(t, err)
	}
}

// refuse has a tunnel unknown. The same reason is logged once.
func (w *Watcher) refuse(t *tunnel, err error) {
	reason := err.Error()
	t.hello.end(time.Now(), reason)
	w.step(t)
	if w.told[reason] || len(w.told) >= mostTold {
		return
	}
	w.told[reason] = true
	if errors.Is(err, errForeign) || errors.Is(err, errDaemon) { // as it is meant to be, most likely
		w.c.Log.Info("control messages of a tunnel are left to another program; of others no more is said", "tunnel", t.Name)
		return
	}
	w.c.Log.Warn("control messages of tunnels are not answered; it is tried again", "tunnel", t.Name, "error", err)
}
