/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The questions of DNS that workloads wait to be answered. They lie in memory that outlives the engine, so that an answer that
 * comes after another engine began teaches what it tells. A port may have SG_QUESTIONS_SHARE times as many as are then free;
 * beyond that its oldest ones make room. */
#ifndef SG_QUESTIONS_H
#define SG_QUESTIONS_H

#include "api/sg_core.h"
#include "base/sg_bytes.h"
#include "base/sg_pool.h"
#include "dns/sg_dns.h"

enum sg_questions_limit {
	SG_QUESTIONS = 4096,		/* of all ports */
	SG_QUESTIONS_SHARE = 2,
	SG_QUESTION_ASKS = 8,		/* repeats of one that are answered each */
};
#define SG_QUESTION_NS 30000000000ULL	/* how long an answer may take */

struct sg_asked {
	struct sg_dns_question question;
	__u64 flow;			/* the session's handle */
	__u64 asked_ns;
	__u8 asks;			/* answers that may still come; 0: free */
};

/* In memory that outlives the engine. Places count from 1. */
struct sg_question_store {
	__u32 used;			/* as the pool's */
	__u32 pad;
	struct sg_asked all[SG_QUESTIONS + 1];
};
_Static_assert(sizeof(struct sg_question_store) <= SG_STORE_QUESTIONS, "memory of questions");

struct sg_questions {
	const struct sg_hash_key *hash_key;
	struct sg_question_store *store;
	int is_ours;			/* on the heap */
	struct sg_pool pool;		/* by flow and id */
	struct sg_pool_link *rows;	/* on the port's, the newest first */
};

/* 0 or -ENOMEM. */
int sg_questions_init(struct sg_questions *questions, const struct sg_hash_key *hash_key);
void sg_questions_free(struct sg_questions *questions);
/* Use this memory from now on; nobody waits yet. With `keep`, take over what a former engine left in it. `row_of` gives the row
 * of a flow's port; NULL: there is no such flow. */
void sg_questions_place(struct sg_questions *questions, struct sg_question_store *store, int keep,
			struct sg_row *(*row_of)(void *context, __u64 flow), void *context, __u64 now_ns);
/* Keep a question; returns how many others made room for it. */
__u32 sg_questions_add(struct sg_questions *questions, struct sg_row *row, __u64 flow, const struct sg_dns_question *question,
		       __u64 now_ns);
/* Take the question of this answer away, unless it was asked more often. Returns 0: there is none. */
int sg_questions_take(struct sg_questions *questions, struct sg_row *row, __u64 flow, const struct sg_dns_question *answer,
		      __u64 now_ns);
void sg_questions_forget(struct sg_questions *questions, struct sg_row *row);

#endif
