package steer

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// AnyVLAN as the inner VLAN takes frames with any inner tag, or none.
const AnyVLAN uint16 = 0xffff

// maxVID is the largest VLAN id; it and 0 are reserved by IEEE 802.1Q.
const maxVID = 0xfff

// vlans counts the users of the VLANs of a port, and of each S-VLAN's pairs.
type vlans struct {
	pairs counted[steerPair]
	whole counted[uint16] // S-VLANs with any inner tag
	inner counted[uint16] // pairs in each S-VLAN
}

func newVLANs() vlans {
	return vlans{pairs: counted[steerPair]{}, whole: counted[uint16]{}, inner: counted[uint16]{}}
}

// AddVLAN takes frames of S-VLAN (or only VLAN) s with the C-VLAN c for an attachment circuit;
// c may be AnyVLAN. A tag's TPID may be 0x8100, 0x88a8 or 0x9100.
func (p *Program) AddVLAN(s, c uint16) error {
	if err := checkVLAN(s, c); err != nil {
		return fmt.Errorf("add a VLAN to %s: %w", p.cfg.Name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.addVLAN(s, c)
	if err != nil {
		return fmt.Errorf("add VLAN %s to %s: %w", vlanName(s, c), p.cfg.Name, err)
	}
	return nil
}

// VLAN is what AddVLAN takes.
type VLAN struct{ S, C uint16 }

// AddVLANs is AddVLAN for many: 100,000 take the kernel as long one by one as all the rest of opening a
// port. After an error some may have been added.
func (p *Program) AddVLANs(list []VLAN) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	pairs := make([]steerPair, 0, len(list))
	for _, v := range list {
		err := checkVLAN(v.S, v.C)
		if pair := (steerPair{Svid: v.S, Cvid: v.C}); err == nil && v.C != AnyVLAN && p.vlans.pairs[pair] == 0 {
			pairs = append(pairs, pair)
			continue
		}
		if err == nil {
			err = p.addVLAN(v.S, v.C)
		}
		if err != nil {
			return fmt.Errorf("add VLAN %s to %s: %w", vlanName(v.S, v.C), p.cfg.Name, err)
		}
	}
	if err := p.storePairs(pairs); err != nil {
		return fmt.Errorf("add %d VLANs to %s: %w", len(pairs), p.cfg.Name, err)
	}
	return nil
}

// storePairs adds pairs that were not there, though one may be named twice.
func (p *Program) storePairs(pairs []steerPair) error {
	if len(pairs) == 0 {
		return nil
	}
	_, err := p.objs.Pairs.BatchUpdate(pairs, make([]uint32, len(pairs)), nil)
	one := errors.Is(err, ebpf.ErrNotSupported) // before Linux 5.6
	if err != nil && !one {
		return err
	}
	for _, pair := range pairs {
		known := p.vlans.pairs[pair] > 0
		if err := p.vlans.pairs.first(pair, func(k steerPair) error {
			if one {
				return p.objs.Pairs.Put(k, uint32(0))
			}
			return nil
		}); err != nil {
			return err
		}
		if known {
			continue
		}
		if err := p.vlans.inner.first(pair.Svid, func(s uint16) error { return p.storeSVLAN(s, p.vlans.whole[s] > 0, true) }); err != nil {
			return err
		}
	}
	return nil
}

// addVLAN stores a pair before its S-VLAN says that there are pairs.
func (p *Program) addVLAN(s, c uint16) error {
	if c == AnyVLAN {
		return p.vlans.whole.first(s, func(s uint16) error { return p.storeSVLAN(s, true, p.vlans.inner[s] > 0) })
	}
	pair := steerPair{Svid: s, Cvid: c}
	known := p.vlans.pairs[pair] > 0
	err := p.vlans.pairs.first(pair, func(k steerPair) error { return p.objs.Pairs.Put(k, uint32(0)) })
	if err != nil || known {
		return err
	}
	return p.vlans.inner.first(s, func(s uint16) error { return p.storeSVLAN(s, p.vlans.whole[s] > 0, true) })
}

// RemoveVLAN takes back one AddVLAN.
func (p *Program) RemoveVLAN(s, c uint16) error {
	if err := checkVLAN(s, c); err != nil {
		return fmt.Errorf("remove a VLAN from %s: %w", p.cfg.Name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.removeVLAN(s, c); err != nil {
		return fmt.Errorf("remove VLAN %s from %s: %w", vlanName(s, c), p.cfg.Name, err)
	}
	return nil
}

func (p *Program) removeVLAN(s, c uint16) error {
	if c == AnyVLAN {
		return p.vlans.whole.last(s, func(s uint16) error { return p.storeSVLAN(s, false, p.vlans.inner[s] > 0) })
	}
	pair := steerPair{Svid: s, Cvid: c}
	gone := p.vlans.pairs[pair] == 1
	err := p.vlans.pairs.last(pair, func(k steerPair) error { return p.objs.Pairs.Delete(k) })
	if err != nil || !gone {
		return err
	}
	return p.vlans.inner.last(s, func(s uint16) error { return p.storeSVLAN(s, p.vlans.whole[s] > 0, false) })
}

func (p *Program) storeSVLAN(s uint16, whole, pairs bool) error {
	var v steerSvlan
	if whole {
		v |= steerSvlanSVLAN_ANY
	}
	if pairs {
		v |= steerSvlanSVLAN_PAIRS
	}
	return p.objs.Svlans.Put(uint32(s), v)
}

func checkVLAN(s, c uint16) error {
	if s == 0 || s >= maxVID {
		return fmt.Errorf("VLAN id %d is not within 1-4094", s)
	}
	if c != AnyVLAN && c >= maxVID {
		return fmt.Errorf("inner VLAN id %d is not within 0-4094", c)
	}
	return nil
}

func vlanName(s, c uint16) string {
	if c == AnyVLAN {
		return fmt.Sprint(s)
	}
	return fmt.Sprintf("%d.%d", s, c)
}
