/* SPDX-License-Identifier: Apache-2.0
 *
 * The port that a frame came in by: what to do with its frames, and its sockets. All maps of
 * the program but locals, known, controls and heards exist once for each port.
 */
#ifndef XWIRE_STEER_PORT_H
#define XWIRE_STEER_PORT_H

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_helpers.h>

/* What a port does with frames, in one word so that a change is one store. */
enum rule {
	RULE_CORE = 1,
	RULE_WHOLE = 2,
	RULE_UNTAGGED = 4,
	RULE_L2CP_DROP = 8,
	RULE_L2CP_HOST = 16,
	RULE_MAC = 32, /* struct port has a MAC */
	RULE_PPPOE = 64, /* some PPPoE sessions are attachment circuits */
};

struct mac {
	__u8 addr[ETH_ALEN];
	__u16 zero;
};

struct port {
	enum rule rule;
	struct mac mac; /* one of macs, so that most ports need not look there */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct port);
} this_port SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1); /* the loader sets the number of queues */
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

#endif
