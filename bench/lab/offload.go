package lab

import (
	"fmt"
	"strings"

	"github.com/safchain/ethtool"
)

// Offloads turns transmit checksums, TSO, GSO and VLAN tag insertion of an
// interface of the calling thread's namespace on or off. Features that the
// driver does not have, or has fixed, are left alone.
func Offloads(iface string, on bool) error {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return fmt.Errorf("open ethtool: %w", err)
	}
	defer e.Close()
	state, err := e.FeaturesWithState(iface)
	if err != nil {
		return fmt.Errorf("read features of %s: %w", iface, err)
	}
	change := map[string]bool{}
	for name, s := range state {
		if isTransmitOffload(name) && s.Available && s.Active != on {
			change[name] = on
		}
	}
	if len(change) == 0 {
		return nil
	}
	if err := e.Change(iface, change); err != nil {
		return fmt.Errorf("change features of %s: %w", iface, err)
	}
	return nil
}

func isTransmitOffload(name string) bool {
	switch name {
	case "tx-generic-segmentation", "tx-vlan-hw-insert", "tx-vlan-stag-hw-insert":
		return true
	}
	return strings.HasPrefix(name, "tx-checksum-") ||
		strings.HasPrefix(name, "tx-tcp") || strings.HasPrefix(name, "tx-udp") || name == "tx-sctp-segmentation"
}
