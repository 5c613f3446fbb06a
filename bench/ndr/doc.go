// Package ndr looks for the highest rate at which a device under test loses nothing (RFC 2544 section
// 26.1, "NDR"), and the highest at which it loses no more than half a percent ("PDR"), by halving an
// interval of rates; then it measures latency at shares of the former.
//
// A trial that loses too much is repeated once, as one hiccup of a machine with other work to do is
// no property of the device (ETSI GS NFV-TST 009 calls that loss verification).
package ndr
