/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Takes frames through the stages, sends those that pass, and carries out the actions of a verdict.
 * In: sg_core.h. Out: struct sg_io. Discover and monitor drop held frames only if they cannot be sent, belong to no port
 * or have no policy yet: other violations are counted as passed and emitted. A tap's copies are judged like held frames,
 * and end here. */
#include "base/sg_share.h"
#include "core/sg_output.h"
#include "core/sg_port.h"
#include "core/sg_waiting.h"
#include "flow/sg_ask.h"
#include "flow/sg_cache.h"
#include "flow/sg_credit.h"
#include "flow/sg_flow.h"
#include "flow/sg_open.h"
#include "guard/sg_guard.h"
#include "learn/sg_learn_table.h"
#include "packet/sg_decode.h"
#include "session/sg_tcp.h"
#include "verdict/sg_judge.h"
#include "verdict/sg_judge_app.h"

/* Each may cost four system calls, for which frames wait. A frame opens one session at most, which has two timers: with
 * fewer timers for each frame, sessions would pile up while every round is full. */
enum { DUE_PER_TICK = 32, DUE_PER_FRAME = 2, FRAMES_MAX = 64, CLOSED_PER_TICK = 64 };
#define TICK_NS 100000000ULL

static int never_passes(__u16 reason)
{
	return reason == SEG_R_TRUNCATED || reason == SEG_R_NO_POLICY || reason == SEG_R_QUARANTINE;
}

/* Whether the packet passes in spite of the reason: it is a copy, or the mode only records. */
static int only_recorded(const struct sg_context *c, __u16 reason)
{
	return sg_frame_is_copy(c->p->frame) ||
	       (c->port->rules && sg_policy_records_only(c->port->rules) && !never_passes(reason));
}

/* Record a packet with a reason not to pass. Returns whether it passes all the same. */
static int refuse(const struct sg_context *c, const struct sg_verdict *verdict)
{
	int passes = only_recorded(c, verdict->reason);

	sg_record(&c->core->report, &c->port->counts, c->p, verdict, passes ? SG_EVENT_VIOLATION : SG_EVENT_DROP,
		  c->now_ns);
	return passes;
}

/* Carry out the verdict except for the packet itself, which then stands for all that is dropped with it. Frames that waited
 * and answers are sent before the flow map is written, so that no later packet in the kernel overtakes them. */
static void act(struct sg_context *c, const struct sg_verdict *verdict, struct sg_packet *p)
{
	struct sg_session *s = verdict->session;
	__u8 actions = verdict->actions;

	if (s && actions & (SG_SEND_FIRST | SG_SEND_SECOND))
		sg_waiting_send(c, s, actions);
	if (s && actions & SG_DROP_WAITING) {
		sg_waiting_expected(c->core, s, p);
		sg_waiting_drop(c, s, p);
	}
	if (!sg_output_answers(c, actions) && s)
		s->unanswered = 1;
	if (s)
		sg_flow_settle(c, s);
}

static struct sg_verdict judge(struct sg_context *c, struct sg_packet *p)
{
	struct sg_verdict r;
	int guarded = sg_guard_packet(c, &r);

	if (!guarded)
		r = sg_judge(c);
	act(c, &r, p);
	if (!guarded)
		sg_guard_judged(c, &r);
	if (r.session)
		sg_open_learn(c, r.session);
	return r;
}

/* Send or drop all held fragments of a datagram that is not judged as a whole. */
static void finish_datagram(const struct sg_context *c, const struct sg_datagram *d,
			    const struct sg_verdict *verdict)
{
	if (verdict->reason && !refuse(c, verdict))
		return;
	for (const struct sg_held *h = d->head; h; h = h->next)
		sg_output_frame(c, &h->frame);
}

/* Describe the held fragments of d as one packet, for counting. */
static void describe(const struct sg_datagram *d, struct sg_packet *p)
{
	p->frames = 0;
	p->bytes = 0;
	for (const struct sg_held *h = d->head; h; h = h->next) {
		p->frames++;
		p->bytes += h->frame.len;
	}
}

static void take_fragment(struct sg_context *c)
{
	struct sg_frags *frags = &c->core->frags;
	const struct sg_packet *p = c->p;
	struct sg_verdict r = { 0 };
	struct sg_packet whole;
	struct sg_datagram *d;

	r.reason = sg_frag_add(frags, p, &c->port->frag_memory, c->now_ns, &d);
	if (r.reason) {
		if (d && d->head) {
			whole = *p;
			describe(d, &whole);
			c->p = &whole;
			if (r.reason == SEG_R_FRAGMENT_OVERLAP)
				sg_guard_found(c, SG_THREAT_TEARDROP);
			finish_datagram(c, d, &r);
			c->p = p;
		}
		if (d)
			sg_frag_release(frags, d, &c->port->frag_memory);
		if (refuse(c, &r))
			sg_output_frame(c, p->frame);
		return;
	}
	if (!d)
		return;
	c->p = &whole;
	r.reason = sg_join(d, &c->core->joined, &whole);
	if (!r.reason)
		r = judge(c, &whole);
	if (!whole.pieces.longest)
		finish_datagram(c, d, &r);
	else if (!(r.actions & SG_KEEP) && (!r.reason || refuse(c, &r)))
		sg_output_pieces(c, whole.frame, whole.pieces);
	sg_frag_forget(frags, d, &c->port->frag_memory);
}

/* The reason under which a packet that needs no policy is counted; 0: it needs one. */
static __u16 passes_freely(const struct sg_packet *p)
{
	if (p->kind == SG_KIND_ARP)
		return SEG_R_ARP;
	if (p->kind == SG_KIND_NEIGHBOUR)
		return SEG_R_NEIGHBOUR_DISCOVERY;
	return p->kind == SG_KIND_MEMBERSHIP ? SEG_R_GROUP : SEG_R_NONE;
}

/* Run the checks that need no session; SEG_R_NONE: go on. */
static __u16 precheck(const struct sg_port *port, struct sg_packet *p)
{
	__u16 reason;

	if (p->frame->wire_len > p->frame->len)
		return SEG_R_TRUNCATED;
	if (!port->rules)
		return SEG_R_NO_POLICY;
	if (port->rules->policy.mode == SEG_MODE_QUARANTINE)
		return SEG_R_QUARANTINE;
	reason = sg_decode_network(p);
	return reason ? reason : sg_decode_csum(p);
}

/* Whether the packet exceeds its port's share, if the kernel does not pace that port, or did not yet; as seg_share.h. */
static int is_over_share(const struct sg_context *c)
{
	const struct sg_packet *p = c->p;
	struct sg_core *core = c->core;
	int inbound = p->dir == SEG_DIR_INGRESS;
	__u64 name[3] = { p->port_id * 2U + (__u32)inbound }, hash;
	__u64 gap = core->share_gap_ns, limit = SEG_SHARE_AHEAD_NS;
	int hit;

	if (!gap || (!core->share_behind && !(c->port->rules->policy.flags & SG_POLICY_NO_CACHE)))
		return 0;
	memcpy(&name[1], inbound ? p->saddr : p->daddr, 16);
	hash = sg_hash(&core->table.hash_key, name, sizeof(name));
	hit = sg_share_ask(&core->share_peers[hash % SEG_SHARE_PEERS], c->now_ns, 2 * gap, limit);
	if (!(hit & SEG_SHARE_REFUSED))
		hit |= sg_share_ask(&c->port->shares[inbound], c->now_ns, gap, limit);
	core->share_hit |= hit;
	return hit & SEG_SHARE_REFUSED;
}

int sg_core_share(struct sg_core *core, __u64 gap_ns, int behind)
{
	int hit = core->share_hit;

	core->share_gap_ns = gap_ns;
	core->share_behind = behind;
	core->share_hit = 0;
	return hit;
}

/* Note whether packets belong to more than one conversation. All packets between two addresses are one. */
static void note_conversation(struct sg_core *core, const struct sg_packet *p)
{
	__u64 source[2], ends[2];

	memcpy(source, p->saddr, sizeof(source));
	memcpy(ends, p->daddr, sizeof(ends));
	ends[0] ^= source[0];
	ends[1] ^= source[1];
	if (ends[0] == core->conversation[0] && ends[1] == core->conversation[1])
		return;
	core->contended |= core->conversation[0] || core->conversation[1];
	memcpy(core->conversation, ends, sizeof(ends));
}

int sg_core_contended(struct sg_core *core)
{
	int contended = core->contended;

	core->contended = 0;
	return contended;
}

void sg_core_frame(struct sg_core *core, const struct sg_frame *frame, __u64 now_ns)
{
	struct sg_verdict r = { 0 };
	struct sg_context c;
	struct sg_packet p;
	struct sg_port *port;
	__u16 freely;

	core->now_ns = now_ns;
	core->frames++;
	c.core = core;
	c.port = core->ports[0];
	c.p = &p;
	c.now_ns = now_ns;
	core->report.text[0] = 0;
	r.reason = sg_decode_link(frame, &p);
	if (!r.reason) {
		port = sg_port_of(core, p.port_id);
		if (port)
			c.port = port;
		else
			r.reason = SEG_R_SESSION_MEMORY;
	}
	sg_count(&c.port->counts, SEG_R_TO_ENGINE, 1, p.bytes);
	if (!r.reason)
		r.reason = precheck(c.port, &p);
	if (!r.reason) {
		freely = passes_freely(&p);
		if (freely) {
			sg_count(&c.port->counts, freely, 1, p.bytes);
			sg_output_frame(&c, frame);
			return;
		}
		note_conversation(core, &p);
		if (p.kind == SG_KIND_OTHER_ETHERTYPE)
			r.reason = SEG_R_OTHER_ETHERTYPE;
		else if (is_over_share(&c))
			r.reason = SEG_R_PORT_SHARE;
	}
	if (!r.reason && p.kind == SG_KIND_FRAGMENT) {
		take_fragment(&c);
		return;
	}
	if (!r.reason)
		r = judge(&c, &p);
	if (!(r.actions & SG_KEEP) && (!r.reason || refuse(&c, &r)))
		sg_output_frame(&c, frame);
}

static void expire_fragments(struct sg_core *core, __u64 now_ns)
{
	struct sg_verdict r = { .reason = SEG_R_FRAGMENT_TIMEOUT };
	struct sg_datagram *d;

	while ((d = sg_frag_due(&core->frags, now_ns))) {
		struct sg_packet p;
		struct sg_context c = {
			.core = core, .port = core->ports[d->key.port_id], .p = &p, .now_ns = now_ns,
		};

		if (d->head) {
			sg_decode_link(&d->head->frame, &p);
			sg_decode_network(&p);
			describe(d, &p);
			finish_datagram(&c, d, &r);
		}
		sg_frag_forget(&core->frags, d, &c.port->frag_memory);
	}
}

/* Decide on a connection of which a frame has waited for too long. */
static void end_waiting(struct sg_core *core, struct sg_session *s, __u64 now_ns)
{
	struct sg_packet p;
	struct sg_context c = {
		.core = core, .port = core->ports[s->key.port_id], .p = &p, .now_ns = now_ns, .key = s->key,
	};
	__u8 link[SG_ETH_LEN];
	struct sg_frame frame;
	struct sg_verdict r;

	if (sg_tcp_is_over(s) || !c.port->rules || !sg_waiting_packet(core, s, &frame, &p)) {
		sg_flow_drop_look(core, s);
		return;
	}
	core->report.text[0] = 0;
	r = sg_judge_app_overdue(&c, s);
	/* The packet is among those that wait, and goes with them; resets need its link header. */
	p.frames = p.bytes = 0;
	memcpy(link, frame.data, sizeof(link));
	frame.data = link;
	frame.len = frame.wire_len = sizeof(link);
	act(&c, &r, &p);
	if (r.reason)
		refuse(&c, &r);
}

void sg_core_open_event(struct sg_core *core, const struct seg_open_event *event, __u64 now_ns)
{
	struct sg_packet p;
	struct sg_context c = {
		.core = core, .port = sg_port_of(core, event->key.port_id), .p = &p,
		.now_ns = event->session & ~SEG_OPENED_BY_KERNEL,
	};
	struct sg_session *s;

	core->now_ns = now_ns;
	core->frames++;
	if (!c.port)
		return;
	sg_open_packet(&event->key, event->family, event->dir, &p);
	sg_flow_key(&p, &c.key);
	s = sg_flow_find(core, c.port, &c.key);
	if (!s || s->opened != event->session)
		sg_guard_opened(&c);
	/* An event that a former engine has handled, or one older than the entry of now. */
	if (s && (s->opened == event->session || (s->cached && s->put_ns >= c.now_ns)))
		return;
	s = sg_open_adopt(&c, event, s);
	if (core->deleted[event->key.port_id])
		sg_port_close(core, event->key.port_id, now_ns);
	else if (s && !c.port->rules)
		sg_flow_resume(core, s);
}

int sg_core_has_room(const struct sg_core *core)
{
	return sg_credit_has_room(core);
}

void sg_core_close_event(struct sg_core *core, const struct seg_close_event *event, __u64 now_ns)
{
	struct sg_session *s;
	struct sg_packet p;
	struct sg_key key;

	if (event->session & SEG_OPENED_BY_KERNEL) {
		sg_open_packet(&event->key, event->family, event->dir, &p);
		sg_flow_key(&p, &key);
		s = sg_table_find(&core->table, &key);
		if (s && s->opened != event->session)
			s = NULL;
	} else {
		s = sg_table_by_handle(&core->table, event->session);
	}
	if (!s || s->key.proto != SG_PROTO_TCP || s->denied)
		return;
	sg_flow_close(core, s, event->dir != s->initiator, event->close, now_ns);
	if (event->close & SEG_CLOSE_RST)
		sg_guard_closed(core, s);
}

void sg_core_closes_lost(struct sg_core *core)
{
	sg_flow_sweep_all(core);
}

__u64 sg_core_tick(struct sg_core *core, __u64 now_ns)
{
	__u32 most = DUE_PER_TICK + DUE_PER_FRAME * (core->frames < FRAMES_MAX ? core->frames : FRAMES_MAX);
	struct sg_session *s;
	int more;

	core->now_ns = now_ns;
	core->frames = 0;
	expire_fragments(core, now_ns);
	if (now_ns - core->swept_ns >= TICK_NS) {
		core->swept_ns = now_ns;
		sg_event_sweep(&core->report.events, now_ns);
		sg_alarm_sweep(&core->report.alarms, &core->report.events, now_ns);
	}
	more = sg_port_end_closing(core, CLOSED_PER_TICK, now_ns);
	more |= sg_flow_sweep(core);
	sg_learn_sweep(core, now_ns);
	for (__u32 i = 0; i < most; i++) {
		s = sg_wheel_due(&core->table, now_ns);
		if (!s)
			return more ? 0 : TICK_NS;
		if (sg_session_is_looked_at(s) && now_ns >= sg_look_due_ns(&core->looks, s))
			end_waiting(core, s, now_ns);
		sg_flow_due(core, s, now_ns);
	}
	return 0;
}
