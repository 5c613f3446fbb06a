package trunk

import (
	"fmt"
	"strings"
)

// offloadsOff turns off everything that lets the stack hand over a frame that is not yet what
// will be on the wire: checksums to be filled in, segments to be cut, tags beside the frame.
// XDP would take such a frame as it is.
func (t *Trunk) offloadsOff(name string) error {
	_, err := t.changeOffloads(name)
	return err
}

// offloadsOffNew does the same to a spliced interface that was just made. All are made alike: what
// the first of them needs, the others get without a look, which is most of the time that making
// takes.
func (t *Trunk) offloadsOffNew(name string) (err error) {
	if t.fresh == nil {
		t.fresh, err = t.changeOffloads(name)
		return err
	}
	if err := t.tool.Change(name, t.fresh); err != nil {
		return fmt.Errorf("turn offloads of %s off: %w", name, err)
	}
	return nil
}

func (t *Trunk) changeOffloads(name string) (change map[string]bool, err error) {
	have, err := t.tool.Features(name)
	if err != nil {
		return nil, fmt.Errorf("read offloads of %s: %w", name, err)
	}
	change = map[string]bool{}
	for feature, on := range have {
		if on && unfinished(feature) {
			change[feature] = false
		}
	}
	if len(change) == 0 {
		return nil, nil
	}
	if err := t.tool.Change(name, change); err != nil {
		return nil, fmt.Errorf("turn offloads of %s off: %w", name, err)
	}
	have, err = t.tool.Features(name)
	if err != nil {
		return nil, fmt.Errorf("read offloads of %s: %w", name, err)
	}
	for feature, on := range have {
		if on && unfinished(feature) {
			return nil, fmt.Errorf("turn offloads of %s off: %s stays on", name, feature)
		}
	}
	return change, nil
}

// unfinished: the features that leave work on a frame for the device, by the kernel's names.
func unfinished(feature string) bool {
	if !strings.HasPrefix(feature, "tx-") {
		return false
	}
	for _, part := range []string{"checksum", "csum", "segmentation", "scatter-gather", "vlan", "gso"} {
		if strings.Contains(feature, part) {
			return true
		}
	}
	return false
}
