/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* How often each rule has decided, and when last: by what a rule means, not by its place.
 *
 * One hit is one flow judged at one end; what belongs to no session (a refused SYN, a stray) is one hit
 * for all that comes of the same flow within a minute. Counts only grow, in memory that outlives the
 * engine where there is such: whoever reads them keeps the difference, so reading twice or late is the same. */
#ifndef SG_HITS_H
#define SG_HITS_H

#include "base/sg_map.h"
#include "policy/sg_policy.h"
#include "session/sg_session.h"

enum sg_hits_limit {
	SG_HITS = 100000,	/* rules that decided: then all start anew, in another epoch */
	SG_ATTEMPTS = 4096,	/* flows without a session that are told apart */
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
/* Before anything is counted: be in this memory; with `keep`, go on with what a former engine counted. */
void sg_hits_place(struct sg_hits *h, const struct sg_hash_key *hash_key, struct sg_hit_log *log, int keep,
		   __u64 now_ns);

/* A flow is judged for the first time. `kept`: a session will remember it. */
void sg_hits_judged(struct sg_hits *h, const struct sg_hash_key *hash_key, const struct sg_key *flow,
		    const struct sg_answer *answer, int kept, __u64 now_ns);
/* A session is judged by another policy: a hit for a rule that did not decide it so far. */
void sg_hits_revalidated(struct sg_hits *h, const struct sg_hash_key *hash_key,
			  const struct sg_session *s, const struct sg_answer *answer, __u64 now_ns);
/* The session's rules were in use until it was seen last. */
void sg_hits_used(struct sg_hits *h, const struct sg_hash_key *hash_key, const struct sg_session *s);
/* See sg_core_hits(). */
__u32 sg_hits_read(const struct sg_hits *h, __u64 after, struct sg_hit *out, __u32 max,
		   struct sg_hit_page *page);

#endif
