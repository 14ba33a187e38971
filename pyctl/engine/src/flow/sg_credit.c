/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* How much programs, and workloads, may open; see the header. In: the core's counts. Out: credit. I/O: sg_io's credit. */
#include "flow/sg_credit.h"

#include "flow/sg_cache.h"

enum {
	OPENS_MAX = SEG_OPENS_BYTES / (8 + sizeof(struct seg_open_event)),	/* that the ring has room for */
	RESERVE = 16,	/* a part of the table, and of the flow maps, that small ones leave for what the ring holds */
	UNPROVEN_GAP_NS = 1000000,	/* a thousand a second, */
	UNPROVEN_BURST = 4096,		/* and as many at once */
};

static __s64 min(__s64 a, __s64 b)
{
	return a < b ? a : b;
}

/* Entries of the flow maps that may be there before programs open nothing more: open connections need the others. */
static __u32 entries_max(const struct sg_core *core)
{
	return (__u32)min(core->cache_limit, SEG_FLOWS_MAX) / 4 * 3;
}

/* How many connections may wait in the ring. */
static __u32 opens_max(const struct sg_core *core)
{
	return (__u32)min(OPENS_MAX, min(core->table.max, entries_max(core)) / RESERVE);
}

int sg_credit_has_room(const struct sg_core *core)
{
	__u32 opens = opens_max(core);

	return core->table.count + opens < core->table.max && core->cache.entries + opens < entries_max(core);
}

static __s64 unproven_left(const struct sg_port *port, __u64 now_ns)
{
	__s64 ahead_ns = (__s64)(port->unproven_ns - now_ns);

	return UNPROVEN_BURST - (ahead_ns > 0 ? ahead_ns / UNPROVEN_GAP_NS : 0);
}

static int is_own_connection(const struct sg_session *s)
{
	return s->key.proto == SG_PROTO_TCP && s->initiator == SEG_DIR_EGRESS;
}

void sg_credit_take(const struct sg_context *c, const struct sg_session *s)
{
	__u64 *due_ns = &c->port->unproven_ns;

	if (is_own_connection(s))
		*due_ns = (*due_ns > c->now_ns ? *due_ns : c->now_ns) + UNPROVEN_GAP_NS;
}

/* The SYN of what was answered is none of a flood. */
static void forgive(struct sg_core *core, const struct sg_session *s)
{
	const struct sg_ruleset *rules = core->ports[s->key.port_id]->rules;

	if (s->key.proto == SG_PROTO_TCP && s->initiator == SEG_DIR_INGRESS && rules &&
	    sg_threat_is_on(rules->policy.threats.on, SG_THREAT_SYN_FLOOD))
		sg_syn_flood_answered(&core->threats, &s->key, core->now_ns);
}

void sg_credit_prove(struct sg_core *core, struct sg_session *s)
{
	__u64 *due_ns = &core->ports[s->key.port_id]->unproven_ns;

	if (s->proven || s->seen_sides != 3)
		return;
	s->proven = 1;
	forgive(core, s);
	/* One of a former engine was not counted. */
	if (is_own_connection(s) && *due_ns > UNPROVEN_GAP_NS)
		*due_ns -= UNPROVEN_GAP_NS;
}

int sg_credit_may_open(const struct sg_context *c)
{
	struct sg_port_list *list = &c->port->sessions;
	struct sg_session *s;

	if (unproven_left(c->port, c->now_ns) > 0)
		return 1;
	s = sg_table_slot(&c->core->table, list->fresh.tail);
	if (!s)
		return 0;
	sg_cache_peek(c->core, s);
	sg_credit_prove(c->core, s);
	/* The next one is another. */
	sg_table_renew(&c->core->table, s, list);
	return unproven_left(c->port, c->now_ns) > 0;
}

void sg_credit_give(const struct sg_core *core, __u16 port_id)
{
	const struct sg_port *port = core->ports[port_id];
	__s64 left = (__s64)entries_max(core) - (__s64)core->cache.entries;
	__s64 credit = (left - (__s64)port->cache.entries) / 2, most = (opens_max(core) + 1) / 2;

	if (core->now_ns < port->guarded_ns)
		most = 0;
	core->io.credit(core->io.ctx, port_id, min(min(credit, most), unproven_left(port, core->now_ns)));
}
