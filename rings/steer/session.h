/* SPDX-License-Identifier: Apache-2.0
 *
 * The sessions that we know, for local addresses that we share with the kernel's own L2TP, and the peers
 * of the others.
 */
#ifndef XWIRE_STEER_SESSION_H
#define XWIRE_STEER_SESSION_H

#include <linux/bpf.h>
#include <linux/in6.h>

#include <bpf/bpf_helpers.h>

#include "local.h"

/* What all data messages of one session have in common, whoever sends them. session.go has the same
 * layout, so no padding. */
struct session {
	struct local to;
	__u32 version;
	__be32 id; /* L2TPv2: tunnel id and session id, as they follow each other; keyed: 0 */
	__u8 peer[16]; /* keyed (RFC 8159): any message from there has it; else zero */
	/* With version 0, id 0 and no port: a tunnel's two addresses. */
};

/* One set for all ports, of the sessions at addresses with LOCAL_SESSIONS and the peers at others. Go puts a larger map in
 * its place when it is full, and keeps in the value how many sessions have the key: those of
 * different peers may. */
struct sessions {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__uint(key_size, sizeof(struct session)); /* as a type, clang 14 leaves it out of BTF here */
	__type(value, __u32);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct sessions);
} known SEC(".maps");

static __always_inline int has_session(const struct session *key)
{
	__u32 zero = 0;
	void *sessions = bpf_map_lookup_elem(&known, &zero);

	return sessions && bpf_map_lookup_elem(sessions, key) != 0;
}

static __always_inline int is_known(const struct local *to, __u32 version, __be32 id)
{
	struct session key = {.to = *to, .version = version, .id = id};

	return has_session(&key);
}

static __always_inline int is_keyed(const struct local *to, const struct in6_addr *peer)
{
	struct session key = {.to = *to, .version = 3};

	__builtin_memcpy(key.peer, peer, sizeof(key.peer));
	return has_session(&key);
}

/* Is there a tunnel between the two addresses, all of whose data messages are ours? */
static __always_inline int is_pair(const struct local *to, enum encap encap, const __u8 *peer)
{
	struct session key = {.to = *to};

	key.to.encap = encap;
	key.to.port = 0;
	__builtin_memcpy(key.peer, peer, sizeof(key.peer));
	return has_session(&key);
}

#endif
