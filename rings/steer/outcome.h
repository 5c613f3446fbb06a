/* SPDX-License-Identifier: Apache-2.0
 *
 * What became of frames, and its counters.
 */
#ifndef XWIRE_STEER_OUTCOME_H
#define XWIRE_STEER_OUTCOME_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

/* What became of a frame; the index of its counter. Go learns the names from here. */
enum outcome {
	OTHER,             /* nothing of ours: to the kernel */
	ENCAP_REDIRECTED,  /* attachment circuit: to a socket */
	DECAP_REDIRECTED,  /* data message: to a socket */
	NO_SOCKET,         /* ours, but its queue has no socket: to the kernel */
	L2CP_DROPPED,      /* layer-2 control protocol of the customer, dropped by rule */
	L2CP_HOST,         /* the same, to the kernel by rule */
	CONTROL,           /* L2TP control message to our tunnel address: to the kernel */
	SHORT,             /* too short for a data message: to the kernel */
	FRAGMENT_SEEN,     /* a fragment to a tunnel address: to the kernel */
	OPTIONS_SEEN,      /* IPv4 options or IPv6 extension headers: to the kernel */
	FOREIGN_MAC,       /* data message or PPPoE session, but not to a MAC of this port: to the kernel */
	FOREIGN_VLAN,      /* data message, but in a VLAN without a device here: to the kernel */
	CONTROL_HEARD,     /* control message of a tunnel whose HELLOs we answer: handed up */
	UNKNOWN_SESSION,   /* data message of no session of ours, to an address we share: to the kernel */
	OUTCOMES,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOMES);
	__type(key, enum outcome);
	__type(value, __u64);
} stats SEC(".maps");

#endif
