/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Log of events, numbered; full: new ones are forgotten and counted. The repeat table is direct-mapped: two
 * flows that meet in one place only lose suppressed counts, never a first report. */
#include "sg_event_queue.h"

#include <errno.h>
#include <stdlib.h>

#define REPEAT_NS 10000000000ULL

static void start(struct sg_event_log *log, __u64 epoch)
{
	log->epoch = epoch;
	log->first = log->next = 1;
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
}

void sg_event_push(struct sg_event_queue *q, const struct sg_event *event)
{
	if (q->log->next - q->log->first == SG_EVENTS) {
		q->lost++;
		return;
	}
	q->log->events[q->log->next % SG_EVENTS] = *event;
	/* After the event is whole, for whoever finds the log of a dead engine. */
	__atomic_store_n(&q->log->next, q->log->next + 1, __ATOMIC_RELEASE);
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

__u32 sg_event_read(struct sg_event_queue *q, __u64 after, struct sg_event *out, __u32 max,
		    struct sg_event_page *page)
{
	const struct sg_event_log *log = q->log;
	__u64 number = after < log->first ? log->first : after + 1;
	__u32 found = 0;

	*page = (struct sg_event_page){ .epoch = log->epoch, .first = number, .lost = q->lost };
	q->lost = 0;
	for (; found < max && number < log->next; number++)
		out[found++] = log->events[number % SG_EVENTS];
	return found;
}

void sg_event_acknowledge(struct sg_event_queue *q, __u64 number)
{
	if (number >= q->log->first && number < q->log->next)
		q->log->first = number + 1;
}
