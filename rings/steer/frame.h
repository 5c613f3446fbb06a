/* SPDX-License-Identifier: Apache-2.0
 *
 * A frame and its VLAN tags.
 */
#ifndef XWIRE_STEER_FRAME_H
#define XWIRE_STEER_FRAME_H

#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define TPID_QINQ_OLD 0x9100 /* in use before IEEE 802.1ad settled on 0x88a8 */
#define VID_MASK 0x0fff

/* A frame with its tags read: at most two, as deep as anything is matched. */
struct frame {
	void *network; /* what follows the tags, of EtherType type */
	void *end;
	__be16 type;
	__u16 tags;
	__u16 svid; /* of the outer or only tag */
	__u16 cvid; /* of the inner tag */
	__be16 stpid;
	__be16 ctpid;
};

static __always_inline int is_tpid(__be16 type)
{
	return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD) ||
	       type == bpf_htons(TPID_QINQ_OLD);
}

/* Steps over one tag. False: there is none. A tag cut short is none, and its type nobody's. */
static __always_inline int pop_tag(struct frame *f, __be16 *tpid, __u16 *vid)
{
	struct tag {
		__be16 tci;
		__be16 type;
	} *tag = f->network;

	if (!is_tpid(f->type) || (void *)(tag + 1) > f->end)
		return 0;
	*tpid = f->type;
	*vid = bpf_ntohs(tag->tci) & VID_MASK;
	f->type = tag->type;
	f->network = tag + 1;
	f->tags++;
	return 1;
}

static __always_inline void parse_tags(struct frame *f, struct ethhdr *eth)
{
	f->network = eth + 1;
	f->type = eth->h_proto;
	if (pop_tag(f, &f->stpid, &f->svid))
		pop_tag(f, &f->ctpid, &f->cvid);
}

#endif
