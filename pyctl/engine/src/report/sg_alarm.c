/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Threats as events; see the header. In: events. Out: as many or fewer, in the queue. No I/O. */
#include "report/sg_alarm.h"

#define GAP_NS 30000000000ULL

enum { SWEEP = SG_ALARMS / 32 };	/* looked at in one call */

static void emit(struct sg_event_queue *q, struct sg_repeat *r, __u64 now_ns)
{
	if (!r->event.packets)
		return;
	sg_event_push(q, &r->event, SG_EMIT_DROP);
	r->emitted_ns = now_ns;
	r->event.packets = r->event.bytes = 0;
}

void sg_alarm_raise(struct sg_alarms *alarms, struct sg_event_queue *q, const struct sg_hash_key *key,
		    const struct sg_event *event, const struct sg_alarm_name *whose)
{
	__u64 name[3] = { (__u64)whose->port_id << 48 | (__u64)event->reason << 32 | event->rule_id }, tag;
	struct sg_repeat *r;

	memcpy(&name[1], whose->peer, sizeof(whose->peer));
	tag = sg_hash(key, name, sizeof(name)) | 1;
	r = &alarms->of[(tag >> 8) % SG_ALARMS];
	/* What a program opened is told with a time before that of packets that came since. */
	if (r->tag == tag && event->time_ns < r->emitted_ns + GAP_NS) {
		r->event.time_ns = event->time_ns;
		r->event.packets += event->packets;
		r->event.bytes += event->bytes;
		return;
	}
	emit(q, r, event->time_ns);
	*r = (struct sg_repeat){ .tag = tag, .event = *event };
	emit(q, r, event->time_ns);
}

void sg_alarm_sweep(struct sg_alarms *alarms, struct sg_event_queue *q, __u64 now_ns)
{
	for (__u32 i = 0; i < SWEEP; i++, alarms->swept = (alarms->swept + 1) % SG_ALARMS)
		if (now_ns - alarms->of[alarms->swept].emitted_ns >= GAP_NS)
			emit(q, &alarms->of[alarms->swept], now_ns);
}

void sg_alarm_flush(struct sg_alarms *alarms, struct sg_event_queue *q)
{
	for (__u32 i = 0; i < SG_ALARMS; i++)
		emit(q, &alarms->of[i], alarms->of[i].emitted_ns);
}
