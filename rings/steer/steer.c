//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// The steering program: for every frame a port receives, to an AF_XDP socket or to the kernel?
// A frame once redirected cannot go back, so in doubt it is the kernel's. The order of the
// questions is
//
//   1. does it belong to an attachment circuit of this port (whole port, untagged, VLAN, QinQ),
//      or of a PPPoE session that is one?
//   2. is the port a core port, and this an L2TP data message to one of our tunnels (where we share
//      its address with the kernel's L2TP: of a session that we know), in a VLAN that the kernel
//      would take it from?
//   3. is it, there, a control message of a tunnel whose HELLOs we answer? It is handed up by a ring;
//   4. otherwise it is the kernel's.
//
// Every helper used is free of the GPL, so the licence is the project's own. Tags that a driver
// strips into metadata are not looked at: the appliance switches stripping off.

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_helpers.h>

#include "access.h"
#include "core.h"
#include "frame.h"
#include "heard.h"
#include "outcome.h"
#include "port.h"
#include "pppoe.h"

char _license[] SEC("license") = "Apache-2.0";

static __always_inline enum outcome decide(const struct port *p, struct frame *f, struct ethhdr *eth)
{
	parse_tags(f, eth);
	if (is_attached(f, p->rule))
		return access_outcome(eth, p->rule);
	if (p->rule & RULE_PPPOE && is_pppoe(f))
		return pppoe_outcome(p, eth);
	if (p->rule & RULE_CORE)
		return core_outcome(p, f, eth);
	return OTHER;
}

/* XDP_PASS is what the redirect falls back to where the queue has no socket. */
static __always_inline enum xdp_action act(struct xdp_md *ctx, const struct frame *f, enum outcome *o)
{
	enum xdp_action action = XDP_PASS;

	switch (*o) {
	case ENCAP_REDIRECTED:
	case DECAP_REDIRECTED:
		action = bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
		if (action != XDP_REDIRECT)
			*o = NO_SOCKET;
		break;
	case L2CP_DROPPED:
		action = XDP_DROP;
		break;
	case CONTROL_HEARD:
		if (hear(ctx, f))
			action = XDP_DROP;
		else
			*o = CONTROL;
		break;
	default:
		break;
	}
	return action;
}

SEC("xdp")
int xwire_steer(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct frame f = {.end = (void *)(long)ctx->data_end};
	__u32 zero = 0;
	struct port *p = bpf_map_lookup_elem(&this_port, &zero);

	if (!p || (void *)(eth + 1) > f.end)
		return XDP_PASS;
	enum outcome o = decide(p, &f, eth);
	enum xdp_action action = act(ctx, &f, &o);
	__u64 *count = bpf_map_lookup_elem(&stats, &o);
	if (count)
		(*count)++;
	return action;
}
