/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Session life; see the header. In: packets and answers of the policy. Out: table, flow map,
 * events. */
#include "flow/sg_flow.h"

#include <errno.h>

#include "flow/sg_ask.h"
#include "flow/sg_cache.h"
#include "flow/sg_credit.h"
#include "session/sg_tcp.h"

enum { ROOM_TRIES = 4 };	/* each may cost four system calls */
enum { SWEPT_AT_ONCE = 64 };	/* each may cost a system call */
#define PATIENCE_NS (60 * SG_SECOND)	/* how long an end event waits for room */
/* How often the entry of a denied service is read: of one that is in use, and of another. */
#define LOOK_NS SG_SECOND
#define LOOK_IDLE_NS (4 * SG_SECOND)

/* Record that the packet's flow passes although a rule, or a staged rule, says otherwise. */
static void record(const struct sg_context *c, __u32 rule_id, __u16 reason, __u8 initiator, struct sg_session *s)
{
	struct sg_verdict verdict = { .rule_id = rule_id, .reason = reason, .initiator = initiator, .session = s };

	if (reason)
		sg_record(&c->core->report, &c->port->counts, c->p, &verdict, SG_EVENT_VIOLATION, c->now_ns);
}

/* Whether the service is known to be denied by the same rules. */
static int is_known_denial(const struct sg_context *c, const struct sg_key *service, const struct sg_answer *answer)
{
	const struct sg_session *s = sg_table_find(&c->core->table, service);

	return s && s->service && s->keys.rule == answer->keys.rule && s->keys.staged == answer->keys.staged;
}

void sg_flow_decided(const struct sg_context *c, __u8 initiator, const struct sg_answer *answer, int kept)
{
	struct sg_key key = c->key;

	record(c, answer->staged_id, answer->staged_reason, initiator, NULL);
	if (!answer->pass)
		sg_flow_service_key(&key, initiator);
	if (answer->pass || !is_known_denial(c, &key, answer))
		sg_hits_judged(&c->core->report.hits, c->core->report.hash_key, &key, answer, kept, c->now_ns);
	if (answer->pass && !kept)
		record(c, answer->rule_id, answer->reason, initiator, NULL);
}

/* Let the session pass, with or without a violation. */
static void let_pass(const struct sg_context *c, struct sg_session *s, const struct sg_answer *answer)
{
	if (!s->violation)
		record(c, answer->rule_id, answer->reason, s->initiator, s);
	s->violation = answer->reason != SEG_R_NONE;
	s->violation_reason = answer->reason;
}

static __u64 timeout_of(const struct sg_session *s)
{
	int answered = s->seen_sides == 3;

	switch (s->key.proto) {
	case SG_PROTO_TCP:
		return s->denied ? SG_TIMEOUT_TCP_RESET : sg_tcp_timeout(s);
	case SG_PROTO_UDP:
		return answered ? SG_TIMEOUT_UDP_ANSWERED : SG_TIMEOUT_UDP;
	case SG_PROTO_SCTP:
		return answered ? SG_TIMEOUT_SCTP_ANSWERED : SG_TIMEOUT_OTHER;
	case SG_PROTO_ICMP:
	case SG_PROTO_ICMPV6:
		return SG_TIMEOUT_ICMP;
	default:
		return answered ? SG_TIMEOUT_OTHER_ANSWERED : SG_TIMEOUT_OTHER;
	}
}

static void count_denied(struct sg_core *core, const struct sg_session *s, int one)
{
	core->denied += (__u32)one;
	core->ports[s->key.port_id]->denied += (__u32)one;
}

static void schedule(struct sg_core *core, struct sg_session *s)
{
	__u64 at_ns = s->last_seen_ns + timeout_of(s), due_ns;

	if (sg_session_is_looked_at(s)) {
		due_ns = sg_look_due_ns(&core->looks, s);
		at_ns = due_ns < at_ns ? due_ns : at_ns;
	}
	sg_wheel_arm(&core->table, s, at_ns);
}

static void schedule_look(struct sg_core *core, struct sg_session *s, __u64 now_ns)
{
	if (s->service && s->cached)
		sg_wheel_arm(&core->table, s,
			     now_ns + (now_ns < s->last_seen_ns + LOOK_IDLE_NS ? LOOK_NS : LOOK_IDLE_NS));
}

/* A session in which both sides have sent is no longer evicted to make room. */
static void note_answer(struct sg_core *core, struct sg_session *s)
{
	sg_credit_prove(core, s);
	if (!s->lasting && !s->denied && s->seen_sides == 3)
		sg_table_lasts(&core->table, s, &core->ports[s->key.port_id]->sessions);
}

void sg_flow_touch(const struct sg_context *c, struct sg_session *s)
{
	int side = c->p->dir != s->initiator;

	if (!s->denied) {
		sg_flow_count(s, side, c->p->frames, c->p->bytes);
		if (s->key.proto != SG_PROTO_TCP)
			s->seen_sides = (__u8)(s->seen_sides | (1 << side));
	}
	sg_flow_seen(c, s);
}

void sg_flow_count(struct sg_session *s, int side, __u32 frames, __u32 bytes)
{
	s->packets[side] += frames;
	s->bytes[side] += bytes;
}

void sg_flow_seen(const struct sg_context *c, struct sg_session *s)
{
	s->last_seen_ns = c->now_ns;
	if (sg_frame_is_tagged(c->p->frame))
		s->vlan = 1;
	note_answer(c->core, s);
	schedule(c->core, s);
}

/* End the port's oldest unanswered session; if the peer's share is used up, the peer's. Returns 0 if there is none. The
 * flow map is read first, because the kernel may have seen an answer. */
static int make_room(const struct sg_context *c, enum sg_room room)
{
	struct sg_port_list *list = &c->port->sessions;
	struct sg_core *core = c->core;
	struct sg_session *s = sg_table_slot(&core->table, list->fresh.tail);

	if (!s)
		return 0;
	sg_cache_peek(core, s);
	note_answer(core, s);
	if (s->lasting)
		return 1;
	if (room == SG_NO_ROOM_FOR_PEER && !sg_table_same_peer(&s->key, &c->key))
		sg_table_renew(&core->table, s, list);
	else
		sg_flow_end(core, s);
	return 1;
}

static struct sg_session *add(const struct sg_context *c, __u8 initiator, const struct sg_answer *answer)
{
	struct sg_table *table = &c->core->table;
	enum sg_room room = sg_table_room(table, &c->key, &c->port->sessions);
	struct sg_session *s;

	for (int tries = 0; room != SG_ROOM && tries < ROOM_TRIES; tries++) {
		if (!make_room(c, room))
			break;
		room = sg_table_room(table, &c->key, &c->port->sessions);
	}
	s = sg_table_add(table, &c->key, &c->port->sessions);
	if (!s)
		return NULL;
	s->initiator = initiator;
	s->rule_id = answer->rule_id;
	s->keys = answer->keys;
	s->generation = c->port->rules ? c->port->rules->policy.generation : 0;
	s->app = answer->app;
	s->proof = answer->proof;
	s->look = answer->needs_app ? SG_LOOK_PENDING : answer->app ? SG_LOOK_OVER : SG_LOOK_NONE;
	s->waits = answer->needs_app == SG_NEED_HOLD;
	s->last_seen_ns = c->now_ns;
	if (c->now_ns > s->created_ns)
		s->created_ns = c->now_ns;
	s->dns = initiator == SEG_DIR_EGRESS && s->key.rport == SG_DNS_PORT &&
		 (s->key.proto == SG_PROTO_TCP || s->key.proto == SG_PROTO_UDP);
	if (c->port->rules && sg_policy_uses_names(c->port->rules))
		sg_peers_add(&c->core->peers, s);
	return s;
}

struct sg_session *sg_flow_open(const struct sg_context *c, __u8 initiator, const struct sg_answer *answer)
{
	struct sg_session *s = add(c, initiator, answer);

	if (!s)
		return NULL;
	if (s->key.proto == SG_PROTO_TCP)
		sg_tcp_start(s, c->p);
	sg_credit_take(c, s);
	sg_flow_touch(c, s);
	let_pass(c, s, answer);
	return s;
}

struct sg_session *sg_flow_deny(const struct sg_context *c, __u8 initiator, const struct sg_answer *answer)
{
	struct sg_core *core = c->core;
	struct sg_session *s;

	/* A flood of denied flows must not take the room of allowed flows, or of other ports' denials. */
	if (c->port->denied >= (__u64)SG_SHARE * (core->table.max / 4 - core->denied))
		return NULL;
	s = add(c, initiator, answer);
	if (!s)
		return NULL;
	count_denied(core, s, 1);
	s->denied = 1;
	s->ended = 1;
	s->reason = answer->reason;
	sg_flow_touch(c, s);
	return s;
}

static void become_denied(struct sg_core *core, struct sg_session *s)
{
	sg_cache_evict(core, s);
	sg_flow_emit_end(core, s);
	count_denied(core, s, 1);
	sg_scan_end(&core->scans, s);
	s->denied = 1;
	s->violation = s->resets = s->scans = 0;
	if (s->look)
		sg_session_look_no_more(s);
}

/* Hold the answer of now; what the kernel has dropped by a former one is told first. */
static void deny_again(struct sg_core *core, struct sg_session *s, const struct sg_answer *answer, __u64 generation)
{
	if (s->generation == generation)
		return;
	sg_cache_evict(core, s);
	sg_flow_emit_drops(core, s);
	s->rule_id = answer->rule_id;
	s->keys = answer->keys;
	s->reason = answer->reason;
	s->generation = generation;
}

struct sg_session *sg_flow_deny_service(const struct sg_context *c, const struct sg_answer *answer)
{
	const struct sg_packet *p = c->p;
	struct sg_context service = *c;
	struct sg_session *s;

	sg_flow_service_key(&service.key, p->dir);
	s = sg_flow_find(c->core, c->port, &service.key);
	if (s && !s->service)
		return NULL;
	if (s) {
		deny_again(c->core, s, answer, c->port->rules->policy.generation);
		sg_flow_touch(c, s);
	} else {
		s = sg_flow_deny(&service, p->dir, answer);
		if (!s)
			return NULL;
		s->service = 1;
		s->from_port = p->kind == SG_KIND_ICMP_QUERY ? p->icmp_id : p->sport;
	}
	s->rejects = answer->reject;
	return s;
}

void sg_flow_reopen(struct sg_session *s, __u64 now_ns)
{
	/* Its former packets were in that end event. */
	s->ended = 0;
	if (now_ns > s->created_ns)
		s->created_ns = now_ns;
	s->kernel_packets = s->kernel_bytes = 0;
	memset(s->packets, 0, sizeof(s->packets));
	memset(s->bytes, 0, sizeof(s->bytes));
}

static void become_allowed(struct sg_core *core, struct sg_session *s, __u64 now_ns)
{
	sg_cache_evict(core, s);
	sg_flow_emit_drops(core, s);
	count_denied(core, s, -1);
	s->denied = s->blocked = s->resets = s->seen_sides = s->service = 0;
	s->reason = SEG_R_NONE;
	s->retry_ns = 0;
	if (s->key.proto == SG_PROTO_TCP) {
		s->tcp_state = SG_TCP_ESTABLISHED;
		s->midstream = s->data_seen = 1;
		s->fin_seen = s->fin_acked = 0;
	}
	sg_flow_reopen(s, now_ns);
}

static struct sg_answer ask_again(struct sg_core *core, const struct sg_port *port, struct sg_session *s)
{
	__u8 initiator = s->initiator;
	struct sg_answer answer;

	if (!s->guessed)
		return sg_flow_ask_again(core, port, s);
	answer = sg_flow_ask_either(port, &s->key, &initiator);
	if (initiator != s->initiator) {
		sg_cache_evict(core, s);
		sg_tcp_turn(s);
		sg_scan_end(&core->scans, s);
	}
	return answer;
}

/* A session that waits no longer asks for its application, or has one now; one that is not looked at cannot begin to wait. */
static void take_app(struct sg_session *s, const struct sg_answer *answer)
{
	if (answer->needs_app) {
		s->waits = answer->needs_app == SG_NEED_HOLD;
		return;
	}
	s->app = answer->app;
	s->proof = answer->proof;
	if (answer->held)
		s->held = answer->held;
	if (s->look == SG_LOOK_PENDING)
		s->look = SG_LOOK_DECIDED;
	else if (s->app && s->look == SG_LOOK_NONE)
		s->look = SG_LOOK_OVER;
}

/* Of a session that is denied while it waits, the handshake alone counts as answered: nothing is learned from its payload. */
static void forget_held(struct sg_session *s)
{
	if (s->look == SG_LOOK_PENDING && s->waits)
		s->data_seen = 0;
}

void sg_flow_block(const struct sg_context *c, struct sg_session *s, __u16 reason)
{
	forget_held(s);
	become_denied(c->core, s);
	s->rule_id = 0;
	s->reason = reason;
	/* Of two versions, nobody knows which one a later policy would be asked about. */
	s->app = SG_APP_UNKNOWN;
	s->proof = SG_APP_UNPROVEN;
}

void sg_flow_drop_look(struct sg_core *core, struct sg_session *s)
{
	struct sg_port *port = core->ports[s->key.port_id];
	struct sg_payload *look = s->look ? sg_look_of(&core->looks, s) : NULL;
	const struct sg_waiting *w;

	if (!look)
		return;
	while ((w = sg_look_waiting(look, 3))) {
		sg_count(&port->counts, SEG_R_WAITED_IN_VAIN, 1, w->frame.len);
		sg_look_release(&core->looks, look, 3, &port->held);
	}
	sg_look_end(&core->looks, s);
}

int sg_flow_judge_anew(const struct sg_context *c, struct sg_session *s, const struct sg_answer *answer)
{
	struct sg_core *core = c->core;
	int turned = !answer->pass && !s->denied;

	if (turned)
		forget_held(s);
	take_app(s, answer);
	record(c, answer->staged_id, answer->staged_reason, s->initiator, s);
	sg_hits_used(&core->report.hits, core->report.hash_key, s);
	sg_hits_revalidated(&core->report.hits, core->report.hash_key, s, answer, c->now_ns);
	s->keys = answer->keys;
	s->generation = c->port->rules->policy.generation;
	s->rejects = answer->reject;
	if (turned)
		become_denied(core, s);
	else if (answer->pass && s->denied)
		become_allowed(core, s, c->now_ns);
	s->rule_id = answer->rule_id;
	if (answer->pass)
		let_pass(c, s, answer);
	else
		s->reason = answer->reason;
	return turned;
}

int sg_flow_revalidate(const struct sg_context *c, struct sg_session *s)
{
	struct sg_answer answer = ask_again(c->core, c->port, s);

	return answer.unknown ? -ENOMEM : sg_flow_judge_anew(c, s, &answer);
}

void sg_flow_settle(const struct sg_context *c, struct sg_session *s)
{
	sg_cache_sync(c, s);
	schedule_look(c->core, s, c->now_ns);
	if (sg_tcp_is_over(s))
		sg_flow_emit_end(c->core, s);
}

void sg_flow_close(struct sg_core *core, struct sg_session *s, int side, __u8 close, __u64 now_ns)
{
	sg_tcp_close(s, side, close);
	s->last_seen_ns = now_ns;
	schedule(core, s);
	if (!sg_tcp_is_over(s))
		return;
	sg_cache_drop(core, s);
	sg_credit_prove(core, s);
	/* It lingers: its timer emits the event when there is room. */
	if (sg_flow_may_end(core, s))
		sg_flow_emit_end(core, s);
}

void sg_flow_end(struct sg_core *core, struct sg_session *s)
{
	struct sg_port *port = core->ports[s->key.port_id];

	sg_cache_drop(core, s);
	sg_flow_drop_look(core, s);
	sg_scan_end(&core->scans, s);
	sg_flow_emit_end(core, s);
	sg_flow_emit_drops(core, s);
	sg_hits_used(&core->report.hits, core->report.hash_key, s);
	if (s->denied)
		count_denied(core, s, -1);
	sg_flow_forget_shown(core, s);
	sg_peers_remove(&core->peers, s);
	if (s->dns)
		sg_dns_stream_end(&core->dns_streams, &port->dns, sg_session_handle(s));
	sg_table_remove(&core->table, s, &port->sessions);
}

struct sg_session *sg_flow_find(struct sg_core *core, struct sg_port *port, const struct sg_key *key)
{
	struct sg_session *s = sg_table_find(&core->table, key);

	if (!s || s->created_ns > port->sessions.closed_ns)
		return s;
	sg_flow_end(core, s);
	return NULL;
}

void sg_flow_resume(struct sg_core *core, struct sg_session *s)
{
	if (s->denied)
		count_denied(core, s, 1);
	/* No policy has generation 0, so its next packet is judged again. Nobody knows what was scanned last. */
	s->generation = s->scans = 0;
	/* Of a pending one whose payload has crossed, nobody knows the first bytes any more; nor where the next request begins. */
	if ((s->look == SG_LOOK_PENDING && s->crossed) || s->look == SG_LOOK_REQUESTS) {
		s->app = SG_APP_UNKNOWN;
		s->proof = SG_APP_UNPROVEN;
		s->look = SG_LOOK_DECIDED;
	}
	if (s->look == SG_LOOK_DECIDED)
		s->look = SG_LOOK_OVER;
	sg_cache_drop(core, s);
	schedule(core, s);
	/* A RST may have come while there was no engine. */
	if (sg_tcp_is_over(s))
		sg_flow_emit_end(core, s);
}

/* Tell what the kernel has dropped. The entry stays while only a policy could change the verdict; an answered service, and
 * one of datagrams, which may answer what the workload has asked a group, is judged again. */
static void look_at_denied(struct sg_core *core, struct sg_session *s, __u64 now_ns)
{
	if (s->rejects || s->key.proto != SG_PROTO_TCP)
		sg_cache_drop(core, s);
	else
		sg_cache_peek(core, s);
	s->unanswered = 0;
	sg_flow_emit_drops(core, s);
	schedule_look(core, s, now_ns);
}

void sg_flow_due(struct sg_core *core, struct sg_session *s, __u64 now_ns)
{
	int closed = s->tcp_state == SG_TCP_LAST_ACK && !s->ended;
	__u64 over_ns;

	/* The kernel has counted the last ACK; later packets and retransmissions come to the engine. */
	if (closed)
		sg_cache_drop(core, s);
	else if (s->service)
		look_at_denied(core, s, now_ns);
	else if (s->cached)
		sg_cache_peek(core, s);
	note_answer(core, s);
	over_ns = s->last_seen_ns + timeout_of(s);
	if (now_ns < over_ns) {
		sg_hits_used(&core->report.hits, core->report.hash_key, s);
		schedule(core, s);
		return;
	}
	if (!sg_flow_may_end(core, s) && now_ns < over_ns + PATIENCE_NS) {
		sg_wheel_arm(&core->table, s, now_ns + SG_SECOND);
		return;
	}
	if (closed) {
		sg_flow_emit_end(core, s);
		schedule(core, s);
		return;
	}
	if (s->key.proto == SG_PROTO_TCP && !s->denied && sg_tcp_is_open(s))
		sg_flow_remember_initiator(core, s);
	sg_flow_end(core, s);
}

void sg_flow_sweep_all(struct sg_core *core)
{
	core->sweep_again = core->sweep != 0;
	if (!core->sweep)
		core->sweep = 1;
}

static void sweep_one(struct sg_core *core, struct sg_session *s)
{
	const struct sg_ruleset *rules = core->ports[s->key.port_id]->rules;

	if (rules && rules->policy.flags & SG_POLICY_NO_CACHE) {
		sg_cache_evict(core, s);
	} else if (s->key.proto == SG_PROTO_TCP && !s->denied) {
		sg_cache_peek(core, s);
		schedule(core, s);
	}
}

int sg_flow_sweep(struct sg_core *core)
{
	for (int seen = 0; core->sweep && seen < SWEPT_AT_ONCE; seen++) {
		struct sg_session *s;

		if (core->sweep > core->table.used) {
			core->sweep = core->sweep_again;
			core->sweep_again = 0;
			break;
		}
		s = sg_table_slot(&core->table, core->sweep++);
		if (s->in_use && s->cached)
			sweep_one(core, s);
	}
	return core->sweep != 0;
}

void sg_flow_info(struct sg_core *core, struct sg_session *s, struct sg_session_info *info)
{
	struct sg_cache_counts kernel = { 0 };
	struct sg_event flow = { 0 };

	if (s->cached && !s->denied) {
		kernel = sg_cache_peek(core, s);
		/* If it closed while the ring was full, its timer is too late. */
		schedule(core, s);
	}
	sg_flow_event(s, &flow);
	memset(info, 0, sizeof(*info));
	info->created_ns = s->created_ns;
	info->last_seen_ns = s->last_seen_ns;
	info->timeout_ns = timeout_of(s);
	for (int side = 0; side < 2; side++) {
		info->packets[side] = s->packets[side] + kernel.packets[side];
		info->bytes[side] = s->bytes[side] + kernel.bytes[side];
		info->kernel_packets += kernel.packets[side];
		info->kernel_bytes += kernel.bytes[side];
	}
	info->kernel_packets += s->kernel_packets;
	info->kernel_bytes += s->kernel_bytes;
	info->generation = s->generation;
	info->rule_id = s->rule_id;
	info->keys = s->keys;
	info->id = s->id;
	info->port_id = s->key.port_id;
	info->sport = flow.sport;
	info->dport = flow.dport;
	info->dir = s->initiator;
	info->family = s->key.family;
	info->proto = s->key.proto;
	info->verdict = s->denied ? SEG_VERDICT_DENY : SEG_VERDICT_ALLOW;
	info->tcp_state = s->tcp_state;
	info->cached = s->cached != 0;
	info->midstream = s->midstream;
	info->violation = s->violation;
	info->reason = flow.reason;
	info->ended = s->ended;
	info->answer = sg_flow_answered(s, info->packets[1]);
	info->app = s->app;
	info->proof = s->proof;
	info->look = sg_cache_is_scanned(core, s) && !sg_session_is_looked_at(s) ? SG_LOOK_SENSORS : s->look;
	memcpy(info->saddr, flow.saddr, sizeof(info->saddr));
	memcpy(info->daddr, flow.daddr, sizeof(info->daddr));
}
