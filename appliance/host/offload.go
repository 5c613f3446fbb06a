package host

import (
	"slices"
	"strings"
)

// offload is a feature, or all whose names begin and end so, that must be off.
type offload struct {
	name, suffix string
	why          string
	flap         bool
	word         string // of peerFeatures: what ethtool -K takes
	arrives      string // and how frames arrive while it is on
}

// nicFeatures are what NICs do to received frames.
var nicFeatures = []offload{
	{name: "rx-vlan-hw-parse", why: "the NIC takes the VLAN tag out of the frame before anybody sees it"},
	{name: "rx-vlan-stag-hw-parse", why: "the NIC takes the S-tag out of the frame before anybody sees it"},
	{name: "rx-lro", why: "the NIC merges TCP segments into frames that were never sent", flap: true},
	{name: "rx-gro-hw", why: "the NIC merges TCP segments into frames that were never sent", flap: true},
	{name: "rx-fcs", why: "the NIC leaves the frame check sequence at the end of frames", flap: true},
}

// peerFeatures are what a stack leaves to its end of a veth. They are all of what ethtool calls
// tx, tso, gso and txvlan, and the inserting of S-tags.
var peerFeatures = []offload{
	{name: "tx-checksum-", word: "tx", why: "the stack at that end leaves checksums unfinished", arrives: "with unfinished checksums"},
	{name: "tx-tcp", suffix: "segmentation", word: "tso", why: "the stack at that end leaves TCP segments uncut", arrives: "with uncut segments"},
	{name: "tx-generic-segmentation", word: "gso", why: "the stack at that end leaves segments uncut", arrives: "with uncut segments"},
	{name: "tx-vlan-hw-insert", word: "txvlan", why: "the VLAN tag that the stack at that end means to insert is lost", arrives: "without VLAN tags"},
	{name: "tx-vlan-stag-hw-insert", word: "tx-vlan-stag-hw-insert", why: "the S-tag that the stack at that end means to insert is lost", arrives: "without S-tags"},
}

// remedy is what ethtool is to be told about features, and how frames arrive else.
func remedy(list []offload) (settings, arrives string) {
	var words, how []string
	for _, f := range list {
		words = append(words, f.word+" off")
		if !slices.Contains(how, f.arrives) {
			how = append(how, f.arrives)
		}
	}
	return strings.Join(words, " "), strings.Join(how, ", ")
}

// flapsForXDP are drivers that close and open the device for an XDP program in native mode.
var flapsForXDP = map[string]bool{"igb": true, "igc": true, "ixgbe": true, "i40e": true}
