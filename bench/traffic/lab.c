//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// The programs of measurements: a generator, two sinks, a forwarder to compare with, and the one that
// gives frames of a measurement to a socket. The generator runs in live-frame mode of BPF_PROG_RUN:
// the kernel allocates frames, gives each to the program, and sends what it redirects, without a
// socket and without an skb.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
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

__u64 interval;           /* between two frames, in 2^-16 ns; 0: as fast as can be */
__u64 patience;           /* how far it may fall behind, in 2^-16 ns, before it lets frames go */
__u32 stamp_at;           /* where number and time stand in a frame; 0: nowhere */

/* Written by the one CPU that generates. */
__u32 next_size;
__u64 began;
__u64 due;                /* of the next frame, since began, in 2^-16 ns */
__u64 generated;
__u64 late;               /* frames let go */

struct stamp {
	__u64 number;
	__u64 time; /* CLOCK_MONOTONIC, ns; both in the machine's byte order */
};

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	__u64 now = 0;

	if (interval > 0 || stamp_at > 0)
		now = bpf_ktime_get_ns();
	if (interval > 0) {
		if (began == 0)
			began = now;
		__u64 elapsed = (now - began) << 16;

		if (elapsed < due)
			return XDP_DROP;
		if (elapsed - due > patience) {
			__u64 skip = (elapsed - due) / interval;

			due += skip * interval;
			late += skip;
		}
		due += interval;
	}
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
	if (stamp_at > 0) {
		struct stamp *st = (void *)(long)ctx->data + (stamp_at & 0xff);

		if ((void *)(st + 1) > (void *)(long)ctx->data_end)
			return XDP_DROP;
		st->number = generated;
		st->time = now;
	}
	generated++;
	return bpf_redirect(out_ifindex, 0);
}

/* What arrived. A size that was not wanted is no frame of the measurement. */
struct arrived {
	__u64 frames;
	__u64 bytes;
	__u64 other;
	__u64 reordered; /* behind one with a higher number */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct arrived);
	__uint(max_entries, 1);
} arrivals SEC(".maps");

/* Latencies: 32 steps to each power of two of nanoseconds, so that each is told to 3 %. */
#define STEP_BITS 5
#define STEPS (1 << STEP_BITS)
#define LATENCIES ((41 - STEP_BITS) * STEPS)

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, LATENCIES);
} latencies SEC(".maps");

__u32 want_len[WANTED];
__u32 read_at; /* where the stamp stands in what arrives; 0: none is looked at */
__u64 ahead;   /* highest number so far, plus one */

static __always_inline int wanted(__u32 len)
{
	return len == want_len[0] || len == want_len[1] || len == want_len[2] || len == want_len[3];
}

static __always_inline struct arrived *count(__u32 len, int *mine)
{
	__u32 zero = 0;
	struct arrived *a = bpf_map_lookup_elem(&arrivals, &zero);

	if (!a)
		return 0;
	*mine = wanted(len);
	if (*mine) {
		a->frames++;
		a->bytes += len;
	} else {
		a->other++;
	}
	return a;
}

static __always_inline __u32 log2_of(__u64 v)
{
	__u32 n = 0;

	if (v >> 32) { n += 32; v >>= 32; }
	if (v >> 16) { n += 16; v >>= 16; }
	if (v >> 8) { n += 8; v >>= 8; }
	if (v >> 4) { n += 4; v >>= 4; }
	if (v >> 2) { n += 2; v >>= 2; }
	if (v >> 1) { n += 1; }
	return n;
}

static __always_inline void look(struct arrived *a, struct stamp *st)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 took = now > st->time ? now - st->time : 0;
	__u32 i = took;

	if (took >= STEPS) {
		__u32 shift = log2_of(took) - STEP_BITS;

		i = (shift << STEP_BITS) + (took >> shift);
	}
	if (i >= LATENCIES)
		i = LATENCIES - 1;
	__u64 *n = bpf_map_lookup_elem(&latencies, &i);

	if (n)
		(*n)++;
	if (st->number < ahead)
		a->reordered++;
	else
		ahead = st->number + 1;
}

/* Counts where the stack begins, and goes no further. */
SEC("tc")
int sink_stack(struct __sk_buff *skb)
{
	int mine = 0;
	struct arrived *a = count(skb->len, &mine);
	struct stamp st;

	if (a && mine && read_at > 0 && bpf_skb_load_bytes(skb, read_at, &st, sizeof(st)) == 0)
		look(a, &st);
	return TC_ACT_SHOT;
}

/* Counts in the driver. A veth pays for it with a copy of every frame that was an skb. */
SEC("xdp")
int sink_xdp(struct xdp_md *ctx)
{
	int mine = 0;
	struct arrived *a = count(ctx->data_end - ctx->data, &mine);
	struct stamp *st = (void *)(long)ctx->data + (read_at & 0xff);

	if (a && mine && read_at > 0 && (void *)(st + 1) <= (void *)(long)ctx->data_end)
		look(a, st);
	return XDP_DROP;
}

/* Forwards without leaving the driver. */
volatile const __u32 forward_ifindex = 0;

SEC("xdp")
int forward(struct xdp_md *ctx)
{
	return bpf_redirect(forward_ifindex, 0);
}

/* Frames of a measurement, of PPPoE sessions, and L2TP packets, to a socket; everything else to the kernel. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 256);
} sockets SEC(".maps");

struct tag {
	__be16 tci;
	__be16 type;
};

SEC("xdp")
int take(struct xdp_md *ctx)
{
	void *at = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = at;

	if ((void *)(eth + 1) > end)
		return XDP_PASS;
	__be16 type = eth->h_proto;

	at = eth + 1;
	for (int i = 0; i < 2; i++) {
		struct tag *t = at;

		if (type != bpf_htons(0x8100) && type != bpf_htons(0x88a8) && type != bpf_htons(0x9100))
			break;
		if ((void *)(t + 1) > end)
			return XDP_PASS;
		type = t->type;
		at = t + 1;
	}
	__u8 protocol = 0;

	if (type == bpf_htons(0x88b5) || type == bpf_htons(0x8864))
		return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
	if (type == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = at;

		if ((void *)(ip + 1) > end)
			return XDP_PASS;
		protocol = ip->ihl == 5 ? ip->protocol : 0;
		at = ip + 1;
	} else if (type == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = at;

		if ((void *)(ip + 1) > end)
			return XDP_PASS;
		protocol = ip->nexthdr;
		at = ip + 1;
	}
	if (protocol == IPPROTO_UDP) {
		struct udphdr *udp = at;
		__be16 *flags = (void *)(udp + 1);

		if ((void *)(flags + 1) > end)
			return XDP_PASS;
		/* L2TPv3, and L2TPv2 with or without L, S, O and P. */
		if (*flags != bpf_htons(3) && (*flags & ~bpf_htons(0x4b00)) != bpf_htons(2))
			return XDP_PASS;
	} else if (protocol != 115) {
		return XDP_PASS;
	}
	return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
}
