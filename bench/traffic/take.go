package traffic

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Taker is an XDP program that gives frames of measurements, PPPoE session frames and L2TP data packets that
// an interface receives to sockets, and leaves everything else (ARP, above all) to the kernel. It goes with the
// process, and never takes the place of another program.
type Taker struct {
	objects struct {
		Take    *ebpf.Program `ebpf:"take"`
		Sockets *ebpf.Map     `ebpf:"sockets"`
	}
	link link.Link
}

// AttachTaker attaches it to an interface of the calling thread's namespace, in the driver where
// that can be.
func AttachTaker(ifindex int) (*Taker, error) {
	spec, err := loadLab()
	if err != nil {
		return nil, fmt.Errorf("read the receiving program: %w", err)
	}
	t := &Taker{}
	if err := spec.LoadAndAssign(&t.objects, nil); err != nil {
		return nil, fmt.Errorf("load the receiving program: %w", err)
	}
	for _, mode := range []link.XDPAttachFlags{link.XDPDriverMode, link.XDPGenericMode} {
		if t.link, err = link.AttachXDP(link.XDPOptions{Program: t.objects.Take, Interface: ifindex, Flags: mode}); err == nil {
			return t, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("attach the receiving program: %w", err), t.Close())
}

// Register gives the frames of a queue to a socket.
func (t *Taker) Register(queue uint32, fd int) error {
	if err := t.objects.Sockets.Put(queue, uint32(fd)); err != nil {
		return fmt.Errorf("register the socket of queue %d: %w", queue, err)
	}
	return nil
}

// Close detaches it.
func (t *Taker) Close() error {
	var errs []error
	if t.link != nil {
		errs = append(errs, t.link.Close())
	}
	return errors.Join(append(errs, t.objects.Take.Close(), t.objects.Sockets.Close())...)
}
