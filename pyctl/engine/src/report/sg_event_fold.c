/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Sums up ended flows; see sg_event_fold() in sg_core.h. In: events. Out: as many or fewer. No I/O.
 * Ended flows that are alike but for the initiator's port are a crowd. The agent sums up too
 * (telemetry/history/aggregation.py), at a hundred times the cost for each flow. */
#include <stdlib.h>
#include <string.h>

#include "api/sg_core.h"
#include "packet/sg_packet.h"

enum { CROWD = 8 };		/* up to so many stay single */

static int is_foldable(const struct sg_event *event)
{
	return event->kind == SG_EVENT_FLOW_END &&
	       (event->proto == SG_PROTO_TCP || event->proto == SG_PROTO_UDP || event->proto == SG_PROTO_SCTP);
}

/* All but counts, times and the initiator's port. */
static int order(const struct sg_event *a, const struct sg_event *b)
{
	const __u64 ones[] = { a->port_id, a->dport, a->rule_id, a->reason, a->dir, a->family, a->proto, a->violation,
			       a->answer, a->app, a->proof };
	const __u64 others[] = { b->port_id, b->dport, b->rule_id, b->reason, b->dir, b->family, b->proto, b->violation,
				 b->answer, b->app, b->proof };
	int differs = memcmp(ones, others, sizeof(ones));

	if (!differs)
		differs = memcmp(a->saddr, b->saddr, sizeof(a->saddr));
	return differs ? differs : memcmp(a->daddr, b->daddr, sizeof(a->daddr));
}

static int compare(const void *one, const void *other)
{
	const struct sg_event *a = *(struct sg_event *const *)one, *b = *(struct sg_event *const *)other;
	int differs = order(a, b);

	/* Then as they came. */
	return differs ? differs : (a > b) - (a < b);
}

static void add(struct sg_event *sum, struct sg_event *event)
{
	sum->flows++;
	sum->sport = 0;
	sum->packets += event->packets;
	sum->bytes += event->bytes;
	sum->back_packets += event->back_packets;
	sum->back_bytes += event->back_bytes;
	sum->kernel_packets += event->kernel_packets;
	sum->kernel_bytes += event->kernel_bytes;
	if (event->started_ns < sum->started_ns)
		sum->started_ns = event->started_ns;
	if (event->time_ns > sum->time_ns)
		sum->time_ns = event->time_ns;
	if (strncmp(sum->text, event->text, sizeof(sum->text)))
		sum->text[0] = 0;
	event->kind = 0;
}

__u32 sg_event_fold(struct sg_event *events, __u32 count, const __u8 *ports)
{
	struct sg_event **ends = malloc((count + 1ULL) * sizeof(struct sg_event *));
	__u32 found = 0, kept = 0, next;

	if (!ends)
		return count;
	for (__u32 i = 0; i < count; i++)
		if (is_foldable(&events[i]) && ports[events[i].port_id])
			ends[found++] = &events[i];
	qsort(ends, found, sizeof(*ends), compare);
	for (__u32 i = 0; i < found; i = next) {
		for (next = i + 1; next < found && !order(ends[i], ends[next]); next++)
			;
		if (next - i <= CROWD)
			continue;
		ends[i]->flows = 1;
		for (__u32 other = i + 1; other < next; other++)
			add(ends[i], ends[other]);
	}
	free(ends);
	for (__u32 i = 0; i < count; i++)
		if (events[i].kind)
			events[kept++] = events[i];
	return kept;
}
