package nexthop

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// askBatch is how many questions go out in one datagram. The answers of one datagram must fit the
// socket's receive buffer, since the kernel answers all before we read: some 1 KiB of its
// accounting each.
const askBatch = 128

// conn asks the kernel questions. It is used by one goroutine at a time.
type conn struct {
	fd  int
	seq uint32
	out []byte
	in  []byte
}

func newConn() (*conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("bind netlink socket: %w", err)
	}
	// The kernel answers inside the send; this only guards against a message it never answers.
	tv := unix.Timeval{Sec: 2}
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20)
	return &conn{fd: fd, in: make([]byte, 64<<10)}, nil
}

func (c *conn) close() {
	if c.fd >= 0 {
		_ = unix.Close(c.fd)
		c.fd = -1
	}
}

// ask sends n requests and calls answer once for each that the kernel answered, with its number.
// build appends the body of request i; typ and flags are the same for all. An answer is the body
// of the message, or an errno; with NLM_F_ACK in flags success is (nil, 0).
func (c *conn) ask(typ, flags uint16, n int, build func(b []byte, i int) []byte, answer func(i int, body []byte, errno unix.Errno)) error {
	for first := 0; first < n; first += askBatch {
		count := min(askBatch, n-first)
		base := c.seq + 1
		c.seq += uint32(count)
		c.out = c.out[:0]
		for i := range count {
			var at int
			c.out, at = begin(c.out, typ, flags, base+uint32(i))
			c.out = end(build(c.out, first+i), at)
		}
		if err := unix.Sendto(c.fd, c.out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return fmt.Errorf("send netlink request: %w", err)
		}
		for left := count; left > 0; {
			b, err := c.receive()
			if err != nil {
				return err
			}
			for {
				m, rest, ok := next(b)
				if !ok {
					break
				}
				b = rest
				i := int(m.seq - base)
				if i < 0 || i >= count {
					continue // left over from a batch that was given up
				}
				left--
				if m.typ == unix.NLMSG_ERROR && len(m.body) >= 4 {
					answer(first+i, nil, unix.Errno(-int32(native.Uint32(m.body))))
				} else {
					answer(first+i, m.body, 0)
				}
			}
		}
	}
	return nil
}

// dump asks for a whole table. The kernel may say that the table changed meanwhile
// (NLM_F_DUMP_INTR); that is no error here, since the notification of the change is still to come.
func (c *conn) dump(typ uint16, body []byte, each func(m message)) error {
	c.seq++
	var at int
	c.out, at = begin(c.out[:0], typ, unix.NLM_F_DUMP, c.seq)
	c.out = end(append(c.out, body...), at)
	if err := unix.Sendto(c.fd, c.out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("send netlink dump: %w", err)
	}
	for {
		b, err := c.receive()
		if err != nil {
			return err
		}
		for {
			m, rest, ok := next(b)
			if !ok {
				break
			}
			b = rest
			if m.seq != c.seq {
				continue
			}
			switch m.typ {
			case unix.NLMSG_DONE:
				return nil
			case unix.NLMSG_ERROR:
				if len(m.body) >= 4 {
					if e := unix.Errno(-int32(native.Uint32(m.body))); e != 0 {
						return fmt.Errorf("dump netlink table: %w", e)
					}
				}
				return nil
			}
			each(m)
		}
	}
}

func (c *conn) receive() ([]byte, error) {
	for {
		n, _, err := unix.Recvfrom(c.fd, c.in, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("receive netlink answer: %w", err)
		}
		return c.in[:n], nil
	}
}
