/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Bounded queue of events with a share for each port, and a limiter of repeated denials. A port's share is a part of the
 * free room (as sg_table_room's), so a flood of one port leaves room for the others. */
#ifndef SG_EVENT_QUEUE_H
#define SG_EVENT_QUEUE_H

#include "base/sg_bytes.h"
#include "api/sg_core.h"

enum sg_event_limit {
	SG_EVENTS = 32768,
	SG_REPEATS = 4096,	/* flows whose repeated drops are counted apart */
	SG_SEVERAL = 1024,	/* pairs of addresses, for ports that have used up their share */
};

/* In order of rising priority. */
enum sg_event_class {
	SG_EMIT_DROP,		/* a drop or violation: the port may hold an 8th of the free room; 500 a second */
	SG_EMIT_DROPS,		/* several of them as one: a quarter */
	SG_EMIT_UNANSWERED,	/* the end of an unanswered flow: a quarter */
	SG_EMIT_END,		/* the end of another flow: all of it */
};

struct sg_repeat {
	__u64 tag;
	__u64 emitted_ns;
	struct sg_event event;	/* of the repeats since: packets, bytes, time of the last */
};

/* The events that are not acknowledged yet, in memory that outlives the engine if there is such. */
struct sg_event_log {
	__u64 epoch;		/* names the numbering */
	__u64 first;		/* number of the oldest */
	__u64 next;		/* number of the next; numbers start at 1 */
	__u64 lost_drops;	/* drops without an event since the epoch began */
	__u64 lost_ends;
	struct sg_event events[SG_EVENTS];
};
_Static_assert(sizeof(struct sg_event_log) <= SG_STORE_EVENTS, "memory of events");

struct sg_event_queue {
	struct sg_event_log *log;
	int is_ours;		/* on the heap */
	struct sg_repeat repeats[SG_REPEATS + SG_SEVERAL];	/* flows, then pairs */
	__u32 swept;		/* index of the next to look at */
	struct {
		__u16 drops;
		__u16 ends;
	} held[SEG_PORT_IDS];	/* of each port, not acknowledged yet */
	__u64 drop_due[SEG_PORT_IDS];	/* when at a steady pace the last drop would have been emitted */
	__u64 lost_reported;	/* lost events that sg_event_read() has reported */
};

/* 0 or -ENOMEM. */
int sg_event_init(struct sg_event_queue *q, __u64 epoch);
void sg_event_free(struct sg_event_queue *q);
/* Move an empty log to this memory; with `keep`, continue a former engine's log in it. */
void sg_event_place(struct sg_event_queue *q, struct sg_event_log *log, int keep);
/* Return whether the port has room for an event. */
int sg_event_room(const struct sg_event_queue *q, __u16 port_id, enum sg_event_class class);
/* Add an event, or count it as lost if the port has no room. */
void sg_event_push(struct sg_event_queue *q, const struct sg_event *event, enum sg_event_class class);
/* Add a drop at once, and its repeats as one event after ten seconds. If the port has used up its share, all drops between
 * the two addresses are one event, without ports (ICMP: without identifier). */
void sg_event_push_drop(struct sg_event_queue *q, const struct sg_hash_key *key,
			const struct sg_event *event);
/* Add drops that are counted already, as one event, in the same share. */
void sg_event_push_drops(struct sg_event_queue *q, const struct sg_hash_key *key,
			 const struct sg_event *event);
/* Add the repeats that have waited for ten seconds; call it about ten times a second. */
void sg_event_sweep(struct sg_event_queue *q, __u64 now_ns);
/* Add all repeats that wait. */
void sg_event_flush(struct sg_event_queue *q);
/* Return up to `max` events after number `after`, or after the acknowledged ones; they stay in the log. */
__u32 sg_event_read(struct sg_event_queue *q, __u64 after, struct sg_event *out, __u32 max,
		    struct sg_event_page *page);
/* Drop the events up to this number. */
void sg_event_acknowledge(struct sg_event_queue *q, __u64 number);

#endif
