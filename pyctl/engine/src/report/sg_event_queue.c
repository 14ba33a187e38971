/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Numbered log of events; beyond a port's share new events are dropped and counted. The repeat table is direct-mapped: if
 * two flows share an entry, the first one's repeats are emitted early. */
#include "report/sg_event_queue.h"

#include <errno.h>
#include <stdlib.h>

#include "packet/sg_packet.h"
#include "base/sg_share.h"

#define REPEAT_NS 10000000000ULL
#define DROP_GAP_NS 2000000ULL
#define DROP_BURST 4096ULL

enum { PLACES = SG_REPEATS + SG_SEVERAL, SWEEP = PLACES / 32 };	/* in all, and looked at in one call */

static void start(struct sg_event_log *log, __u64 epoch)
{
	log->epoch = epoch;
	log->first = log->next = 1;
	log->lost_drops = log->lost_ends = 0;
}

static __u16 *held_of(struct sg_event_queue *q, const struct sg_event *event)
{
	return event->kind == SG_EVENT_FLOW_END ? &q->held[event->port_id].ends :
						  &q->held[event->port_id].drops;
}

int sg_event_init(struct sg_event_queue *q, __u64 epoch)
{
	q->log = calloc(1, sizeof(*q->log));
	if (!q->log)
		return -ENOMEM;
	q->is_ours = 1;
	start(q->log, epoch);
	return 0;
}

void sg_event_free(struct sg_event_queue *q)
{
	if (q->is_ours)
		free(q->log);
	q->log = NULL;
}

void sg_event_place(struct sg_event_queue *q, struct sg_event_log *log, int keep)
{
	__u64 epoch = q->log->epoch;

	sg_event_free(q);
	if (!keep || !log->first || log->next < log->first || log->next - log->first > SG_EVENTS)
		start(log, epoch);
	q->log = log;
	q->is_ours = 0;
	q->lost_reported = log->lost_drops + log->lost_ends;
	for (__u64 number = log->first; number < log->next; number++)
		++*held_of(q, &log->events[number % SG_EVENTS]);
}

int sg_event_room(const struct sg_event_queue *q, __u16 port_id, enum sg_event_class class)
{
	__u64 left = SG_EVENTS - (q->log->next - q->log->first);

	switch (class) {
	case SG_EMIT_DROP:
		return q->held[port_id].drops * 8U < left;
	case SG_EMIT_DROPS:
		return q->held[port_id].drops * 4U < left;
	case SG_EMIT_UNANSWERED:
		return q->held[port_id].ends * 4U < left;
	default:
		return q->held[port_id].ends < left;
	}
}

void sg_event_push(struct sg_event_queue *q, const struct sg_event *event, enum sg_event_class class)
{
	if (!sg_event_room(q, event->port_id, class)) {
		++*(event->kind == SG_EVENT_FLOW_END ? &q->log->lost_ends : &q->log->lost_drops);
		return;
	}
	++*held_of(q, event);
	q->log->events[q->log->next % SG_EVENTS] = *event;
	/* Stored after the event, because a successor may read the log of a dead engine. */
	__atomic_store_n(&q->log->next, q->log->next + 1, __ATOMIC_RELEASE);
}

static void emit_repeats(struct sg_event_queue *q, struct sg_repeat *r, __u64 now_ns)
{
	if (!r->event.packets)
		return;
	sg_event_push(q, &r->event, r < &q->repeats[SG_REPEATS] ? SG_EMIT_DROP : SG_EMIT_DROPS);
	r->event.packets = r->event.bytes = 0;
	r->emitted_ns = now_ns;
}

static void push_unless_repeated(struct sg_event_queue *q, const struct sg_hash_key *key,
				 const struct sg_event *event, enum sg_event_class class)
{
	/* The fields that name the flow and the reason, without counts. */
	struct {
		__u16 port_id, reason, dport, sport;
		__u8 dir, family, proto, kind, app, proof, pad[2];
		__u8 saddr[16], daddr[16];
	} name = {
		.port_id = event->port_id, .reason = event->reason, .dport = event->dport,
		.sport = event->sport, .dir = event->dir, .family = event->family,
		.proto = event->proto,
		.kind = event->kind, .app = event->app, .proof = event->proof,
	};
	struct sg_repeat *r;
	__u64 tag, place;

	_Static_assert(sizeof(name) % 8 == 0, "sg_hash takes whole words");
	memcpy(name.saddr, event->saddr, sizeof(name.saddr));
	memcpy(name.daddr, event->daddr, sizeof(name.daddr));
	tag = sg_hash(key, &name, sizeof(name)) | 1;
	place = tag >> 8;
	r = &q->repeats[class == SG_EMIT_DROP ? place % SG_REPEATS : SG_REPEATS + place % SG_SEVERAL];
	if (r->tag == tag && event->time_ns - r->emitted_ns < REPEAT_NS) {
		r->event.time_ns = event->time_ns;
		r->event.packets += event->packets;
		r->event.bytes += event->bytes;
		return;
	}
	emit_repeats(q, r, event->time_ns);
	*r = (struct sg_repeat){ .tag = tag, .emitted_ns = event->time_ns, .event = *event };
	r->event.packets = r->event.bytes = 0;
	sg_event_push(q, event, class);
}

/* Whether the port may have one more event of its own, which it then is charged. */
static int has_share(struct sg_event_queue *q, const struct sg_event *event)
{
	return sg_event_room(q, event->port_id, SG_EMIT_DROP) &&
	       !sg_share_take(&q->drop_due[event->port_id], event->time_ns, DROP_GAP_NS, DROP_BURST * DROP_GAP_NS);
}

/* Add the drop to those between its two addresses. */
static void push_to_pair(struct sg_event_queue *q, const struct sg_hash_key *key, const struct sg_event *event)
{
	struct sg_event several = *event;

	if (event->proto != SG_PROTO_ICMP && event->proto != SG_PROTO_ICMPV6)
		several.sport = 0;
	several.dport = 0;
	push_unless_repeated(q, key, &several, SG_EMIT_DROPS);
}

void sg_event_push_drop(struct sg_event_queue *q, const struct sg_hash_key *key,
			const struct sg_event *event)
{
	if (has_share(q, event))
		push_unless_repeated(q, key, event, SG_EMIT_DROP);
	else
		push_to_pair(q, key, event);
}

void sg_event_push_drops(struct sg_event_queue *q, const struct sg_hash_key *key,
			 const struct sg_event *event)
{
	if (has_share(q, event))
		sg_event_push(q, event, SG_EMIT_DROP);
	else
		push_to_pair(q, key, event);
}

void sg_event_sweep(struct sg_event_queue *q, __u64 now_ns)
{
	for (__u32 i = 0; i < SWEEP; i++, q->swept = (q->swept + 1) % PLACES)
		if (now_ns - q->repeats[q->swept].emitted_ns >= REPEAT_NS)
			emit_repeats(q, &q->repeats[q->swept], now_ns);
}

void sg_event_flush(struct sg_event_queue *q)
{
	for (__u32 i = 0; i < PLACES; i++)
		emit_repeats(q, &q->repeats[i], q->repeats[i].emitted_ns);
}

__u32 sg_event_read(struct sg_event_queue *q, __u64 after, struct sg_event *out, __u32 max,
		    struct sg_event_page *page)
{
	const struct sg_event_log *log = q->log;
	__u64 number = after < log->first ? log->first : after + 1;
	__u32 found = 0;

	*page = (struct sg_event_page){
		.epoch = log->epoch, .first = number,
		.lost = log->lost_drops + log->lost_ends - q->lost_reported,
		.lost_drops = log->lost_drops, .lost_ends = log->lost_ends,
	};
	q->lost_reported += page->lost;
	for (; found < max && number < log->next; number++)
		out[found++] = log->events[number % SG_EVENTS];
	return found;
}

void sg_event_acknowledge(struct sg_event_queue *q, __u64 number)
{
	if (number >= q->log->next)
		return;
	for (__u64 gone = q->log->first; gone <= number; gone++)
		--*held_of(q, &q->log->events[gone % SG_EVENTS]);
	if (number >= q->log->first)
		q->log->first = number + 1;
}
