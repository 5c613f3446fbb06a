package rawip

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"xwire/l2tp"
)

// receiveBuffer is how much waits in a socket, in bytes as the kernel counts them.
const receiveBuffer = 4 << 20

// Socket receives the packets of one protocol and family.
type Socket struct {
	file  *os.File
	conn  syscall.RawConn
	ip6   bool
	proto byte
	buf   []byte
	oob   [256]byte
}

// Packet is one packet as it was delivered. IP is valid until the next Read.
type Packet struct {
	IP       []byte // with its header; over IPv6 the socket rebuilds that, without extension headers
	Src, Dst netip.Addr
	Ifindex  int // of the device that it came in by, a VLAN device if it had tags
}

// Open makes a socket for packets of an IP protocol. Of those the filter, a classic BPF program, sees
// it takes what that lets pass; over IPv4 it begins with the IP header, over IPv6 behind it.
func Open(ip6 bool, proto byte, filter []unix.SockFilter) (*Socket, error) {
	family, level, option := unix.AF_INET, unix.IPPROTO_IP, unix.IP_PKTINFO
	if ip6 {
		family, level, option = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO
	}
	fail := func(what string, err error) (*Socket, error) {
		return nil, fmt.Errorf("open raw socket for IP protocol %d: %s: %w", proto, what, err)
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(proto))
	if err != nil {
		return fail("socket", err)
	}
	file := os.NewFile(uintptr(fd), "raw socket")
	s := &Socket{file: file, ip6: ip6, proto: proto, buf: make([]byte, 1<<16+l2tp.IPv6Len)}
	if s.conn, err = file.SyscallConn(); err != nil {
		file.Close()
		return fail("control", err)
	}
	if filter != nil {
		if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}); err != nil {
			file.Close()
			return fail("attach filter", err)
		}
	}
	if err := unix.SetsockoptInt(fd, level, option, 1); err != nil {
		file.Close()
		return fail("ask for packet information", err)
	}
	// Beyond the limit for ordinary processes only with CAP_NET_ADMIN; less is no error.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	return s, nil
}

// Close ends a Read that waits, too.
func (s *Socket) Close() error { return s.file.Close() }

// Read waits for the next packet.
func (s *Socket) Read() (p Packet, err error) {
	data := s.buf
	if s.ip6 {
		data = s.buf[l2tp.IPv6Len:]
	}
	for {
		var n, oobn int
		var from unix.Sockaddr
		failed := s.conn.Read(func(fd uintptr) bool {
			n, oobn, _, from, err = unix.Recvmsg(int(fd), data, s.oob[:], 0)
			return err != unix.EAGAIN && err != unix.EINTR
		})
		if failed != nil {
			return p, os.ErrClosed // nothing else fails it
		}
		if err != nil {
			return p, fmt.Errorf("receive: %w", err)
		}
		if p, ok := s.packet(data[:n], s.oob[:oobn], from); ok {
			return p, nil
		}
	}
}

// packet puts together what a packet's bytes and the control messages say.
func (s *Socket) packet(data, oob []byte, from unix.Sockaddr) (p Packet, ok bool) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return p, false
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			p.Ifindex = int(binary.NativeEndian.Uint32(m.Data))
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			p.Dst = netip.AddrFrom16([16]byte(m.Data))
			p.Ifindex = int(binary.NativeEndian.Uint32(m.Data[16:]))
		}
	}
	if !s.ip6 {
		if len(data) < l2tp.IPv4Len {
			return p, false
		}
		ip := l2tp.IPv4(data)
		p.IP, p.Src, p.Dst = data, netip.AddrFrom4(ip.Src()), netip.AddrFrom4(ip.Dst())
		return p, true
	}
	switch from := from.(type) {
	case *unix.SockaddrInet6:
		p.Src = netip.AddrFrom16(from.Addr)
	case *unix.SockaddrL2TPIP6: // what x/sys makes of an address of protocol 115
		p.Src = netip.AddrFrom16(from.Addr)
	}
	if !p.Src.IsValid() || !p.Dst.IsValid() || len(data) > 0xffff {
		return p, false
	}
	p.IP = s.buf[:l2tp.IPv6Len+len(data)]
	l2tp.IPv6(p.IP).Encode(&l2tp.IPv6Fields{PayloadLen: uint16(len(data)), NextHeader: s.proto, HopLimit: 64, Src: p.Src.As16(), Dst: p.Dst.As16()})
	return p, true
}
