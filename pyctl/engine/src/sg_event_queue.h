/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Bounded queue of events, and the limiter that keeps one denied flow from filling it. */
#ifndef SG_EVENT_QUEUE_H
#define SG_EVENT_QUEUE_H

#include "sg_bytes.h"
#include "sg_core.h"

enum sg_event_limit {
	SG_EVENTS = 4096,
	SG_REPEATS = 4096,	/* flows whose repeated drops are told apart */
};

struct sg_repeat {
	__u64 tag;
	__u64 told_ns;
	__u64 packets;		/* since then */
	__u64 bytes;
};

struct sg_event_queue {
	struct sg_event events[SG_EVENTS];
	struct sg_repeat repeats[SG_REPEATS];
	__u32 head;
	__u32 count;
	__u64 lost;
};

void sg_event_push(struct sg_event_queue *q, const struct sg_event *event);
/* A drop: told at once, then once in ten seconds with the number of repeats. */
void sg_event_push_drop(struct sg_event_queue *q, const struct sg_hash_key *key,
			struct sg_event *event);
__u32 sg_event_take(struct sg_event_queue *q, struct sg_event *out, __u32 max, __u64 *lost);

#endif
