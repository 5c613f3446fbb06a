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

#include "fragment.h"
#include "frame.h"
#include "heard.h"
#include "local.h"
#include "outcome.h"
#include "port.h"
#include "session.h"
#include "station.h"

#define PROTO_L2TP 115
#define PROTO_FRAGMENT 44
#define L2TP_T 0x8000      /* of the first 16 bits over UDP: a control message */
#define L2TP_L 0x4000      /* L2TPv2: a length stands before the ids */
#define L2TP_VERSION 0x000f
#define MIN_PAYLOAD_V2 8   /* flags, tunnel, session, PPP protocol */
#define MIN_PAYLOAD_V3 12  /* flags, session, the shortest body */
#define IPV4_FRAGMENT 0x3fff /* MF and the offset; DF is no matter */

/* RFC 3931 4.1.1.1 and 4.1.1.2: session id 0 marks a control message. peer is null over IPv4. */
static __always_inline enum outcome over_ip(void *l2tp, void *end, struct local *to,
					    const struct in6_addr *peer)
{
	__be32 *session = l2tp;
	enum locality l = find_local(to, ENCAP_IP, 0);

	if (!l)
		return OTHER;
	if ((void *)(session + 1) > end)
		return SHORT;
	if (!*session)
		return CONTROL;
	if (!(l & LOCAL_SESSIONS) || is_known(to, 3, *session) || (peer && is_keyed(to, peer)))
		return DECAP_REDIRECTED;
	return UNKNOWN_SESSION;
}

/* A data message over UDP, to an address where only those of known sessions are ours. */
static __always_inline enum outcome session_outcome(const __be16 *l2tp, __u16 flags, void *end,
						    const struct local *to)
{
	__u32 version = flags & L2TP_VERSION;
	const __be32 *id = (const void *)(l2tp + 2); /* L2TPv3 */

	if (version == 2 && !(flags & L2TP_L))
		id = (const void *)(l2tp + 1);
	else if (version != 2 && version != 3)
		return UNKNOWN_SESSION;
	if ((void *)(id + 1) > end)
		return SHORT;
	return is_known(to, version, *id) ? DECAP_REDIRECTED : UNKNOWN_SESSION;
}

/* RFC 3931 4.1.2.1. Short is measured by the UDP length: frames are padded to 60 bytes. */
static __always_inline enum outcome over_udp(struct udphdr *udp, void *end, struct local *to)
{
	__be16 *l2tp = (void *)(udp + 1);

	if ((void *)(udp + 1) > end)
		return OTHER;
	enum locality l = find_local(to, ENCAP_UDP, udp->dest);
	if (!l)
		return OTHER;
	if ((void *)(l2tp + 1) > end)
		return SHORT;
	__u16 flags = bpf_ntohs(*l2tp);
	__u32 min = (flags & L2TP_VERSION) == 2 ? MIN_PAYLOAD_V2 : MIN_PAYLOAD_V3;
	__u32 len = bpf_ntohs(udp->len);

	if (len >= sizeof(*udp) + sizeof(*l2tp) && flags & L2TP_T)
		return is_heard(to, l2tp, flags & L2TP_VERSION, end) ? CONTROL_HEARD : CONTROL;
	if (len < sizeof(*udp) + min)
		return SHORT;
	return l & LOCAL_SESSIONS ? session_outcome(l2tp, flags, end, to) : DECAP_REDIRECTED;
}

static __always_inline enum outcome transport(void *next, void *end, __u8 proto, struct local *to,
					      const struct in6_addr *peer)
{
	if (proto == PROTO_L2TP)
		return over_ip(next, end, to, peer);
	if (proto == IPPROTO_UDP)
		return over_udp(next, end, to);
	return OTHER;
}

/* Could it be of a tunnel of ours, by the two addresses and the protocol? */
static __always_inline int is_of_pair(const struct local *to, __u8 proto, const struct fragment *g)
{
	if (proto != PROTO_L2TP && proto != IPPROTO_UDP)
		return 0;
	return is_pair(to, proto == PROTO_L2TP ? ENCAP_IP : ENCAP_UDP, g->packet.src);
}

/* The first fragment decides as a whole packet would. One that comes before it does not say whose its packet
 * is: what a tunnel's peer sends to its address is in all likelihood the tunnel's. */
static __always_inline enum outcome core_fragment(void *next, void *end, __u8 proto, struct local *to,
						  const struct in6_addr *peer, struct fragment *g)
{
	int ours;

	if (g->part == LATER) {
		__u32 *owner = bpf_map_lookup_elem(&taken, &g->packet);

		ours = owner ? *owner == OURS : is_of_pair(to, proto, g);
	} else {
		ours = transport(next, end, proto, to, peer) == DECAP_REDIRECTED;
		g->pair = !ours && is_of_pair(to, proto, g);
	}
	return ours ? DECAP_REDIRECTED : FRAGMENT_SEEN;
}

static __always_inline enum outcome core_ipv4(const struct frame *f, struct fragment *g)
{
	struct local to = {};
	struct iphdr *ip = f->network;

	if ((void *)(ip + 1) > f->end || ip->version != 4)
		return OTHER;
	if (ip->protocol != PROTO_L2TP && ip->protocol != IPPROTO_UDP)
		return OTHER;
	to.family = 4;
	__builtin_memcpy(to.addr, &ip->daddr, sizeof(ip->daddr));
	if (ip->frag_off & bpf_htons(IPV4_FRAGMENT)) {
		if (!find_local(&to, ENCAP_ANY, 0))
			return OTHER;
		if (ip->ihl != 5)
			return FRAGMENT_SEEN;
		read_fragment4(ip, g);
		return core_fragment(ip + 1, f->end, ip->protocol, &to, 0, g);
	}
	if (ip->ihl != 5)
		return find_local(&to, ENCAP_ANY, 0) ? OPTIONS_SEEN : OTHER;
	return transport(ip + 1, f->end, ip->protocol, &to, 0);
}

static __always_inline enum outcome core_ipv6(const struct frame *f, struct fragment *g)
{
	struct local to = {};
	struct ipv6hdr *ip = f->network;
	struct ipv6_fragment *h = (void *)(ip + 1);

	if ((void *)(ip + 1) > f->end || ip->version != 6)
		return OTHER;
	to.family = 6;
	__builtin_memcpy(to.addr, &ip->daddr, sizeof(ip->daddr));
	switch (ip->nexthdr) {
	case PROTO_FRAGMENT:
		if (!find_local(&to, ENCAP_ANY, 0))
			return OTHER;
		if ((void *)(h + 1) > f->end)
			return FRAGMENT_SEEN;
		read_fragment6(ip, h, g);
		return core_fragment(h + 1, f->end, h->nexthdr, &to, &ip->saddr, g);
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return find_local(&to, ENCAP_ANY, 0) ? OPTIONS_SEEN : OTHER;
	}
	return transport(ip + 1, f->end, ip->nexthdr, &to, &ip->saddr);
}

static __always_inline enum outcome core_outcome(const struct port *p, const struct frame *f,
					       const struct ethhdr *eth)
{
	enum outcome o = OTHER;
	struct fragment g = {};

	if (f->type == bpf_htons(ETH_P_IP))
		o = core_ipv4(f, &g);
	else if (f->type == bpf_htons(ETH_P_IPV6))
		o = core_ipv6(f, &g);
	if (o == DECAP_REDIRECTED && !is_own_mac(p, eth))
		o = FOREIGN_MAC;
	else if (o == DECAP_REDIRECTED && !is_own_vlan(f))
		o = FOREIGN_VLAN;
	else if (o == CONTROL_HEARD && (!is_own_mac(p, eth) || !is_own_vlan(f)))
		o = CONTROL;
	if (g.part == FIRST)
		remember(&g, o == DECAP_REDIRECTED);
	return o;
}

#endif
