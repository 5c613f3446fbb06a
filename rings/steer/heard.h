/* SPDX-License-Identifier: Apache-2.0
 *
 * Control messages over UDP to tunnels whose HELLOs we answer. They go up by a ring of their own, so
 * that no socket of ours has the tunnel's port: that is there for whoever wants it.
 */
#ifndef XWIRE_STEER_HEARD_H
#define XWIRE_STEER_HEARD_H

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "frame.h"
#include "local.h"

#define MAX_HEARD 1500 /* bytes from the IP header on; a HELLO has 48 over IPv4 */
#define TAG_LEN 4

/* What the control messages to one tunnel have in common. Go fills the same layout, so no padding. */
struct control {
	struct local to;
	__u32 version;
	__u32 tunnel; /* our tunnel id, of L2TPv3 the control connection's */
};

/* One set for all ports, as is the ring. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 18);
	__type(key, struct control);
	__type(value, __u32);
} controls SEC(".maps");

struct heard {
	__u32 length;
	__u8 packet[MAX_HEARD];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} heards SEC(".maps");

/* RFC 3931 section 3.2.1, RFC 2661 section 3.1: a control message has a length, and then the id. */
static __always_inline int is_heard(const struct local *to, const __be16 *l2tp, __u32 version, void *end)
{
	const __be32 *id = (const void *)(l2tp + 2);
	struct control key = {.to = *to, .version = version};

	if ((void *)(id + 1) > end || (version != 2 && version != 3))
		return 0;
	key.tunnel = version == 3 ? bpf_ntohl(*id) : bpf_ntohl(*id) >> 16;
	return bpf_map_lookup_elem(&controls, &key) != 0;
}

/* False: it is too long, or those before it were not read yet. */
static __always_inline int hear(struct xdp_md *ctx, const struct frame *f)
{
	__u32 offset = sizeof(struct ethhdr) + f->tags * TAG_LEN;
	__u32 length = bpf_xdp_get_buff_len(ctx) - offset;

	if (length < 1 || length > MAX_HEARD)
		return 0;
	struct heard *h = bpf_ringbuf_reserve(&heards, sizeof(*h), 0);
	if (!h)
		return 0;
	h->length = length;
	if (bpf_xdp_load_bytes(ctx, offset, h->packet, length)) {
		bpf_ringbuf_discard(h, 0);
		return 0;
	}
	bpf_ringbuf_submit(h, 0);
	return 1;
}

#endif
