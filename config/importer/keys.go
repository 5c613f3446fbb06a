package importer

import (
	"net/netip"

	"xwire/config/ipl2tp"
	"xwire/l2tp"
)

// TunnelKeys are the keys of the tunnel that an `ip l2tp add tunnel` asks for, as a file would have them.
func TunnelKeys(c *ipl2tp.Command) map[string]any {
	keys := map[string]any{
		"version": "l2tpv3", "encap": c.Encap.String(), "tid": int64(c.TunnelID), "ptid": int64(c.PeerTunnelID),
		"local": endpoint(c.Encap, netip.AddrPortFrom(c.Local, c.LocalPort)),
		"peer":  endpoint(c.Encap, netip.AddrPortFrom(c.Remote, c.RemotePort)),
	}
	if c.Encap != l2tp.EncapUDP {
		return keys
	}
	if c.Local.Is4() {
		keys["udp_checksum"] = c.UDPChecksum
	} else {
		keys["udp6_checksum_tx"] = c.UDP6ChecksumTx
		keys["udp6_zero_checksum_rx"] = !c.UDP6ChecksumRx
	}
	return keys
}

// SessionKeys are the keys of the session that an `ip l2tp add session` asks for, whose interface gets
// the given name.
func SessionKeys(c *ipl2tp.Command, name string) map[string]any {
	keys := map[string]any{
		"pseudowire": "eth", "sid": int64(c.SessionID), "psid": int64(c.PeerSessionID),
		"l2spec_type": c.Sublayer.String(), "interface_name": name,
	}
	if c.Cookie.Len() > 0 {
		keys["tx_cookie"] = c.Cookie.Hex()
	}
	if c.PeerCookie.Len() > 0 {
		keys["rx_cookie"] = c.PeerCookie.Hex()
	}
	if c.SendSeq {
		keys["send_seq"] = true
	}
	if c.RecvSeq {
		keys["recv_seq"] = true
	}
	return keys
}
