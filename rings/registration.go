package rings

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// bindPatience is how long a queue that is busy is waited for: the kernel tears a closed socket's
// queue down later, from a work queue.
const bindPatience = time.Second

// registration is the arena as registered with the kernel for one kind of binding. The kernel's
// UMEM is of one kind as a whole, decided by its first socket; a second registration over the same
// memory lets ports of both kinds share frames. Sockets join through any member that is still
// bound; when there is none, the next socket registers the arena anew.
type registration struct {
	arena    *Arena
	zeroCopy bool
	jumbo    bool // frames of several descriptors
	members  []*endpoint
}

// registrations lists those that a port may join, the best for it first: rather copied frames of any length
// than long ones lost.
func (f *Fabric) registrations(c PortConfig) (list []*registration) {
	for i := range f.kinds {
		of := &f.kinds[len(f.kinds)-1-i]
		if of.copied.jumbo && !c.Jumbo {
			continue
		}
		if c.Mode == ModeAuto || c.Mode == ModeZeroCopy {
			list = append(list, of.zeroCopied)
		}
		if c.Mode != ModeZeroCopy {
			list = append(list, of.copied)
		}
	}
	return list
}

// singleOnly tells whether an error may mean that the kernel, before 6.6, or the driver has only frames of
// one descriptor.
func singleOnly(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP)
}

// open makes a socket on a queue of an interface and binds it as this registration's kind, trying
// again for as long as patience while the queue is busy. The
// frames of stock are in its fill ring before that: a driver that finds the ring empty when it
// sets up the queue may never look again (virtio_net).
func (r *registration) open(ifindex int, queue, deep, ringSize uint32, stock []uint32, patience time.Duration) (*endpoint, error) {
	deadline := time.Now().Add(patience)
	for {
		e, err := r.attempt(ifindex, queue, deep, ringSize, stock)
		if err == nil {
			r.members = append(r.members, e)
			return e, nil
		}
		if !errors.Is(err, unix.EBUSY) {
			return nil, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%w: another AF_XDP socket has the queue", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (r *registration) attempt(ifindex int, queue, deep, ringSize uint32, stock []uint32) (*endpoint, error) {
	e, err := newEndpoint(deep, ringSize)
	if err != nil {
		return nil, err
	}
	for _, frame := range stock {
		e.fill.put(uint64(frame) << r.arena.shift)
	}
	e.ifindex, e.queue = ifindex, queue
	e.fill.publish()
	if err := r.bind(e, ifindex, queue); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (r *registration) bind(e *endpoint, ifindex int, queue uint32) error {
	addr := &unix.SockaddrXDP{Flags: unix.XDP_SHARED_UMEM, Ifindex: uint32(ifindex), QueueID: queue}
	for _, m := range r.members {
		addr.SharedUmemFD = uint32(m.fd)
		// EBADF: the member's interface is gone, and with it the member's binding.
		if err := unix.Bind(e.fd, addr); !errors.Is(err, unix.EBADF) {
			return err
		}
	}
	if err := registerMemory(e.fd, r.arena.mem, r.arena.chunk); errors.Is(err, unix.ENOBUFS) {
		return fmt.Errorf("register arena: %w: memory may not be locked; give CAP_IPC_LOCK or raise the limit (ulimit -l)", err)
	} else if err != nil {
		return fmt.Errorf("register arena: %w", err)
	}
	addr.Flags, addr.SharedUmemFD = unix.XDP_USE_NEED_WAKEUP|unix.XDP_COPY, 0
	if r.zeroCopy {
		addr.Flags = unix.XDP_USE_NEED_WAKEUP | unix.XDP_ZEROCOPY
	}
	if r.jumbo {
		addr.Flags |= unix.XDP_USE_SG
	}
	return unix.Bind(e.fd, addr)
}

// leave takes a socket out, which is about to be closed.
func (r *registration) leave(e *endpoint) {
	r.members = slices.DeleteFunc(r.members, func(m *endpoint) bool { return m == e })
}
