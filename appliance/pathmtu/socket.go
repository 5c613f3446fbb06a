package pathmtu

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Socket receives reports of one IP version.
type Socket struct {
	file *os.File
	conn syscall.RawConn
	ip6  bool
	buf  [1500]byte // routers quote as much as fits 576 bytes, or over IPv6 1280
}

// Open makes a socket that gets no other messages than those.
func Open(ip6 bool) (*Socket, error) {
	family, proto := unix.AF_INET, unix.IPPROTO_ICMP
	if ip6 {
		family, proto = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if err != nil {
		return nil, fmt.Errorf("open ICMP socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "ICMP socket")
	if ip6 {
		filter := unix.ICMPv6Filter{Data: [8]uint32{^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0)}}
		filter.Data[0] &^= 1 << icmp6TooBig
		err = unix.SetsockoptICMPv6Filter(fd, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, &filter)
	} else {
		mask := ^int32(1 << icmpUnreachable)
		err = unix.SetsockoptInt(fd, unix.SOL_RAW, unix.ICMP_FILTER, int(mask))
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("filter ICMP messages: %w", err)
	}
	s := &Socket{file: file, ip6: ip6}
	if s.conn, err = file.SyscallConn(); err != nil {
		file.Close()
		return nil, fmt.Errorf("use ICMP socket: %w", err)
	}
	return s, nil
}

// Close ends a Read that waits, too: it returns os.ErrClosed.
func (s *Socket) Close() error { return s.file.Close() }

// Read waits for the next report.
func (s *Socket) Read() (Report, error) {
	for {
		var n int
		var err error
		closed := s.conn.Read(func(fd uintptr) bool {
			n, _, err = unix.Recvfrom(int(fd), s.buf[:], 0)
			return err != unix.EAGAIN && err != unix.EINTR
		})
		if closed != nil {
			return Report{}, os.ErrClosed // nothing else fails it
		}
		if err != nil {
			return Report{}, fmt.Errorf("receive ICMP message: %w", err)
		}
		parse := parse4
		if s.ip6 {
			parse = parse6
		}
		if r, ok := parse(s.buf[:n]); ok {
			return r, nil
		}
	}
}
