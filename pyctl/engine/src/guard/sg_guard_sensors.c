/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Sensors and a port's settings; see the header. In: packets, sessions. Out: events, verdicts.
 *
 * Bytes pass once they are scanned. What lies behind a hole passes too, and is scanned as soon as the hole is filled: its
 * receiver gives nothing of it to a program before that. What was scanned is kept until it is acknowledged, and another
 * version of it ends the flow: so the receiver takes what was scanned, or nothing. Where nothing is held back, what was
 * missed is given up when its receiver acknowledges it, and the rest is scanned. */
#include "guard/sg_guard_sensors.h"

#include "flow/sg_cache.h"
#include "flow/sg_flow.h"
#include "packet/sg_decode_l4.h"
#include "session/sg_tcp.h"

enum {
	SENSOR_ALARM = 1 << 16,	/* above the numbers of threats */
	GSO_SIZE_AT = 4,	/* in struct virtio_net_hdr */
	EXCERPT = 48,		/* bytes of what matched that an event may show */
	INFORMS = 1,		/* severities of a body that is not decoded: low */
	SEVERE = 3,		/* high */
};

/* A packet that is shown. */
struct show {
	const struct sg_context *c;
	struct sg_session *s;
	const struct sg_sensor_settings *settings;
	__u8 side;
	__u8 holds;		/* hits may be dropped */
	__u8 drops;		/* one is */
	__u8 resets;
};

static int holds(const struct sg_context *c)
{
	return !sg_frame_is_copy(c->p->frame) && !sg_policy_records_only(c->port->rules);
}

static void excerpt(char *out, const struct sg_catch *found)
{
	__u32 from = found->len > EXCERPT ? found->len - EXCERPT : 0;

	*out++ = ' ';
	for (; from < found->len; from++)
		*out++ = found->bytes[from] > ' ' && found->bytes[from] < 0x7f ? (char)found->bytes[from] : '.';
	*out = 0;
}

/* Raise an alarm of this number and name about the packet's flow; excerpts and other things are set by the caller. */
static void raise_alarm(const struct show *show, struct sg_event *event, __u32 number, int drops)
{
	const struct sg_context *c = show->c;
	struct sg_core *core = c->core;
	struct sg_alarm_name name = { .port_id = c->p->port_id };

	event->kind = SG_EVENT_SENSOR;
	event->time_ns = c->now_ns;
	event->packets = c->p->frames;
	event->bytes = c->p->bytes;
	event->answer = show->side;
	event->reason = drops ? SEG_R_SENSOR : SEG_R_NONE;
	event->rule_id = SENSOR_ALARM + number;
	memcpy(name.peer, show->s->key.raddr, sizeof(name.peer));
	sg_alarm_raise(&core->report.alarms, &core->report.events, core->report.hash_key, event, &name);
}

static void tell(const struct show *show, const struct sg_catch *found, int drops)
{
	__u32 length = (__u32)strlen(found->pattern->name);
	struct sg_event event = { 0 };

	sg_flow_event(show->s, &event);
	event.back_packets = (__u64)found->pattern->part << 8 | found->pattern->severity;
	event.back_bytes = found->to;
	memcpy(event.text, found->pattern->name, length);
	if (found->pattern->show)
		excerpt(event.text + length, found);
	raise_alarm(show, &event, (__u32)(found->pattern - show->c->core->sensors->patterns), drops);
}

/* What events call a body that was not decoded; no sensor's name begins so. */
static const char *const unread_names[] = {
	[SG_CODED_BROKEN] = "@body/broken", [SG_CODED_BOMB] = "@body/bomb", [SG_CODED_LONG] = "@body/long",
	[SG_CODED_NO_ROOM] = "@body/no_room", [SG_CODED_UNKNOWN] = "@body/unknown_coding",
};

/* Tell why a body was not decoded. Where hits in bodies are dropped, so is a bomb, whose sender means it to be too much for
 * somebody, and what is broken, which receivers read differently. All else is scanned as it is. */
static void tell_unread(struct show *show, enum sg_coded_why why)
{
	const struct sg_sensors *set = show->c->core->sensors;
	__u64 drop = show->settings->drop & set->of_part[SG_PART_BODY];
	int drops = (why == SG_CODED_BOMB || why == SG_CODED_BROKEN) && show->holds && drop;
	struct sg_event event = { 0 };

	sg_flow_event(show->s, &event);
	event.back_packets = (__u64)SG_PART_BODY << 8 | (why == SG_CODED_BOMB ? SEVERE : INFORMS);
	strcpy(event.text, unread_names[why]);
	raise_alarm(show, &event, SG_PATTERNS_MAX + why, drops);
	show->drops |= (__u8)drops;
	show->resets |= (__u8)(drops && show->settings->reset & set->of_part[SG_PART_BODY]);
}

/* Called with each match. */
static int told(void *ctx, const struct sg_catch *found)
{
	struct show *show = ctx;
	__u64 sensor = 1ULL << found->pattern->sensor;
	int drops = show->holds && show->settings->drop & sensor;

	if (found->unsure && !drops)
		return 0;
	tell(show, found, drops);
	if (!drops)
		return 0;
	show->drops = 1;
	show->resets |= !!(show->settings->reset & sensor);
	return 1;
}

static struct sg_verdict verdict_of(struct sg_session *s, __u16 reason, __u8 actions)
{
	return (struct sg_verdict){
		.rule_id = s->rule_id, .reason = reason, .initiator = s->initiator, .actions = actions, .session = s,
	};
}

/* End the flow for this reason; both ends are answered or not. */
static struct sg_verdict block(const struct sg_context *c, struct sg_session *s, __u16 reason, int resets)
{
	struct sg_verdict r;

	sg_flow_block(c, s, reason);
	s->blocked = 1;
	s->resets = resets ? 1 : SG_RESETS_MAX;
	r = verdict_of(s, reason, SG_DROP_WAITING);
	r.rule_id = 0;
	if (resets)
		r.actions |= s->key.proto == SG_PROTO_TCP ? SG_RESET_RECEIVER | SG_RESET_SENDER : SG_REJECT;
	sg_flow_touch(c, s);
	return r;
}

/* Drop a segment without an event: its sender repeats it. Returns 0 where nothing is held back: it passes. */
static int drop(const struct show *show, __u16 reason, struct sg_verdict *r)
{
	if (!show->holds)
		return 0;
	sg_flow_seen(show->c, show->s);
	sg_count(&show->c->port->counts, reason, show->c->p->frames, show->c->p->bytes);
	*r = verdict_of(show->s, SEG_R_NONE, SG_KEEP);
	return 1;
}

/* Tell what is wrong with the flow's bytes: it ends, or where nothing is held back is scanned no more. */
static int refuse(const struct show *show, __u16 reason, struct sg_verdict *r)
{
	if (show->holds) {
		*r = block(show->c, show->s, reason, 1);
		return 1;
	}
	sg_scan_end(&show->c->core->scans, show->s);
	show->s->scans = 0;
	*r = verdict_of(show->s, reason, 0);
	sg_flow_touch(show->c, show->s);
	return 1;
}

/* Whether something that is dropped may be in a part of HTTP. */
static int guards_requests(const struct sg_context *c, const struct sg_sensor_settings *settings)
{
	const __u64 *of = c->core->sensors->of_part;

	return ((of[SG_PART_URL] | of[SG_PART_HEADER] | of[SG_PART_BODY]) & settings->drop) != 0;
}

static int act_on(const struct show *show, enum sg_scan_say say, struct sg_verdict *r)
{
	const struct sg_context *c = show->c;

	if (show->drops) {
		*r = block(c, show->s, SEG_R_SENSOR, show->resets);
		return 1;
	}
	switch (say) {
	case SG_SCAN_DIFFERS:
		return refuse(show, SEG_R_TCP_DIFFERS, r);
	case SG_SCAN_NO_ROOM:
		if (!show->holds)
			sg_scan_skip(&c->core->scans, show->s, show->side, c->p->seq + c->p->payload_len);
		sg_count(&c->port->counts, SEG_R_HOLD_MEMORY, c->p->frames, c->p->bytes);
		return drop(show, SEG_R_SESSION_MEMORY, r);
	case SG_SCAN_WRONG:
		return show->holds && guards_requests(c, show->settings) ? refuse(show, SEG_R_BAD_REQUEST, r) : 0;
	default:
		return 0;
	}
}

/* Note with which numbers both sides begin. A SYN's data, which some servers take at once, comes again without it. */
static int take_syn(const struct show *show, struct sg_verdict *r)
{
	const struct sg_packet *p = show->c->p;
	struct sg_session *s = show->s;

	if (sg_tcp_opens(p) && p->dir == s->initiator && sg_tcp_is_opening(s) && !sg_scan_of(&show->c->core->scans, s))
		s->scans = 1;
	if (p->tcp_flags & SG_ACK && p->dir != s->initiator && sg_tcp_is_opening(s) &&
	    !sg_scan_of(&show->c->core->scans, s) && !sg_look_of(&show->c->core->looks, s)) {
		s->first_seq[0] = p->ack;
		s->first_seq[1] = p->seq + 1;
		s->starts = 1;
	}
	return p->payload_len ? drop(show, SEG_R_NOT_HELD, r) : 0;
}

static int show_payload(struct show *show, const struct sg_scan_ask *ask, struct sg_verdict *r)
{
	const struct sg_context *c = show->c;
	const struct sg_packet *p = c->p;
	struct sg_scans *scans = &c->core->scans;
	struct sg_session *s = show->s;
	enum sg_scan_say say = SG_SCAN_PASS;
	__u32 end = p->seq + p->payload_len;
	enum sg_coded_why why;

	if (p->payload_len)
		say = sg_scan_segment(scans, s, show->side, p->seq, p->frame->data + p->l4 + p->l4_len - p->payload_len,
				      p->payload_len, ask);
	if (say == SG_SCAN_PASS && p->tcp_flags & SG_FIN)
		say = sg_scan_fin(scans, s, show->side, end, ask);
	why = sg_scan_unread(scans, s);
	if (why)
		tell_unread(show, why);
	return act_on(show, say, r);
}

int sg_guard_segment(const struct sg_context *c, struct sg_session *s, struct sg_verdict *r)
{
	const struct sg_packet *p = c->p;
	struct sg_scans *scans = &c->core->scans;
	struct show show = {
		.c = c, .s = s, .settings = &c->port->rules->policy.sensors, .side = p->dir != s->initiator,
		.holds = (__u8)holds(c),
	};
	const struct sg_scan_ask ask = {
		.set = c->core->sensors, .wanted = show.settings->on, .told = told, .ctx = &show,
	};
	struct sg_scan *scan = sg_scan_of(scans, s);

	if (!ask.wanted || !ask.set) {
		sg_scan_end(scans, s);
		s->scans = 0;
		return 0;
	}
	if (p->tcp_flags & SG_SYN)
		return take_syn(&show, r);
	if (p->tcp_flags & SG_RST)
		return p->payload_len ? drop(&show, SEG_R_NOT_HELD, r) : 0;
	if (scan)
		sg_scan_turn(scans, s, &ask);
	if (show.drops)
		return act_on(&show, SG_SCAN_ENDED, r);
	if (scan && p->tcp_flags & SG_ACK)
		sg_scan_acknowledge(scans, s, !show.side, p->ack, !show.holds);
	if (!p->payload_len && !(scan && p->tcp_flags & SG_FIN))
		return 0;
	/* Some receivers take urgent bytes out of the stream. */
	if (p->tcp_flags & SG_URG)
		return drop(&show, SEG_R_NOT_HELD, r);
	if (p->payload_len && !sg_tcp_checksum_is_right(p))
		return drop(&show, SEG_R_TCP_CHECKSUM, r);
	if (!scan && !sg_scan_begin(scans, s, ask.set)) {
		sg_count(&c->port->counts, SEG_R_HOLD_MEMORY, p->frames, p->bytes);
		return drop(&show, SEG_R_SESSION_MEMORY, r);
	}
	return show_payload(&show, &ask, r);
}

/* Scan the datagram, or those of a super-frame. */
static enum sg_scan_say show_datagrams(const struct show *show, const struct sg_scan_ask *ask)
{
	const struct sg_packet *p = show->c->p;
	const __u8 *bytes = p->frame->data + p->l4 + SG_UDP_LEN;
	__u32 left = p->l4_len > SG_UDP_LEN ? p->l4_len - SG_UDP_LEN : 0;
	enum sg_scan_say say = SG_SCAN_PASS;
	__u16 piece;

	if (p->payload_len < left)
		left = p->payload_len;
	memcpy(&piece, p->frame->vnet + GSO_SIZE_AT, sizeof(piece));
	if (!sg_frame_is_gso(p->frame) || !piece)
		piece = 0xffff;
	while (left && say == SG_SCAN_PASS) {
		__u32 len = left < piece ? left : piece;

		say = sg_scan_datagram(&show->c->core->scans, show->s, show->side, bytes, len, 1, ask);
		bytes += len;
		left -= len;
	}
	return say;
}

int sg_guard_datagram(const struct sg_context *c, struct sg_session *s, struct sg_verdict *r)
{
	struct sg_scans *scans = &c->core->scans;
	struct show show = {
		.c = c, .s = s, .settings = &c->port->rules->policy.sensors, .side = c->p->dir != s->initiator,
		.holds = (__u8)holds(c),
	};
	const struct sg_scan_ask ask = {
		.set = c->core->sensors, .wanted = show.settings->on, .told = told, .ctx = &show,
	};
	struct sg_scan *scan = sg_scan_of(scans, s);

	if (c->p->kind != SG_KIND_UDP || !ask.set || !(ask.wanted & ask.set->of_part[SG_PART_PACKET])) {
		sg_scan_end(scans, s);
		return 0;
	}
	if (scan)
		sg_scan_turn(scans, s, &ask);
	if (show.drops)
		return act_on(&show, SG_SCAN_ENDED, r);
	if (!scan && !sg_scan_begin(scans, s, ask.set))
		return act_on(&show, SG_SCAN_NO_ROOM, r);
	return act_on(&show, show_datagrams(&show, &ask), r);
}
