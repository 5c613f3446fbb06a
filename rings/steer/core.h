/* SPDX-License-Identifier: Apache-2.0
 *
 * Question 2: is the frame an L2TP data message to one of our tunnels?
 */
#ifndef XWIRE_STEER_CORE_H
#define XWIRE_STEER_CORE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "frame.h"
#include "local.h"
#include "outcome.h"
#include "port.h"
#include "station.h"

#define PROTO_L2TP 115
#define PROTO_FRAGMENT 44
#define L2TP_T 0x8000      /* of the first 16 bits over UDP: a control message */
#define L2TP_VERSION 0x000f
#define MIN_PAYLOAD_V2 8   /* flags, tunnel, session, PPP protocol */
#define MIN_PAYLOAD_V3 12  /* flags, session, the shortest body */
#define IPV4_FRAGMENT 0x3fff /* MF and the offset; DF is no matter */

/* RFC 3931 4.1.1.1 and 4.1.1.2: session id 0 marks a control message. */
static __always_inline enum outcome over_ip(void *l2tp, void *end, struct local *to)
{
	__be32 *session = l2tp;

	if (!is_local(to, ENCAP_IP, 0))
		return OTHER;
	if ((void *)(session + 1) > end)
		return SHORT;
	return *session ? DECAP_REDIRECTED : CONTROL;
}

/* RFC 3931 4.1.2.1. Short is measured by the UDP length: frames are padded to 60 bytes. */
static __always_inline enum outcome over_udp(struct udphdr *udp, void *end, struct local *to)
{
	__be16 *l2tp = (void *)(udp + 1);

	if ((void *)(udp + 1) > end || !is_local(to, ENCAP_UDP, udp->dest))
		return OTHER;
	if ((void *)(l2tp + 1) > end)
		return SHORT;
	__u16 flags = bpf_ntohs(*l2tp);
	__u32 min = (flags & L2TP_VERSION) == 2 ? MIN_PAYLOAD_V2 : MIN_PAYLOAD_V3;
	__u32 len = bpf_ntohs(udp->len);

	if (len >= sizeof(*udp) + sizeof(*l2tp) && flags & L2TP_T)
		return CONTROL;
	return len < sizeof(*udp) + min ? SHORT : DECAP_REDIRECTED;
}

static __always_inline enum outcome transport(void *next, void *end, __u8 proto, struct local *to)
{
	if (proto == PROTO_L2TP)
		return over_ip(next, end, to);
	if (proto == IPPROTO_UDP)
		return over_udp(next, end, to);
	return OTHER;
}

static __always_inline enum outcome core_ipv4(const struct frame *f)
{
	struct local to = {};
	struct iphdr *ip = f->network;

	if ((void *)(ip + 1) > f->end || ip->version != 4)
		return OTHER;
	if (ip->protocol != PROTO_L2TP && ip->protocol != IPPROTO_UDP)
		return OTHER;
	to.family = 4;
	__builtin_memcpy(to.addr, &ip->daddr, sizeof(ip->daddr));
	if (ip->frag_off & bpf_htons(IPV4_FRAGMENT))
		return is_local(&to, ENCAP_ANY, 0) ? FRAGMENT_SEEN : OTHER;
	if (ip->ihl != 5)
		return is_local(&to, ENCAP_ANY, 0) ? OPTIONS_SEEN : OTHER;
	return transport(ip + 1, f->end, ip->protocol, &to);
}

static __always_inline enum outcome core_ipv6(const struct frame *f)
{
	struct local to = {};
	struct ipv6hdr *ip = f->network;

	if ((void *)(ip + 1) > f->end || ip->version != 6)
		return OTHER;
	to.family = 6;
	__builtin_memcpy(to.addr, &ip->daddr, sizeof(ip->daddr));
	switch (ip->nexthdr) {
	case PROTO_FRAGMENT:
		return is_local(&to, ENCAP_ANY, 0) ? FRAGMENT_SEEN : OTHER;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return is_local(&to, ENCAP_ANY, 0) ? OPTIONS_SEEN : OTHER;
	}
	return transport(ip + 1, f->end, ip->nexthdr, &to);
}

static __always_inline enum outcome core_outcome(const struct port *p, const struct frame *f,
					       const struct ethhdr *eth)
{
	enum outcome o = OTHER;

	if (f->type == bpf_htons(ETH_P_IP))
		o = core_ipv4(f);
	else if (f->type == bpf_htons(ETH_P_IPV6))
		o = core_ipv6(f);
	if (o == DECAP_REDIRECTED && !is_own_mac(p, eth))
		return FOREIGN_MAC;
	if (o == DECAP_REDIRECTED && !is_own_vlan(f))
		return FOREIGN_VLAN;
	return o;
}

#endif
