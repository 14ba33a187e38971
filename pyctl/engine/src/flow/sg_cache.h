/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A session's entries in the kernel's flow map: the engine alone writes and deletes them.
 * Whatever goes wrong there means only that the flow stays with the engine. */
#ifndef SG_CACHE_H
#define SG_CACHE_H

#include "flow/sg_state.h"

/* After the packet was judged: write, rewrite or take away the entries, as the session's state wants. */
void sg_cache_sync(const struct sg_context *c, struct sg_session *s);
/* Take them away and add the kernel's counters to the session's. */
void sg_cache_drop(struct sg_core *core, struct sg_session *s);
/* Likewise, of a flow that goes on. */
void sg_cache_evict(struct sg_core *core, struct sg_session *s);
/* Some of the entries that ports had before they were without a flow map go (core->sweep). 1: there may be more. */
int sg_cache_sweep(struct sg_core *core);
/* What the kernel has counted on top of the session's own numbers, by side; brings last_seen_ns
 * and what is known of a connection's state up to date. */
struct sg_cache_counts {
	__u64 packets[2];
	__u64 bytes[2];
};
struct sg_cache_counts sg_cache_peek(struct sg_core *core, struct sg_session *s);

#endif
