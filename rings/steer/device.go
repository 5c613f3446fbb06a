package steer

import (
	"errors"
	"fmt"
)

// Tag is a VLAN tag without its priority bits.
type Tag struct{ TPID, VID uint16 }

// Stack is the tags of a frame, outermost first. Where there is but one the second is zero.
type Stack [2]Tag

// SetDevices makes stacks the tags with which data messages of tunnels may come, beside none at all:
// those of the VLAN devices over the port that are up. Where tags stay as they are, messages are
// taken all the while. What fails is tried again by the next call.
func (p *Program) SetDevices(stacks []Stack) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	want := make(map[Stack]bool, len(stacks))
	for _, s := range stacks {
		want[s] = true
	}
	var errs []error
	for s := range p.devices {
		if want[s] {
			continue
		}
		if err := p.objs.Devices.Delete(s.key()); err != nil {
			errs = append(errs, fmt.Errorf("take no messages with tags %v from %s: %w", s, p.cfg.Name, err))
			continue
		}
		delete(p.devices, s)
	}
	for s := range want {
		if p.devices[s] {
			continue
		}
		if err := p.objs.Devices.Put(s.key(), uint32(0)); err != nil {
			errs = append(errs, fmt.Errorf("take messages with tags %v from %s: %w", s, p.cfg.Name, err))
			break // the map is full: so it is for the others
		}
		p.devices[s] = true
	}
	return errors.Join(errs...)
}

func (s Stack) key() (k steerStack) {
	for i, t := range s {
		k.Tags[i].Tpid, k.Tags[i].Vid = networkOrder(t.TPID), t.VID
	}
	return k
}

// String gives the tags as 0x8100:100 or 0x88a8:100,0x8100:20.
func (s Stack) String() string {
	text := fmt.Sprintf("%#x:%d", s[0].TPID, s[0].VID)
	if s[1] != (Tag{}) {
		text += fmt.Sprintf(",%#x:%d", s[1].TPID, s[1].VID)
	}
	return text
}
