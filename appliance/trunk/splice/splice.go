package splice

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Place is where an interface's frames lie on the trunk.
type Place struct {
	SVLAN uint16 // 802.1ad, before the other; 0: none
	CVLAN uint16 // 802.1Q
}

func (p Place) key() uint32 { return uint32(p.SVLAN)<<16 | uint32(p.CVLAN) }

// Config names the trunk.
type Config struct {
	Stack int    // ifindex of the stack's end
	Name  string // of it, for messages
}

// Splice is the programs and their maps. Its methods are for one goroutine at a time, in the
// network namespace that the devices are in.
type Splice struct {
	name   string
	objs   spliceObjects
	pop    link.Link
	joined map[Place]end
}

// end is the device of an interface that "push" hangs on.
type end struct {
	ifindex int
	link    link.Link
}

// Load attaches "pop" to the stack's end of the trunk. Every frame there is dropped until its
// place is joined.
func Load(c Config) (*Splice, error) {
	s := &Splice{name: c.Name, joined: map[Place]end{}}
	if err := loadSpliceObjects(&s.objs, nil); err != nil {
		return nil, fmt.Errorf("load the programs of %s: %w", c.Name, err)
	}
	if err := s.objs.Trunk.Put(uint32(0), uint32(c.Stack)); err != nil {
		return nil, errors.Join(fmt.Errorf("name %s to its programs: %w", c.Name, err), s.objs.Close())
	}
	var err error
	if s.pop, err = attach(s.objs.XwirePop, c.Stack); err != nil {
		return nil, errors.Join(fmt.Errorf("attach to %s: %w", c.Name, err), s.objs.Close())
	}
	return s, nil
}

// attach hangs a program on a device in generic mode; the package's comment says why.
func attach(p *ebpf.Program, ifindex int) (link.Link, error) {
	l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: ifindex, Flags: link.XDPGenericMode})
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("it has an XDP program already, of another process (ip link show tells): %w", err)
	}
	return l, err
}

// Join makes a place that of an interface whose other end is the device ifindex. A place that is
// joined to another device, deleted since, is taken over.
func (s *Splice) Join(p Place, ifindex int) error {
	old, ok := s.joined[p]
	if ok && old.ifindex == ifindex {
		return nil
	}
	if ok {
		s.leave(p)
	}
	index := uint32(ifindex)
	if err := s.objs.Places.Put(index, splicePlace{Svid: p.SVLAN, Cvid: p.CVLAN}); err != nil {
		return fmt.Errorf("join interface %d to %s: %w", ifindex, s.name, err)
	}
	e := end{ifindex: ifindex}
	var err error
	if e.link, err = attach(s.objs.XwirePush, ifindex); err == nil {
		err = s.objs.Ends.Put(p.key(), index)
	}
	if err != nil {
		if e.link != nil {
			_ = e.link.Close()
		}
		_ = s.objs.Places.Delete(index)
		return fmt.Errorf("join interface %d to %s: %w", ifindex, s.name, err)
	}
	s.joined[p] = e
	return nil
}

// Leave takes an interface from its place. A place that was never joined is left alone.
func (s *Splice) Leave(p Place) {
	if _, ok := s.joined[p]; ok {
		s.leave(p)
	}
}

// leave cannot fail: what is not there any more went with its device.
func (s *Splice) leave(p Place) {
	e := s.joined[p]
	delete(s.joined, p)
	_ = s.objs.Ends.Delete(p.key())
	_ = e.link.Close()
	_ = s.objs.Places.Delete(uint32(e.ifindex))
}

// Close detaches every program. Nothing passes the trunk from then on.
func (s *Splice) Close() error {
	for p := range s.joined {
		s.leave(p)
	}
	err := s.pop.Close()
	if err != nil {
		err = fmt.Errorf("detach from %s: %w", s.name, err)
	}
	return errors.Join(err, s.objs.Close())
}
