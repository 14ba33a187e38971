/* SPDX-License-Identifier: GPL-2.0-only */
/* Counts every frame under one reason, and emits an event for a drop, at most one a second.
 *
 * API: seg_count().
 */
#ifndef SEG_COUNT_H
#define SEG_COUNT_H

#include "lib/seg_parse.h"

enum seg_count_limit { SEG_EVENT_PERIOD_NS = 1000000000 };

#define SEG_CATEGORY_steer 0ULL
#define SEG_CATEGORY_pass 0ULL
#define SEG_CATEGORY_drop 1ULL
#define SEG_DROP_BIT(name, number, category, caption) | SEG_CATEGORY_##category << (number)
_Static_assert(SEG_R_COUNT <= 64, "a reason is a bit of SEG_DROPS");
/* Bit n: reason n is a drop. */
#define SEG_DROPS (0ULL SEG_REASONS(SEG_DROP_BIT))

SEG_INLINE int seg_is_drop(__u32 reason)
{
	return SEG_DROPS >> (reason & 63) & 1;
}

SEG_INLINE void seg_emit_event(struct __sk_buff *skb, const struct seg_pkt *pkt, __u16 port_id, __u8 dir,
			 __u16 reason, int passed, __u64 packets, __u64 now)
{
	struct seg_event *event =
		bpf_ringbuf_reserve((void *)SEG_MAP(seg_events), sizeof(*event), 0);

	if (!event)
		return;
	__builtin_memset(event, 0, sizeof(*event));
	event->time_ns = now;
	event->packets = packets;
	event->ifindex = skb->ifindex;
	event->frame_len = skb->len;
	event->port_id = port_id;
	event->reason = reason;
	event->ethertype = pkt->ethertype;
	event->dir = dir;
	event->proto = pkt->proto;
	event->passed = (__u8)passed;
	event->family = pkt->family;
	event->sport = pkt->sport;
	event->dport = pkt->dport;
	__builtin_memcpy(event->dmac, pkt->dmac, sizeof(event->dmac));
	__builtin_memcpy(event->smac, pkt->smac, sizeof(event->smac));
	__builtin_memcpy(event->saddr, pkt->saddr, sizeof(event->saddr));
	__builtin_memcpy(event->daddr, pkt->daddr, sizeof(event->daddr));
	bpf_ringbuf_submit(event, 0);
}

/* `passed`: the reason is a drop, but the mode only records. */
SEG_INLINE void seg_count(struct __sk_buff *skb, const struct seg_pkt *pkt, __u16 port_id, __u8 dir,
			  __u16 reason, int passed)
{
	struct seg_counter_key key = { .port_id = port_id, .reason = reason };
	struct seg_counter *counter = seg_map_lookup(seg_counters, &key);
	__u64 now;

	if (!counter) {
		struct seg_counter zero = {};

		seg_map_create(seg_counters, &key, &zero);
		counter = seg_map_lookup(seg_counters, &key);
		if (!counter)
			return;
	}
	counter->packets++;
	counter->bytes += skb->len;
	counter->passed += !!passed;
	/* A bridge sends link control every two seconds: an event for each would be noise. */
	if (!seg_is_drop(reason) || reason == SEG_R_LINK_CONTROL)
		return;
	now = bpf_ktime_get_ns();
	if (counter->last_event_ns && now - counter->last_event_ns < SEG_EVENT_PERIOD_NS)
		return;
	counter->last_event_ns = now;
	seg_emit_event(skb, pkt, port_id, dir, reason, passed, counter->packets, now);
}

#endif
