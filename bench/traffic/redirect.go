package traffic

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

const tcxIngress = ebpf.AttachTCXIngress

// Redirect is an XDP program that gives every frame of one interface to another, within the driver.
type Redirect struct {
	objects labObjects
	link    link.Link
}

// AttachRedirect attaches it between two interfaces of the calling thread's namespace.
func AttachRedirect(from, to int) (*Redirect, error) {
	spec, err := loadLab()
	if err != nil {
		return nil, fmt.Errorf("read the redirect: %w", err)
	}
	if err := spec.Variables["forward_ifindex"].Set(uint32(to)); err != nil {
		return nil, fmt.Errorf("set the redirect: %w", err)
	}
	r := &Redirect{}
	if err := spec.LoadAndAssign(&r.objects, nil); err != nil {
		return nil, fmt.Errorf("load the redirect: %w", err)
	}
	r.link, err = link.AttachXDP(link.XDPOptions{Program: r.objects.Forward, Interface: from, Flags: link.XDPDriverMode})
	if err != nil {
		r.objects.Close()
		return nil, fmt.Errorf("attach the redirect: %w", err)
	}
	return r, nil
}

// Close detaches it.
func (r *Redirect) Close() error { return errors.Join(r.link.Close(), r.objects.Close()) }
