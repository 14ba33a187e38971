/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Judges flows by their application; see the header. In: packets, sessions. Out: verdicts; frames that wait.
 *
 * A connection waits (SG_LOOK_PENDING) until its first bytes tell the application, or cannot: then a rule that asks for it
 * decides as for an unknown one. Only then (SG_LOOK_DECIDED) its payload passes; until all that was looked at is acknowledged,
 * a later copy of it must be the same. A datagram flow does not wait: its first datagram decides.
 * Where nothing is held back, in discover and monitor and of a tap's copies, the same is found out while all passes. */
#include "verdict/sg_judge_app.h"

#include <string.h>

#include "flow/sg_ask.h"
#include "flow/sg_flow.h"
#include "guard/sg_guard.h"
#include "packet/sg_decode_l4.h"
#include "session/sg_tcp.h"
#include "requests/sg_judge_http2.h"
#include "verdict/sg_held.h"
#include "verdict/sg_judge_http.h"
#include "datagram/sg_judge_quic.h"

enum { SEND_BOTH = SG_SEND_FIRST | SG_SEND_SECOND };

static struct sg_verdict verdict_of(struct sg_session *s, __u16 reason, __u8 actions)
{
	return (struct sg_verdict){
		.rule_id = s->rule_id, .reason = reason, .initiator = s->initiator, .actions = actions, .session = s,
	};
}

static struct sg_verdict pass(const struct sg_context *c, struct sg_session *s, __u8 actions)
{
	sg_flow_touch(c, s);
	return verdict_of(s, SEG_R_NONE, actions);
}

/* Drop a segment without an event: its sender repeats it, or its receiver would not take it. Where nothing is held back, it
 * passes. */
static struct sg_verdict drop(const struct sg_context *c, struct sg_session *s, __u16 reason)
{
	if (!sg_is_held(c, s))
		return pass(c, s, 0);
	sg_flow_seen(c, s);
	sg_count(&c->port->counts, reason, c->p->frames, c->p->bytes);
	return verdict_of(s, SEG_R_NONE, SG_KEEP);
}

/* A byte came again as another one: which of both the receiver takes is not known. */
static struct sg_verdict differs(const struct sg_context *c, struct sg_session *s)
{
	__u8 actions = 0;

	if (!s->waits && !sg_is_recorded(c))
		return pass(c, s, 0);
	if (sg_is_held(c, s)) {
		sg_flow_block(c, s, SEG_R_TCP_DIFFERS);
		actions = sg_block_session(s);
	}
	sg_flow_touch(c, s);
	return verdict_of(s, SEG_R_TCP_DIFFERS, actions);
}

/* Let events, and who looks at the flow, know the name. */
static void tell_name(const struct sg_context *c, const struct sg_session *s, const struct sg_facts *facts)
{
	char *text = c->core->report.text;
	__u32 len = facts->sni_len < SG_EVENT_TEXT - 1 ? facts->sni_len : SG_EVENT_TEXT - 1;

	memcpy(text, facts->sni, len);
	text[len] = 0;
	if (facts->known & ~facts->broken & 1U << SG_FIELD_SNI)
		sg_shown_set(&c->core->shown, s, (const char *)facts->sni, facts->sni_len);
}

/* Judge the connection by this answer. Returns 0 if the policy has none now. */
static int decide(const struct sg_context *c, struct sg_session *s, struct sg_answer *answer, __u8 proof, struct sg_verdict *r)
{
	if (answer->unknown)
		return 0;
	answer->proof = proof;
	sg_flow_judge_anew(c, s, answer);
	if (!sg_look_of(&c->core->looks, s))
		s->look = SG_LOOK_OVER;
	*r = s->denied ? verdict_of(s, s->reason, sg_block_session(s)) : verdict_of(s, SEG_R_NONE, SEND_BOTH);
	return 1;
}

/* Judge a connection that surely is of this kind, may be any other of its family, and shows no more of itself: else who waits
 * would get past what denies one of them. It is told as what it surely is. Returns 0 if none of them is denied. */
static int decide_family(const struct sg_context *c, struct sg_session *s, const struct sg_seen *seen, struct sg_verdict *r)
{
	const struct sg_facts facts = { .broken = ~0U };
	__u64 others = seen->family & ~(1ULL << seen->kind);

	for (; others && sg_is_held(c, s); others &= others - 1) {
		__u8 app = (__u8)__builtin_ctzll(others);
		struct sg_answer answer = sg_flow_ask_facts(c->port, &s->key, s->initiator, app, &facts);

		if (answer.unknown || (answer.pass && !answer.reason))
			continue;
		answer.app = seen->kind;
		return decide(c, s, &answer, SG_APP_CERTAIN, r);
	}
	return 0;
}

/* Judge the connection as an unknown application; `hides`: it may be one that shows a name, which was not read. Returns 0 if
 * the policy has no answer now. */
static int decide_unknown(const struct sg_context *c, struct sg_session *s, int hides, struct sg_verdict *r)
{
	struct sg_facts facts = { .broken = hides ? 1U << SG_FIELD_NAME : 0 };
	struct sg_answer answer = sg_flow_ask_facts(c->port, &s->key, s->initiator, SG_APP_UNKNOWN, &facts);

	return decide(c, s, &answer, SG_APP_UNPROVEN, r);
}

/* Whether bytes that tell no application may begin with a name that comes later. */
static int hides_name(const struct sg_context *c, const struct sg_session *s, const struct sg_payload *look)
{
	enum sg_name_sign sign = look ? sg_look_name_sign(look) : SG_NAME_NONE;

	return sign == SG_NAME_LIKELY || (sign == SG_NAME_MAYBE && sg_is_held(c, s));
}

/* Judge the connection by what is known, because no more of it will be. Returns 0 if the policy has no answer now. */
static int decide_now(const struct sg_context *c, struct sg_session *s, struct sg_verdict *r)
{
	struct sg_payload *look = sg_look_of(&c->core->looks, s);
	struct sg_seen seen = { 0 };
	struct sg_facts facts = { 0 };
	struct sg_answer answer;

	if (look)
		seen = sg_look_recognise(look);
	if (seen.kind) {
		if (decide_family(c, s, &seen, r))
			return 1;
		seen.app = seen.kind;
		seen.proof = SG_APP_CERTAIN;
	}
	if (seen.proof != SG_APP_CERTAIN)
		return decide_unknown(c, s, hides_name(c, s, look), r);
	sg_look_facts(look, seen.app, &facts);
	/* What would come next could contradict. Where it passes unseen, it was not waited for. */
	if (facts.next && sg_is_held(c, s))
		facts.broken = ~0U;
	sg_facts_close(&facts);
	answer = sg_flow_ask_facts(c->port, &s->key, s->initiator, seen.app, &facts);
	tell_name(c, s, &facts);
	return decide(c, s, &answer, SG_APP_CERTAIN, r);
}

static int is_late(const struct sg_context *c, const struct sg_session *s, const struct sg_payload *look)
{
	return !sg_is_held(c, s) && c->now_ns >= sg_look_since_ns(look) + SG_LOOK_NS;
}

/* Whether the policy allows the session as one of those applications that it is thought to be. */
static int is_allowed(const struct sg_context *c, const struct sg_session *s, __u64 guessed)
{
	struct sg_facts open = { .open = ~0U };

	for (; guessed; guessed &= guessed - 1) {
		__u8 app = (__u8)__builtin_ctzll(guessed);
		struct sg_answer answer;

		open.any_name = !sg_facts_shows_name(app);
		answer = sg_flow_ask_facts(c->port, &s->key, s->initiator, app, &open);
		if (!answer.unknown && !answer.needs_app && answer.pass && !answer.reason)
			return 1;
	}
	return 0;
}

/* Judge the connection by its application, which is certain, and by what else its bytes tell. Returns 0 as long as what comes
 * may tell another thing: what it does not come from may pass meanwhile. */
static int decide_by_facts(const struct sg_context *c, struct sg_session *s, struct sg_payload *look, const struct sg_seen *seen,
			   __u8 *free_sides, struct sg_verdict *r)
{
	struct sg_facts facts = { 0 };
	struct sg_answer answer;

	answer = sg_flow_ask_app(c->port, &s->key, s->initiator, seen->app);
	if (!answer.unknown && !answer.by_facts)
		return decide(c, s, &answer, seen->proof, r);
	sg_look_facts(look, seen->app, &facts);
	/* Of a side that is full nothing more is seen. */
	if (seen->full & facts.next)
		return decide_now(c, s, r);
	answer = sg_flow_ask_facts(c->port, &s->key, s->initiator, seen->app, &facts);
	if (answer.unknown)
		return 0;
	tell_name(c, s, &facts);
	if (!answer.needs_app && (answer.reason || !answer.by_facts || !facts.next))
		return decide(c, s, &answer, seen->proof, r);
	s->app = seen->app;
	s->proof = seen->proof;
	*free_sides |= (__u8)(~facts.next & 3);
	return is_late(c, s, look) && decide_now(c, s, r);
}

/* Decide where the rule that allows the connection asks for its name alone: what shows none passes at once, and of what may
 * show one the part that no server acts on. Returns 0 while nothing is decided. */
static int decide_by_name(const struct sg_context *c, struct sg_session *s, const struct sg_payload *look,
			  const struct sg_seen *seen, __u8 *free_sides, struct sg_verdict *r)
{
	enum sg_name_sign sign = sg_look_name_sign(look);

	if (sign == SG_NAME_NONE || (sign == SG_NAME_LIKELY && seen->app == SG_APP_UNKNOWN) || seen->full & 1)
		return decide_now(c, s, r);
	/* A server that waits for the rest says nothing, or what every client may hear. */
	*free_sides |= sign == SG_NAME_MAYBE ? 3 : 2;
	return is_late(c, s, look) && decide_now(c, s, r);
}

/* Decide as soon as the bytes allow it. Returns 0 while they do not; *free_sides: whose payload need not wait meanwhile. */
static int decide_by_bytes(const struct sg_context *c, struct sg_session *s, struct sg_payload *look, __u8 *free_sides,
			   struct sg_verdict *r)
{
	struct sg_seen seen = sg_look_recognise(look);

	*free_sides = sg_is_held(c, s) ? 0 : 3;
	if (seen.proof == SG_APP_CERTAIN)
		return decide_by_facts(c, s, look, &seen, free_sides, r);
	if (sg_flow_ask_app(c->port, &s->key, s->initiator, SG_APP_NONE).names_only)
		return decide_by_name(c, s, look, &seen, free_sides, r);
	if (seen.app == SG_APP_UNKNOWN || seen.full)
		return decide_now(c, s, r);
	s->app = seen.proof == SG_APP_GUESS ? seen.app : SG_APP_NONE;
	s->proof = s->app ? SG_APP_GUESS : SG_APP_UNPROVEN;
	if (is_allowed(c, s, seen.guessed)) {
		/* Else the other side never answers, which makes it certain. */
		*free_sides |= (__u8)(1 << sg_look_first_side(look));
		/* Some clients of gRPC ask nothing before they have the server's settings. */
		if (sg_look_is_answered(look))
			*free_sides |= 3;
		return 0;
	}
	return is_late(c, s, look) && decide_now(c, s, r);
}

static struct sg_verdict no_memory(const struct sg_context *c, struct sg_session *s)
{
	struct sg_verdict r;

	sg_count(&c->port->counts, SEG_R_HOLD_MEMORY, c->p->frames, c->p->bytes);
	if (!(sg_look_of(&c->core->looks, s) ? decide_now(c, s, &r) : decide_unknown(c, s, sg_is_held(c, s), &r)))
		return drop(c, s, SEG_R_SESSION_MEMORY);
	/* There is nothing whole to compare later copies with. */
	s->look = SG_LOOK_OVER;
	sg_flow_touch(c, s);
	return r;
}

static __u8 send_what_waits(__u8 sides)
{
	return (__u8)((sides & 1 ? SG_SEND_FIRST : 0) | (sides & 2 ? SG_SEND_SECOND : 0));
}

static struct sg_verdict judge_pending(const struct sg_context *c, struct sg_session *s, struct sg_payload *look, __u8 side,
				       enum sg_segment segment)
{
	const struct sg_packet *p = c->p;
	struct sg_port *port = c->port;
	struct sg_verdict r;
	__u8 free_sides;
	int waits, held;

	if (segment == SG_SEGMENT_NO_ROOM)
		return no_memory(c, s);
	if (!p->payload_len && !(p->tcp_flags & SG_FIN))
		return pass(c, s, 0);
	if ((sg_look_may_be_http(look) && sg_judge_http_is_asked(c, s)) ||
	    (sg_look_may_be_http2(look) && sg_judge_http2_is_asked(c, s)))
		return sg_judge_http_begin(c, s, look);
	if (decide_by_bytes(c, s, look, &free_sides, &r)) {
		sg_flow_touch(c, s);
		return r;
	}
	s->crossed |= !!free_sides;
	/* What is not kept could tell what nobody sees. */
	if (free_sides & (1 << side) && (segment != SG_SEGMENT_BEYOND || !sg_is_held(c, s)))
		return pass(c, s, send_what_waits(free_sides));
	waits = sg_look_waiting(look, (__u8)(1 << side)) != NULL;
	if (!p->payload_len && !waits)
		return pass(c, s, send_what_waits(free_sides));
	if (segment == SG_SEGMENT_BEYOND || (p->payload_len ? segment == SG_SEGMENT_REPEATS && waits : sg_look_holds_fin(look, side)))
		return drop(c, s, SEG_R_NOT_HELD);
	held = sg_look_hold(&c->core->looks, look, p, side, &port->held, c->now_ns);
	if (held)
		return held > 0 ? drop(c, s, SEG_R_NOT_HELD) : no_memory(c, s);
	sg_flow_seen(c, s);
	return verdict_of(s, SEG_R_NONE, SG_KEEP | send_what_waits(free_sides));
}

static void stop_looking(struct sg_core *core, struct sg_session *s)
{
	s->look = SG_LOOK_OVER;
	sg_look_end(&core->looks, s);
}

/* Judge again what was decided by the initiator's bytes alone, if the answer contradicts. Returns 0 if it does not. */
static int is_contradicted(const struct sg_context *c, struct sg_session *s, struct sg_payload *look, struct sg_verdict *r)
{
	if (s->proof != SG_APP_CERTAIN || sg_look_recognise(look).app != SG_APP_UNKNOWN)
		return 0;
	if (decide_unknown(c, s, 0, r))
		sg_flow_touch(c, s);
	else
		*r = drop(c, s, SEG_R_SESSION_MEMORY);
	return 1;
}

static struct sg_verdict judge_decided(const struct sg_context *c, struct sg_session *s, struct sg_payload *look)
{
	struct sg_verdict r;

	if (is_contradicted(c, s, look, &r))
		return r;
	if (sg_look_waiting(look, 3))
		return pass(c, s, SEND_BOTH);
	if (sg_guard_wants_more(c->port, look))
		return pass(c, s, 0);
	sg_look_stop(&c->core->looks, s);
	if (sg_look_is_settled(look))
		stop_looking(c->core, s);
	return pass(c, s, 0);
}

/* The SYN+ACK says which sequence numbers both sides begin with. */
static struct sg_verdict judge_syn(const struct sg_context *c, struct sg_session *s)
{
	const struct sg_packet *p = c->p;

	if (p->payload_len)
		return drop(c, s, SEG_R_NOT_HELD);
	if (p->tcp_flags & SG_ACK && p->dir != s->initiator && sg_tcp_is_opening(s) && !sg_look_of(&c->core->looks, s)) {
		s->first_seq[0] = p->ack;
		s->first_seq[1] = p->seq + 1;
		s->starts = 1;
	}
	return pass(c, s, 0);
}

/* Return the look, which begins with the first payload; NULL: *r is the verdict. */
static struct sg_payload *begin(const struct sg_context *c, struct sg_session *s, struct sg_verdict *r)
{
	struct sg_payload *look;

	/* If bytes have crossed that nobody keeps any more, those that come now may be others in their place. */
	if (!s->starts || s->crossed) {
		if (sg_tcp_is_opening(s))
			*r = drop(c, s, SEG_R_NOT_HELD);
		else if (decide_now(c, s, r))
			sg_flow_touch(c, s);
		else
			*r = drop(c, s, SEG_R_SESSION_MEMORY);
		return NULL;
	}
	look = sg_look_begin(&c->core->looks, s, c->p, c->now_ns);
	if (!look)
		*r = no_memory(c, s);
	return look;
}

struct sg_verdict sg_judge_app(const struct sg_context *c, struct sg_session *s)
{
	struct sg_payload *look = sg_look_of(&c->core->looks, s);
	const struct sg_packet *p = c->p;
	__u8 side = p->dir != s->initiator;
	enum sg_segment segment;
	struct sg_verdict r;

	if (p->tcp_flags & SG_SYN)
		return judge_syn(c, s);
	/* Some receivers take urgent bytes out of the stream. A RST with payload says no more than one without. */
	if (p->tcp_flags & SG_URG || (p->payload_len && p->tcp_flags & SG_RST))
		return drop(c, s, SEG_R_NOT_HELD);
	if (!look && s->look != SG_LOOK_PENDING)
		sg_session_look_no_more(s);
	if ((!look && (!p->payload_len || s->look == SG_LOOK_OVER)) || p->tcp_flags & SG_RST)
		return pass(c, s, 0);
	if (p->payload_len && !sg_tcp_checksum_is_right(p))
		return drop(c, s, SEG_R_TCP_CHECKSUM);
	if (s->look == SG_LOOK_REQUESTS)
		return sg_judge_http(c, s, look);
	if (!look)
		look = begin(c, s, &r);
	if (!look)
		return r;
	segment = sg_look_add(&c->core->looks, look, p, side);
	if (segment == SG_SEGMENT_DIFFERS)
		return differs(c, s);
	if (segment == SG_SEGMENT_USELESS && p->payload_len)
		return drop(c, s, SEG_R_TCP_USELESS);
	if (segment == SG_SEGMENT_NEW && sg_guard_payload(c, s, look, &r)) {
		sg_flow_touch(c, s);
		return r;
	}
	if (s->look == SG_LOOK_PENDING)
		return judge_pending(c, s, look, side, segment);
	/* What is not kept could not be compared. */
	if (segment == SG_SEGMENT_NO_ROOM)
		return drop(c, s, SEG_R_NOT_HELD);
	return judge_decided(c, s, look);
}

struct sg_verdict sg_judge_app_overdue(const struct sg_context *c, struct sg_session *s)
{
	struct sg_verdict r;

	if (s->look == SG_LOOK_REQUESTS)
		return sg_judge_http_overdue(c, s);
	return decide_now(c, s, &r) ? r : verdict_of(s, SEG_R_NONE, 0);
}

struct sg_answer sg_judge_app_opening(const struct sg_context *c)
{
	const struct sg_packet *p = c->p;
	struct sg_answer answer = sg_flow_ask_app(c->port, &c->key, p->dir, SG_APP_NONE);
	struct sg_facts facts;
	struct sg_seen seen;

	if (!answer.needs_app)
		return answer;
	if (p->kind == SG_KIND_UDP) {
		seen = sg_look_datagram(p);
		sg_judge_quic_opening(c, &seen, &facts);
		if (seen.proof) {
			answer = sg_flow_ask_facts(c->port, &c->key, p->dir, seen.app, &facts);
			answer.proof = seen.proof;
		}
		if (answer.unknown || seen.proof == SG_APP_CERTAIN || (seen.proof && answer.pass && !answer.reason))
			return answer;
	}
	return sg_flow_ask_app(c->port, &c->key, p->dir, SG_APP_UNKNOWN);
}
