package trunk

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// claim takes the pair for one trunk, until its socket is closed: an abstract address is one network
// namespace's, and goes with the process that has it.
func claim(stack string) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open a socket to claim %s: %w", stack, err)
	}
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: "@xwire-trunk/" + stack})
	if err == nil {
		return fd, nil
	}
	unix.Close(fd)
	if errors.Is(err, unix.EADDRINUSE) {
		return -1, fmt.Errorf("claim %s: another xwire has local interfaces in this network namespace; run one of them in a namespace of its own", stack)
	}
	return -1, fmt.Errorf("claim %s: %w", stack, err)
}
