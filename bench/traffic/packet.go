package traffic

import (
	"encoding/binary"
	"net/netip"

	"xwire/l2tp"
)

// Outer is everything before the inner frame of the packets of a session, as the sending end has it.
type Outer struct {
	Src, Dst  l2tp.MAC
	Tags      []l2tp.Tag
	Local     netip.AddrPort // the sender's; port 0: L2TP over IP
	Peer      netip.AddrPort
	SessionID uint32 // the receiver's; of L2TPv2 with the tunnel id in the upper half
	V2        bool   // L2TPv2, which has neither cookie nor sublayer
	Cookie    l2tp.Cookie
	Sublayer  l2tp.Sublayer
	Sequenced bool // with Number, of which the header's bits count: 16 in L2TPv2, else 24 of the sublayer
	Number    uint32
	Checksum  bool // of UDP
}

// EtherTypeTest is the type of frames that no stack knows (IEEE local experimental 1).
const EtherTypeTest = 0x88b5

func (o *Outer) encap() l2tp.Encap {
	if o.Peer.Port() == 0 {
		return l2tp.EncapIP
	}
	return l2tp.EncapUDP
}

// Overhead is the bytes before the inner frame.
func (o *Outer) Overhead() int {
	n := l2tp.EthernetLen + len(o.Tags)*l2tp.TagLen
	if o.V2 {
		return n + l2tp.OverheadV2(o.Peer.Addr().Is6(), o.Sequenced)
	}
	return n + l2tp.Overhead(o.Peer.Addr().Is6(), o.encap(), o.Cookie.Len(), o.Sublayer)
}

// Append appends the packet that carries inner to b.
func (o *Outer) Append(b, inner []byte) []byte {
	b = AppendEthernet(b, o.Dst, o.Src, o.Tags)
	length := o.Overhead() - l2tp.EthernetLen - len(o.Tags)*l2tp.TagLen + len(inner) // of the IP packet
	protocol := byte(l2tp.ProtoL2TP)
	if o.encap() == l2tp.EncapUDP {
		protocol = l2tp.ProtoUDP
	}
	var src, dst []byte
	if o.Peer.Addr().Is6() {
		b = binary.BigEndian.AppendUint16(b, l2tp.TypeIPv6)
		f := l2tp.IPv6Fields{PayloadLen: uint16(length - l2tp.IPv6Len), NextHeader: protocol, HopLimit: 64,
			Src: o.Local.Addr().As16(), Dst: o.Peer.Addr().As16()}
		var h [l2tp.IPv6Len]byte
		l2tp.IPv6(h[:]).Encode(&f)
		b = append(b, h[:]...)
		src, dst = f.Src[:], f.Dst[:]
	} else {
		b = binary.BigEndian.AppendUint16(b, l2tp.TypeIPv4)
		f := l2tp.IPv4Fields{TotalLen: uint16(length), TTL: 64, Protocol: protocol,
			Src: o.Local.Addr().As4(), Dst: o.Peer.Addr().As4()}
		var h [l2tp.IPv4Len]byte
		l2tp.IPv4(h[:]).Encode(&f)
		b = append(b, h[:]...)
		src, dst = f.Src[:], f.Dst[:]
	}
	at := len(b)
	if protocol == l2tp.ProtoUDP {
		var h [l2tp.UDPLen]byte
		l2tp.UDP(h[:]).Encode(o.Local.Port(), o.Peer.Port(), 0)
		b = append(b, h[:]...)
	}
	b = append(o.appendL2TP(b), inner...)
	if protocol != l2tp.ProtoUDP {
		return b
	}
	udp := b[at:]
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	if o.Checksum {
		sum := l2tp.AddSum(l2tp.PseudoSum(src, dst, protocol), uint16(len(udp)))
		if sum = ^l2tp.Sum(sum, udp); sum == 0 {
			sum = 0xffff
		}
		binary.BigEndian.PutUint16(udp[6:], sum)
	}
	return b
}

// appendL2TP appends everything from there to the inner frame.
func (o *Outer) appendL2TP(b []byte) []byte {
	if o.V2 {
		var h [l2tp.V2SequencedLen]byte
		if o.Sequenced {
			l2tp.EncodeV2Sequenced(h[:], uint16(o.SessionID>>16), uint16(o.SessionID), uint16(o.Number))
			return append(b, h[:]...)
		}
		l2tp.EncodeV2(h[:], uint16(o.SessionID>>16), uint16(o.SessionID))
		return append(b, h[:l2tp.V2Len]...)
	}
	if o.encap() == l2tp.EncapUDP {
		b = binary.BigEndian.AppendUint32(b, l2tp.FlagsData)
	}
	b = binary.BigEndian.AppendUint32(b, o.SessionID)
	b = append(b, o.Cookie.Bytes()...)
	if o.Sublayer.Len() == 0 {
		return b
	}
	word := uint32(0)
	if o.Sequenced {
		word = l2tp.SublayerS | o.Number&l2tp.SublayerSeq
	}
	return binary.BigEndian.AppendUint32(b, word)
}

// AppendEthernet appends both addresses and the tags, and no type.
func AppendEthernet(b []byte, dst, src l2tp.MAC, tags []l2tp.Tag) []byte {
	b = append(append(b, dst[:]...), src[:]...)
	for _, t := range tags {
		b = binary.BigEndian.AppendUint16(b, t.TPID)
		b = binary.BigEndian.AppendUint16(b, t.TCI)
	}
	return b
}

// TestFrame is a frame of a size (with FCS) of EtherTypeTest, with a body that is not all alike.
func TestFrame(dst, src l2tp.MAC, size int) []byte {
	b := AppendEthernet(make([]byte, 0, size), dst, src, nil)
	b = binary.BigEndian.AppendUint16(b, EtherTypeTest)
	for len(b) < size-FCS {
		b = append(b, byte(len(b)*7))
	}
	return b
}
