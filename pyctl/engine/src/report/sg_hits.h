/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Counts how often each rule has decided, and when last, by a hash of the rule's meaning.
 *
 * One hit is one flow judged at one end, or one service that is denied; packets without a session are one hit for each flow
 * and minute. Counts only grow, in memory that outlives the engine if there is such: readers take differences, so reading
 * twice or late does no harm. */
#ifndef SG_HITS_H
#define SG_HITS_H

#include "base/sg_map.h"
#include "policy/sg_policy.h"
#include "session/sg_session.h"

enum sg_hits_limit {
	SG_HITS = 100000,	/* rules that decided; beyond it counting restarts with another epoch */
	SG_ATTEMPTS = 4096,	/* flows without a session that are counted apart */
};

struct sg_hit_log {
	__u64 epoch;
	__u64 serial;		/* of the last change */
	__u64 used;
	struct sg_hit hits[SG_HITS];
};
_Static_assert(sizeof(struct sg_hit_log) <= SG_STORE_HITS, "memory of hits");

struct sg_attempt {
	__u64 tag;
	__u64 last_ns;
};

struct sg_hits {
	struct sg_hit_log *log;
	int is_ours;		/* on the heap */
	struct sg_map index;	/* by key: place in the log, + 1 */
	struct sg_attempt attempts[SG_ATTEMPTS];
};

/* 0 or -ENOMEM. */
int sg_hits_init(struct sg_hits *h, __u64 epoch);
void sg_hits_free(struct sg_hits *h);
/* Move an empty log to this memory; with `keep`, continue a former engine's counts in it. */
void sg_hits_place(struct sg_hits *h, const struct sg_hash_key *hash_key, struct sg_hit_log *log, int keep,
		   __u64 now_ns);

/* Count the first verdict on a flow. `kept`: a session will hold it. */
void sg_hits_judged(struct sg_hits *h, const struct sg_hash_key *hash_key, const struct sg_key *flow,
		    const struct sg_answer *answer, int kept, __u64 now_ns);
/* Count a session's verdict by another policy: a hit for a rule that had not decided it before. */
void sg_hits_revalidated(struct sg_hits *h, const struct sg_hash_key *hash_key,
			  const struct sg_session *s, const struct sg_answer *answer, __u64 now_ns);
/* Note that the session's rules were in use until its last packet. */
void sg_hits_used(struct sg_hits *h, const struct sg_hash_key *hash_key, const struct sg_session *s);
/* See sg_core_hits(). */
__u32 sg_hits_read(const struct sg_hits *h, __u64 after, struct sg_hit *out, __u32 max,
		   struct sg_hit_page *page);

#endif
