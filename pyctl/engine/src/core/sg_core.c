/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The core's API: takes frames through the stages, sends what passes, counts and tells the rest.
 * In: sg_core.h. Out: struct sg_io. Of frames that are held, discover and monitor drop nothing but what
 * cannot be sent, what belongs to no port, and what has no policy yet: all else is counted as passed
 * and told. A tap's copies are judged like them, and end here. */
#include "flow/sg_core_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "flow/sg_cache.h"
#include "flow/sg_flow.h"
#include "verdict/sg_judge.h"
#include "base/sg_share.h"

/* Each may cost four system calls; frames wait meanwhile. A frame opens one session at most, which has two
 * timers: fewer than that, and sessions would pile up for as long as every round is full. */
enum { DUE_PER_TICK = 32, DUE_PER_FRAME = 2, FRAMES_MAX = 64, CLOSED_PER_TICK = 64, LISTED_AT_ONCE = 4096 };
#define CLOSING_NS (60 * SG_SECOND)	/* that the ends of a deleted port's flows wait for room among the events */
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

/* Policy and fragments go at once, and nothing is found of its sessions any more; they end a few at a time. */
static void close_port(struct sg_core *core, __u16 port_id, __u64 now_ns)
{
	struct sg_port *port = core->ports[port_id];
	struct sg_datagram *d = core->frags.oldest, *next;

	for (; d; d = next) {
		next = d->next;
		if (d->key.port_id == port_id)
			sg_frag_forget(&core->frags, &core->table.hash_key, d, &port->frag_memory);
	}
	free(port->rules);
	free(port->listeners);
	port->rules = NULL;
	port->listeners = NULL;
	memset(port->counts, 0, sizeof(port->counts));
	memset(&port->questions, 0, sizeof(port->questions));
	memset(&port->renewal, 0, sizeof(port->renewal));
	port->cache = (struct sg_cache_stats){ .entries = port->cache.entries };
	sg_table_close(&core->table, &port->sessions, now_ns);
	if (port->closing)
		return;
	port->closing = 1;
	port->closing_next = core->closing;
	core->closing = port_id;
}

/* The first of the closing ports has no session of its past any more. */
static void finish_closing(struct sg_core *core)
{
	__u16 port_id = core->closing;
	struct sg_port *port = core->ports[port_id];

	core->closing = port->closing_next;
	port->closing = 0;
	/* It may have been given to another meanwhile. */
	if (port->rules || port->sessions.count)
		return;
	free(port->listeners);
	free(port);
	core->ports[port_id] = NULL;
}

/* End up to `max` sessions of ports that were deleted; those whose end cannot be told yet wait. 1: there are more. */
static int end_closing(struct sg_core *core, __u32 max, __u64 now_ns)
{
	while (core->closing) {
		struct sg_port *port = core->ports[core->closing];
		struct sg_session *s = sg_table_slot(&core->table, port->sessions.closing.tail);

		if (!s) {
			finish_closing(core);
			continue;
		}
		if (!max--)
			return 1;
		if (!sg_flow_may_end(core, s) && now_ns < port->sessions.closed_ns + CLOSING_NS)
			return 0;
		sg_flow_end(core, s);
	}
	return 0;
}

void sg_core_free(struct sg_core *core)
{
	if (!core)
		return;
	for (__u32 id = 0; id < SEG_PORT_IDS; id++)
		if (id && core->ports[id])
			close_port(core, (__u16)id, core->now_ns);
	while (end_closing(core, ~0U, ~0ULL))
		;
	free(core->ports[0]);
	sg_node_free(core->node);
	sg_event_flush(&core->events);
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

/* A flood's every packet would be another flow's. */
static int may_tell_share(struct sg_port *port, __u64 now_ns)
{
	if (now_ns - port->share_told_ns < SG_SECOND)
		return 0;
	port->share_told_ns = now_ns;
	return 1;
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

	if (ruling->reason == SEG_R_PORT_SHARE && !may_tell_share(core->ports[p->port_id], now_ns))
		return;
	memcpy(event.saddr, turned ? p->daddr : p->saddr, sizeof(event.saddr));
	memcpy(event.daddr, turned ? p->saddr : p->daddr, sizeof(event.daddr));
	if (turned && (p->kind == SG_KIND_TCP || p->kind == SG_KIND_UDP || p->kind == SG_KIND_SCTP)) {
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
	return p->kind == SG_KIND_MEMBERSHIP ? SEG_R_GROUP : SEG_R_NONE;
}

/* All that needs no look at flows; SEG_R_NONE: go on. */
static __u16 inspect(const struct sg_port *port, struct sg_packet *p)
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

/* Of a port that the kernel does not keep to its share, or did not yet: as seg_share.h does it. */
static int is_over_share(struct sg_core *core, struct sg_port *port, const struct sg_packet *p,
			 __u64 now_ns)
{
	int inbound = p->dir == SEG_DIR_INGRESS;
	__u64 name[3] = { p->port_id * 2U + (__u32)inbound }, hash;
	__u64 gap = core->share_gap_ns, limit = SEG_SHARE_AHEAD_NS;
	int hit;

	if (!gap || (!core->share_behind && !(port->rules->policy.flags & SG_POLICY_NO_CACHE)))
		return 0;
	memcpy(&name[1], inbound ? p->saddr : p->daddr, 16);
	hash = sg_hash(&core->table.hash_key, name, sizeof(name));
	hit = sg_share_ask(&core->share_peers[hash % SEG_SHARE_PEERS], now_ns, 2 * gap, limit);
	if (!(hit & SEG_SHARE_REFUSED))
		hit |= sg_share_ask(&port->shares[inbound], now_ns, gap, limit);
	core->share_hit |= hit;
	return hit & SEG_SHARE_REFUSED;
}

/* What goes between two addresses is one conversation, at however many ports it is seen. */
static void note_ends(struct sg_core *core, const struct sg_packet *p)
{
	__u64 source[2], ends[2];

	memcpy(source, p->saddr, sizeof(source));
	memcpy(ends, p->daddr, sizeof(ends));
	ends[0] ^= source[0];
	ends[1] ^= source[1];
	if (ends[0] == core->ends[0] && ends[1] == core->ends[1])
		return;
	core->contended |= core->ends[0] || core->ends[1];
	memcpy(core->ends, ends, sizeof(ends));
}

int sg_core_contended(struct sg_core *core)
{
	int contended = core->contended;

	core->contended = 0;
	return contended;
}

int sg_core_share(struct sg_core *core, __u64 gap_ns, int behind)
{
	int hit = core->share_hit;

	core->share_gap_ns = gap_ns;
	core->share_behind = behind;
	core->share_hit = 0;
	return hit;
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
		note_ends(core, &p);
		if (p.kind == SG_KIND_OTHER_ETHERTYPE)
			r.reason = SEG_R_OTHER_ETHERTYPE;
		else if (is_over_share(core, port, &p, now_ns))
			r.reason = SEG_R_PORT_SHARE;
	}
	if (!r.reason && p.kind == SG_KIND_FRAGMENT) {
		take_fragment(core, port, &p, now_ns);
		return;
	}
	if (!r.reason)
		r = sg_judge(core, port, &p, now_ns);
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
	int more;

	core->now_ns = now_ns;
	core->frames = 0;
	expire_fragments(core, now_ns);
	if (now_ns - core->swept_ns >= TICK_NS) {
		core->swept_ns = now_ns;
		sg_event_sweep(&core->events, now_ns);
	}
	more = end_closing(core, CLOSED_PER_TICK, now_ns);
	more |= sg_cache_sweep(core);
	for (__u32 i = 0; i < most; i++) {
		s = sg_wheel_due(&core->table, now_ns);
		if (!s)
			return more ? 0 : TICK_NS;
		sg_flow_due(core, s, now_ns);
	}
	return 0;
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

void sg_core_events_lost(const struct sg_core *core, struct sg_event_page *page)
{
	page->epoch = core->events.log->epoch;
	page->lost_drops = core->events.log->lost_drops;
	page->lost_ends = core->events.log->lost_ends;
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

	for (int seen = 0; slot < core->table.used && found < max && seen < LISTED_AT_ONCE; seen++) {
		struct sg_session *s = sg_table_slot(&core->table, ++slot);

		if (s->in_use && (!port_id || (s->key.port_id == port_id &&
					       s->created_ns > core->ports[port_id]->sessions.closed_ns)))
			sg_flow_info(core, s, &out[found++]);
	}
	*cursor = slot < core->table.used ? slot : 0;
	return found;
}

__u32 sg_core_session_count(const struct sg_core *core)
{
	return core->table.count;
}
