// Package stream sends and receives frames that are stamped, over one AF_XDP socket each (of
// asavie/xdp): a source for an attachment circuit or, in the place of the peer, for L2TP packets of
// the sessions of a configuration; and a sink that tells loss, reordering, duplication, corruption
// and misdelivery apart.
//
//	inner frame: Ethernet, tags, EtherType 0x88b5 | stamp (36 bytes) | filling
//	of PPP:      ff 03 or PPPoE, 00 21, IPv4, UDP | stamp | filling
//
//	stamp: magic (4) run (4) session (4) flow (2) size (2) number (8) time (8) CRC-32C (4)
//
// The CRC is over the stamp before it and the filling. Numbers count frames of a flow from 0. A
// number with its highest bit set is an end mark: how many frames the flow had. Time is
// CLOCK_MONOTONIC of the sender, of use on the same machine only.
package stream
