/* SPDX-License-Identifier: Apache-2.0
 *
 * PPPoE sessions (RFC 2516) that are attachment circuits of this port. Discovery, which has an
 * EtherType of its own, and sessions of nobody here are the kernel's.
 */
#ifndef XWIRE_STEER_PPPOE_H
#define XWIRE_STEER_PPPOE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "frame.h"
#include "outcome.h"
#include "port.h"
#include "station.h"

#define NO_TAG 0xffff

/* Go fills the same layout, so no padding. */
struct pppoe {
	__u16 svid; /* 0: none, or a priority tag */
	__u16 cvid; /* NO_TAG: none */
	__u16 session;
	__u16 zero;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 17);
	__type(key, struct pppoe);
	__type(value, __u32);
} pppoes SEC(".maps");

static __always_inline int is_pppoe(const struct frame *f)
{
	struct header {
		__u8 version_type;
		__u8 code;
		__be16 session;
		__be16 length;
	} *h = f->network;

	if (f->type != bpf_htons(ETH_P_PPP_SES) || (void *)(h + 1) > f->end || h->code)
		return 0;
	struct pppoe key = {.svid = f->svid, .cvid = f->tags < 2 ? NO_TAG : f->cvid, .session = bpf_ntohs(h->session)};
	return bpf_map_lookup_elem(&pppoes, &key) != 0;
}

static __always_inline enum outcome pppoe_outcome(const struct port *p, const struct ethhdr *eth)
{
	return is_own_mac(p, eth) ? ENCAP_REDIRECTED : FOREIGN_MAC;
}

#endif
