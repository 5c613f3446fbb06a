//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// The programs of a veth measurement: a generator, two sinks, and a forwarder to compare with. The
// generator runs in live-frame mode of BPF_PROG_RUN: the kernel allocates frames, gives each to the
// program, and sends what it redirects, without a socket and without an skb.

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Apache-2.0";

#define MIX 16        /* sizes in turn, at most */
#define HEAD 8        /* words of a frame's head that differ by size */
#define WANTED 4      /* sizes that the sink counts, at most */

/* Set before a run. */
__u32 out_ifindex;
__u32 mix;                /* sizes in use; 0: every frame as it is given */
__u32 mix_len[MIX];       /* bytes of each */
__u64 mix_head[MIX][HEAD]; /* first 64 bytes of each; a shorter frame keeps what it has */

/* Written by the one CPU that generates. */
__u32 next_size;
__u64 generated;

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	if (mix > 0) {
		__u32 i = next_size;

		if (i >= mix || i >= MIX)
			i = 0;
		next_size = i + 1;
		int len = (int)(ctx->data_end - ctx->data);

		if (bpf_xdp_adjust_tail(ctx, (int)mix_len[i] - len))
			return XDP_DROP;
		__u64 *head = (void *)(long)ctx->data;

		if ((void *)(head + HEAD) <= (void *)(long)ctx->data_end)
			for (int j = 0; j < HEAD; j++)
				head[j] = mix_head[i][j];
	}
	generated++;
	return bpf_redirect(out_ifindex, 0);
}

/* What arrived. A size that was not wanted is no frame of the measurement. */
struct arrived {
	__u64 frames;
	__u64 bytes;
	__u64 other;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct arrived);
	__uint(max_entries, 1);
} arrivals SEC(".maps");

__u32 want_len[WANTED];

static __always_inline void count(__u32 len)
{
	__u32 zero = 0;
	struct arrived *a = bpf_map_lookup_elem(&arrivals, &zero);

	if (!a)
		return;
	if (len == want_len[0] || len == want_len[1] || len == want_len[2] || len == want_len[3]) {
		a->frames++;
		a->bytes += len;
	} else {
		a->other++;
	}
}

/* Counts where the stack begins, and goes no further. */
SEC("tc")
int sink_stack(struct __sk_buff *skb)
{
	count(skb->len);
	return TC_ACT_SHOT;
}

/* Counts in the driver. A veth pays for it with a copy of every frame that was an skb. */
SEC("xdp")
int sink_xdp(struct xdp_md *ctx)
{
	count(ctx->data_end - ctx->data);
	return XDP_DROP;
}

/* Forwards without leaving the driver. */
volatile const __u32 forward_ifindex = 0;

SEC("xdp")
int forward(struct xdp_md *ctx)
{
	return bpf_redirect(forward_ifindex, 0);
}
