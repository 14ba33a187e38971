/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Writes and deletes a session's entry in the kernel's flow map; programs make entries too, of what they open.
 * After any error the flow just stays with the engine. */
#ifndef SG_CACHE_H
#define SG_CACHE_H

#include "flow/sg_state.h"

/* Write, rewrite or delete the entry by the session's state; call it after the packet was judged. */
void sg_cache_sync(const struct sg_context *c, struct sg_session *s);
/* Count the entry, which a program made, for a session that has none. */
void sg_cache_adopt(const struct sg_context *c, struct sg_session *s);
/* Forget the entry: it is gone, or another session's by now. */
void sg_cache_forget(struct sg_core *core, struct sg_session *s);
/* Delete the entry and add the kernel's counters to the session's. */
void sg_cache_drop(struct sg_core *core, struct sg_session *s);
/* Delete the entry of a flow that continues. */
void sg_cache_evict(struct sg_core *core, struct sg_session *s);
/* The kernel's counts by side, which are not in the session's own yet. sg_cache_peek() reads them, and updates
 * last_seen_ns and the connection's state. */
struct sg_cache_counts {
	__u64 packets[2];
	__u64 bytes[2];
};
struct sg_cache_counts sg_cache_peek(struct sg_core *core, struct sg_session *s);

/* Return whether sensors look at all that the flow's ends send, so that the kernel must not carry it. */
int sg_cache_is_scanned(const struct sg_core *core, const struct sg_session *s);

#endif
