/* SPDX-License-Identifier: Apache-2.0
 *
 * The local addresses of tunnels.
 */
#ifndef XWIRE_STEER_LOCAL_H
#define XWIRE_STEER_LOCAL_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

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

/* What is asked of data messages to a local address. */
enum locality {
	LOCAL_OURS = 1,     /* any of them is ours */
	LOCAL_SESSIONS = 2, /* only those of sessions that we know */
};

/* One set for all ports. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 18);
	__type(key, struct local);
	__type(value, enum locality);
} locals SEC(".maps");

/* 0: not one of ours. */
static __always_inline enum locality find_local(struct local *key, enum encap encap, __be16 port)
{
	key->encap = encap;
	key->port = port;
	enum locality *l = bpf_map_lookup_elem(&locals, key);
	return l ? *l : 0;
}

#endif
