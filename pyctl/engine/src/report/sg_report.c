/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Counts packets by reason and emits events; see the header. In: packets, verdicts. Out: counts, events. */
#include "report/sg_report.h"

/* Every packet of a flood may be another flow, so that its port floods is emitted once a second. */
static int may_emit(struct sg_counts *counts, __u16 reason, __u64 now_ns)
{
	if (reason != SEG_R_PORT_SHARE && reason != SEG_R_SYN_RATE)
		return 1;
	if (now_ns - counts->share_emitted_ns < SG_SECOND)
		return 0;
	counts->share_emitted_ns = now_ns;
	return 1;
}

void sg_record(struct sg_report *report, struct sg_counts *counts, const struct sg_packet *p,
	       const struct sg_verdict *verdict, enum sg_event_kind kind, __u64 now_ns)
{
	int staged = verdict->reason == SEG_R_STAGED_DENY || verdict->reason == SEG_R_STAGED_ALLOW;
	/* The flow is named from its initiator's side. */
	struct sg_event event = {
		.time_ns = now_ns, .packets = p->frames, .bytes = p->bytes,
		.rule_id = verdict->rule_id, .port_id = p->port_id, .reason = verdict->reason,
		.kind = staged && kind == SG_EVENT_VIOLATION ? SG_EVENT_STAGED : kind,
		.dir = verdict->initiator ? verdict->initiator : p->dir, .family = p->family,
		.proto = p->proto, .sport = p->sport, .dport = p->dport,
	};
	int turned = event.dir != p->dir;

	if (verdict->session) {
		event.app = verdict->session->app;
		event.proof = verdict->session->proof;
	}
	if (verdict->session)
		memcpy(event.text, report->text, sizeof(event.text));
	sg_count(counts, verdict->reason, p->frames, p->bytes);
	if (event.kind == SG_EVENT_VIOLATION)
		counts->of[verdict->reason].passed += p->frames;
	if (!may_emit(counts, verdict->reason, now_ns))
		return;
	memcpy(event.saddr, turned ? p->daddr : p->saddr, sizeof(event.saddr));
	memcpy(event.daddr, turned ? p->saddr : p->daddr, sizeof(event.daddr));
	if (turned && (p->kind == SG_KIND_TCP || p->kind == SG_KIND_UDP || p->kind == SG_KIND_SCTP)) {
		event.sport = p->dport;
		event.dport = p->sport;
	}
	sg_event_push_drop(&report->events, report->hash_key, &event);
}
