/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Connections that the programs open; see the header. In: sessions, records of the kernel. Out: services, sessions.
 * I/O: sg_io's service_put and credit. */
#include "flow/sg_open.h"

#include <arpa/inet.h>

#include "flow/sg_cache.h"
#include "flow/sg_flow.h"
#include "session/sg_tcp.h"

enum {
	OPENS_MAX = SEG_OPENS_BYTES / (8 + sizeof(struct seg_open_event)),	/* that the ring has room for */
	RESERVE = 16,	/* a part of the table, and of the flow maps, that small ones leave for what the ring holds */
};

static __u32 min(__u32 a, __u32 b)
{
	return a < b ? a : b;
}

/* Entries of the flow maps that may be there before programs open nothing more: open connections need the others. */
static __u32 entries_max(const struct sg_core *core)
{
	return min(core->cache_limit, SEG_FLOWS_MAX) / 4 * 3;
}

/* How many connections may wait in the ring. */
static __u32 opens_max(const struct sg_core *core)
{
	return min(OPENS_MAX, min(core->table.max, entries_max(core)) / RESERVE);
}

int sg_open_has_room(const struct sg_core *core)
{
	__u32 opens = opens_max(core);

	return core->table.count + opens < core->table.max && core->cache.entries + 2 * opens < entries_max(core);
}

/* Let programs open for the port up to half of what may wait in the ring, and not so many that it has more entries in the flow
 * maps than are left for others (as sg_table_room() shares the table). */
static void give_credit(const struct sg_core *core, __u16 port_id)
{
	__s64 left = (__s64)entries_max(core) - (__s64)core->cache.entries;
	__s64 credit = (left - (__s64)core->ports[port_id]->cache.entries) / 4, most = (opens_max(core) + 1) / 2;

	core->io.credit(core->io.ctx, port_id, credit < most ? credit : most);
}

/* Name the peer by its class. Returns 0 where that is not what the packet was judged by, or no program would find it. */
static int name_ends(const struct sg_context *c, const struct sg_session *s, struct seg_service_key *key)
{
	__u32 class = 0, version = c->core->class_version;

	/* The answer for a session of an earlier round may have been for another class. */
	if (version && s->created_ns >= c->now_ns)
		class = sg_policy_peer_class(c->port->rules, c->key.family, c->key.raddr);
	key->peer_class = (__u64)version << 32 | class;
	memcpy(key->local, c->key.laddr, sizeof(key->local));
	return class != 0;
}

void sg_open_learn(const struct sg_context *c, const struct sg_session *s)
{
	const struct sg_packet *p = c->p;
	struct seg_service_key key = {
		.port_id = p->port_id, .dir = p->dir, .proto = p->proto, .family = p->family,
		.service_port = htons(p->dport),
	};
	struct seg_service service = {
		.generation = s->generation, .rule_key = s->keys.rule, .rule_id = s->rule_id,
		.verdict = SEG_VERDICT_ALLOW,
	};

	if (p->kind != SG_KIND_TCP || !sg_tcp_opens(p) || p->dir != s->initiator || !s->cached || s->denied ||
	    s->violation || s->keys.staged || p->extended || p->payload_len || p->frames != 1 ||
	    !name_ends(c, s, &key))
		return;
	c->core->io.service_put(c->core->io.ctx, &key, &service);
	give_credit(c->core, p->port_id);
}

void sg_open_packet(const struct seg_flow_key6 *key, __u8 family, struct sg_packet *p)
{
	static const struct sg_frame none;

	*p = (struct sg_packet){
		.frame = &none, .kind = SG_KIND_TCP, .tcp_flags = SG_SYN, .port_id = key->port_id, .dir = key->dir,
		.family = family, .proto = key->proto, .sport = ntohs(key->sport), .dport = ntohs(key->dport),
	};
	memcpy(p->saddr, key->saddr, sizeof(p->saddr));
	memcpy(p->daddr, key->daddr, sizeof(p->daddr));
}

static int goes_on(const struct sg_session *s, __u8 initiator)
{
	return !s->denied && s->initiator == initiator && (sg_tcp_is_open(s) || sg_tcp_is_opening(s));
}

/* There is no room for its session: take its entries away, and tell what they have counted. */
static void tell_without_session(const struct sg_context *c, const struct seg_open_event *event)
{
	struct sg_session s = {
		.key = c->key, .initiator = event->key.dir, .rule_id = event->rule_id, .created_ns = c->now_ns,
		.last_seen_ns = c->now_ns,
	};

	sg_cache_adopt(c, &s);
	sg_cache_drop(c->core, &s);
	sg_flow_emit_end(c->core, &s);
}

struct sg_session *sg_open_adopt(const struct sg_context *c, const struct seg_open_event *event,
				 struct sg_session *former)
{
	struct sg_answer answer = {
		.rule_id = event->rule_id, .keys = { .rule = event->rule_key }, .pass = 1,
	};
	struct sg_session *s = former;

	if (former)
		sg_cache_forget(c->core, former);
	if (!former || !goes_on(former, event->key.dir)) {
		if (former)
			sg_flow_end(c->core, former);
		sg_flow_decided(c, event->key.dir, &answer, 1);
		s = sg_flow_open(c, event->key.dir, &answer);
	}
	if (!s) {
		tell_without_session(c, event);
		return NULL;
	}
	s->opened = event->session;
	s->generation = event->generation;
	sg_cache_adopt(c, s);
	give_credit(c->core, s->key.port_id);
	return s;
}
