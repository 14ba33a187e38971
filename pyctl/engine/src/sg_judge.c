/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Verdicts for all but TCP: datagram flows (UDP, ICMP queries, other transports), ICMP errors, and
 * what has no flow at all. In: a packet. Out: a ruling; sessions and flow map along the way. */
#include "sg_judge.h"

#include "sg_cache.h"
#include "sg_flow.h"
#include "sg_reject.h"

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
	struct sg_answer answer = sg_flow_ask(port, key, p->dir);
	struct sg_ruling r = { .rule_id = answer.rule_id, .opener = p->dir };
	struct sg_session *s;

	sg_flow_decided(core, port, p, key, p->dir, &answer, answer.pass, now_ns);
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

		sg_flow_end(core, s, now_ns);
		return open_flow(core, port, &key, p, now_ns);
	}
	if (s->blocked && !answer.reject)
		answer_denied(core, port, s, p, now_ns);
	return judge_alone(core, port, p, now_ns);
}

static struct sg_ruling judge_flow(struct sg_core *core, struct sg_port *port,
				   const struct sg_packet *p, __u64 now_ns)
{
	struct sg_session *s;
	struct sg_key key;
	__u8 opener;

	sg_flow_key(p, &key, &opener);
	s = sg_table_find(&core->table, &key);
	if (s && s->generation != port->rules->policy.generation &&
	    sg_flow_judge_again(core, port, s, p, now_ns))
		s->blocked = 1;
	if (p->kind == SG_KIND_ICMP_REPLY && (!s || s->denied))
		return judge_alone(core, port, p, now_ns);
	if (s && s->denied && p->dir != s->opener)
		return judge_other_end(core, port, s, p, now_ns);
	if (!s)
		return open_flow(core, port, &key, p, now_ns);
	sg_flow_touch(core, s, p, now_ns);
	if (s->denied)
		answer_denied(core, port, s, p, now_ns);
	sg_cache_sync(core, s, p, now_ns);
	return (struct sg_ruling){ s->rule_id, s->reason, s->opener };
}

/* An ICMP error passes with the flow it speaks of, and with nothing else. */
static struct sg_ruling judge_error(struct sg_core *core, const struct sg_port *port,
				    const struct sg_packet *p)
{
	struct sg_ruling r = { .reason = SEG_R_ICMP_UNRELATED, .opener = p->dir };
	struct sg_packet inner;
	struct sg_session *s;
	struct sg_key key;
	__u8 opener;

	if (sg_decode_quoted(p, &inner))
		return r;
	sg_flow_key(&inner, &key, &opener);
	s = sg_table_find(&core->table, &key);
	if (!s)
		return r;
	if (s->generation == port->rules->policy.generation ? !s->denied :
	    sg_flow_ask(port, &key, s->opener).pass)
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
