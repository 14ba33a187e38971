/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Verdicts for all but TCP: datagram flows (UDP, ICMP queries, other transports), ICMP errors, and
 * what has no flow at all. In: a packet. Out: a ruling; sessions and flow map along the way. */
#include "verdict/sg_judge.h"

#include "flow/sg_cache.h"
#include "flow/sg_flow.h"
#include "packet/sg_reject.h"

enum { REDIRECT = 5 };	/* ICMP's, of IPv4 */

/* Judged alone, as something its sender opens. */
static struct sg_ruling judge_alone(struct sg_core *core, struct sg_port *port,
				    const struct sg_packet *p, __u64 now_ns)
{
	struct sg_ruling r = { .opener = p->dir };
	struct sg_answer answer;
	struct sg_key key;
	__u8 opener;

	sg_flow_key(p, &key, &opener);
	/* An answer that nobody asked for is what it is, not what it would answer. */
	if (p->kind == SG_KIND_ICMP_REPLY || p->kind == SG_KIND_ICMP_OTHER)
		key.rport = p->icmp_type;
	answer = sg_flow_ask(port, &key, p->dir);
	if (answer.unknown)
		return sg_flow_unknown(p->dir);
	sg_flow_decided(core, port, p, &key, p->dir, &answer, 0, now_ns);
	r.rule_id = answer.rule_id;
	r.reason = answer.reason;
	if (answer.pass && answer.reason) {
		sg_record(core, port, p, &r, now_ns);
		r.reason = SEG_R_NONE;
	}
	if (answer.reject)
		sg_reject(core, port, p, now_ns);
	return r;
}

/* Of a flow that a rule rejects: its sender is told, a few times. */
static void answer_denied(struct sg_core *core, struct sg_port *port, struct sg_session *s,
			  const struct sg_packet *p, __u64 now_ns)
{
	if (!s->rejects || s->resets >= SG_RESETS_MAX)
		return;
	s->resets++;
	sg_reject(core, port, p, now_ns);
}

static struct sg_ruling open_flow(struct sg_core *core, struct sg_port *port,
				  const struct sg_key *key, const struct sg_packet *p, __u64 now_ns)
{
	struct sg_ruling r = { .opener = p->dir };
	struct sg_answer answer;
	struct sg_session *s;

	/* An association that was there before, or another path of one: who sent its INIT was not seen. */
	if (p->kind == SG_KIND_SCTP && !p->opens)
		answer = sg_flow_ask_either(port, key, &r.opener);
	else
		answer = sg_flow_ask(port, key, p->dir);
	if (answer.unknown)
		return sg_flow_unknown(r.opener);
	r.rule_id = answer.rule_id;
	sg_flow_decided(core, port, p, key, r.opener, &answer, answer.pass, now_ns);
	if (answer.pass) {
		s = sg_flow_open(core, port, key, p, &r, &answer, now_ns);
		if (!s)
			r.reason = SEG_R_SESSION_MEMORY;
	} else {
		r.reason = answer.reason;
		s = sg_flow_deny(core, port, key, p, &r, &answer, now_ns);
		if (s) {
			s->rejects = answer.reject;
			answer_denied(core, port, s, p, now_ns);
		} else if (answer.reject) {
			sg_reject(core, port, p, now_ns);
		}
	}
	if (s)
		sg_cache_sync(core, s, p, now_ns);
	if (s && answer.pass)
		sg_question_note(port, s, p);
	return r;
}

/* What the other end of a denied flow sends. One that was never open says nothing about it: it is a flow
 * of its own, whose own rule says whether it is answered. One that was open was theirs both, and a rule
 * that rejects it tells both, as it resets both ends of a connection. */
static struct sg_ruling judge_other_end(struct sg_core *core, struct sg_port *port,
					struct sg_session *s, const struct sg_packet *p,
					__u64 now_ns)
{
	struct sg_answer answer = sg_flow_ask(port, &s->key, p->dir);

	if (answer.pass) {
		struct sg_key key = s->key;

		sg_flow_end(core, s);
		return open_flow(core, port, &key, p, now_ns);
	}
	if (s->blocked && !answer.reject)
		answer_denied(core, port, s, p, now_ns);
	return judge_alone(core, port, p, now_ns);
}

static struct sg_ruling judge_flow(struct sg_core *core, struct sg_port *port,
				   const struct sg_packet *p, __u64 now_ns)
{
	const struct sg_session *question;
	struct sg_session *s;
	struct sg_key key;
	int turned = 0;
	__u8 opener;

	sg_flow_key(p, &key, &opener);
	s = sg_flow_find(core, port, &key);
	if (s && s->generation != port->rules->policy.generation)
		turned = sg_flow_judge_again(core, port, s, p, now_ns);
	if (turned < 0)
		return sg_flow_unknown(p->dir);
	if (turned)
		s->blocked = 1;
	question = !s || s->denied ? sg_question_answered(core, port, p, now_ns) : NULL;
	if (question) {
		sg_renewal_learn(port, p);
		return (struct sg_ruling){ question->rule_id, SEG_R_NONE, question->opener };
	}
	if ((!s || s->denied) && sg_renewal_passes(port, p, &key, now_ns))
		return (struct sg_ruling){ 0, SEG_R_NONE, p->dir };
	if (p->kind == SG_KIND_ICMP_REPLY && (!s || s->denied))
		return judge_alone(core, port, p, now_ns);
	/* What was opened the other way does not speak for it. */
	if (s && !s->denied && p->opens && p->dir != s->opener &&
	    !sg_flow_ask(port, &key, p->dir).pass)
		return judge_alone(core, port, p, now_ns);
	if (s && s->denied && p->dir != s->opener)
		return judge_other_end(core, port, s, p, now_ns);
	if (!s)
		return open_flow(core, port, &key, p, now_ns);
	sg_flow_touch(core, s, p, now_ns);
	if (s->denied)
		answer_denied(core, port, s, p, now_ns);
	else
		sg_question_note(port, s, p);
	sg_cache_sync(core, s, p, now_ns);
	return (struct sg_ruling){ s->rule_id, s->reason, s->opener };
}

/* An ICMP error passes with the flow it speaks of, and with nothing else. A redirect comes here in fragments, or
 * by a datapath that does not know who may send it. */
static struct sg_ruling judge_error(struct sg_core *core, const struct sg_port *port,
				    const struct sg_packet *p)
{
	struct sg_ruling r = { .reason = SEG_R_ICMP_UNRELATED, .opener = p->dir };
	struct sg_packet inner;
	struct sg_session *s;
	struct sg_key key;
	__u8 opener;
	int passes;

	if (p->family == SEG_FAMILY_IPV4 && p->icmp_type == REDIRECT) {
		r.reason = SEG_R_NOT_SERVED;
		return r;
	}
	if (sg_decode_quoted(p, &inner))
		return r;
	sg_flow_key(&inner, &key, &opener);
	s = sg_table_find(&core->table, &key);
	if (!s || s->created_ns <= port->sessions.closed_ns)
		return r;
	opener = s->opener;
	if (s->generation == port->rules->policy.generation)
		passes = !s->denied;
	else if (s->guessed)
		passes = sg_flow_ask_either(port, &key, &opener).pass;
	else
		passes = sg_flow_ask(port, &key, opener).pass;
	if (passes)
		r.reason = SEG_R_NONE;
	return r;
}

struct sg_ruling sg_judge(struct sg_core *core, struct sg_port *port, const struct sg_packet *p,
			  __u64 now_ns)
{
	switch (p->kind) {
	case SG_KIND_TCP:
		return sg_judge_tcp(core, port, p, now_ns);
	case SG_KIND_UDP:
	case SG_KIND_SCTP:
	case SG_KIND_ICMP_QUERY:
	case SG_KIND_ICMP_REPLY:
	case SG_KIND_PROTO:
		return judge_flow(core, port, p, now_ns);
	case SG_KIND_ICMP_ERROR:
		return judge_error(core, port, p);
	default:
		return judge_alone(core, port, p, now_ns);
	}
}
