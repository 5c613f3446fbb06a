// Package xsk opens AF_XDP sockets of asavie/xdp for traffic sources, sinks and comparisons: one
// socket with a UMEM of its own, which is what that library is good for. It keeps the library's
// habits away from its users: flags in global variables, and panics. One stays: its Close does not
// unmap the rings, so the kernel keeps a queue for a closed socket until the process ends.
package xsk

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/asavie/xdp"
	"golang.org/x/sys/unix"
)

// FrameSize is the bytes of a frame of the UMEM.
const FrameSize = 2048

// Config describes a socket.
type Config struct {
	Ifindex  int // in the network namespace of the calling thread
	Queue    int
	Ring     int // entries of each ring, a power of two
	ZeroCopy bool
	// Budget is how many frames the kernel sends a call in copy mode; 0: its default, 32. The library
	// has no word for it, and kernels before 6.18 have no choice.
	Budget int
}

// Socket is one of asavie/xdp.
type Socket struct {
	*xdp.Socket
	mode string
}

// flags guards the variables in which the library keeps the bind flags.
var flags sync.Mutex

// Open opens a socket. Half of its frames are for receiving, half for sending.
func Open(c Config) (*Socket, error) {
	flags.Lock()
	defer flags.Unlock()
	xdp.DefaultSocketFlags = unix.XDP_COPY
	mode := "copy"
	if c.ZeroCopy {
		xdp.DefaultSocketFlags = unix.XDP_ZEROCOPY
		mode = "zerocopy"
	}
	options := xdp.SocketOptions{
		NumFrames: 2 * c.Ring, FrameSize: FrameSize,
		FillRingNumDescs: c.Ring, CompletionRingNumDescs: c.Ring, RxRingNumDescs: c.Ring, TxRingNumDescs: c.Ring,
	}
	// A queue whose last socket is just being closed stays busy for a moment.
	var err error
	for range 20 {
		var s *xdp.Socket
		if s, err = xdp.NewSocket(c.Ifindex, c.Queue, &options); err == nil {
			if c.Budget > 0 {
				_ = unix.SetsockoptInt(s.FD(), unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, c.Budget)
			}
			return &Socket{Socket: s, mode: mode}, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, fmt.Errorf("open a socket of asavie/xdp on queue %d: %w", c.Queue, err)
}

// Mode is "copy" or "zerocopy".
func (s *Socket) Mode() string { return s.mode }

// ErrPanic is what the library's panics become.
var ErrPanic = errors.New("asavie/xdp panicked")

// Send puts descriptors on the TX ring and has the kernel send. It returns how many it took.
func (s *Socket) Send(descs []xdp.Desc) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrPanic, r)
		}
	}()
	return s.Transmit(descs), nil
}

// Reap takes back what was sent, and tells how many frames that are.
func (s *Socket) Reap() int {
	n := s.NumCompleted()
	if n > 0 {
		s.Complete(n)
	}
	return n
}

// Refill gives the kernel free frames to receive into.
func (s *Socket) Refill() { s.Fill(s.GetDescs(s.NumFreeFillSlots(), true)) }
