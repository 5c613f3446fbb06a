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

/* One set for all ports. The value is kept for what is decided by address one day, as for
 * frames of sessions that we do not know. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 18);
	__type(key, struct local);
	__type(value, __u32);
} locals SEC(".maps");

static __always_inline int is_local(struct local *key, enum encap encap, __be16 port)
{
	key->encap = encap;
	key->port = port;
	return bpf_map_lookup_elem(&locals, key) != 0;
}

#endif
