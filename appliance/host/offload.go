package host

// offload is a feature, or all whose names begin and end so, that must be off.
type offload struct {
	name, suffix string
	why          string
	flap         bool
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
// tx, tso, gso and txvlan.
var peerFeatures = []offload{
	{name: "tx-checksum-", why: "the stack at that end leaves checksums unfinished"},
	{name: "tx-tcp", suffix: "segmentation", why: "the stack at that end leaves TCP segments uncut"},
	{name: "tx-generic-segmentation", why: "the stack at that end leaves segments uncut"},
	{name: "tx-vlan-", suffix: "hw-insert", why: "the VLAN tag that the stack at that end means to insert is lost"},
}

// flapsForXDP are drivers that close and open the device for an XDP program in native mode.
var flapsForXDP = map[string]bool{"igb": true, "igc": true, "ixgbe": true, "i40e": true}
