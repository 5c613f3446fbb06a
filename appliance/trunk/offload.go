package trunk

import (
	"fmt"
	"strings"
)

// offloadsOff turns off everything that lets the stack hand over a frame that is not yet what
// will be on the wire: checksums to be filled in, segments to be cut, tags beside the frame.
// XDP would take such a frame as it is.
func (t *Trunk) offloadsOff(name string) error {
	have, err := t.tool.Features(name)
	if err != nil {
		return fmt.Errorf("read offloads of %s: %w", name, err)
	}
	change := map[string]bool{}
	for feature, on := range have {
		if on && unfinished(feature) {
			change[feature] = false
		}
	}
	if len(change) == 0 {
		return nil
	}
	if err := t.tool.Change(name, change); err != nil {
		return fmt.Errorf("turn offloads of %s off: %w", name, err)
	}
	have, err = t.tool.Features(name)
	if err != nil {
		return fmt.Errorf("read offloads of %s: %w", name, err)
	}
	for feature, on := range have {
		if on && unfinished(feature) {
			return fmt.Errorf("turn offloads of %s off: %s stays on", name, feature)
		}
	}
	return nil
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
