/* SPDX-License-Identifier: Apache-2.0
 *
 * Is the frame for this box, or for another on the same wire?
 */
#ifndef XWIRE_STEER_STATION_H
#define XWIRE_STEER_STATION_H

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "frame.h"
#include "port.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct mac);
	__type(value, __u32);
} macs SEC(".maps");

/* The tags of a VLAN device over the port, outermost first; zero where there is none. */
struct stack {
	struct vlan {
		__be16 tpid;
		__u16 vid;
	} tags[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 17);
	__type(key, struct stack);
	__type(value, __u32);
} devices SEC(".maps");

/* Frames to another station reach us in promiscuous mode, or flooded by a switch. */
static __always_inline int is_own_mac(const struct port *p, const struct ethhdr *eth)
{
	const __u16 *dst = (void *)eth->h_dest, *own = (void *)p->mac.addr;
	struct mac key = {};

	if (p->rule & RULE_MAC && dst[0] == own[0] && dst[1] == own[1] && dst[2] == own[2])
		return 1;
	__builtin_memcpy(key.addr, eth->h_dest, ETH_ALEN);
	return bpf_map_lookup_elem(&macs, &key) != 0;
}

/* A VLAN of the wire is not open to everyone who can send in another one: as with the kernel, a
 * message that has tags must have those of a VLAN device. A priority tag (VID 0) is no VLAN, and
 * 0x9100 no tag that a device could have. */
static __always_inline int is_own_vlan(const struct frame *f)
{
	struct stack key = {};
	struct vlan s = {f->stpid, f->svid}, c = {f->ctpid, f->cvid};

	if (!f->tags)
		return 1;
	if (s.tpid == bpf_htons(TPID_QINQ_OLD) || c.tpid == bpf_htons(TPID_QINQ_OLD))
		return 0;
	if (!c.vid)
		c.tpid = 0;
	if (s.vid) {
		key.tags[0] = s;
		key.tags[1] = c;
	} else if (c.vid) {
		key.tags[0] = c;
	} else {
		return 1;
	}
	return bpf_map_lookup_elem(&devices, &key) != 0;
}

#endif
