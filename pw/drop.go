package pw

import "strconv"

// Drop is why a frame was not forwarded. Every frame given back with NoPort has added one to
// exactly one reason, at the port that received it, but for fragments that were merged into a packet.
type Drop uint8

const (
	DropRunt Drop = iota
	DropNoAttachment
	DropHeadroom
	DropNoNextHop
	DropOversize
	DropNotIP
	DropIPHeader
	DropIPOptions
	DropIPLength
	DropIPChecksum
	DropIPFragment
	DropReassembly
	DropReassemblyLate
	DropNotL2TP
	DropUDPLength
	DropUDPChecksum
	DropUDPZeroChecksum
	DropControl
	DropVersion
	DropWrongFamily
	DropWrongEncap
	DropWrongDestination
	DropWrongPort
	DropUnknownPeer
	DropUnknownSession
	DropShort
	DropCookieMismatch
	DropOAM
	DropFragment
	DropUnnumbered
	DropOld
	DropSessionGone
	DropECN
	DropPoliced
	DropStorm
	DropOffset
	DropRuntInner
	DropNoAC
	DropVLANMissing
	DropVLANMismatch
	DropOversizeAC
	DropPPPoEAddress
	DropPPPoEHeader

	// NumDrops is how many reasons there are.
	NumDrops = int(DropPPPoEHeader) + 1
)

var drops = [NumDrops]struct{ name, help string }{
	DropRunt:             {"runt", "The frame is shorter than an Ethernet header."},
	DropNoAttachment:     {"no_attachment", "No session is attached to this port and VLAN, and the port is no core port."},
	DropHeadroom:         {"headroom", "There is no room before the frame for the outer headers."},
	DropNoNextHop:        {"no_next_hop", "The tunnel has no route, or its next hop's address is not resolved."},
	DropOversize:         {"oversize", "The encapsulated packet would be larger than the path's MTU, and the session wants it dropped, its sender is told so, or there was no free frame for fragments."},
	DropNotIP:            {"not_ip", "A frame on a core port is neither IPv4 nor IPv6."},
	DropIPHeader:         {"ip_header", "The IP header's version or header length is wrong."},
	DropIPOptions:        {"ip_options", "The outer packet has IPv4 options or IPv6 extension headers."},
	DropIPLength:         {"ip_length", "The outer packet is cut off, or its length field is wrong."},
	DropIPChecksum:       {"ip_checksum", "The outer IPv4 header's checksum is wrong."},
	DropIPFragment:       {"ip_fragment", "An outer IP fragment that came before the first one of its packet, which did not come in time, or for which there was no room."},
	DropReassembly:       {"reassembly", "An outer fragment that overlaps others, is of a packet too large for max_frame, or gave way to newer ones."},
	DropReassemblyLate:   {"reassembly_timeout", "The first outer fragment of a packet whose rest did not come within a second."},
	DropNotL2TP:          {"not_l2tp", "The outer packet is neither UDP nor IP protocol 115."},
	DropUDPLength:        {"udp_length", "The UDP length does not fit the packet."},
	DropUDPChecksum:      {"udp_checksum", "The UDP checksum is wrong."},
	DropUDPZeroChecksum:  {"udp_zero_checksum", "UDP over IPv6 has no checksum, and the tunnel does not allow that."},
	DropControl:          {"control", "An L2TP control message: it should have gone to the kernel."},
	DropVersion:          {"version", "The L2TP header's version is not that of a tunnel with these addresses and ports."},
	DropWrongFamily:      {"wrong_family", "No tunnel uses this IP version."},
	DropWrongEncap:       {"wrong_encap", "The addresses are a tunnel's, but that tunnel uses the other encapsulation (UDP or IP)."},
	DropWrongDestination: {"wrong_destination", "The destination is not the local address of any tunnel of this kind."},
	DropWrongPort:        {"wrong_port", "The addresses are a tunnel's, the UDP ports are not."},
	DropUnknownPeer:      {"unknown_peer", "The destination is a tunnel's local address, the source is not its peer."},
	DropUnknownSession:   {"unknown_session", "The tunnel has no session with this session id."},
	DropShort:            {"short", "The packet ends before the session id, cookie and sublayer do."},
	DropCookieMismatch:   {"cookie_mismatch", "The cookie is none of those accepted."},
	DropOAM:              {"oam", "A VCCV message (V bit of the sublayer): no frame for the attachment circuit."},
	DropFragment:         {"fragment", "A fragment of a payload (B or E bit of the sublayer) that the session does not put together, or of which others are missing."},
	DropUnnumbered:       {"unnumbered", "The packet has no sequence number, and the session requires one."},
	DropOld:              {"old", "The packet's sequence number is that of one that has come already, or whose turn is over."},
	DropSessionGone:      {"session_gone", "The packet waited for those before it when its session was removed, or was set to have no sequence numbers any more."},
	DropECN:              {"ecn", "The outer header tells of congestion, and the packet inside could not tell it on (RFC 6040)."},
	DropOffset:           {"offset", "The L2TPv2 header, with the padding that its offset tells, is longer than the packet."},
	DropPoliced:          {"policed", "The session's rate in this direction is exceeded."},
	DropStorm:            {"storm", "The session's limit of broadcast, multicast or unknown unicast frames is exceeded."},
	DropRuntInner:        {"runt_inner", "The frame inside is shorter than an Ethernet header, or an empty one of PPP."},
	DropNoAC:             {"no_ac", "The session has no attachment circuit at present."},
	DropVLANMissing:      {"vlan_missing", "The frame inside has no VLAN tag where the session wants one."},
	DropVLANMismatch:     {"vlan_mismatch", "The frame inside has another VLAN tag than the session's, or tags that are another session's."},
	DropOversizeAC:       {"oversize_ac", "The frame inside is larger than its attachment circuit's port can send."},
	DropPPPoEAddress:     {"pppoe_address", "A frame of a PPPoE session is not from the session's peer to us."},
	DropPPPoEHeader:      {"pppoe_header", "A frame of a PPPoE session is no session data, or its length is wrong."},
}

// String returns the name that metrics and tables use, in snake_case.
func (d Drop) String() string {
	if int(d) < NumDrops {
		return drops[d].name
	}
	return "drop(" + strconv.Itoa(int(d)) + ")"
}

// Help returns one sentence for the operator.
func (d Drop) Help() string {
	if int(d) < NumDrops {
		return drops[d].help
	}
	return ""
}

// AllDrops returns every reason, in the order of the ladder of checks.
func AllDrops() []Drop {
	all := make([]Drop, NumDrops)
	for i := range all {
		all[i] = Drop(i)
	}
	return all
}
