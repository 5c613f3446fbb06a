package appliance

import (
	"net/netip"
	"time"

	"xwire/config"
	"xwire/l2tp"
	"xwire/pw"
	"xwire/rings/steer"
)

// What follows puts the configuration's words into the table's, for the start, for reloads and for the
// API alike. It is pure: all that a spec depends on is an argument.

// steerLocal is where a tunnel ends, as the steering program knows it.
func steerLocal(c *config.Tunnel) steer.Local {
	l := steer.Local{Addr: c.Local.Addr(), Encap: uint8(c.Encap), Shared: c.Unknown == config.UnknownKernel, Peer: c.Peer.Addr()}
	if c.Encap == l2tp.EncapUDP {
		l.Port = c.Local.Port()
	}
	return l
}

func tunnelSpec(c *config.Tunnel) pw.TunnelSpec {
	s := pw.TunnelSpec{Version: c.Version, Encap: c.Encap, Keyed: c.Keyed, Local: c.Local, Peer: c.Peer}
	if c.Encap == l2tp.EncapIP {
		s.Local, s.Peer = netip.AddrPortFrom(c.Local.Addr(), 0), netip.AddrPortFrom(c.Peer.Addr(), 0)
	}
	if c.Version == 2 {
		s.TID, s.PTID = uint16(c.TID), uint16(c.PTID)
	}
	s.TTL, s.TOS, s.DF = c.TTL, c.TOS, c.DF && c.Peer.Addr().Is4()
	s.AnyPeerPort = c.AnyPeerPort && c.Encap == l2tp.EncapUDP
	if c.Peer.Addr().Is4() {
		s.UDPChecksumTx, s.UDPZeroChecksumRx = c.UDPChecksum, true
	} else {
		s.UDPChecksumTx, s.UDPZeroChecksumRx = c.UDP6ChecksumTx, c.UDP6ZeroChecksumRx
	}
	return s
}

// sessionSpec is a session of a tunnel of the table, with the attachment circuit that was found for it.
// local is the address of its local interface, if it has one.
func sessionSpec(t pw.TunnelID, c *config.Session, ac pw.Attachment, local l2tp.MAC) pw.SessionSpec {
	return pw.SessionSpec{
		PPPoE:   pppoe(c, local),
		Marking: marking(c, ac), Limits: limits(c.Limits()),
		Tunnel: t, SID: c.SID, PSID: c.PSID, TxCookie: c.TxCookie, RxCookies: c.RxCookies, RxCookieCount: int(c.RxCookieCount),
		Sublayer: c.L2Spec, Type: c.Pseudowire, AC: ac, Oversize: oversize(c.Oversize), AnswerTooBig: c.AnswerTooBig, MSS: int(c.MSSClamp),
		Sequence: sequence(&c.Sequence),
	}
}

// pppoe is the PPPoE session of a PPP pseudowire. On a local interface we are the client.
func pppoe(c *config.Session, local l2tp.MAC) pw.PPPoE {
	p := pw.PPPoE{SessionID: c.PPPoESession, Peer: c.PPPoEPeer}
	if c.Local() && c.PPPoESession != 0 {
		p.Own, p.Peer, p.Learn = c.PPPoEPeer, local, true
	}
	return p
}

// steerPPPoE is the same as the steering program of a port knows it.
func steerPPPoE(c *config.Session) steer.PPPoE {
	p := steer.PPPoE{S: c.VLAN.Lo, C: steer.AnyVLAN, Session: c.PPPoESession}
	if c.VLAN.Kind == config.VLANQinQ {
		p.C = c.VLAN.C
	}
	return p
}

// portAttachment places a session on a port, whose S-tags have the identifier stpid.
func portAttachment(port uint16, c *config.Session, stpid uint16) pw.Attachment {
	return pw.Attachment{Port: port, VLAN: vlanMatch(c.VLAN), PW: pwTags(c.PWVLAN), STPID: stpid}
}

// localAttachment places a session on the trunk. The trunk's own tags never travel inside the
// pseudowire: "keep" means that the frame is carried as the interface sent it.
func localAttachment(svlan, cvlan uint16, s *config.Session, trunkPort uint16) pw.Attachment {
	ac := pw.Attachment{Port: trunkPort, VLAN: pw.VLANMatch{Kind: pw.VLANSingle, Lo: cvlan}, PW: pwTags(s.PWVLAN)}
	if svlan != 0 {
		ac.VLAN = pw.VLANMatch{Kind: pw.VLANQinQ, Lo: svlan, C: cvlan}
	}
	if ac.PW.Kind == pw.PWKeep && !s.PPP() {
		ac.PW = pw.PWTags{Kind: pw.PWNone}
	}
	return ac
}

func oversize(o config.Oversize) pw.Oversize {
	switch o {
	case config.OversizeDrop:
		return pw.OversizeDrop
	case config.OversizePW:
		return pw.OversizePW
	}
	return pw.OversizeFragment
}

func sequence(c *config.Sequence) pw.Sequence {
	if !c.Wanted() {
		return pw.Sequence{}
	}
	return pw.Sequence{
		Send: c.Send, Require: c.Requires(), Follow: c.LNS == config.LNSOff,
		Reorder: time.Duration(c.ReorderTimeout) * time.Millisecond, Resync: c.Resync,
	}
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
