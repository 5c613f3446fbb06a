package liveness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// protocol is L2TPv3's over IP.
const protocol = 115

// socket is what a line needs of its connection.
type socket interface {
	net.Conn
	syscall.Conn
}

// dial opens a raw socket of protocol 115 from local to peer, and to nobody else.
func dial(ctx context.Context, k lineKey) (socket, error) {
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if cerr := raw.Control(func(fd uintptr) { err = prepare(int(fd), k) }); cerr != nil {
			return cerr
		}
		return err
	}}
	network := "ip4:" + strconv.Itoa(protocol)
	if k.peer.Addr().Is6() {
		network = "ip6:" + strconv.Itoa(protocol)
	}
	d.LocalAddr = &net.IPAddr{IP: k.local.Addr().AsSlice(), Zone: k.local.Addr().Zone()}
	c, err := d.DialContext(ctx, network, k.peer.Addr().String())
	if err != nil {
		return nil, openError(k, err)
	}
	s, ok := c.(socket)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("open socket for %s: a %T has no file descriptor", k.peer, c)
	}
	return s, nil
}

// prepare sets what must stand before the socket is bound.
func prepare(fd int, k lineKey) error {
	if k.vrf != "" {
		if err := unix.BindToDevice(fd, k.vrf); err != nil {
			return fmt.Errorf("bind to VRF %s: %w", k.vrf, err)
		}
	}
	filter := controlFilter(k.peer.Addr().Is4())
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return os.NewSyscallError("SO_ATTACH_FILTER", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog))
}

// controlFilter lets packets with session id 0 through. A raw IPv4 socket sees the IP header, a raw
// IPv6 socket does not.
func controlFilter(ip4 bool) []unix.SockFilter {
	const wholePacket = 0x40000
	f := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the session id
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: wholePacket},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
	if ip4 {
		f[0].Code = unix.BPF_LD | unix.BPF_W | unix.BPF_IND
		f = append([]unix.SockFilter{{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH}}, f...)
	}
	return f
}

// openError says what to do about a socket that cannot be opened.
func openError(k lineKey, err error) error {
	switch {
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%s is no address of this host", k.local.Addr())
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("there is no VRF %s", k.vrf)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Errorf("open socket from %s to %s: %w", k.local, k.peer, err)
}
