package trunk

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"xwire/appliance/trunk/splice"
)

// Kind is what local interfaces are made of.
type Kind uint8

const (
	Auto    Kind = iota // what is there already, else VLAN devices, else Spliced
	VLANs               // VLAN devices over the trunk
	Spliced             // veth pairs, joined to the trunk by XDP programs
)

func (k Kind) String() string {
	switch k {
	case VLANs:
		return "VLAN devices"
	case Spliced:
		return "spliced veth pairs"
	}
	return "auto"
}

// choose settles Auto. Interfaces that exist are never made anew as another kind: they would lose
// what their operator gave them.
func (t *Trunk) choose() error {
	if t.config.Kind != Auto {
		return nil
	}
	s, err := t.scan()
	if err != nil {
		return err
	}
	t.config.Kind = VLANs
	switch {
	case len(s.ends) > 0:
		t.config.Kind = Spliced
	case len(s.byVLAN) > 0:
	case !t.hasVLANs():
		t.config.Kind = Spliced
		t.config.Log.Info("this kernel has no VLAN devices (module 8021q): local interfaces are veth pairs, joined to the trunk by XDP programs")
	}
	return nil
}

// hasVLANs asks for a VLAN device without its id. A kernel that has them misses the id; one that
// has not does not know the type.
func (t *Trunk) hasVLANs() bool {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = t.config.Stack + ".0"
	err := t.handle.LinkAdd(&netlink.GenericLink{LinkAttrs: attrs, LinkType: "vlan"})
	return !errors.Is(err, unix.EOPNOTSUPP)
}

// attach loads the programs of a spliced trunk.
func (t *Trunk) attach() (err error) {
	if t.config.Kind != Spliced {
		return nil
	}
	if t.splice, err = splice.Load(splice.Config{Stack: t.stack, Name: t.config.Stack}); err != nil {
		return fmt.Errorf("splice local interfaces: %w", err)
	}
	return nil
}

// Kind is what the trunk's interfaces are: never Auto.
func (t *Trunk) Kind() Kind { return t.config.Kind }

// Drops counts what the programs of a spliced trunk dropped; nothing with VLAN devices.
func (t *Trunk) Drops() (splice.Drops, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.splice == nil {
		return splice.Drops{}, nil
	}
	return t.splice.Drops()
}
