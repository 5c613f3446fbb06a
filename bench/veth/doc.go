// Package veth measures forwarding between two veth pairs, xwire's own and what else the machine
// has, all with the same generator and the same sink:
//
//	generator namespace        box namespace, one a case        sink namespace
//	 BPF_PROG_RUN --> g0 ======== d0 --> [ case ] --> d1 ======== s0 --> count and drop
//
// The generator overruns every case; a figure is what arrives. A round measures all cases of a size
// one after the other, the next round in the opposite order, and a ratio compares two windows of one
// round, so that what the machine does beside the measurement concerns both alike.
//
// A veth has no zero-copy: AF_XDP sends by way of an skb, and that is most of the cost. Cases in user
// space have the worker's CPU and the generator's (which receives for them); cases in the kernel run
// on the generator's CPU alone, as the softirq of what it sends.
package veth
