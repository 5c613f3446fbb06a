//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// The splice: what 8021q does for VLAN devices over the trunk, for kernels without it. Each local
// interface is one end of a veth pair of its own. The program "push" hangs on the other end, gives
// every frame the tags of its place and sends it into the stack's end of the trunk; the program
// "pop" hangs there, and sends a frame with the tags of a place to the interface, without them.
//
// A frame that belongs to no place is dropped and counted: the stack must never see one.

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Apache-2.0";

#define VID_MASK 0x0fff
#define TAG 4       /* bytes */
#define ADDRS 12    /* both MAC addresses */

/* Why a frame was dropped; the index of its counter. Go learns the names from here. */
enum drop {
	NO_PLACE,  /* tags that no interface has */
	UNTAGGED,  /* no tag, or a service tag without a customer tag after it */
	NO_DEVICE, /* from a device that was not joined, or to a trunk that is gone */
	NO_ROOM,   /* no headroom for tags, or a frame shorter than its headers */
	DROPS,
};

/* A place on the trunk. svid 0: one 802.1Q tag; otherwise an 802.1ad tag before it. */
struct place {
	__u16 svid;
	__u16 cvid;
};

struct vlan {
	__be16 tpid;
	__be16 tci;
};

/* The ends whose peer is an interface, by place as a number. Entries of devices that are deleted
   go by themselves, so that a frame never reaches a later device of the same index. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u32);
} ends SEC(".maps");

/* Index of such an end to its place. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct place);
} places SEC(".maps");

/* The stack's end of the trunk. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} trunk SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DROPS);
	__type(key, enum drop);
	__type(value, __u64);
} drops SEC(".maps");

static int drop(enum drop why)
{
	__u64 *n = bpf_map_lookup_elem(&drops, &why);

	if (n)
		(*n)++;
	return XDP_DROP;
}

SEC("xdp")
int xwire_push(struct xdp_md *ctx)
{
	__u32 index = ctx->ingress_ifindex;
	struct place *place = bpf_map_lookup_elem(&places, &index);
	__u8 addrs[ADDRS];
	int size = TAG;
	__u8 *data, *end;
	struct vlan *tag;

	if (!place)
		return drop(NO_DEVICE);
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + ADDRS > end)
		return drop(NO_ROOM);
	__builtin_memcpy(addrs, data, ADDRS);
	if (place->svid)
		size += TAG;
	if (bpf_xdp_adjust_head(ctx, -size))
		return drop(NO_ROOM);
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + ADDRS + 2 * TAG > end)
		return drop(NO_ROOM);
	__builtin_memcpy(data, addrs, ADDRS);
	tag = (void *)(data + ADDRS);
	if (place->svid) {
		tag->tpid = bpf_htons(ETH_P_8021AD);
		tag->tci = bpf_htons(place->svid);
		tag++;
	}
	tag->tpid = bpf_htons(ETH_P_8021Q);
	tag->tci = bpf_htons(place->cvid);
	if (bpf_redirect_map(&trunk, 0, XDP_DROP) != XDP_REDIRECT)
		return drop(NO_DEVICE);
	return XDP_REDIRECT;
}

SEC("xdp")
int xwire_pop(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;
	__u8 *end = (void *)(long)ctx->data_end;
	struct vlan *tag = (void *)(data + ADDRS);
	__u8 addrs[ADDRS];
	__u32 place = 0;
	int size = TAG;

	if ((void *)(tag + 1) > (void *)end)
		return drop(UNTAGGED);
	if (tag->tpid == bpf_htons(ETH_P_8021AD)) {
		place = (__u32)(bpf_ntohs(tag->tci) & VID_MASK) << 16;
		size += TAG;
		tag++;
		if ((void *)(tag + 1) > (void *)end)
			return drop(UNTAGGED);
	}
	if (tag->tpid != bpf_htons(ETH_P_8021Q))
		return drop(UNTAGGED);
	place |= bpf_ntohs(tag->tci) & VID_MASK;

	__builtin_memcpy(addrs, data, ADDRS);
	if (bpf_xdp_adjust_head(ctx, size))
		return drop(NO_ROOM);
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + ADDRS > end)
		return drop(NO_ROOM);
	__builtin_memcpy(data, addrs, ADDRS);
	if (bpf_redirect_map(&ends, place, XDP_DROP) != XDP_REDIRECT)
		return drop(NO_PLACE);
	return XDP_REDIRECT;
}
