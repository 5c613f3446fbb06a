/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets that come in fragments: only the first one tells whose the packet is, so what was decided
 * for it is remembered for those that follow.
 */
#ifndef XWIRE_STEER_FRAGMENT_H
#define XWIRE_STEER_FRAGMENT_H

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define IPV4_OFFSET 0x1fff
#define IPV6_OFFSET 0xfff8

/* RFC 791 section 3.2, RFC 8200 section 4.5. No padding. */
struct packet {
	__u8 src[16]; /* IPv4 in the first four bytes, the others zero */
	__u8 dst[16];
	__be32 id;
	__u32 proto; /* 0 over IPv6: a packet's fragments need not agree in it */
};

enum part {
	WHOLE,
	FIRST,
	LATER,
};

/* Whose a packet is, once its first fragment was there. */
enum owner {
	OURS,
	KERNELS,
};

struct fragment {
	struct packet packet;
	enum part part;
	int pair; /* of a packet that is not ours: from a peer of ours to its tunnel's address */
};

struct ipv6_fragment {
	__u8 nexthdr;
	__u8 reserved;
	__be16 offset;
	__be32 id;
};

/* Packets whose first fragment went to a socket, and those that went to the kernel though they are between
 * the addresses of a tunnel. Fragments follow each other closely, so few entries are needed at a time; the
 * oldest ones give way. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct packet);
	__type(value, __u32);
} taken SEC(".maps");

static __always_inline void read_fragment4(const struct iphdr *ip, struct fragment *g)
{
	__builtin_memcpy(g->packet.src, &ip->saddr, sizeof(ip->saddr));
	__builtin_memcpy(g->packet.dst, &ip->daddr, sizeof(ip->daddr));
	g->packet.id = ip->id;
	g->packet.proto = ip->protocol;
	g->part = ip->frag_off & bpf_htons(IPV4_OFFSET) ? LATER : FIRST;
}

static __always_inline void read_fragment6(const struct ipv6hdr *ip, const struct ipv6_fragment *h,
					   struct fragment *g)
{
	__builtin_memcpy(g->packet.src, &ip->saddr, sizeof(ip->saddr));
	__builtin_memcpy(g->packet.dst, &ip->daddr, sizeof(ip->daddr));
	g->packet.id = h->id;
	g->part = h->offset & bpf_htons(IPV6_OFFSET) ? LATER : FIRST;
}

/* Identifications come again: what is the kernel's now may have been ours. */
static __always_inline void remember(const struct fragment *g, int ours)
{
	__u32 owner = ours ? OURS : KERNELS;

	if (ours || g->pair)
		bpf_map_update_elem(&taken, &g->packet, &owner, BPF_ANY);
	else if (bpf_map_lookup_elem(&taken, &g->packet))
		bpf_map_delete_elem(&taken, &g->packet);
}

#endif
