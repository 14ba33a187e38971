/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Judges everything except TCP: datagram flows (UDP, ICMP queries, other transports), ICMP errors, and packets without a
 * flow. In: a packet. Out: a verdict, and sessions. */
#include "verdict/sg_judge.h"

#include "flow/sg_ask.h"
#include "flow/sg_flow.h"
#include "guard/sg_guard_sensors.h"
#include "learn/sg_learn.h"
#include "learn/sg_learn_table.h"
#include "packet/sg_decode.h"
#include "policy/sg_dhcp.h"
#include "verdict/sg_group_query.h"
#include "verdict/sg_judge_app.h"
#include "datagram/sg_judge_quic.h"
#include "verdict/sg_judge_tcp.h"
#include "verdict/sg_renewal.h"

enum { REDIRECT = 5 };	/* ICMP's, of IPv4 */

/* Judge the packet alone, as a flow that its sender opens. */
static struct sg_verdict judge_alone(struct sg_context *c)
{
	const struct sg_packet *p = c->p;
	struct sg_verdict r = { .initiator = p->dir };
	struct sg_answer answer;

	/* A rule matches an unsolicited reply by its own type. */
	if (p->kind == SG_KIND_ICMP_REPLY || p->kind == SG_KIND_ICMP_OTHER)
		c->key.rport = p->icmp_type;
	answer = sg_flow_ask(c->port, &c->key, p->dir);
	if (answer.unknown)
		return sg_verdict_unknown(p->dir);
	sg_flow_decided(c, p->dir, &answer, 0);
	r.rule_id = answer.rule_id;
	r.reason = answer.pass ? SEG_R_NONE : answer.reason;
	r.actions = answer.reject ? SG_REJECT : 0;
	return r;
}

/* A rule that rejects answers the sender of a denied flow a few times, and those of a denied service at the port's pace. */
static __u8 answer_denied(struct sg_session *s)
{
	if (s->rejects && s->service)
		return SG_REJECT;
	if (!s->rejects || s->resets >= SG_RESETS_MAX)
		return 0;
	s->resets++;
	return SG_REJECT;
}

/* Whether a denial of the packet's flow is one of its service: of every source port. */
static int is_of_service(const struct sg_packet *p)
{
	/* Of an association that nobody saw begin, the initiator is a guess. */
	if (p->kind == SG_KIND_SCTP)
		return p->opens;
	return p->kind != SG_KIND_UDP || !sg_dhcp_is_port(p->dport);
}

static struct sg_verdict open_flow(const struct sg_context *c)
{
	const struct sg_packet *p = c->p;
	struct sg_verdict r = { .initiator = p->dir };
	struct sg_answer answer;

	/* The INIT was not seen: the association is older, or this is another path of it. */
	if (p->kind == SG_KIND_SCTP && !p->opens)
		answer = sg_flow_ask_either(c->port, &c->key, &r.initiator);
	else
		answer = sg_judge_app_opening(c);
	if (answer.unknown)
		return sg_verdict_unknown(r.initiator);
	r.rule_id = answer.rule_id;
	sg_flow_decided(c, r.initiator, &answer, answer.pass);
	if (answer.pass) {
		r.session = sg_flow_open(c, r.initiator, &answer);
		if (!r.session) {
			r.reason = SEG_R_SESSION_MEMORY;
			return r;
		}
		sg_judge_quic_opened(c, r.session, answer.by_facts);
		sg_group_query_note(c, r.session);
		sg_learn_opening(c, r.session);
		sg_learn_datagram(c, r.session);
		sg_guard_datagram(c, r.session, &r);
		return r;
	}
	r.reason = answer.reason;
	r.session = is_of_service(p) && !answer.app ? sg_flow_deny_service(c, &answer) :
						     sg_flow_deny(c, r.initiator, &answer);
	if (r.session) {
		r.session->rejects = answer.reject;
		r.actions = answer_denied(r.session);
	} else if (answer.reject) {
		r.actions = SG_REJECT;
	}
	return r;
}

/* Judge a packet of a denied flow's other end. If the flow was never open, the packet is a flow of its own, judged by its
 * own rule. If the flow was open, a rule that rejects it answers both ends, as it resets both ends of a connection. */
static struct sg_verdict judge_other_end(struct sg_context *c, struct sg_session *s)
{
	struct sg_answer answer = sg_judge_app_opening(c);
	struct sg_verdict r;
	__u8 actions = 0;

	if (answer.pass) {
		sg_flow_end(c->core, s);
		return open_flow(c);
	}
	if (s->blocked && !answer.reject)
		actions = answer_denied(s);
	r = judge_alone(c);
	r.actions |= actions;
	return r;
}

static struct sg_verdict judge_flow(struct sg_context *c)
{
	struct sg_session *s = sg_flow_find(c->core, c->port, &c->key);
	const struct sg_packet *p = c->p;
	struct sg_verdict r = { .initiator = p->dir };
	const struct sg_session *question;
	int turned = 0;

	if (s && s->generation != c->port->rules->policy.generation)
		turned = sg_flow_revalidate(c, s);
	if (turned < 0)
		return sg_verdict_unknown(p->dir);
	if (turned)
		s->blocked = 1;
	if (!s || s->denied) {
		question = sg_group_query_answered(c);
		if (question) {
			sg_renewal_learn(c);
			r.rule_id = question->rule_id;
			r.initiator = question->initiator;
			return r;
		}
		if (sg_renewal_passes(c))
			return r;
		if (p->kind == SG_KIND_ICMP_REPLY)
			return judge_alone(c);
		if (!s)
			return open_flow(c);
		if (p->dir != s->initiator)
			return judge_other_end(c, s);
		r.actions = answer_denied(s);
	} else if (p->opens && p->dir != s->initiator && !sg_flow_ask(c->port, &c->key, p->dir).pass) {
		/* A session in the other direction does not allow it. */
		return judge_alone(c);
	} else {
		sg_group_query_note(c, s);
	}
	if (!s->denied && s->key.proto == SG_PROTO_UDP && sg_session_is_looked_at(s)) {
		sg_learn_datagram(c, s);
		return sg_judge_quic(c, s);
	}
	sg_flow_touch(c, s);
	if (!s->denied)
		sg_learn_datagram(c, s);
	if (!s->denied && sg_guard_datagram(c, s, &r))
		return r;
	r.rule_id = s->rule_id;
	r.reason = s->reason;
	r.initiator = s->initiator;
	r.session = s;
	return r;
}

/* An ICMP error passes only with the flow that it quotes. A redirect comes here in fragments, or from a datapath that does
 * not know who may send it. */
static struct sg_verdict judge_error(const struct sg_context *c)
{
	struct sg_verdict r = { .reason = SEG_R_ICMP_UNRELATED, .initiator = c->p->dir };
	const struct sg_port *port = c->port;
	struct sg_packet inner;
	struct sg_session *s;
	struct sg_key key;
	__u8 initiator;
	int passes;

	if (c->p->family == SEG_FAMILY_IPV4 && c->p->icmp_type == REDIRECT) {
		r.reason = SEG_R_NOT_SERVED;
		return r;
	}
	if (sg_decode_quoted(c->p, &inner))
		return r;
	sg_flow_key(&inner, &key);
	s = sg_table_find(&c->core->table, &key);
	if (!s || s->created_ns <= port->sessions.closed_ns)
		return r;
	initiator = s->initiator;
	if (s->generation == port->rules->policy.generation)
		passes = !s->denied;
	else if (s->guessed)
		passes = sg_flow_ask_either(port, &key, &initiator).pass;
	else
		passes = sg_flow_ask_again(c->core, port, s).pass;
	if (passes)
		r.reason = SEG_R_NONE;
	return r;
}

struct sg_verdict sg_judge(struct sg_context *c)
{
	if (c->p->kind == SG_KIND_ICMP_ERROR)
		return judge_error(c);
	sg_flow_key(c->p, &c->key);
	sg_learn_ask_others(c);
	switch (c->p->kind) {
	case SG_KIND_TCP:
		return sg_judge_tcp(c);
	case SG_KIND_UDP:
	case SG_KIND_SCTP:
	case SG_KIND_ICMP_QUERY:
	case SG_KIND_ICMP_REPLY:
	case SG_KIND_PROTO:
		return judge_flow(c);
	default:
		return judge_alone(c);
	}
}
