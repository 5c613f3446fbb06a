package pw

import (
	"errors"
	"fmt"
	"net/netip"

	"xwire/l2tp"
)

// NextHopID, TunnelID and SessionID name records of a Table. They begin at 1; 0 is none. The
// number of a removed record is given out again.
type (
	NextHopID uint32
	TunnelID  uint32
	SessionID uint32
)

// MaxPorts is how many port indexes there are: 0 to MaxPorts-1.
const MaxPorts = 1024

// NextHop is where a core port sends packets: a router or the peer itself.
type NextHop struct {
	Port     uint16 // NoPort: not resolved, packets are dropped
	Src, Dst l2tp.MAC
	Tags     []l2tp.Tag // up to two, outermost first
	MTU      int        // bytes, largest outer IP packet; 0: no limit
}

// TunnelSpec is one tunnel of L2TP data messages between two addresses.
type TunnelSpec struct {
	Version     uint8  // 2 or 3; 0 means 3; does not change while there are sessions
	TID, PTID   uint16 // L2TPv2, which needs UDP: in packets that we receive, and that we send
	Encap       l2tp.Encap
	Local, Peer netip.AddrPort // of one family; port 0 for l2tp.EncapIP

	// UDPChecksumTx computes the checksum of what is sent. Without it IPv4 and IPv6 send 0.
	UDPChecksumTx bool
	// UDPZeroChecksumRx accepts 0 over IPv6. A checksum that is there is always verified, and
	// IPv4 always accepts 0.
	UDPZeroChecksumRx bool

	// AnyPeerPort takes UDP packets from any source port of the peer's address. Peer's port is where we
	// send to.
	AnyPeerPort bool

	// Keyed makes both addresses all that names the tunnel's one session (RFC 8159): over IPv6 without
	// UDP, with cookies of 8 bytes.
	Keyed bool

	TTL uint8 // or hop limit; 0 means 64
	TOS uint8 // or traffic class: DSCP and ECN bits
	DF  bool  // IPv4: "don't fragment"; fragments that we send have it too
}

// SessionSpec is one pseudowire.
type SessionSpec struct {
	Tunnel        TunnelID
	SID           uint32         // in packets that we receive; of 16 bits in L2TPv2, unique in its tunnel; 0 in a keyed tunnel
	PSID          uint32         // in packets that we send: the peer's session id
	TxCookie      l2tp.Cookie    // sent
	RxCookies     [2]l2tp.Cookie // accepted; both of one length
	RxCookieCount int            // 0 to 2
	Sublayer      l2tp.Sublayer
	Type          l2tp.PWType // PWEth or PWEthVLAN; PWPPP or PWPPPAC, of which L2TPv2 needs one
	PPPoE         PPPoE       // of a PPP pseudowire with a port
	AC            Attachment
	Oversize      Oversize
	Sequence      Sequence
	Marking       Marking
	Limits        Limits
	MSS           int // most that a TCP SYN inside may announce; MSSByPath: what the path leaves; 0: anything

	// AnswerTooBig drops an IPv4 packet with "don't fragment", or one of IPv6, that is too large for the
	// path, and tells its sender by ICMP. All else is as Oversize says.
	AnswerTooBig bool
}

// Attachment is the customer's side of a session.
type Attachment struct {
	Port uint16 // NoPort: no attachment circuit at present
	VLAN VLANMatch
	PW   PWTags

	// STPID is the tag protocol identifier of an S-tag that we push; 0 means 0x88a8.
	STPID uint16
}

// VLANKind tells which frames of a port are a session's.
type VLANKind uint8

const (
	VLANAll      VLANKind = iota // every frame that no other session of the port takes
	VLANUntagged                 // without a tag, or with VLAN identifier 0
	VLANSingle                   // outer tag Lo, whatever follows
	VLANRange                    // outer tag Lo to Hi
	VLANQinQ                     // outer tag Lo, inner tag C
)

// VLANMatch is a set of frames by their tags. Tag protocol identifiers 0x8100, 0x88a8 and 0x9100
// are all taken for tags. Of several sessions on a port the most particular gets the frame: QinQ
// before single and range, these and untagged before all. No other session may send it: decap drops
// what would leave with tags of which another session of the port is to get the frames.
type VLANMatch struct {
	Kind  VLANKind
	Lo    uint16 // 1 to 4094
	Hi, C uint16
}

// String returns the match as the configuration writes it: "all", "untagged", "100", "100-199",
// "100.20".
func (v VLANMatch) String() string {
	switch v.Kind {
	case VLANAll:
		return "all"
	case VLANUntagged:
		return "untagged"
	case VLANSingle:
		return fmt.Sprint(v.Lo)
	case VLANRange:
		return fmt.Sprintf("%d-%d", v.Lo, v.Hi)
	case VLANQinQ:
		return fmt.Sprintf("%d.%d", v.Lo, v.C)
	}
	return fmt.Sprintf("vlan(%d)", v.Kind)
}

// PWKind tells which tags frames have inside the pseudowire.
type PWKind uint8

const (
	PWKeep PWKind = iota // those of the attachment circuit
	PWNone               // none: the attachment circuit's are popped on encap and pushed on decap
	PWVID                // one tag, in place of the attachment circuit's
)

// PWTags is what happens to tags between attachment circuit and pseudowire. All and range allow
// PWKeep only. Priority bits move from the outermost tag popped to every tag pushed; from no tag
// come priority 0 and DEI 0.
type PWTags struct {
	Kind PWKind
	VID  uint16 // 1 to 4094, for PWVID
}

// PortSpec is a port as the table sees it.
type PortSpec struct {
	Core bool     // frames of no attachment are decapsulated
	MAC  l2tp.MAC // of its own; only PPPoE circuits ask
	MTU  int      // bytes, largest frame to be sent on it, its header of 14 bytes and up to two tags not counted; 0: no limit
}

func (s *TunnelSpec) check() error {
	switch {
	case s.Version != 0 && s.Version != 2 && s.Version != 3:
		return fmt.Errorf("L2TP version %d: must be 2 or 3", s.Version)
	case s.Version == 2 && s.Encap != l2tp.EncapUDP:
		return fmt.Errorf("L2TPv2 over %v: must be over udp", s.Encap)
	case s.Version == 2 && (s.TID == 0 || s.PTID == 0):
		return fmt.Errorf("L2TPv2 tunnel ids %d and %d: 0 is for control messages", s.TID, s.PTID)
	case s.Version != 2 && (s.TID != 0 || s.PTID != 0):
		return fmt.Errorf("tunnel ids %d and %d: only L2TPv2 has them in data messages", s.TID, s.PTID)
	}
	local, peer := s.Local.Addr(), s.Peer.Addr()
	if !local.IsValid() || !peer.IsValid() || local.IsUnspecified() || peer.IsUnspecified() {
		return fmt.Errorf("tunnel from %v to %v: both addresses must be given", s.Local, s.Peer)
	}
	if local.Is4() != peer.Is4() || local.Is4In6() || peer.Is4In6() {
		return fmt.Errorf("tunnel from %v to %v: both addresses must be of one family", s.Local, s.Peer)
	}
	if local.IsMulticast() || peer.IsMulticast() {
		return fmt.Errorf("tunnel from %v to %v: multicast has no peer", s.Local, s.Peer)
	}
	switch s.Encap {
	case l2tp.EncapIP:
		if s.Local.Port() != 0 || s.Peer.Port() != 0 {
			return fmt.Errorf("tunnel from %v to %v: ports have no meaning over IP", s.Local, s.Peer)
		}
	case l2tp.EncapUDP:
		if s.Local.Port() == 0 || s.Peer.Port() == 0 {
			return fmt.Errorf("tunnel from %v to %v: both UDP ports must be given", s.Local, s.Peer)
		}
	default:
		return fmt.Errorf("encapsulation %v: must be udp or ip", s.Encap)
	}
	if s.AnyPeerPort && s.Encap != l2tp.EncapUDP {
		return fmt.Errorf("tunnel from %v to %v: only UDP has ports that could be any", s.Local, s.Peer)
	}
	if s.DF && local.Is6() {
		return fmt.Errorf("tunnel from %v to %v: IPv6 has no DF bit", s.Local, s.Peer)
	}
	return s.checkKeyed()
}

// checkIn tells what does not fit the session's tunnel.
func (s *SessionSpec) checkIn(t *tunnel) error {
	if err := s.checkKeyed(t); err != nil {
		return err
	}
	switch {
	case !t.class.v2() && s.Sequence.wanted() && s.Sublayer != l2tp.SublayerDefault:
		return fmt.Errorf("sequence numbers: need the default sublayer, which holds them")
	case !t.class.v2():
	case s.SID > 0xffff || s.PSID > 0xffff:
		return fmt.Errorf("session ids %d and %d: L2TPv2 has 16 bits for them", s.SID, s.PSID)
	case !isPPP(s.Type):
		return fmt.Errorf("pseudowire type %v: L2TPv2 carries ppp only", s.Type)
	case s.TxCookie.Len() > 0 || s.RxCookieCount > 0 || s.Sublayer != l2tp.SublayerNone:
		return fmt.Errorf("cookie or sublayer: L2TPv2 has neither")
	}
	return nil
}

func (s *SessionSpec) check() error {
	switch {
	case s.PSID == 0:
		return errors.New("peer's session id 0 is for control messages")
	case s.RxCookieCount < 0 || s.RxCookieCount > 2:
		return fmt.Errorf("%d rx cookies: must be 0 to 2", s.RxCookieCount)
	case s.RxCookieCount == 2 && s.RxCookies[0].Len() != s.RxCookies[1].Len():
		return fmt.Errorf("rx cookies of %d and %d bytes: must be of one length", s.RxCookies[0].Len(), s.RxCookies[1].Len())
	case s.Sublayer > l2tp.SublayerDefault:
		return fmt.Errorf("l2spec type %v: must be none or default", s.Sublayer)
	case s.MSS < MSSByPath || s.MSS > 65535:
		return fmt.Errorf("MSS %d: must be 1 to 65535, or by path", s.MSS)
	case s.Oversize > OversizePW:
		return fmt.Errorf("oversize %d: must be fragment, drop or pw", s.Oversize)
	case s.Oversize == OversizePW && (s.Sublayer != l2tp.SublayerDefault || !s.Sequence.Send || s.Sequence.Follow):
		return fmt.Errorf("oversize pw: needs the default sublayer and sequence numbers that are always sent")
	case s.Oversize == OversizePW && (s.Marking.DF == DFClear || s.Marking.DF == DFInner):
		return fmt.Errorf("oversize pw: its packets must not be fragmented on their way, but DF is to be clear")
	case s.Type != l2tp.PWEth && s.Type != l2tp.PWEthVLAN && !isPPP(s.Type):
		return fmt.Errorf("pseudowire type %v: must be eth, vlan, ppp or pppac", s.Type)
	}
	if err := s.checkPPP(); err != nil {
		return err
	}
	if err := s.Sequence.check(); err != nil {
		return err
	}
	if err := s.Marking.check(); err != nil {
		return err
	}
	if err := s.Limits.check(); err != nil {
		return err
	}
	return s.AC.check()
}

func (a *Attachment) check() error {
	if a.Port >= MaxPorts && a.Port != NoPort {
		return fmt.Errorf("attach to port %d: must be below %d", a.Port, MaxPorts)
	}
	vid := func(v uint16) bool { return v >= 1 && v <= 4094 }
	v := a.VLAN
	ok := false
	switch v.Kind {
	case VLANAll, VLANUntagged:
		ok = true
	case VLANSingle:
		ok = vid(v.Lo)
	case VLANRange:
		ok = vid(v.Lo) && vid(v.Hi) && v.Lo <= v.Hi
	case VLANQinQ:
		ok = vid(v.Lo) && vid(v.C)
	}
	if !ok {
		return fmt.Errorf("attach to VLAN %v: identifiers must be 1 to 4094, a range in order", v)
	}
	switch a.PW.Kind {
	case PWKeep:
	case PWNone, PWVID:
		if v.Kind == VLANAll || v.Kind == VLANRange {
			return fmt.Errorf("attach to VLAN %v: its tags can only be kept inside the pseudowire", v)
		}
		if a.PW.Kind == PWVID && !vid(a.PW.VID) {
			return fmt.Errorf("VLAN %d inside the pseudowire: must be 1 to 4094", a.PW.VID)
		}
	default:
		return fmt.Errorf("tags inside the pseudowire (%d): must be keep, none or a VLAN", a.PW.Kind)
	}
	return nil
}
