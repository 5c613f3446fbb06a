package pw

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"

	"xwire/l2tp"
)

// class is what a packet's headers look like: it tells where everything lies.
type class uint8

const (
	classIP4 class = iota
	classUDP4
	classIP6
	classUDP6

	classV2 class = 4 // with one of UDP
)

func classOf(ip6 bool, e l2tp.Encap) class {
	c := classIP4
	if ip6 {
		c = classIP6
	}
	if e == l2tp.EncapUDP {
		c++
	}
	return c
}

func (c class) ip6() bool { return c&classIP6 != 0 }
func (c class) udp() bool { return c&classUDP4 != 0 }
func (c class) v2() bool  { return c&classV2 != 0 }

// flagsLen is how many bytes stand between UDP and what a session has of the L2TP header.
func (c class) flagsLen() uint32 {
	if c == classUDP4 || c == classUDP6 {
		return l2tp.FlagsLen
	}
	return 0
}

// tunnel is what its sessions share in both directions: 128 bytes, immutable as a session is but
// for the next hop.
type tunnel struct {
	// hdr is right-aligned: EtherType, IP header, and over UDP its header and, but for L2TPv2, the
	// flags word, with lengths, identification and checksums 0.
	hdr [64]byte

	// key and ports are the received packet's addresses and UDP ports, as little-endian loads of
	// the packet's bytes give them: over IPv4 key[0] only.
	key   [4]uint64
	ports uint32

	hop atomic.Uint32 // NextHopID

	slot   uint32 // TunnelID
	hdrLen uint8  // bytes used of hdr
	class  class
	sumTx  bool // compute the UDP checksum
	zeroRx bool // accept none over IPv6

	ipSum  uint16 // sum of the IPv4 header in hdr
	udpSum uint16 // sum of pseudo header, ports and flags word, without the two lengths
	df     bool   // as TunnelSpec.DF, which IPv6 does not have
	keyed  bool   // any session id is its one session's

	tid, ptid uint16 // L2TPv2: ours and the peer's
	_         [2]byte
}

const hopLimit = 64

// describe writes what spec says, which has been checked. hash makes the IPv6 flow label.
func (t *tunnel) describe(spec *TunnelSpec, slot TunnelID, hash uint64) {
	local, peer := spec.Local.Addr().WithZone(""), spec.Peer.Addr().WithZone("")
	t.class = classOf(local.Is6(), spec.Encap)
	t.tid, t.ptid = 0, 0
	if spec.Version == 2 {
		t.class |= classV2
		t.tid, t.ptid = spec.TID, spec.PTID
	}
	t.slot = uint32(slot)
	t.sumTx, t.zeroRx = spec.UDPChecksumTx, spec.UDPZeroChecksumRx
	clear(t.hdr[:])

	n := l2tp.Overhead(t.class.ip6(), spec.Encap, 0, l2tp.SublayerNone) - l2tp.SessionIDLen
	if t.class.v2() {
		n -= l2tp.FlagsLen
	}
	t.hdrLen = uint8(2 + n)
	b := t.hdr[len(t.hdr)-int(t.hdrLen):]
	ttl := spec.TTL
	if ttl == 0 {
		ttl = hopLimit
	}
	t.df, t.keyed = spec.DF, spec.Keyed
	proto := byte(l2tp.ProtoL2TP)
	if t.class.udp() {
		proto = l2tp.ProtoUDP
	}
	var l4 []byte
	var recv [32]byte // source and destination as the peer sends them
	if t.class.ip6() {
		binary.BigEndian.PutUint16(b, l2tp.TypeIPv6)
		label := uint32(hash)&0xfffff | 1
		l2tp.IPv6(b[2:]).Encode(&l2tp.IPv6Fields{
			FlowLabel: label, Class: spec.TOS, NextHeader: proto, HopLimit: ttl, Src: local.As16(), Dst: peer.As16(),
		})
		l4 = b[2+l2tp.IPv6Len:]
		*(*[16]byte)(recv[0:]) = peer.As16()
		*(*[16]byte)(recv[16:]) = local.As16()
		for i := range t.key {
			t.key[i] = binary.LittleEndian.Uint64(recv[8*i:])
		}
		t.udpSum = l2tp.PseudoSum(recv[0:16], recv[16:32], l2tp.ProtoUDP)
	} else {
		binary.BigEndian.PutUint16(b, l2tp.TypeIPv4)
		ip := l2tp.IPv4(b[2:])
		ip.Encode(&l2tp.IPv4Fields{TOS: spec.TOS, DF: spec.DF, TTL: ttl, Protocol: proto, Src: local.As4(), Dst: peer.As4()})
		clear(ip[10:12])
		t.ipSum = l2tp.Sum(0, ip[:l2tp.IPv4Len])
		l4 = b[2+l2tp.IPv4Len:]
		*(*[4]byte)(recv[0:]) = peer.As4()
		*(*[4]byte)(recv[4:]) = local.As4()
		t.key = [4]uint64{binary.LittleEndian.Uint64(recv[:])}
		t.udpSum = l2tp.PseudoSum(recv[0:4], recv[4:8], l2tp.ProtoUDP)
	}
	t.ports = 0
	if t.class.udp() {
		u := l2tp.UDP(l4)
		u.Encode(spec.Local.Port(), spec.Peer.Port(), 0)
		if !t.class.v2() {
			binary.BigEndian.PutUint32(l4[l2tp.UDPLen:], l2tp.FlagsData)
		}
		t.udpSum = l2tp.Sum(t.udpSum, l4)
		var p [4]byte
		if !spec.AnyPeerPort {
			binary.BigEndian.PutUint16(p[0:], spec.Peer.Port())
		}
		binary.BigEndian.PutUint16(p[2:], spec.Local.Port())
		t.ports = binary.LittleEndian.Uint32(p[:])
	}
}

// spec is the way back.
func (t *tunnel) spec() TunnelSpec {
	b := t.hdr[len(t.hdr)-int(t.hdrLen)+2:]
	s := TunnelSpec{Version: 3, TID: t.tid, PTID: t.ptid, Encap: l2tp.EncapIP, UDPChecksumTx: t.sumTx, UDPZeroChecksumRx: t.zeroRx, Keyed: t.keyed}
	if s.TTL, s.DF = t.ttl(), t.df; s.TTL == hopLimit {
		s.TTL = 0
	}
	s.TOS = t.tos()
	var local, peer netip.Addr
	l4 := b[l2tp.IPv4Len:]
	if t.class.ip6() {
		local, peer = netip.AddrFrom16(l2tp.IPv6(b).Src()), netip.AddrFrom16(l2tp.IPv6(b).Dst())
		l4 = b[l2tp.IPv6Len:]
	} else {
		local, peer = netip.AddrFrom4(l2tp.IPv4(b).Src()), netip.AddrFrom4(l2tp.IPv4(b).Dst())
	}
	if t.class.v2() {
		s.Version = 2
	}
	var sport, dport uint16
	if t.class.udp() {
		s.Encap = l2tp.EncapUDP
		sport, dport = l2tp.UDP(l4).SrcPort(), l2tp.UDP(l4).DstPort()
		s.AnyPeerPort = t.ports&peerPortMask == 0
	}
	s.Local, s.Peer = netip.AddrPortFrom(local, sport), netip.AddrPortFrom(peer, dport)
	return s
}

// peerPortMask has the bits of the packet's source port in flow.ports. A tunnel with none of them set
// takes any port.
const peerPortMask = 0xffff

// fromAny is what names the packet's tunnel if that takes any port. False: its encapsulation has none.
func (f flow) fromAny() (flow, bool) {
	f.ports &^= peerPortMask
	return f, f.class.udp()
}

// l3 is the IP header in hdr.
func (t *tunnel) l3() []byte { return t.hdr[len(t.hdr)-int(t.hdrLen)+2:] }

func (t *tunnel) tos() uint8 { return tosOf(t.l3()) }

func (t *tunnel) ttl() uint8 {
	if t.class.ip6() {
		return t.l3()[7]
	}
	return t.l3()[8]
}

// flow is the part of a received packet that names its tunnel, as in tunnel.key.
type flow struct {
	class class
	ports uint32
	key   [4]uint64
}

func (t *tunnel) flow() flow { return flow{t.class, t.ports, t.key} }

func (t *tunnel) matches(f *flow) bool {
	return t.class == f.class && t.ports == f.ports && t.key == f.key
}
