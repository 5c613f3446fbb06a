//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// The steering program: for every frame a port receives, to an AF_XDP socket or to the kernel?
// A frame once redirected cannot go back, so in doubt it is the kernel's. The order of the
// questions is
//
//   1. does it belong to an attachment circuit of this port (whole port, untagged, VLAN, QinQ)?
//   2. is the port a core port, and this an L2TP data message to one of our tunnels, in a VLAN that
//      the kernel would take it from?
//   3. otherwise it is the kernel's.
//
// Every helper used is free of the GPL, so the licence is the project's own. Tags that a driver
// strips into metadata are not looked at: the appliance switches stripping off.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Apache-2.0";

#define TPID_QINQ_OLD 0x9100 /* in use before IEEE 802.1ad settled on 0x88a8 */
#define VID_MASK 0x0fff

#define PROTO_L2TP 115
#define PROTO_FRAGMENT 44
#define L2TP_T 0x8000      /* of the first 16 bits over UDP: a control message */
#define L2TP_VERSION 0x000f
#define MIN_PAYLOAD_V2 8   /* flags, tunnel, session, PPP protocol */
#define MIN_PAYLOAD_V3 12  /* flags, session, the shortest body */
#define IPV4_FRAGMENT 0x3fff /* MF and the offset; DF is no matter */

/* What became of a frame; the index of its counter. Go learns the names from here. */
enum outcome {
	OTHER,             /* nothing of ours: to the kernel */
	ENCAP_REDIRECTED,  /* attachment circuit: to a socket */
	DECAP_REDIRECTED,  /* data message: to a socket */
	NO_SOCKET,         /* ours, but its queue has no socket: to the kernel */
	L2CP_DROPPED,      /* layer-2 control protocol of the customer, dropped by rule */
	L2CP_HOST,         /* the same, to the kernel by rule */
	CONTROL,           /* L2TP control message to our tunnel address: to the kernel */
	SHORT,             /* too short for a data message: to the kernel */
	FRAGMENT_SEEN,     /* a fragment to a tunnel address: to the kernel */
	OPTIONS_SEEN,      /* IPv4 options or IPv6 extension headers: to the kernel */
	FOREIGN_MAC,       /* data message, but not to a MAC of this port: to the kernel */
	FOREIGN_VLAN,      /* data message, but in a VLAN without a device here: to the kernel */
	OUTCOMES,
};

/* What a port does with frames, in one word so that a change is one store. */
enum rule {
	RULE_CORE = 1,
	RULE_WHOLE = 2,
	RULE_UNTAGGED = 4,
	RULE_L2CP_DROP = 8,
	RULE_L2CP_HOST = 16,
	RULE_MAC = 32, /* struct port has a MAC */
};

/* What is known of an S-VLAN (or only VLAN) of a port. */
enum svlan {
	SVLAN_ANY = 1,   /* all its frames are ours, whatever is inside */
	SVLAN_PAIRS = 2, /* some of its C-VLANs are ours: look into pairs */
};

enum encap {
	ENCAP_UDP = 0,
	ENCAP_IP = 1,
	ENCAP_ANY = 255, /* the address alone, for frames that cannot be told apart further */
};

/* Where tunnels end. Go fills the same layout, so no padding. */
struct local {
	__u8 addr[16]; /* IPv4 in the first four bytes, the others zero */
	enum encap encap;
	__u16 family; /* 4 or 6 */
	__be16 port;  /* zero but for UDP */
};

struct mac {
	__u8 addr[ETH_ALEN];
	__u16 zero;
};

struct port {
	enum rule rule;
	struct mac mac; /* one of macs, so that most ports need not look there */
};

struct pair {
	__u16 svid;
	__u16 cvid;
};

/* One set for all ports. The value is kept for what is decided by address one day, as for
 * frames of sessions that we do not know. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 18);
	__type(key, struct local);
	__type(value, __u32);
} locals SEC(".maps");

/* The maps below exist once for each port. */

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1); /* the loader sets the number of queues */
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct port);
} this_port SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, VID_MASK + 1);
	__type(key, __u32);
	__type(value, enum svlan);
} svlans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 17);
	__type(key, struct pair);
	__type(value, __u32);
} pairs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct mac);
	__type(value, __u32);
} macs SEC(".maps");

/* The tags of a VLAN device over the port, outermost first; zero where there is none. */
struct stack {
	struct vlan {
		__be16 tpid;
		__u16 vid;
	} tags[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 17);
	__type(key, struct stack);
	__type(value, __u32);
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOMES);
	__type(key, enum outcome);
	__type(value, __u64);
} stats SEC(".maps");

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

/* Question 1. A priority tag (VID 0) is no VLAN: such a frame counts as untagged. */
static __always_inline int is_attached(const struct frame *f, enum rule rule)
{
	__u32 svid = f->svid;

	if (rule & RULE_WHOLE)
		return 1;
	if (svid == 0)
		return rule & RULE_UNTAGGED;
	enum svlan *svlan = bpf_map_lookup_elem(&svlans, &svid);
	if (!svlan)
		return 0;
	if (*svlan & SVLAN_ANY)
		return 1;
	if (!(*svlan & SVLAN_PAIRS) || f->tags < 2)
		return 0;
	struct pair pair = {.svid = f->svid, .cvid = f->cvid};
	return bpf_map_lookup_elem(&pairs, &pair) != 0;
}

/* IEEE 802.1Q table 8-1: the addresses 01-80-C2-00-00-00 to -0F, which no bridge forwards. */
static __always_inline int is_l2cp(const struct ethhdr *eth)
{
	const __u8 *d = eth->h_dest;

	return d[0] == 0x01 && d[1] == 0x80 && d[2] == 0xc2 && d[3] == 0 && d[4] == 0 &&
	       (d[5] & 0xf0) == 0;
}

static __always_inline enum outcome access_outcome(const struct ethhdr *eth, enum rule rule)
{
	if (rule & (RULE_L2CP_DROP | RULE_L2CP_HOST) && is_l2cp(eth))
		return rule & RULE_L2CP_DROP ? L2CP_DROPPED : L2CP_HOST;
	return ENCAP_REDIRECTED;
}

static __always_inline int is_local(struct local *key, enum encap encap, __be16 port)
{
	key->encap = encap;
	key->port = port;
	return bpf_map_lookup_elem(&locals, key) != 0;
}

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

/* Frames to another station reach us in promiscuous mode, or flooded by a switch. */
static __always_inline int is_own_mac(const struct port *p, const struct ethhdr *eth)
{
	const __u16 *dst = (void *)eth->h_dest, *own = (void *)p->mac.addr;
	struct mac key = {};

	if (p->rule & RULE_MAC && dst[0] == own[0] && dst[1] == own[1] && dst[2] == own[2])
		return 1;
	__builtin_memcpy(key.addr, eth->h_dest, ETH_ALEN);
	return bpf_map_lookup_elem(&macs, &key) != 0;
}

/* A VLAN of the wire is not open to everyone who can send in another one: as with the kernel, a
 * message that has tags must have those of a VLAN device. A priority tag (VID 0) is no VLAN, and
 * 0x9100 no tag that a device could have. */
static __always_inline int is_own_vlan(const struct frame *f)
{
	struct stack key = {};
	struct vlan s = {f->stpid, f->svid}, c = {f->ctpid, f->cvid};

	if (!f->tags)
		return 1;
	if (s.tpid == bpf_htons(TPID_QINQ_OLD) || c.tpid == bpf_htons(TPID_QINQ_OLD))
		return 0;
	if (!c.vid)
		c.tpid = 0;
	if (s.vid) {
		key.tags[0] = s;
		key.tags[1] = c;
	} else if (c.vid) {
		key.tags[0] = c;
	} else {
		return 1;
	}
	return bpf_map_lookup_elem(&devices, &key) != 0;
}

/* Question 2. */
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

static __always_inline enum outcome decide(const struct port *p, struct frame *f, struct ethhdr *eth)
{
	parse_tags(f, eth);
	if (is_attached(f, p->rule))
		return access_outcome(eth, p->rule);
	if (p->rule & RULE_CORE)
		return core_outcome(p, f, eth);
	return OTHER;
}

/* XDP_PASS is what the redirect falls back to where the queue has no socket. */
static __always_inline enum xdp_action act(struct xdp_md *ctx, enum outcome *o)
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
	enum xdp_action action = act(ctx, &o);
	__u64 *count = bpf_map_lookup_elem(&stats, &o);
	if (count)
		(*count)++;
	return action;
}
