// Package core measures the data path without a kernel: the call that a worker makes, over frames
// that lie in an arena as AF_XDP has them, on one CPU.
//
//	port 1 --encap--> port 0 --decap--> port 2
//
// A table has all sessions of the ends that a case measures. "encap" gives customers' frames to the forwarder at port
// 1, "decap" gives it the packets that came of them at port 0, "pair" one after the other. Frames
// are taken in batches of 64, round and round; before each batch, frames of a case with many
// sessions are given to sessions at random (by their tags, or by the session id of a packet).
//
// The loop around the call is measured with a call that only copies descriptors, in turns with the
// real one: gross minus loop is net. Time is what the thread had of its CPU, in windows in which that
// worked at full speed (gauge). Sizes are those of
// Ethernet frames with their FCS of four bytes, which no frame in memory has.
package core
