package nexthop

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// monitorBuffer is the receive buffer of the subscription: some ten thousand route changes.
const monitorBuffer = 16 << 20

// monitor is the subscription to the kernel's notifications.
type monitor struct {
	file *os.File
	raw  func(func(fd uintptr) bool) error
	buf  []byte
}

func newMonitor() (*monitor, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink subscription: %w", err)
	}
	file := os.NewFile(uintptr(fd), "nexthop subscription")
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, monitorBuffer)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("bind netlink subscription: %w", err)
	}
	for _, group := range []int{
		unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH,
		unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV4_RULE,
		unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV6_RULE,
		unix.RTNLGRP_NEXTHOP,
	} {
		err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group)
		if err != nil && group != unix.RTNLGRP_NEXTHOP { // kernels before 5.3 have no nexthop objects
			_ = file.Close()
			return nil, fmt.Errorf("join netlink group %d: %w", group, err)
		}
	}
	sc, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("watch netlink subscription: %w", err)
	}
	return &monitor{file: file, raw: sc.Read, buf: make([]byte, 64<<10)}, nil
}

// receive waits for notifications. lost means that the kernel had to throw some away. The bytes
// are good until the next call; close ends the wait with os.ErrClosed.
func (m *monitor) receive() (b []byte, lost bool, err error) {
	var n int
	var errno error
	err = m.raw(func(fd uintptr) bool {
		for {
			n, _, errno = unix.Recvfrom(int(fd), m.buf, 0)
			if !errors.Is(errno, unix.EINTR) {
				return !errors.Is(errno, unix.EAGAIN)
			}
		}
	})
	switch {
	case err != nil:
		return nil, false, err
	case errors.Is(errno, unix.ENOBUFS):
		return nil, true, nil
	case errno != nil:
		return nil, false, fmt.Errorf("receive netlink notification: %w", errno)
	}
	return m.buf[:n], false, nil
}

func (m *monitor) close() { _ = m.file.Close() }
