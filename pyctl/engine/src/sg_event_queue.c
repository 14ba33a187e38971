/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Ring of events; full: new ones are forgotten and counted. The repeat table is direct-mapped: two
 * flows that meet in one place only lose suppressed counts, never a first report. */
#include "sg_event_queue.h"

#include <stddef.h>

#define REPEAT_NS 10000000000ULL

void sg_event_push(struct sg_event_queue *q, const struct sg_event *event)
{
	if (q->count == SG_EVENTS) {
		q->lost++;
		return;
	}
	q->events[(q->head + q->count++) % SG_EVENTS] = *event;
}

void sg_event_push_drop(struct sg_event_queue *q, const struct sg_hash_key *key,
			struct sg_event *event)
{
	/* Everything that names the flow and the reason, nothing that counts. */
	struct {
		__u16 port_id, reason, dport, sport;
		__u8 dir, family, proto, kind, pad[4];
		__u8 saddr[16], daddr[16];
	} name = {
		.port_id = event->port_id, .reason = event->reason, .dport = event->dport,
		.sport = event->sport, .dir = event->dir, .family = event->family,
		.proto = event->proto,
		.kind = event->kind,
	};
	struct sg_repeat *r;
	__u64 tag;

	_Static_assert(sizeof(name) % 8 == 0, "sg_hash takes whole words");
	memcpy(name.saddr, event->saddr, sizeof(name.saddr));
	memcpy(name.daddr, event->daddr, sizeof(name.daddr));
	tag = sg_hash(key, &name, sizeof(name)) | 1;
	r = &q->repeats[(tag >> 8) % SG_REPEATS];
	if (r->tag == tag && event->time_ns - r->told_ns < REPEAT_NS) {
		r->packets += event->packets;
		r->bytes += event->bytes;
		return;
	}
	if (r->tag == tag) {
		event->packets += r->packets;
		event->bytes += r->bytes;
	}
	*r = (struct sg_repeat){ .tag = tag, .told_ns = event->time_ns };
	sg_event_push(q, event);
}

__u32 sg_event_take(struct sg_event_queue *q, struct sg_event *out, __u32 max, __u64 *lost)
{
	__u32 taken = 0;

	for (; taken < max && q->count; taken++, q->count--) {
		out[taken] = q->events[q->head];
		q->head = (q->head + 1) % SG_EVENTS;
	}
	if (lost) {
		*lost = q->lost;
		q->lost = 0;
	}
	return taken;
}
