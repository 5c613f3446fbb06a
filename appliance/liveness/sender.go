package liveness

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"xwire/l2tp"
)

const (
	protocolUDP = 17
	hopLimit    = 64 // the kernel's
)

// sender sends UDP datagrams from ports that are others' to have: it writes the headers itself. The
// watcher's mutex guards it.
type sender struct {
	sockets map[senderKey]int
	packet  []byte
}

type senderKey struct {
	ip4 bool
	vrf string
}

// send sends one datagram between the ends of a line.
func (s *sender) send(k *lineKey, payload []byte) error {
	local, peer := k.local.Addr(), k.peer.Addr()
	fd, err := s.socket(senderKey{local.Is4(), k.vrf})
	if err != nil {
		return fmt.Errorf("open socket to %s: %w", peer, err)
	}
	head := l2tp.IPv6Len
	if local.Is4() {
		head = l2tp.IPv4Len
	}
	size := l2tp.UDPLen + len(payload)
	b := append(append(s.packet[:0], make([]byte, head+l2tp.UDPLen)...), payload...)
	s.packet = b
	u := l2tp.UDP(b[head:])
	u.Encode(k.local.Port(), k.peer.Port(), uint16(size))
	src, dst := local.AsSlice(), peer.AsSlice()
	sum := ^l2tp.Sum(l2tp.AddSum(l2tp.PseudoSum(src, dst, protocolUDP), uint16(size)), u)
	if sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(u[6:], sum)
	if local.Is4() {
		l2tp.IPv4(b).Encode(&l2tp.IPv4Fields{DF: true, TotalLen: uint16(len(b)), TTL: hopLimit, Protocol: protocolUDP, Src: local.As4(), Dst: peer.As4()})
		from := unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: local.As4()}) // for rules of routing by source
		return os.NewSyscallError("sendmsg", unix.Sendmsg(fd, b, from, &unix.SockaddrInet4{Addr: peer.As4()}, unix.MSG_DONTWAIT))
	}
	l2tp.IPv6(b).Encode(&l2tp.IPv6Fields{PayloadLen: uint16(size), NextHeader: protocolUDP, HopLimit: hopLimit, Src: local.As16(), Dst: peer.As16()})
	to := &unix.SockaddrInet6{Addr: peer.As16()}
	if zone := peer.Zone(); zone != "" {
		if i, err := net.InterfaceByName(zone); err == nil {
			to.ZoneId = uint32(i.Index)
		}
	}
	from := unix.PktInfo6(&unix.Inet6Pktinfo{Addr: local.As16()})
	return os.NewSyscallError("sendmsg", unix.Sendmsg(fd, b, from, to, unix.MSG_DONTWAIT))
}

// socket is one of protocol 255, which receives nothing.
func (s *sender) socket(k senderKey) (int, error) {
	if fd, ok := s.sockets[k]; ok {
		return fd, nil
	}
	family := unix.AF_INET6
	if k.ip4 {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return 0, err
	}
	if k.vrf != "" {
		if err := unix.BindToDevice(fd, k.vrf); err != nil {
			return 0, errors.Join(fmt.Errorf("bind to VRF %s: %w", k.vrf, err), unix.Close(fd))
		}
	}
	s.sockets[k] = fd
	return fd, nil
}

func (s *sender) close() {
	for k, fd := range s.sockets {
		_ = unix.Close(fd)
		delete(s.sockets, k)
	}
}
