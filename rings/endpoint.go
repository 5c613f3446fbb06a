package rings

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// kernel is what a socket needs of the kernel besides shared memory. An AF_XDP socket is one; so is
// the fake.
type kernel interface {
	wakeTX() unix.Errno
	wakeRX() unix.Errno
	statistics() (unix.XDPStatistics, error)
	// running tells whether the interface has a carrier, as far as the kernel knows.
	running() bool
	// gone tells once that the interface has been unregistered.
	gone() bool
	// close gives the socket and its rings up.
	close() error
	// released tells, after close, whether the driver has let go of the queue's frames, and waits for
	// that at most as long as patience. Only then the frames may be used for something else.
	released(patience time.Duration) error
}

// endpoint is an AF_XDP socket with its rings mapped. fill and completion are those of the queue.
type endpoint struct {
	fd         int
	ifindex    int
	queue      uint32
	line       *line // of the port
	fill       *fillRing
	completion *completionRing
	rx         *rxRing
	tx         *txRing
	mapped     [][]byte
}

var _ kernel = &endpoint{}

// newEndpoint makes a socket, not bound yet, whose fill and RX rings have deep entries and the others size.
func newEndpoint(deep, size uint32) (*endpoint, error) {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("open AF_XDP socket: %w (needs CAP_NET_RAW)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open AF_XDP socket: %w", err)
	}
	e := &endpoint{fd: fd}
	for _, ring := range []struct {
		name   string
		option int
		size   uint32
	}{
		{"fill", unix.XDP_UMEM_FILL_RING, deep},
		{"completion", unix.XDP_UMEM_COMPLETION_RING, size},
		{"RX", unix.XDP_RX_RING, deep},
		{"TX", unix.XDP_TX_RING, size},
	} {
		if err := unix.SetsockoptInt(fd, unix.SOL_XDP, ring.option, int(ring.size)); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("make %s ring of %d: %w", ring.name, ring.size, err)
		}
	}
	// Kernels before 6.17 have no such option and send 32 frames a call; the worker calls again.
	_ = unix.SetsockoptInt(fd, unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, int(size))
	// In copy mode each frame under way counts against the send buffer.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, int(size)*4096)
	if err := e.mapRings(deep, size); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *endpoint) mapRings(deep, size uint32) error {
	off, err := ringOffsets(e.fd)
	if err != nil {
		return fmt.Errorf("ask for ring offsets: %w", err)
	}
	view := func(name string, pgoff int64, off unix.XDPRingOffset, size uint32, entry uintptr) (ringView, error) {
		mem, err := unix.Mmap(e.fd, pgoff, int(off.Desc+uint64(size)*uint64(entry)),
			unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
		if err != nil {
			return ringView{}, fmt.Errorf("map %s ring: %w", name, err)
		}
		e.mapped = append(e.mapped, mem)
		return viewRing(mem, off, size, entry)
	}
	fill, err := view("fill", unix.XDP_UMEM_PGOFF_FILL_RING, off.Fr, deep, addressSize)
	if err != nil {
		return err
	}
	completion, err := view("completion", unix.XDP_UMEM_PGOFF_COMPLETION_RING, off.Cr, size, addressSize)
	if err != nil {
		return err
	}
	rx, err := view("RX", unix.XDP_PGOFF_RX_RING, off.Rx, deep, descriptorSize)
	if err != nil {
		return err
	}
	tx, err := view("TX", unix.XDP_PGOFF_TX_RING, off.Tx, size, descriptorSize)
	if err != nil {
		return err
	}
	e.fill, e.completion, e.rx, e.tx = fill.fill(), completion.completion(), rx.rx(), tx.tx()
	return nil
}

func (e *endpoint) wakeTX() unix.Errno { return wakeTX(e.fd) }

func (e *endpoint) wakeRX() unix.Errno { return wakeRX(e.fd) }

func (e *endpoint) statistics() (unix.XDPStatistics, error) { return kernelStatistics(e.fd) }

func (e *endpoint) running() bool { return e.line.running() }

// gone asks for the socket's pending error, which only the unregistering of its interface sets.
func (e *endpoint) gone() bool {
	errno, err := unix.GetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	return err == nil && errno != 0
}

func (e *endpoint) released(patience time.Duration) error {
	return awaitRelease(e.ifindex, e.queue, patience)
}

// close unmaps the rings, which must not be touched again, and closes the descriptor. As long as a
// ring is mapped the socket lives. The number of the descriptor may be another socket's next.
func (e *endpoint) close() error {
	for _, mem := range e.mapped {
		_ = unix.Munmap(mem)
	}
	fd := e.fd
	e.mapped, e.fd = nil, -1
	return unix.Close(fd)
}
