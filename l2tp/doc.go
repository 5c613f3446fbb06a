// Package l2tp holds the wire formats of L2TP data messages and of the packets that carry them:
// typed views over byte slices, header templates, checksums. It knows no sessions, no NICs and
// no operating system, allocates nothing per frame and imports the standard library only.
package l2tp
