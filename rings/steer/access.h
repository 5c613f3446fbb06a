/* SPDX-License-Identifier: Apache-2.0
 *
 * Question 1: is the frame one of an attachment circuit of this port?
 */
#ifndef XWIRE_STEER_ACCESS_H
#define XWIRE_STEER_ACCESS_H

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_helpers.h>

#include "frame.h"
#include "outcome.h"
#include "port.h"

/* What is known of an S-VLAN (or only VLAN) of a port. */
enum svlan {
	SVLAN_ANY = 1,   /* all its frames are ours, whatever is inside */
	SVLAN_PAIRS = 2, /* some of its C-VLANs are ours: look into pairs */
};

struct pair {
	__u16 svid;
	__u16 cvid;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, VID_MASK + 1);
	__type(key, __u32);
	__type(value, enum svlan);
} svlans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 17);
	__type(key, struct pair);
	__type(value, __u32);
} pairs SEC(".maps");

/* A priority tag (VID 0) is no VLAN: such a frame counts as untagged. */
static __always_inline int is_attached(const struct frame *f, enum rule rule)
{
	__u32 svid = f->svid;

	if (rule & RULE_WHOLE)
		return 1;
	if (svid == 0)
		return rule & RULE_UNTAGGED;
	enum svlan *svlan = bpf_map_lookup_elem(&svlans, &svid);
	if (!svlan)
		return 0;
	if (*svlan & SVLAN_ANY)
		return 1;
	if (!(*svlan & SVLAN_PAIRS) || f->tags < 2)
		return 0;
	struct pair pair = {.svid = f->svid, .cvid = f->cvid};
	return bpf_map_lookup_elem(&pairs, &pair) != 0;
}

/* IEEE 802.1Q table 8-1: the addresses 01-80-C2-00-00-00 to -0F, which no bridge forwards. */
static __always_inline int is_l2cp(const struct ethhdr *eth)
{
	const __u8 *d = eth->h_dest;

	return d[0] == 0x01 && d[1] == 0x80 && d[2] == 0xc2 && d[3] == 0 && d[4] == 0 &&
	       (d[5] & 0xf0) == 0;
}

static __always_inline enum outcome access_outcome(const struct ethhdr *eth, enum rule rule)
{
	if (rule & (RULE_L2CP_DROP | RULE_L2CP_HOST) && is_l2cp(eth))
		return rule & RULE_L2CP_DROP ? L2CP_DROPPED : L2CP_HOST;
	return ENCAP_REDIRECTED;
}

#endif
