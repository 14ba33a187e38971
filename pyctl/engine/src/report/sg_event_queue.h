/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Bounded queue of events, with a share of it for each port, and the limiter that keeps one denied flow from filling
 * it. A port's share is a part of what is free (as sg_table_room's): one that floods leaves the others theirs. */
#ifndef SG_EVENT_QUEUE_H
#define SG_EVENT_QUEUE_H

#include "base/sg_bytes.h"
#include "api/sg_core.h"

enum sg_event_limit {
	SG_EVENTS = 32768,
	SG_REPEATS = 4096,	/* flows whose repeated drops are told apart */
	SG_SEVERAL = 1024,	/* pairs of addresses, where a port has told its share */
};

/* What is told less readily comes first. */
enum sg_event_class {
	SG_EMIT_DROP,		/* a drop, a violation: while the port's are an 8th of what is free; 500 a second */
	SG_EMIT_DROPS,		/* several of them as one: a quarter */
	SG_EMIT_UNANSWERED,	/* the end of a flow that nobody answered: a quarter */
	SG_EMIT_END,		/* of any other: as many as are free */
};

struct sg_repeat {
	__u64 tag;
	__u64 emitted_ns;
	struct sg_event event;	/* what came since: its packets and bytes, and when the last of them came */
};

/* What is told and not acknowledged yet; in memory that outlives the engine, where there is such. */
struct sg_event_log {
	__u64 epoch;		/* names the numbering */
	__u64 first;		/* number of the oldest */
	__u64 next;		/* of the one to come; the first there ever is has number 1 */
	__u64 lost_drops;	/* told neither alone nor with others, since the epoch began */
	__u64 lost_ends;
	struct sg_event events[SG_EVENTS];
};
_Static_assert(sizeof(struct sg_event_log) <= SG_STORE_EVENTS, "memory of events");

struct sg_event_queue {
	struct sg_event_log *log;
	int is_ours;		/* on the heap */
	struct sg_repeat repeats[SG_REPEATS + SG_SEVERAL];	/* the latter behind the former */
	__u32 swept;		/* the place in it that is looked at next */
	struct {
		__u16 drops;
		__u16 ends;
	} held[SEG_PORT_IDS];	/* of each port, not acknowledged yet */
	__u64 drop_due[SEG_PORT_IDS];	/* by when so many drops would have been told, at a steady pace */
	__u64 lost_told;	/* of those lost: by the last sg_event_read() */
};

/* 0 or -ENOMEM. */
int sg_event_init(struct sg_event_queue *q, __u64 epoch);
void sg_event_free(struct sg_event_queue *q);
/* Before anything is told: be in this memory; with `keep`, after what a former engine had to tell. */
void sg_event_place(struct sg_event_queue *q, struct sg_event_log *log, int keep);
/* Whether the port has room for one. */
int sg_event_room(const struct sg_event_queue *q, __u16 port_id, enum sg_event_class class);
/* Tell it, or count it as lost where the port has no room. */
void sg_event_push(struct sg_event_queue *q, const struct sg_event *event, enum sg_event_class class);
/* A drop: told at once, then what repeats it once in ten seconds, whether more comes or not. Where its port has told its share, it is
 * one of all between the two addresses: the event has no ports then (ICMP: no identifier). */
void sg_event_push_drop(struct sg_event_queue *q, const struct sg_hash_key *key,
			const struct sg_event *event);
/* Call about ten times a second: tell the repeats that have waited for ten seconds. */
void sg_event_sweep(struct sg_event_queue *q, __u64 now_ns);
/* Tell all that wait. */
void sg_event_flush(struct sg_event_queue *q);
/* Up to `max` of those after number `after`, or after those acknowledged; those stay. */
__u32 sg_event_read(struct sg_event_queue *q, __u64 after, struct sg_event *out, __u32 max,
		    struct sg_event_page *page);
/* Forget those up to this number. */
void sg_event_acknowledge(struct sg_event_queue *q, __u64 number);

#endif
