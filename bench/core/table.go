package core

import (
	"fmt"
	"net/netip"

	"xwire/l2tp"
	"xwire/pw"
)

const (
	// perOuter is how many inner VLANs stand in each outer one; a power of two, so that aiming a frame
	// costs no division.
	perOuter    = 2048
	maxSessions = 4000 * perOuter
	pathMTU     = 1700
)

var (
	near = map[bool]netip.Addr{false: netip.MustParseAddr("192.0.2.1"), true: netip.MustParseAddr("2001:db8::1")}
	far  = map[bool]netip.Addr{false: netip.MustParseAddr("198.51.100.7"), true: netip.MustParseAddr("2001:db8:1::2")}
)

// The two ends of session i have the ids 1+2i, at port 1, and 2+2i, at port 2.
func sessionID(session, end uint32) uint32 { return 1 + 2*session + end }

// buildTable makes a table.
func buildTable(s contents, workers int) (*pw.Table, error) {
	t := pw.NewTable(workers)
	hop := t.AddNextHop(pw.NextHop{Port: 0, Src: l2tp.MAC{2, 0, 0, 0, 0, 1}, Dst: l2tp.MAC{2, 0, 0, 0, 0, 2}, MTU: pathMTU})
	t.SetPort(0, pw.PortSpec{Core: true, MTU: pathMTU})
	t.SetPort(1, pw.PortSpec{MTU: 1504})
	t.SetPort(2, pw.PortSpec{MTU: 1504})
	tunnel := pw.TunnelSpec{Encap: l2tp.EncapIP, UDPChecksumTx: s.Checksum, UDPZeroChecksumRx: !s.Checksum}
	port := uint16(0)
	if s.udp() {
		tunnel.Encap, port = l2tp.EncapUDP, 1701
	}
	cookie, err := l2tp.NewCookie([]byte{1, 2, 3, 4, 5, 6, 7, 8}[:s.Cookie])
	if err != nil {
		return nil, err
	}
	for end := range uint32(len(s.ends)) {
		addrs := [2]netip.AddrPort{netip.AddrPortFrom(near[s.ip6()], port), netip.AddrPortFrom(far[s.ip6()], port)}
		tunnel.Local, tunnel.Peer = addrs[end], addrs[1-end]
		id, err := t.AddTunnel(tunnel)
		if err != nil {
			return nil, err
		}
		t.SetTunnelNextHop(id, hop)
		spec := pw.SessionSpec{Tunnel: id, Type: l2tp.PWEth, Sublayer: s.Sublayer, TxCookie: cookie, AC: pw.Attachment{Port: uint16(1 + end)}}
		if s.Cookie > 0 {
			spec.RxCookies[0], spec.RxCookieCount = cookie, 1
		}
		switch s.VLAN {
		case "keep":
			spec.AC.PW.Kind = pw.PWKeep
		case "none":
			spec.AC.PW.Kind = pw.PWNone
		case "vid":
			spec.AC.PW = pw.PWTags{Kind: pw.PWVID, VID: 5}
		}
		for i := range uint32(s.ends[end]) {
			spec.SID, spec.PSID = sessionID(i, end), sessionID(i, 1-end)
			switch {
			case s.VLAN != "":
				spec.AC.VLAN = pw.VLANMatch{Kind: pw.VLANSingle, Lo: 1}
			case s.Sessions > 1:
				spec.AC.VLAN = pw.VLANMatch{Kind: pw.VLANQinQ, Lo: uint16(1 + i/perOuter), C: uint16(1 + i%perOuter)}
			}
			if _, err := t.AddSession(spec); err != nil {
				return nil, fmt.Errorf("add session %d: %w", i, err)
			}
		}
	}
	return t, nil
}
