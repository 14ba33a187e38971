/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Counts packets, and records drops, violations and staged verdicts. */
#ifndef SG_REPORT_H
#define SG_REPORT_H

#include "packet/sg_packet.h"
#include "packet/sg_verdict.h"
#include "report/sg_alarm.h"
#include "report/sg_event_queue.h"
#include "report/sg_hits.h"

struct sg_report {
	struct sg_event_queue events;
	struct sg_alarms alarms;
	struct sg_hits hits;
	const struct sg_hash_key *hash_key;	/* the session table's */
	char text[SG_EVENT_TEXT];	/* of events to come; empty: none */
};

/* Of one port. */
struct sg_counts {
	struct sg_reason_count of[SEG_R_COUNT];
	__u64 share_emitted_ns;
};

static inline void sg_count(struct sg_counts *counts, __u16 reason, __u64 packets, __u64 bytes)
{
	counts->of[reason].packets += packets;
	counts->of[reason].bytes += bytes;
}

/* Count p and emit an event: it is dropped, or (SG_EVENT_VIOLATION) passes although the policy or a staged rule would drop
 * it. */
void sg_record(struct sg_report *report, struct sg_counts *counts, const struct sg_packet *p,
	       const struct sg_verdict *verdict, enum sg_event_kind kind, __u64 now_ns);

#endif
