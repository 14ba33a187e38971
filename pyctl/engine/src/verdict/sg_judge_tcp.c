/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Verdicts for TCP. In: a packet. Out: a ruling; sessions, resets and flow map along the way.
 * Precedence, for a packet of a known connection:
 *   1. a SYN that is no repeat of the opener's is judged in its own right;
 *   2. a session judged by another policy is judged again, though not at a copy that was under way when
 *      the mode changed: nothing can be answered to one, so the first packet that is held will say it;
 *   3. a blocked one answers its sender with RST, a few times, then the kernel drops it;
 *   4. else it passes, and its state decides whether the kernel carries the rest. */
#include "verdict/sg_judge.h"

#include "flow/sg_cache.h"
#include "flow/sg_flow.h"
#include "packet/sg_reject.h"
#include "packet/sg_reset.h"
#include "session/sg_tcp.h"

struct context {
	struct sg_core *core;
	struct sg_port *port;
	const struct sg_packet *p;
	struct sg_key key;
	__u64 now_ns;
};

static struct sg_ruling refuse_syn(const struct context *c, const struct sg_answer *answer)
{
	if (answer->reject)
		sg_reject(c->core, c->port, c->p, c->now_ns);
	else if (c->port->rules->policy.flags & SG_POLICY_DENY_RST)
		sg_reset_sender(c->core, c->port, c->p);
	return (struct sg_ruling){ answer->rule_id, answer->reason, c->p->dir };
}

/* From a tap, though by now the port's packets are held. */
static int is_late_copy(const struct context *c)
{
	return sg_frame_is_copy(c->p->frame) && !sg_policy_records_only(c->port->rules);
}

static void reset_both(const struct context *c, struct sg_session *s)
{
	sg_reset_receiver(c->core, c->port, c->p);
	sg_reset_sender(c->core, c->port, c->p);
	s->blocked = 1;
	s->resets = 1;
}

/* Data of a connection that nobody saw being opened. */
static void block_midstream(const struct context *c, const struct sg_ruling *r,
			    const struct sg_answer *answer, int sure)
{
	struct sg_session *s = NULL;

	if (!is_late_copy(c))
		s = sg_flow_deny(c->core, c->port, &c->key, c->p, r, answer, c->now_ns);
	if (s) {
		s->midstream = 1;
		s->guessed = !sure;
		reset_both(c, s);
	}
}

static struct sg_ruling open_connection(const struct context *c)
{
	const struct sg_packet *p = c->p;
	struct sg_ruling r = { .opener = p->dir };
	struct sg_answer answer;
	struct sg_session *s;
	int sure = 1;

	if (!(p->tcp_flags & SG_SYN))
		r.opener = sg_flow_guess_opener(c->core, c->port, &c->key, &sure);
	else if (!sg_tcp_opens(p))
		r.opener = sg_other_dir(p->dir);
	answer = sure ? sg_flow_ask(c->port, &c->key, r.opener) :
			sg_flow_ask_either(c->port, &c->key, &r.opener);
	if (answer.unknown)
		return sg_flow_unknown(r.opener);
	sg_flow_decided(c->core, c->port, p, &c->key, r.opener, &answer,
			answer.pass && !(p->tcp_flags & (SG_FIN | SG_RST)), c->now_ns);
	r.rule_id = answer.rule_id;
	r.reason = answer.reason;
	if (!answer.pass) {
		if (sg_tcp_opens(p))
			return refuse_syn(c, &answer);
		if (!(p->tcp_flags & (SG_SYN | SG_FIN | SG_RST)))
			block_midstream(c, &r, &answer, sure);
		return r;
	}
	r.reason = SEG_R_NONE;
	if (p->tcp_flags & (SG_FIN | SG_RST)) {
		if (answer.reason) {
			struct sg_ruling violation = { r.rule_id, answer.reason, r.opener };

			sg_record(c->core, c->port, p, &violation, c->now_ns);
		}
		return r;
	}
	s = sg_flow_open(c->core, c->port, &c->key, p, &r, &answer, c->now_ns);
	if (!s) {
		r.reason = SEG_R_SESSION_MEMORY;
		return r;
	}
	s->guessed = !sure;
	sg_cache_sync(c->core, s, p, c->now_ns);
	return r;
}

static struct sg_ruling pass(const struct context *c, struct sg_session *s)
{
	sg_flow_touch(c->core, s, c->p, c->now_ns);
	sg_cache_sync(c->core, s, c->p, c->now_ns);
	if (sg_tcp_is_over(s))
		sg_flow_tell_end(c->core, s);
	return (struct sg_ruling){ s->rule_id, SEG_R_NONE, s->opener };
}

/* A SYN on a tuple that has a session already: a new connection, or a stray that its receiver will
 * answer with a challenge. Allowed or not, the old session must not vouch for it. */
static struct sg_ruling judge_attempt(const struct context *c, struct sg_session *s)
{
	struct sg_answer answer = sg_flow_ask(c->port, &c->key, c->p->dir);
	int alive = s->tcp_state == SG_TCP_ESTABLISHED || sg_tcp_is_opening(s);

	if (answer.unknown)
		return sg_flow_unknown(c->p->dir);
	if (!answer.pass) {
		sg_flow_decided(c->core, c->port, c->p, &c->key, c->p->dir, &answer, 0,
				c->now_ns);
		return refuse_syn(c, &answer);
	}
	if (s->denied || s->midstream || !alive ||
	    s->generation != c->port->rules->policy.generation) {
		sg_flow_end(c->core, s);
		return open_connection(c);
	}
	return pass(c, s);
}

static int is_attempt(const struct sg_packet *p, const struct sg_session *s)
{
	if (!sg_tcp_opens(p))
		return 0;
	return s->denied || s->midstream || p->dir != s->opener || !sg_tcp_is_opening(s);
}

static struct sg_ruling refuse_blocked(const struct context *c, struct sg_session *s)
{
	struct sg_ruling r = { s->rule_id, SEG_R_BLOCKED_CONNECTION, s->opener };

	if (s->resets < SG_RESETS_MAX && !(c->p->tcp_flags & SG_RST)) {
		sg_reset_sender(c->core, c->port, c->p);
		s->resets++;
	}
	sg_flow_touch(c->core, s, c->p, c->now_ns);
	sg_cache_sync(c->core, s, c->p, c->now_ns);
	return r;
}

/* The policy that allowed s is gone, and the new one does not. */
static struct sg_ruling block(const struct context *c, struct sg_session *s)
{
	struct sg_ruling r = { s->rule_id, SEG_R_BLOCKED_CONNECTION, s->opener };

	if (s->tcp_state == SG_TCP_SYN_SENT && sg_tcp_opens(c->p)) {
		struct sg_answer answer = {
			.rule_id = s->rule_id, .reason = s->reason, .reject = s->rejects,
		};

		sg_flow_end(c->core, s);
		return refuse_syn(c, &answer);
	}
	if (sg_tcp_is_over(s)) {
		s->blocked = 1;
		s->resets = SG_RESETS_MAX;
	} else {
		reset_both(c, s);
	}
	sg_flow_touch(c->core, s, c->p, c->now_ns);
	return r;
}

struct sg_ruling sg_judge_tcp(struct sg_core *core, struct sg_port *port,
			      const struct sg_packet *p, __u64 now_ns)
{
	struct context c = { .core = core, .port = port, .p = p, .now_ns = now_ns };
	struct sg_session *s;
	int turned = 0;
	__u8 opener;

	if (sg_tcp_flags_impossible(p->tcp_flags))
		return (struct sg_ruling){ .reason = SEG_R_TCP_FLAGS, .opener = p->dir };
	sg_flow_key(p, &c.key, &opener);
	s = sg_flow_find(core, port, &c.key);
	if (!s)
		return open_connection(&c);
	/* The handshake may have gone by in the kernel. */
	if (s->cached && sg_tcp_opens(p))
		sg_cache_peek(core, s);
	if (is_attempt(p, s))
		return judge_attempt(&c, s);
	if (s->generation != port->rules->policy.generation && !is_late_copy(&c))
		turned = sg_flow_judge_again(core, port, s, p, now_ns);
	if (turned)
		return turned > 0 ? block(&c, s) : sg_flow_unknown(p->dir);
	if (s->denied)
		return refuse_blocked(&c, s);
	sg_tcp_track(s, p, p->dir != s->opener);
	if (s->ended && s->tcp_state == SG_TCP_ESTABLISHED)
		sg_flow_goes_on(s, now_ns);
	return pass(&c, s);
}
