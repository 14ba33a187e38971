/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Hit counts; see the header. In: answers of the policy. Out: counts, read in the order of the log.
 * No I/O. If two flows share an entry of the table of attempts, one hit too many is counted. */
#include "report/sg_hits.h"

#include <errno.h>
#include <stdlib.h>

#define ATTEMPT_NS (60 * SG_SECOND)

static void start(struct sg_hit_log *log, __u64 epoch)
{
	log->epoch = epoch;
	log->serial = log->used = 0;
}

int sg_hits_init(struct sg_hits *h, __u64 epoch)
{
	h->log = calloc(1, sizeof(*h->log));
	if (!h->log)
		return -ENOMEM;
	h->is_ours = 1;
	start(h->log, epoch);
	return 0;
}

void sg_hits_free(struct sg_hits *h)
{
	if (h->is_ours)
		free(h->log);
	h->log = NULL;
	sg_map_clear(&h->index);
}

/* -ENOMEM: not all of them. */
static int make_index(struct sg_hits *h, const struct sg_hash_key *hash_key)
{
	int error = 0;

	for (__u32 i = 0; i < h->log->used && !error; i++) {
		const __u64 name[3] = { h->log->hits[i].key };

		error = sg_map_put(&h->index, hash_key, name, i + 1);
	}
	return error;
}

void sg_hits_place(struct sg_hits *h, const struct sg_hash_key *hash_key, struct sg_hit_log *log, int keep,
		   __u64 now_ns)
{
	__u64 epoch = h->log->epoch;

	sg_hits_free(h);
	if (!keep || log->used > SG_HITS)
		start(log, epoch);
	h->log = log;
	h->is_ours = 0;
	/* The former engine may have been killed in a write. */
	for (__u64 i = 0; i < log->used; i++) {
		if (log->hits[i].last_ns > now_ns)
			log->hits[i].last_ns = now_ns;
		if (log->hits[i].serial > log->serial)
			log->serial = log->hits[i].serial;
	}
	if (make_index(h, hash_key)) {
		sg_map_clear(&h->index);
		start(log, log->epoch + 1);
	}
}

static struct sg_hit *find(struct sg_hits *h, const struct sg_hash_key *hash_key, __u64 key)
{
	const __u64 name[3] = { key };
	struct sg_hit_log *log = h->log;
	__u32 place;

	if (!key)
		return NULL;
	place = sg_map_get(&h->index, hash_key, name);
	if (place)
		return &log->hits[place - 1];
	if (log->used == SG_HITS) {
		sg_map_clear(&h->index);
		start(log, log->epoch + 1);
	}
	if (sg_map_put(&h->index, hash_key, name, (__u32)log->used + 1))
		return NULL;
	log->hits[log->used] = (struct sg_hit){ .key = key };
	/* Stored after the hit, because a successor may read the log of a dead engine. */
	__atomic_store_n(&log->used, log->used + 1, __ATOMIC_RELEASE);
	return &log->hits[log->used - 1];
}

static void note(struct sg_hits *h, const struct sg_hash_key *hash_key, __u64 key, __u64 hits, __u64 at_ns)
{
	struct sg_hit *hit = find(h, hash_key, key);

	if (!hit || (!hits && at_ns <= hit->last_ns))
		return;
	hit->hits += hits;
	if (at_ns > hit->last_ns)
		hit->last_ns = at_ns;
	hit->serial = ++h->log->serial;
}

/* Whether the same flow and answer came within the last minute. */
static int is_repeat(struct sg_hits *h, const struct sg_hash_key *hash_key, const struct sg_key *flow,
		     const struct sg_answer *answer, __u64 now_ns)
{
	struct {
		struct sg_key flow;
		struct sg_rule_keys keys;
	} name = { *flow, answer->keys };
	__u64 tag = sg_hash(hash_key, &name, sizeof(name)) | 1;
	struct sg_attempt *a = &h->attempts[(tag >> 8) % SG_ATTEMPTS];
	int repeat = a->tag == tag && now_ns - a->last_ns < ATTEMPT_NS;

	_Static_assert(sizeof(name) % 8 == 0, "sg_hash takes whole words");
	*a = (struct sg_attempt){ tag, now_ns };
	return repeat;
}

void sg_hits_judged(struct sg_hits *h, const struct sg_hash_key *hash_key, const struct sg_key *flow,
		    const struct sg_answer *answer, int kept, __u64 now_ns)
{
	__u64 one = kept || !is_repeat(h, hash_key, flow, answer, now_ns);

	note(h, hash_key, answer->keys.rule, one, now_ns);
	note(h, hash_key, answer->keys.staged, one, now_ns);
}

void sg_hits_revalidated(struct sg_hits *h, const struct sg_hash_key *hash_key,
			  const struct sg_session *s, const struct sg_answer *answer, __u64 now_ns)
{
	note(h, hash_key, answer->keys.rule, answer->keys.rule != s->keys.rule, now_ns);
	note(h, hash_key, answer->keys.staged, answer->keys.staged != s->keys.staged, now_ns);
}

void sg_hits_used(struct sg_hits *h, const struct sg_hash_key *hash_key, const struct sg_session *s)
{
	note(h, hash_key, s->keys.rule, 0, s->last_seen_ns);
	note(h, hash_key, s->keys.staged, 0, s->last_seen_ns);
}

__u32 sg_hits_read(const struct sg_hits *h, __u64 after, struct sg_hit *out, __u32 max,
		   struct sg_hit_page *page)
{
	const struct sg_hit_log *log = h->log;
	__u32 found = 0;
	__u64 at = page->cursor;

	for (; at < log->used && found < max; at++)
		if (log->hits[at].serial > after)
			out[found++] = log->hits[at];
	*page = (struct sg_hit_page){ log->epoch, log->serial, at < log->used ? at : 0 };
	return found;
}
