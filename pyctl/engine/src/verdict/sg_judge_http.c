/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Judges requests; see the header. In: packets, sessions. Out: verdicts; frames that wait.
 *
 * A frame of the client passes once every request that begins in it is allowed, and complete, or will be allowed whatever comes
 * of it. If one is not, or is none that all servers read alike, the flow ends, and of that frame nothing passes. What the server sends passes, and is looked at
 * only where the first request asks for another protocol: a WebSocket that the server agrees to, or a tunnel, was allowed
 * as such, and goes to the kernel; behind h2c the client's streams are read; any other protocol is judged as an unknown
 * application. HTTP/2 is judged alike: a request that is not allowed ends the connection, because streams that go on share the
 * table of its header blocks with one whose block the server never gets. A later request that asks for one
 * is judged as any other, and so is what follows it: to know which answer is its own, all answers would have to be read.
 * Where nothing is held back, the same is found out while all passes, until something was missed. */
#include "verdict/sg_judge_http.h"

#include <arpa/inet.h>
#include <string.h>

#include "flow/sg_ask.h"
#include "flow/sg_flow.h"
#include "http2/sg_inflate.h"
#include "requests/sg_judge_http2.h"
#include "verdict/sg_held.h"

/* Who judges a connection's requests. */
struct judge {
	const struct sg_context *c;
	struct sg_session *s;
	int unknown;		/* the policy had no answer */
	int is_http2;
};

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

/* Drop a segment without an event: its sender repeats it. */
static struct sg_verdict drop(const struct sg_context *c, struct sg_session *s, __u16 reason, __u8 actions)
{
	sg_flow_seen(c, s);
	sg_count(&c->port->counts, reason, c->p->frames, c->p->bytes);
	return verdict_of(s, SEG_R_NONE, SG_KEEP | actions);
}

static void stop_looking(const struct sg_context *c, struct sg_session *s)
{
	sg_flow_drop_look(c->core, s);
	sg_session_look_no_more(s);
}

/* End the flow, or where nothing is held back tell it, and look no more. */
static struct sg_verdict refuse(const struct sg_context *c, struct sg_session *s, __u16 reason)
{
	__u8 actions = 0;

	if (sg_is_held(c, s)) {
		sg_flow_block(c, s, reason);
		actions = sg_block_session(s);
	} else {
		stop_looking(c, s);
	}
	sg_flow_touch(c, s);
	return verdict_of(s, reason, actions);
}

static struct sg_fact_text fact(const struct sg_http_text *text)
{
	return (struct sg_fact_text){ text->at, text->len };
}

/* Whether the host is the address that the connection goes to. */
static int is_own_address(const struct sg_session *s, const struct sg_http_text *host)
{
	const __u8 *target = s->initiator == SEG_DIR_EGRESS ? s->key.raddr : s->key.laddr;
	int is_ip6 = s->key.family == SEG_FAMILY_IPV6, bracket = host->len && host->at[0] == '[';
	char text[INET6_ADDRSTRLEN] = "";
	__u8 address[16];

	if (bracket != is_ip6 || host->len >= sizeof(text))
		return 0;
	memcpy(text, host->at + bracket, host->len - 2U * (__u32)bracket);
	return inet_pton(is_ip6 ? AF_INET6 : AF_INET, text, address) == 1 && !memcmp(address, target, is_ip6 ? 16 : 4);
}

/* Ask about a request by one reading of its path. */
static struct sg_answer ask(const struct judge *judge, const struct sg_http_request *request, int reading)
{
	struct sg_facts facts = {
		.known = SG_FIELDS_HTTP, .method = fact(&request->method), .host = fact(&request->host),
		.any_name = (__u8)is_own_address(judge->s, &request->host),
	};
	struct sg_answer answer;

	if (reading < request->readings)
		facts.path = fact(&request->paths[reading]);
	if (!request->has_host) {
		facts.open = 1U << SG_FIELD_HOST | 1U << SG_FIELD_NAME;
		facts.known &= ~facts.open;
	}
	answer = sg_flow_ask_facts(judge->c->port, &judge->s->key, judge->s->initiator, request->app, &facts);
	answer.proof = SG_APP_CERTAIN;
	return answer;
}

static __u32 append(char *text, __u32 len, const struct sg_http_text *part)
{
	__u32 size = part->len < SG_EVENT_TEXT - 1 - len ? part->len : SG_EVENT_TEXT - 1 - len;

	memcpy(text + len, part->at, size);
	return len + size;
}

/* Let events, and who looks at the flow, know of the request. */
static void name_request(const struct judge *judge, const struct sg_http_request *request)
{
	static const struct sg_http_text space = { " ", 1 };
	char *text = judge->c->core->report.text;
	__u32 len = append(text, 0, &request->method);

	len = append(text, len, &space);
	len = append(text, len, &request->host);
	if (request->readings)
		len = append(text, len, &request->paths[0]);
	text[len] = 0;
	sg_shown_set(&judge->c->core->shown, judge->s, text, len);
}

static int is_as_before(const struct sg_context *c, const struct sg_session *s, const struct sg_answer *answer)
{
	return answer->pass && !answer->reason && !answer->staged_id && !s->violation && s->app == answer->app &&
	       s->proof == answer->proof && s->keys.rule == answer->keys.rule && s->keys.staged == answer->keys.staged &&
	       s->rule_id == answer->rule_id && s->generation == c->port->rules->policy.generation;
}

/* Judge what is there of a request, by each reading of its path. Returns 0: it is allowed, whatever comes. */
static int judge_part(const struct judge *judge, const struct sg_http_request *request)
{
	struct sg_answer answer;
	int reading = 0;

	do {
		answer = ask(judge, request, reading++);
	} while (reading < request->readings && !answer.unknown && answer.pass && !answer.reason && !answer.needs_app);
	return answer.unknown || !answer.pass || answer.reason || answer.needs_app ? -1 : 0;
}

/* Judge a request by each reading of its path: the first that does not pass counts. */
static int judge_request(void *ctx, const struct sg_http_request *request)
{
	struct judge *judge = ctx;
	const struct sg_context *c = judge->c;
	struct sg_session *s = judge->s;
	struct sg_answer answer;
	int reading = 0;

	if (request->is_part)
		return judge_part(judge, request);
	name_request(judge, request);
	do {
		answer = ask(judge, request, reading++);
	} while (reading < request->readings && !answer.unknown && answer.pass && !answer.reason);
	judge->unknown = answer.unknown;
	if (answer.unknown)
		return -1;
	if (is_as_before(c, s, &answer))
		return 0;
	/* Each request that only the mode lets pass is told. */
	s->violation = 0;
	sg_flow_judge_anew(c, s, &answer);
	return s->denied ? -1 : 0;
}

/* What to do with a client's segment, or with all that came before. */
static struct sg_verdict act_on(const struct sg_context *c, struct sg_session *s, enum sg_requests_say said,
				const struct judge *judge)
{
	if (said == SG_REQUESTS_REFUSED && !judge->unknown)
		return verdict_of(s, s->reason, sg_block_session(s));
	if (said == SG_REQUESTS_WRONG)
		return refuse(c, s, SEG_R_BAD_REQUEST);
	/* A later copy of it could not be read. */
	if (said == SG_REQUESTS_LOST)
		return refuse(c, s, SEG_R_HOLD_MEMORY);
	if (said == SG_REQUESTS_REFUSED && judge->is_http2)
		return refuse(c, s, SEG_R_SESSION_MEMORY);
	if (said == SG_REQUESTS_DIFFER)
		return refuse(c, s, SEG_R_TCP_DIFFERS);
	if (sg_is_held(c, s))
		return drop(c, s, said == SG_REQUESTS_NO_ROOM ? SEG_R_HOLD_MEMORY : SEG_R_NOT_HELD, SG_SEND_FIRST);
	/* What was missed does not come again. */
	if (said != SG_REQUESTS_AGAIN)
		stop_looking(c, s);
	return pass(c, s, 0);
}

/* Let the packet wait for the rest of its last request. */
static struct sg_verdict hold(const struct sg_context *c, struct sg_session *s, struct sg_payload *look)
{
	if (!sg_is_held(c, s))
		return pass(c, s, 0);
	if (sg_look_hold(&c->core->looks, look, c->p, 0, &c->port->held, c->now_ns))
		return drop(c, s, SEG_R_HOLD_MEMORY, SG_SEND_FIRST);
	sg_flow_seen(c, s);
	return verdict_of(s, SEG_R_NONE, SG_KEEP | SG_SEND_FIRST);
}

static struct sg_verdict judge_segment(const struct sg_context *c, struct sg_session *s, struct sg_payload *look)
{
	struct judge judge = { .c = c, .s = s, .is_http2 = sg_look_reads(look)->is_http2 };
	enum sg_segment segment = sg_look_add(&c->core->looks, look, c->p, 0);
	enum sg_requests_say said;

	if (segment == SG_SEGMENT_DIFFERS)
		return refuse(c, s, SEG_R_TCP_DIFFERS);
	if (!c->p->payload_len) {
		/* A FIN comes after what waits: its sender repeats it. */
		if (c->p->tcp_flags & SG_FIN && sg_is_held(c, s) && sg_look_waiting(look, 1))
			return drop(c, s, SEG_R_NOT_HELD, 0);
		return pass(c, s, 0);
	}
	said = sg_look_request(&c->core->looks, look, c->p, judge_request, &judge);
	if (said == SG_REQUESTS_PASS)
		return pass(c, s, SG_SEND_FIRST);
	if (said == SG_REQUESTS_WAIT || (said == SG_REQUESTS_AGAIN && !sg_look_holds(look, c->p)))
		return hold(c, s, look);
	return act_on(c, s, said, &judge);
}

/* Judge the connection by this answer, whatever comes, and look no more; if it passes, do this besides. */
static struct sg_verdict settle(const struct sg_context *c, struct sg_session *s, const struct sg_answer *answer, __u8 actions)
{
	if (answer->unknown)
		return drop(c, s, SEG_R_SESSION_MEMORY, 0);
	sg_flow_judge_anew(c, s, answer);
	if (s->denied)
		return verdict_of(s, s->reason, sg_block_session(s));
	stop_looking(c, s);
	return pass(c, s, actions);
}

/* Judge HTTP/2 that cannot be read. */
static struct sg_verdict judge_unread(const struct sg_context *c, struct sg_session *s)
{
	struct sg_answer answer = sg_judge_http2_unread(c, s);

	return settle(c, s, &answer, SG_SEND_FIRST | SG_SEND_SECOND);
}

/* Judge the connection as what nobody knows. */
static struct sg_verdict become_unknown(const struct sg_context *c, struct sg_session *s)
{
	struct sg_answer answer = sg_flow_ask_app(c->port, &s->key, s->initiator, SG_APP_UNKNOWN);

	return settle(c, s, &answer, 0);
}

/* Read what comes as HTTP/2: the request that asked for it has the first stream. */
static struct sg_verdict become_http2(const struct sg_context *c, struct sg_session *s)
{
	if (sg_look_turn_http2(&c->core->looks, s, 1))
		return sg_inflate_is_loaded() ? refuse(c, s, SEG_R_HOLD_MEMORY) : judge_unread(c, s);
	sg_look_reads(sg_look_of(&c->core->looks, s))->becomes = SG_HTTP_STAYS;
	return pass(c, s, 0);
}

/* The server has agreed to another protocol than HTTP/1. */
static struct sg_verdict switch_over(const struct sg_context *c, struct sg_session *s, __u8 becomes)
{
	if (becomes == SG_HTTP_OTHER)
		return become_unknown(c, s);
	if (becomes == SG_HTTP_HTTP2)
		return become_http2(c, s);
	s->look = SG_LOOK_DECIDED;
	sg_look_end_requests(&c->core->looks, s);
	return pass(c, s, 0);
}

static struct sg_verdict judge_answer(const struct sg_context *c, struct sg_session *s, struct sg_payload *look)
{
	struct sg_requests *requests = sg_look_reads(look);
	__u8 becomes = requests->becomes;
	int status;

	if (c->p->tcp_flags & SG_ACK)
		sg_look_acknowledge(&c->core->looks, s, c->p->ack);
	if (sg_look_add(&c->core->looks, look, c->p, 1) == SG_SEGMENT_DIFFERS)
		return refuse(c, s, SEG_R_TCP_DIFFERS);
	/* What answers is no HTTP/1, so the requests are none either. */
	if (!sg_look_is_answered(look) && sg_look_recognise(look).app == SG_APP_UNKNOWN)
		return become_unknown(c, s);
	if (becomes == SG_HTTP_STAYS)
		return pass(c, s, 0);
	status = sg_look_status(look);
	if (becomes == SG_HTTP_TUNNEL ? status >= 200 && status < 300 : status == 101)
		return switch_over(c, s, becomes);
	if (status)
		requests->becomes = SG_HTTP_STAYS;
	return pass(c, s, 0);
}

struct sg_verdict sg_judge_http(const struct sg_context *c, struct sg_session *s, struct sg_payload *look)
{
	struct sg_requests *requests = sg_look_reads(look);
	struct sg_verdict r = c->p->dir == s->initiator ? judge_segment(c, s, look) : judge_answer(c, s, look);

	/* Of the server only what it begins with is looked at, and the answer to a first request that asks for more. */
	if (s->look == SG_LOOK_REQUESTS && requests->count && requests->becomes == SG_HTTP_STAYS && sg_look_is_answered(look))
		sg_look_forget_first(&c->core->looks, s);
	return r;
}

int sg_judge_http_is_asked(const struct sg_context *c, const struct sg_session *s)
{
	const struct sg_facts facts = { .open = SG_FIELDS_HTTP };

	return sg_flow_ask_facts(c->port, &s->key, s->initiator, SG_APP_HTTP, &facts).by_facts;
}

struct sg_verdict sg_judge_http_begin(const struct sg_context *c, struct sg_session *s, struct sg_payload *look)
{
	struct judge judge = { .c = c, .s = s, .is_http2 = sg_look_may_be_http2(look) };
	enum sg_requests_say said;
	struct sg_verdict r;

	if (judge.is_http2 && !sg_inflate_is_loaded())
		return judge_unread(c, s);
	if (sg_look_begin_requests(&c->core->looks, s, judge.is_http2))
		return sg_is_held(c, s) ? drop(c, s, SEG_R_HOLD_MEMORY, 0) : pass(c, s, 0);
	s->look = SG_LOOK_REQUESTS;
	said = sg_look_requests(&c->core->looks, s, judge_request, &judge);
	if (said > SG_REQUESTS_AHEAD) {
		r = act_on(c, s, said, &judge);
		sg_flow_touch(c, s);
		return r;
	}
	r = sg_judge_http(c, s, look);
	if (!s->denied)
		r.actions |= SG_SEND_FIRST | SG_SEND_SECOND;
	return r;
}

struct sg_verdict sg_judge_http_overdue(const struct sg_context *c, struct sg_session *s)
{
	return refuse(c, s, SEG_R_BAD_REQUEST);
}
