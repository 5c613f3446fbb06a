package importer

import (
	"fmt"
	"net/netip"

	"xwire/l2tp"
)

func (s *source) kernel(tunnels []KernelTunnel, sessions []KernelSession) {
	for i := range tunnels {
		k := &tunnels[i]
		if k.Version != 3 {
			s.notef("Tunnel %d is L2TPv%d: not imported.", k.ID, k.Version)
			continue
		}
		s.tunnels = append(s.tunnels, &tunnel{
			name: TunnelName(k.ID), encap: k.Encap, tid: k.ID, ptid: k.PeerID,
			local: netip.AddrPortFrom(k.Local, k.LocalPort), peer: netip.AddrPortFrom(k.Remote, k.RemotePort),
			checksum:      k.Checksum && k.Local.Is4(),
			noChecksum6Tx: !k.ChecksumTx && k.Local.Is6(), zeroChecksum6Rx: !k.ChecksumRx && k.Local.Is6(),
		})
	}
	for i := range sessions {
		k := &sessions[i]
		t := s.tunnelOf(k.TunnelID)
		if t == nil {
			continue
		}
		if k.PWType != l2tp.PWEth {
			s.notef("Session %d of tunnel %d is a pseudowire of type %d: not imported.", k.ID, k.TunnelID, k.PWType)
			continue
		}
		x := &session{
			name: k.Interface, iface: k.Interface, sid: k.ID, psid: k.PeerID, tx: k.Cookie, rx: k.PeerCookie,
			sublayer: l2tp.SublayerDefault, sendSeq: k.SendSeq, recvSeq: k.RecvSeq, reorder: k.ReorderTimeout,
		}
		if x.name == "" {
			x.name = fmt.Sprintf("session-%d", k.ID)
		}
		for _, what := range k.Stands {
			x.yours = append(x.yours, "Yours to set for "+k.Interface+": "+what)
		}
		s.guess(t, x, k.MTU)
		t.sessions = append(t.sessions, x)
	}
}

// guess finds the sublayer by the MTU that the kernel gave to the interface: nothing else tells it.
func (s *source) guess(t *tunnel, x *session, mtu int) {
	fits := func(l l2tp.Sublayer) bool {
		return mtu == l2tp.EthMTU(1500, t.local.Addr().Is6(), t.encap, x.tx.Len(), l)
	}
	switch {
	case x.sendSeq || fits(l2tp.SublayerDefault):
	case fits(l2tp.SublayerNone):
		x.sublayer = l2tp.SublayerNone
		x.notes = append(x.notes, fmt.Sprintf("The kernel does not tell l2spec_type; an MTU of %d is what it gives with none.", mtu))
	default:
		x.notes = append(x.notes, "The kernel does not tell l2spec_type; this is what `ip l2tp` makes unless told.")
		x.mtu = mtu
	}
}
