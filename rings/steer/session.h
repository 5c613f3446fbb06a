/* SPDX-License-Identifier: Apache-2.0
 *
 * The sessions that we know, for local addresses that we share with the kernel's own L2TP.
 */
#ifndef XWIRE_STEER_SESSION_H
#define XWIRE_STEER_SESSION_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "local.h"

/* What all data messages of one session have in common, whoever sends them. Go fills the same
 * layout, so no padding. */
struct session {
	struct local to;
	__u32 version;
	__be32 id; /* L2TPv2: tunnel id and session id, as they follow each other */
};

/* One set for all ports, of the sessions at addresses with LOCAL_SESSIONS. Go keeps in the value
 * how many sessions have the key: those of different peers may. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1); /* the loader sets the number of sessions */
	__type(key, struct session);
	__type(value, __u32);
} sessions SEC(".maps");

static __always_inline int is_known(const struct local *to, __u32 version, __be32 id)
{
	struct session key = {.to = *to, .version = version, .id = id};

	return bpf_map_lookup_elem(&sessions, &key) != 0;
}

#endif
