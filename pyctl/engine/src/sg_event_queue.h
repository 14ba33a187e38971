/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Bounded queue of events, and the limiter that keeps one denied flow from filling it. */
#ifndef SG_EVENT_QUEUE_H
#define SG_EVENT_QUEUE_H

#include "sg_bytes.h"
#include "sg_core.h"

enum sg_event_limit {
	SG_EVENTS = 32768,
	SG_REPEATS = 4096,	/* flows whose repeated drops are told apart */
};

struct sg_repeat {
	__u64 tag;
	__u64 told_ns;
	__u64 packets;		/* since then */
	__u64 bytes;
};

/* What is told and not acknowledged yet; in memory that outlives the engine, where there is such. */
struct sg_event_log {
	__u64 epoch;		/* names the numbering */
	__u64 first;		/* number of the oldest */
	__u64 next;		/* of the one to come; the first there ever is has number 1 */
	struct sg_event events[SG_EVENTS];
};
_Static_assert(sizeof(struct sg_event_log) <= SG_STORE_EVENTS, "memory of events");

struct sg_event_queue {
	struct sg_event_log *log;
	int is_ours;		/* on the heap */
	struct sg_repeat repeats[SG_REPEATS];
	__u64 lost;
};

/* 0 or -ENOMEM. */
int sg_event_init(struct sg_event_queue *q, __u64 epoch);
void sg_event_free(struct sg_event_queue *q);
/* Before anything is told: be in this memory; with `keep`, after what a former engine had to tell. */
void sg_event_place(struct sg_event_queue *q, struct sg_event_log *log, int keep);
void sg_event_push(struct sg_event_queue *q, const struct sg_event *event);
/* A drop: told at once, then once in ten seconds with the number of repeats. */
void sg_event_push_drop(struct sg_event_queue *q, const struct sg_hash_key *key,
			struct sg_event *event);
/* Up to `max` of those after number `after`, or after those acknowledged; those stay. */
__u32 sg_event_read(struct sg_event_queue *q, __u64 after, struct sg_event *out, __u32 max,
		    struct sg_event_page *page);
/* Forget those up to this number. */
void sg_event_acknowledge(struct sg_event_queue *q, __u64 number);

#endif
