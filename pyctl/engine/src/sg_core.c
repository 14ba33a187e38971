/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The core's API: takes frames through the stages, sends what passes, counts and tells the rest.
 * In: sg_core.h. Out: struct sg_io. Of frames that are held, discover and monitor drop nothing but what
 * cannot be sent, what belongs to no port, and what has no policy yet: all else is counted as passed
 * and told. A tap's copies are judged like them, and end here. */
#include "sg_core_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "sg_cache.h"
#include "sg_flow.h"
#include "sg_judge.h"

/* Each may cost four system calls; frames wait meanwhile. A frame opens one session at most, which has two
 * timers: fewer than that, and sessions would pile up for as long as every round is full. */
enum { DUE_PER_TICK = 32, DUE_PER_FRAME = 2, FRAMES_MAX = 64 };
#define TICK_NS 100000000ULL

struct sg_port *sg_port_of(struct sg_core *core, __u16 port_id)
{
	if (!core->ports[port_id])
		core->ports[port_id] = calloc(1, sizeof(struct sg_port));
	return core->ports[port_id];
}

struct sg_core *sg_core_new(const struct sg_io *io, const struct sg_core_config *config)
{
	struct sg_core *core = calloc(1, sizeof(*core));

	if (!core)
		return NULL;
	core->io = *io;
	core->config = *config;
	core->cache_limit = ~0U;
	if (!sg_port_of(core, 0) || sg_event_init(&core->events, config->epoch) ||
	    sg_hits_init(&core->hits, config->epoch) || sg_table_init(&core->table, config->max_sessions)) {
		sg_event_free(&core->events);
		sg_hits_free(&core->hits);
		free(core->ports[0]);
		free(core);
		return NULL;
	}
	return core;
}

/* Sessions, entries in the flow map, fragments: all that a port has open. */
static void close_port(struct sg_core *core, __u16 port_id, __u64 now_ns)
{
	struct sg_port *port = core->ports[port_id];
	struct sg_datagram *d = core->frags.oldest, *next;

	while (port->sessions.head)
		sg_flow_end(core, sg_table_slot(&core->table, port->sessions.head), now_ns);
	for (; d; d = next) {
		next = d->next;
		if (d->key.port_id == port_id)
			sg_frag_forget(&core->frags, &core->table.hash_key, d, &port->frag_memory);
	}
	free(port->rules);
	free(port->listeners);
	free(port);
	core->ports[port_id] = NULL;
}

void sg_core_free(struct sg_core *core)
{
	if (!core)
		return;
	for (__u32 id = 0; id < SEG_PORT_IDS; id++)
		if (core->ports[id])
			close_port(core, (__u16)id, core->now_ns);
	sg_node_free(core->node);
	sg_table_free(&core->table);
	sg_event_free(&core->events);
	sg_hits_free(&core->hits);
	free(core);
}

int sg_send(struct sg_core *core, struct sg_port *port, const struct sg_frame *frame)
{
	int error;

	if (sg_frame_is_copy(frame))
		return 1;
	error = core->io.send(core->io.ctx, frame);
	if (error)
		sg_count(port, SEG_R_SEND_FAILED, 1, frame->len);
	return error;
}

static void send_on(struct sg_core *core, struct sg_port *port, const struct sg_frame *frame)
{
	if (!sg_send(core, port, frame))
		sg_count(port, SEG_R_FROM_ENGINE, 1, frame->len);
}

/* The packet's flow, named from its opener's side. */
static void tell(struct sg_core *core, const struct sg_packet *p, const struct sg_ruling *ruling,
		 __u8 kind, __u64 now_ns)
{
	struct sg_event event = {
		.time_ns = now_ns, .packets = p->frames, .bytes = p->bytes,
		.rule_id = ruling->rule_id, .port_id = p->port_id, .reason = ruling->reason,
		.kind = kind, .dir = ruling->opener ? ruling->opener : p->dir, .family = p->family,
		.proto = p->proto, .sport = p->sport, .dport = p->dport,
	};
	int turned = event.dir != p->dir;

	memcpy(event.saddr, turned ? p->daddr : p->saddr, sizeof(event.saddr));
	memcpy(event.daddr, turned ? p->saddr : p->daddr, sizeof(event.daddr));
	if (turned && (p->kind == SG_KIND_TCP || p->kind == SG_KIND_UDP)) {
		event.sport = p->dport;
		event.dport = p->sport;
	}
	sg_event_push_drop(&core->events, &core->table.hash_key, &event);
}

void sg_record(struct sg_core *core, struct sg_port *port, const struct sg_packet *p,
	       const struct sg_ruling *ruling, __u64 now_ns)
{
	int staged = ruling->reason == SEG_R_STAGED_DENY || ruling->reason == SEG_R_STAGED_ALLOW;

	sg_count(port, ruling->reason, p->frames, p->bytes);
	if (!staged)
		port->counts[ruling->reason].passed += p->frames;
	tell(core, p, ruling, staged ? SG_EVENT_STAGED : SG_EVENT_VIOLATION, now_ns);
}

static int never_passes(__u16 reason)
{
	return reason == SEG_R_TRUNCATED || reason == SEG_R_NO_POLICY || reason == SEG_R_QUARANTINE;
}

/* Nothing is lost by it: it is a copy, or the mode only records. */
static int only_recorded(const struct sg_port *port, const struct sg_packet *p, __u16 reason)
{
	return sg_frame_is_copy(p->frame) ||
	       (port->rules && sg_policy_records_only(port->rules) && !never_passes(reason));
}

/* Count and tell p, which cannot simply pass. 1 when it goes on all the same. */
static int refuse(struct sg_core *core, struct sg_port *port, const struct sg_packet *p,
		  const struct sg_ruling *ruling, __u64 now_ns)
{
	if (only_recorded(port, p, ruling->reason)) {
		sg_record(core, port, p, ruling, now_ns);
		return 1;
	}
	sg_count(port, ruling->reason, p->frames, p->bytes);
	tell(core, p, ruling, SG_EVENT_DROP, now_ns);
	return 0;
}

/* The fate of all that is held of a datagram; p speaks for it. */
static void finish_datagram(struct sg_core *core, struct sg_port *port, struct sg_datagram *d,
			    const struct sg_packet *p, const struct sg_ruling *ruling, __u64 now_ns)
{
	if (ruling->reason && !refuse(core, port, p, ruling, now_ns))
		return;
	for (const struct sg_held *h = d->head; h; h = h->next)
		send_on(core, port, &h->frame);
}

/* What is held of d, as one packet for counting. */
static void describe(const struct sg_datagram *d, struct sg_packet *p)
{
	p->frames = 0;
	p->bytes = 0;
	for (const struct sg_held *h = d->head; h; h = h->next) {
		p->frames++;
		p->bytes += h->frame.len;
	}
}

static void take_fragment(struct sg_core *core, struct sg_port *port, const struct sg_packet *p,
			  __u64 now_ns)
{
	struct sg_ruling r = { 0 };
	struct sg_packet whole;
	struct sg_datagram *d;

	r.reason = sg_frag_add(&core->frags, &core->table.hash_key, p, &port->frag_memory, now_ns,
			       &d);
	if (r.reason) {
		if (d && d->head) {
			whole = *p;
			describe(d, &whole);
			finish_datagram(core, port, d, &whole, &r, now_ns);
		}
		if (d)
			sg_frag_release(&core->frags, d, &port->frag_memory);
		if (refuse(core, port, p, &r, now_ns))
			send_on(core, port, p->frame);
		return;
	}
	if (!d)
		return;
	r.reason = sg_frag_whole(d, &whole);
	if (!r.reason)
		r = sg_judge(core, port, &whole, now_ns);
	finish_datagram(core, port, d, &whole, &r, now_ns);
	sg_frag_forget(&core->frags, &core->table.hash_key, d, &port->frag_memory);
}

/* Passes without a question: 0, or the reason under which it is counted. */
static __u16 passes_freely(const struct sg_packet *p)
{
	if (p->kind == SG_KIND_ARP)
		return SEG_R_ARP;
	if (p->kind == SG_KIND_NEIGHBOUR)
		return SEG_R_NEIGHBOUR_DISCOVERY;
	return p->to_group ? SEG_R_GROUP : SEG_R_NONE;
}

/* All that needs no look at flows; SEG_R_NONE: go on. */
static __u16 inspect(const struct sg_port *port, struct sg_packet *p)
{
	if (p->frame->wire_len > p->frame->len)
		return SEG_R_TRUNCATED;
	if (!port->rules)
		return SEG_R_NO_POLICY;
	if (port->rules->policy.mode == SEG_MODE_QUARANTINE)
		return SEG_R_QUARANTINE;
	return sg_decode_network(p);
}

void sg_core_frame(struct sg_core *core, const struct sg_frame *frame, __u64 now_ns)
{
	struct sg_port *port = core->ports[0];
	struct sg_ruling r = { 0 };
	struct sg_packet p;
	__u16 freely;

	core->now_ns = now_ns;
	core->frames++;
	r.reason = sg_decode_link(frame, &p);
	if (!r.reason && !(port = sg_port_of(core, p.port_id))) {
		port = core->ports[0];
		r.reason = SEG_R_SESSION_MEMORY;
	}
	sg_count(port, SEG_R_TO_ENGINE, 1, p.bytes);
	if (!r.reason)
		r.reason = inspect(port, &p);
	if (!r.reason) {
		freely = passes_freely(&p);
		if (freely) {
			sg_count(port, freely, 1, p.bytes);
			send_on(core, port, frame);
			return;
		}
		if (p.kind == SG_KIND_FRAGMENT) {
			take_fragment(core, port, &p, now_ns);
			return;
		}
		if (p.kind == SG_KIND_OTHER_ETHERTYPE)
			r.reason = SEG_R_OTHER_ETHERTYPE;
		else
			r = sg_judge(core, port, &p, now_ns);
	}
	if (!r.reason || refuse(core, port, &p, &r, now_ns))
		send_on(core, port, frame);
}

static void expire_fragments(struct sg_core *core, __u64 now_ns)
{
	struct sg_ruling r = { .reason = SEG_R_FRAGMENT_TIMEOUT };
	struct sg_datagram *d;

	while ((d = sg_frag_due(&core->frags, now_ns))) {
		struct sg_port *port = core->ports[d->key.port_id];
		struct sg_packet p;

		if (d->head) {
			sg_decode_link(&d->head->frame, &p);
			sg_decode_network(&p);
			describe(d, &p);
			finish_datagram(core, port, d, &p, &r, now_ns);
		}
		sg_frag_forget(&core->frags, &core->table.hash_key, d, &port->frag_memory);
	}
}

void sg_core_end(struct sg_core *core, const struct seg_end *end, __u64 now_ns)
{
	struct sg_session *s = sg_table_named(&core->table, end->session);

	if (s && s->key.proto == SG_PROTO_TCP && !s->denied)
		sg_flow_close(core, s, end->dir != s->opener, end->close, now_ns);
}

__u64 sg_core_tick(struct sg_core *core, __u64 now_ns)
{
	__u32 most = DUE_PER_TICK + DUE_PER_FRAME * (core->frames < FRAMES_MAX ? core->frames : FRAMES_MAX);
	struct sg_session *s;

	core->now_ns = now_ns;
	core->frames = 0;
	expire_fragments(core, now_ns);
	for (__u32 i = 0; i < most; i++) {
		s = sg_wheel_due(&core->table, now_ns);
		if (!s)
			return TICK_NS;
		sg_flow_due(core, s, now_ns);
	}
	return 0;
}

int sg_core_policy_set(struct sg_core *core, const struct sg_policy *policy,
		       const struct sg_rule *rules)
{
	struct sg_ruleset *set;
	struct sg_port *port;
	int error = sg_policy_compile(policy, rules, &core->node, &set);

	if (error)
		return error;
	port = sg_port_of(core, policy->port_id);
	if (!port) {
		free(set);
		return -ENOMEM;
	}
	free(port->rules);
	port->rules = set;
	if (policy->flags & SG_POLICY_NO_CACHE)
		sg_cache_drop_port(core, port);
	return 0;
}

int sg_core_node_build(const struct sg_core *core, const void *bytes, __u32 length,
		       struct sg_node **out)
{
	struct sg_node_view view;
	int error = sg_node_view(bytes, length, &view);

	/* The key is made once: it may be read while the core works. */
	return error ? error : sg_node_build(core->table.hash_key.k, &view, out);
}

static int policies_set(struct sg_core *core, const struct sg_node_view *view)
{
	int error = 0;

	for (__u32 i = 0; i < view->head->policies && !error; i++)
		error = sg_core_policy_set(core, &view->policies[i], NULL);
	return error;
}

int sg_core_node_swap(struct sg_core *core, struct sg_node *node, const void *bytes, __u32 length,
		      struct sg_node **former)
{
	struct sg_node_view view;
	int error = sg_node_view(bytes, length, &view);

	*former = error ? node : core->node;
	if (error)
		return error;
	core->node = node;
	return policies_set(core, &view);
}

int sg_core_members_set(struct sg_core *core, const void *bytes, __u32 length)
{
	struct sg_node_view view;
	int error = sg_node_view(bytes, length, &view);

	if (error || !core->node || view.head->rules || view.head->cidrs)
		return error ? error : -EINVAL;
	error = sg_node_members_set(core->node, &view);
	return error ? error : policies_set(core, &view);
}

int sg_core_listeners_set(struct sg_core *core, __u16 port_id, const __u16 *ports, __u32 count)
{
	struct sg_port *port = port_id ? sg_port_of(core, port_id) : NULL;
	__u8 *bits = NULL;

	if (!port)
		return port_id ? -ENOMEM : -EINVAL;
	if (count) {
		bits = calloc(65536 / 8, 1);
		if (!bits)
			return -ENOMEM;
		for (__u32 i = 0; i < count; i++)
			bits[ports[i] / 8] = (__u8)(bits[ports[i] / 8] | (1 << (ports[i] % 8)));
	}
	free(port->listeners);
	port->listeners = bits;
	return 0;
}

void sg_core_port_delete(struct sg_core *core, __u16 port_id)
{
	if (core->node)
		sg_node_port_delete(core->node, port_id);
	if (port_id && core->ports[port_id])
		close_port(core, port_id, core->now_ns);
}

void sg_core_counters(const struct sg_core *core, __u16 port_id, struct sg_reason_count *out)
{
	const struct sg_port *port = core->ports[port_id];

	memset(out, 0, sizeof(*out) * SEG_R_COUNT);
	if (port)
		memcpy(out, port->counts, sizeof(port->counts));
}

__u32 sg_core_events(struct sg_core *core, __u64 epoch, __u64 ack, __u64 after, struct sg_event *out,
		     __u32 max, struct sg_event_page *page)
{
	if (epoch != core->events.log->epoch)
		ack = after = 0;
	sg_event_acknowledge(&core->events, ack);
	return sg_event_read(&core->events, after, out, max, page);
}

__u32 sg_core_hits(const struct sg_core *core, __u64 after, struct sg_hit *out, __u32 max,
		   struct sg_hit_page *page)
{
	return sg_hits_read(&core->hits, after, out, max, page);
}

__u32 sg_core_sessions(struct sg_core *core, __u16 port_id, struct sg_session_info *out, __u32 max,
		       __u32 *cursor)
{
	__u32 slot = *cursor, found = 0;

	while (slot < core->table.used && found < max) {
		struct sg_session *s = sg_table_slot(&core->table, ++slot);

		if (s->in_use && (!port_id || s->key.port_id == port_id))
			sg_flow_info(core, s, &out[found++]);
	}
	*cursor = slot < core->table.used ? slot : 0;
	return found;
}

__u32 sg_core_session_count(const struct sg_core *core)
{
	return core->table.count;
}
