/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Events of sessions; see the header. In: sessions. Out: events. No I/O. */
#include "flow/sg_flow_event.h"

#include "flow/sg_ask.h"
#include "session/sg_tcp.h"

void sg_flow_event(const struct sg_session *s, struct sg_event *event)
{
	int out = s->initiator == SEG_DIR_EGRESS;

	event->rule_id = s->rule_id;
	event->port_id = s->key.port_id;
	event->reason = s->violation ? s->violation_reason : s->reason;
	event->dir = s->initiator;
	event->family = s->key.family;
	event->proto = s->key.proto;
	event->app = s->app;
	event->proof = s->proof;
	memcpy(event->saddr, out ? s->key.laddr : s->key.raddr, sizeof(event->saddr));
	memcpy(event->daddr, out ? s->key.raddr : s->key.laddr, sizeof(event->daddr));
	if (sg_flow_is_icmp(&s->key)) {
		event->sport = (__u16)(s->key.rport << 8);
		event->dport = s->key.lport;
	} else {
		event->sport = out ? s->key.lport : s->key.rport;
		event->dport = out ? s->key.rport : s->key.lport;
	}
	if (s->service && !s->several)
		*(sg_flow_is_icmp(&s->key) ? &event->dport : &event->sport) = s->from_port;
}

static enum sg_event_class class_of_end(const struct sg_session *s)
{
	return s->seen_sides == 3 ? SG_EMIT_END : SG_EMIT_UNANSWERED;
}

__u8 sg_flow_answered(const struct sg_session *s, __u64 back_packets)
{
	if (s->key.proto != SG_PROTO_TCP)
		return back_packets ? SG_ANSWERED_DATA : SG_ANSWERED_NOT;
	if (!sg_tcp_is_answered(s))
		return SG_ANSWERED_NOT;
	return s->data_seen ? SG_ANSWERED_DATA : SG_ANSWERED_OPEN;
}

void sg_flow_emit_end(struct sg_core *core, struct sg_session *s)
{
	struct sg_event event = {
		.time_ns = s->last_seen_ns, .kind = SG_EVENT_FLOW_END, .started_ns = s->created_ns,
		.packets = s->packets[0] + s->packets[1], .bytes = s->bytes[0] + s->bytes[1],
		.back_packets = s->packets[1], .back_bytes = s->bytes[1],
		.kernel_packets = s->kernel_packets, .kernel_bytes = s->kernel_bytes,
		.violation = s->violation, .answer = sg_flow_answered(s, s->packets[1]),
	};

	if (s->ended)
		return;
	s->ended = 1;
	sg_flow_event(s, &event);
	sg_shown_copy(&core->shown, s, event.text);
	sg_event_push(&core->report.events, &event, class_of_end(s));
}

int sg_flow_may_end(const struct sg_core *core, const struct sg_session *s)
{
	return s->ended || sg_event_room(&core->report.events, s->key.port_id, class_of_end(s));
}

void sg_flow_emit_drops(struct sg_core *core, struct sg_session *s)
{
	struct sg_event event = {
		.time_ns = s->last_seen_ns, .packets = s->dropped_packets, .bytes = s->dropped_bytes,
		.kind = SG_EVENT_DROP,
	};

	if (!s->dropped_packets)
		return;
	sg_flow_event(s, &event);
	sg_event_push_drops(&core->report.events, core->report.hash_key, &event);
	s->dropped_packets = s->dropped_bytes = 0;
}

void sg_flow_forget_shown(struct sg_core *core, const struct sg_session *s)
{
	sg_quic_end(&core->quics, s->slot, s->key.port_id);
	sg_shown_end(&core->shown, s);
}
