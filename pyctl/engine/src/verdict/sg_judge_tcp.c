/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Verdicts for TCP. In: a packet. Out: a verdict, and sessions.
 * Precedence, for a packet of a known connection:
 *   1. a SYN that is no repeat of the initiator's is judged in its own right; a denied one makes its service a denied one;
 *   2. a session judged by another policy is judged again, but not at a copy from before the mode changed:
 *      a copy cannot be answered, so the first held packet decides;
 *   3. a blocked one answers its sender with RST, a few times, then the kernel drops it;
 *   4. sensors are shown what would pass, and may end the connection (guard/sg_guard_sensors.c);
 *   5. one that is looked at for its application waits for it, or is compared with what was looked at (sg_judge_app.c);
 *   6. else it passes, and its state decides whether the kernel carries the rest. */
#include "verdict/sg_judge_tcp.h"

#include "flow/sg_ask.h"
#include "flow/sg_cache.h"
#include "flow/sg_credit.h"
#include "flow/sg_flow.h"
#include "guard/sg_guard_sensors.h"
#include "learn/sg_learn.h"
#include "session/sg_tcp.h"
#include "verdict/sg_held.h"
#include "verdict/sg_judge_app.h"

/* A copy from a tap, although the port's packets are held now. */
static int is_late_copy(const struct sg_context *c)
{
	return sg_frame_is_copy(c->p->frame) && !sg_policy_records_only(c->port->rules);
}

static struct sg_verdict refuse_syn(const struct sg_context *c, const struct sg_answer *answer)
{
	struct sg_answer refused = *answer;

	refused.reject |= !!(c->port->rules->policy.flags & SG_POLICY_DENY_RST);
	return (struct sg_verdict){
		.rule_id = answer->rule_id, .reason = answer->reason, .initiator = c->p->dir,
		.actions = refused.reject ? SG_REJECT : 0,
		.session = is_late_copy(c) ? NULL : sg_flow_deny_service(c, &refused),
	};
}

/* Deny data of a connection whose SYN was not seen. */
static __u8 block_midstream(const struct sg_context *c, __u8 initiator, const struct sg_answer *answer, int sure)
{
	struct sg_session *s = is_late_copy(c) ? NULL : sg_flow_deny(c, initiator, answer);

	if (!s)
		return 0;
	s->midstream = 1;
	s->guessed = !sure;
	return sg_block_session(s);
}

static struct sg_verdict open_connection(const struct sg_context *c)
{
	const struct sg_packet *p = c->p;
	struct sg_verdict r = { .initiator = p->dir };
	struct sg_answer answer;
	int sure = 1, closes = p->tcp_flags & (SG_FIN | SG_RST);

	if (!(p->tcp_flags & SG_SYN))
		r.initiator = sg_flow_guess_initiator(c->core, c->port, &c->key, &sure);
	else if (!sg_tcp_opens(p))
		r.initiator = sg_other_dir(p->dir);
	if (sg_tcp_opens(p))
		answer = sg_flow_ask_app(c->port, &c->key, r.initiator, SG_APP_NONE);
	else
		answer = sure ? sg_flow_ask(c->port, &c->key, r.initiator) :
				sg_flow_ask_either(c->port, &c->key, &r.initiator);
	if (answer.unknown)
		return sg_verdict_unknown(r.initiator);
	r.rule_id = answer.rule_id;
	/* Its sender repeats a SYN without the data, which may not pass yet. */
	if (answer.needs_app == SG_NEED_HOLD && p->payload_len && !sg_frame_is_copy(p->frame)) {
		r.reason = SEG_R_NOT_HELD;
		return r;
	}
	if (answer.pass && sg_tcp_opens(p) && p->dir == SEG_DIR_EGRESS && !sg_frame_is_copy(p->frame) && !sg_credit_may_open(c)) {
		r.reason = SEG_R_SYN_RATE;
		return r;
	}
	sg_flow_decided(c, r.initiator, &answer, answer.pass && !closes);
	if (!answer.pass) {
		if (sg_tcp_opens(p))
			return refuse_syn(c, &answer);
		r.reason = answer.reason;
		if (!closes && !(p->tcp_flags & SG_SYN))
			r.actions = block_midstream(c, r.initiator, &answer, sure);
		return r;
	}
	if (closes)
		return r;
	r.session = sg_flow_open(c, r.initiator, &answer);
	if (!r.session) {
		r.reason = SEG_R_SESSION_MEMORY;
		return r;
	}
	r.session->guessed = !sure;
	sg_learn_segment(c, r.session);
	sg_guard_segment(c, r.session, &r);
	return r;
}

static struct sg_verdict pass(const struct sg_context *c, struct sg_session *s)
{
	sg_flow_touch(c, s);
	return (struct sg_verdict){ .rule_id = s->rule_id, .initiator = s->initiator, .session = s };
}

/* Judge a packet of a connection that passes, but for what its payload says. */
static struct sg_verdict judge_open(const struct sg_context *c, struct sg_session *s)
{
	struct sg_verdict r;

	if (sg_learn_segment(c, s)) {
		sg_count(&c->port->counts, SEG_R_DNS_ORDER, c->p->frames, c->p->bytes);
		return (struct sg_verdict){ .rule_id = s->rule_id, .initiator = s->initiator, .actions = SG_KEEP, .session = s };
	}
	if (sg_guard_segment(c, s, &r))
		return r;
	return sg_session_is_looked_at(s) ? sg_judge_app(c, s) : pass(c, s);
}

/* Judge a SYN of a 5-tuple that has a session: a new connection, or a stray that its receiver answers with a challenge ACK.
 * The old session does not allow it. */
static struct sg_verdict judge_attempt(const struct sg_context *c, struct sg_session *s)
{
	struct sg_answer answer = sg_flow_ask_app(c->port, &c->key, c->p->dir, SG_APP_NONE);
	int alive = s->tcp_state == SG_TCP_ESTABLISHED || sg_tcp_is_opening(s);

	if (answer.unknown)
		return sg_verdict_unknown(c->p->dir);
	if (!answer.pass) {
		sg_flow_decided(c, c->p->dir, &answer, 0);
		return refuse_syn(c, &answer);
	}
	if (s->denied || s->midstream || !alive ||
	    s->generation != c->port->rules->policy.generation) {
		sg_flow_end(c->core, s);
		return open_connection(c);
	}
	return judge_open(c, s);
}

static int is_attempt(const struct sg_packet *p, const struct sg_session *s)
{
	if (!sg_tcp_opens(p))
		return 0;
	return s->denied || s->midstream || p->dir != s->initiator || !sg_tcp_is_opening(s);
}

static struct sg_verdict refuse_blocked(const struct sg_context *c, struct sg_session *s)
{
	struct sg_verdict r = pass(c, s);

	r.reason = SEG_R_BLOCKED_CONNECTION;
	if (s->resets < SG_RESETS_MAX && !(c->p->tcp_flags & SG_RST)) {
		r.actions = SG_RESET_SENDER;
		s->resets++;
	}
	return r;
}

/* Block a session that the new policy denies. */
static struct sg_verdict block(const struct sg_context *c, struct sg_session *s)
{
	struct sg_verdict r = {
		.rule_id = s->rule_id, .reason = SEG_R_BLOCKED_CONNECTION, .initiator = s->initiator,
	};

	if (s->tcp_state == SG_TCP_SYN_SENT && sg_tcp_opens(c->p)) {
		struct sg_answer answer = {
			.keys = s->keys, .rule_id = s->rule_id, .reason = s->reason, .reject = s->rejects,
		};

		sg_flow_end(c->core, s);
		return refuse_syn(c, &answer);
	}
	if (sg_tcp_is_over(s)) {
		s->blocked = 1;
		s->resets = SG_RESETS_MAX;
	} else {
		r.actions = sg_block_session(s);
	}
	sg_flow_touch(c, s);
	return r;
}

struct sg_verdict sg_judge_tcp(const struct sg_context *c)
{
	const struct sg_packet *p = c->p;
	struct sg_session *s;
	int turned = 0;

	if (sg_tcp_flags_impossible(p->tcp_flags))
		return (struct sg_verdict){ .reason = SEG_R_TCP_FLAGS, .initiator = p->dir };
	s = sg_flow_find(c->core, c->port, &c->key);
	/* A segment from port 0 belongs to no denied service. */
	if (s && s->service && !sg_tcp_opens(p)) {
		sg_flow_end(c->core, s);
		s = NULL;
	}
	if (!s)
		return open_connection(c);
	/* The kernel may have carried the handshake. */
	if (s->cached && sg_tcp_opens(p))
		sg_cache_peek(c->core, s);
	if (is_attempt(p, s))
		return judge_attempt(c, s);
	if (s->generation != c->port->rules->policy.generation && !is_late_copy(c))
		turned = sg_flow_revalidate(c, s);
	if (turned)
		return turned > 0 ? block(c, s) : sg_verdict_unknown(p->dir);
	if (s->denied)
		return refuse_blocked(c, s);
	sg_tcp_track(s, p, p->dir != s->initiator);
	if (s->ended && s->tcp_state == SG_TCP_ESTABLISHED)
		sg_flow_reopen(s, c->now_ns);
	return judge_open(c, s);
}
