/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Finds questions and answers in packets; see the header. In: packets, sessions. Out: questions that are outstanding, answers.
 * What cannot be read is sent on like anything else, and teaches nothing. */
#include "learn/sg_learn.h"

#include "flow/sg_ask.h"
#include "flow/sg_flow.h"
#include "learn/sg_learn_table.h"
#include "session/sg_tcp.h"

enum { ANY_TYPE = 255, GSO_SIZE_AT = 4 };

/* The flow that messages come on. */
struct exchange {
	const struct sg_context *c;
	struct sg_session *s;
};

static int teaches(__u16 type)
{
	return type == SG_DNS_A || type == SG_DNS_AAAA || type == SG_DNS_SVCB || type == SG_DNS_HTTPS || type == ANY_TYPE;
}

/* Whether the answer is one that the port waits for, from a resolver that it may ask. */
static int is_asked_for(const struct sg_context *c, const struct sg_session *s, const struct sg_dns_question *answer)
{
	if (!sg_questions_take(&c->core->questions, &c->port->questions, sg_session_handle(s), answer, c->now_ns)) {
		c->port->names.no_question++;
		c->core->names.no_question++;
		return 0;
	}
	c->port->names.wrong_resolver += s->violation;
	c->core->names.wrong_resolver += s->violation;
	return !s->violation;
}

static void take_message(void *context, const __u8 *message, __u32 length)
{
	const struct exchange *exchange = context;
	const struct sg_context *c = exchange->c;
	int answers = c->p->dir != exchange->s->initiator;
	struct sg_dns_question question;
	__u32 evicted;

	if (sg_dns_read_question(message, length, &question)) {
		c->port->names.malformed++;
		c->core->names.malformed++;
		return;
	}
	if (question.is_answer != answers || !teaches(question.type))
		return;
	if (answers) {
		if (is_asked_for(c, exchange->s, &question) && !question.code)
			sg_learn_answer(c, exchange->s, message, length, &question);
		return;
	}
	evicted = sg_questions_add(&c->core->questions, &c->port->questions, sg_session_handle(exchange->s), &question,
				   c->now_ns);
	c->port->names.evicted += evicted;
	c->core->names.evicted += evicted;
}

static int concerns(const struct sg_context *c, const struct sg_session *s)
{
	return s->dns && c->port->rules && sg_policy_uses_names(c->port->rules);
}

/* Whether a rule lets the port ask a resolver there, and not just send what looks like a question to whom it may reach: it asks
 * for DNS, and would not let another application pass. */
static int is_allowed_as_dns(const struct sg_context *c, const struct sg_session *s)
{
	struct sg_answer other;

	if (s->app != SG_APP_DNS || s->violation)
		return 0;
	other = sg_flow_ask_app(c->port, &s->key, s->initiator, SG_APP_UNKNOWN);
	return !other.unknown && other.keys.rule != s->keys.rule;
}

void sg_learn_opening(const struct sg_context *c, struct sg_session *s)
{
	if (c->p->kind == SG_KIND_UDP && !s->dns && s->initiator == SEG_DIR_EGRESS &&
	    sg_policy_uses_names(c->port->rules))
		s->dns = !!is_allowed_as_dns(c, s);
}

void sg_learn_datagram(const struct sg_context *c, struct sg_session *s)
{
	struct exchange exchange = { c, s };
	const struct sg_packet *p = c->p;
	const __u8 *data = p->frame->data + p->l4 + SG_UDP_LEN;
	__u32 length = p->payload_len, piece;
	__u16 size;

	if (p->kind != SG_KIND_UDP || !concerns(c, s))
		return;
	if (length > p->l4_len - SG_UDP_LEN)
		length = p->l4_len - SG_UDP_LEN;
	memcpy(&size, p->frame->vnet + GSO_SIZE_AT, sizeof(size));
	piece = sg_frame_is_gso(p->frame) && size ? size : length;
	/* A super-frame has several datagrams. */
	for (; length; data += piece, length -= piece) {
		piece = piece < length ? piece : length;
		take_message(&exchange, data, piece);
	}
}

/* A handshake says where both sides begin. */
static void start(struct sg_dns_stream *stream, const struct sg_context *c, __u8 side)
{
	const struct sg_packet *p = c->p;

	if (!stream->sides[side].known)
		sg_dns_stream_start(stream, side, p->seq + 1);
	if (side && p->tcp_flags & SG_ACK && !stream->sides[0].known)
		sg_dns_stream_start(stream, 0, p->ack);
}

int sg_learn_segment(const struct sg_context *c, struct sg_session *s)
{
	struct exchange exchange = { c, s };
	const struct sg_packet *p = c->p;
	struct sg_dns_segment segment = {
		.data = p->frame->data + p->l4 + p->l4_len - p->payload_len, .length = p->payload_len,
		.seq = p->seq + !!(p->tcp_flags & SG_SYN), .side = p->dir != s->initiator,
	};
	int passes = sg_frame_is_copy(p->frame) || sg_policy_records_only(c->port->rules);
	struct sg_dns_stream *stream;
	enum sg_dns_taken taken;

	if (!concerns(c, s) || p->tcp_flags & SG_RST || (!p->payload_len && !(p->tcp_flags & SG_SYN)))
		return 0;
	stream = sg_dns_stream_of(&c->core->dns_streams, &c->port->dns, sg_session_handle(s));
	if (stream && p->tcp_flags & SG_SYN)
		start(stream, c, segment.side);
	taken = stream ? sg_dns_stream_add(&c->core->dns_streams, &c->port->dns, stream, &segment, passes, take_message,
					   &exchange) : SG_DNS_LOST;
	c->port->names.truncated += taken == SG_DNS_LOST;
	c->core->names.truncated += taken == SG_DNS_LOST;
	if (taken == SG_DNS_HOLE)
		sg_flow_seen(c, s);
	return taken == SG_DNS_HOLE;
}
