package rings

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// refusals is after how many frames in a row that the driver refused the watcher is asked to look
// for the reason. An interface without carrier refuses each frame, at a system call each.
const refusals = 16

var errNoCarrier = errors.New("the interface has no carrier")

// refuse has the watcher look whether the port still has a carrier, once in a watchInterval: a driver
// whose ring is full refuses too. Any worker may call it.
func (p *Port) refuse() {
	if !p.refuses.Swap(true) {
		p.fabric.look()
	}
}

// lostCarrier tells whether frames were refused because there is no carrier. Frames for the port are
// dropped without a system call then, until it has one.
func (p *Port) lostCarrier(k kernel) bool {
	return p.refuses.Load() && !k.running()
}

// line is a socket by which the kernel tells of one interface. AF_XDP sockets do not know the call.
type line struct {
	fd      int
	ifindex int
}

func newLine(ifindex int) (*line, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open socket for interface flags: %w", err)
	}
	return &line{fd: fd, ifindex: ifindex}, nil
}

// running is true also if the kernel does not say.
func (l *line) running() bool {
	byIndex, _ := unix.NewIfreq("") // fails for long names only
	byIndex.SetUint32(uint32(l.ifindex))
	if unix.IoctlIfreq(l.fd, unix.SIOCGIFNAME, byIndex) != nil {
		return true
	}
	flags, err := unix.NewIfreq(byIndex.Name())
	if err != nil || unix.IoctlIfreq(l.fd, unix.SIOCGIFFLAGS, flags) != nil {
		return true
	}
	return flags.Uint16()&unix.IFF_RUNNING != 0
}

func (l *line) close() { unix.Close(l.fd) }
