/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Flow-map entries of sessions; see the header. I/O: sg_io's flow_* only.
 * An allowed flow's entry decides both directions, a blocked connection's too; that of a denied service or datagram flow only the
 * initiator's, because packets the other way are a flow of their own. */
#include "flow/sg_cache.h"

#include <arpa/inet.h>

#include "segctl_seal.h"
#include "session/sg_tcp.h"

#define RETRY_NS (10 * SG_SECOND)	/* after the flow map refused */
#define HEAL_NS SG_SECOND		/* an entry that packets miss so long after its write is gone */

enum { ECHO_REQUEST = 8, ECHO6_REQUEST = 128 };

static void make_key(const struct sg_session *s, union seg_flow_key *key)
{
	memset(key, 0, sizeof(*key));
	if (s->key.family == SEG_FAMILY_IPV6) {
		key->v6.port_id = s->key.port_id;
		key->v6.proto = s->key.proto;
		memcpy(key->v6.local, s->key.laddr, 16);
		memcpy(key->v6.remote, s->key.raddr, 16);
		key->v6.local_port = htons(s->key.lport);
		key->v6.remote_port = htons(s->key.rport);
	} else {
		key->v4.port_id = s->key.port_id;
		key->v4.proto = s->key.proto;
		memcpy(&key->v4.local, s->key.laddr, 4);
		memcpy(&key->v4.remote, s->key.raddr, 4);
		key->v4.local_port = htons(s->key.lport);
		key->v4.remote_port = htons(s->key.rport);
	}
}

static struct sg_cache_stats *stats_of(struct sg_core *core, const struct sg_session *s)
{
	return &core->ports[s->key.port_id]->cache;
}

static __u8 dir_of(const struct sg_session *s, int side)
{
	return side ? sg_other_dir(s->initiator) : s->initiator;
}

static void take_side(struct sg_session *s, int side, const struct seg_flow *flow)
{
	const struct seg_flow_way *way = &flow->ways[SEG_WAY(dir_of(s, side))];
	__u64 said = SEG_FLOW_PACKETS(flow->packets[SEG_WAY(dir_of(s, side))]);

	if (s->denied || !said)
		return;
	if (s->key.proto != SG_PROTO_TCP) {
		s->seen_sides = (__u8)(s->seen_sides | (1 << side));
		return;
	}
	if (way->payload)
		s->data_seen = 1;
	/* The SYN that a program opened with, and a single RST, do not count as an answer. */
	said -= !side && flow->session & SEG_OPENED_BY_KERNEL;
	if (said > 1 || (said && !(way->closed & SEG_CLOSE_RST)))
		sg_tcp_mark_direction_seen(s, side);
	if (way->closed)
		sg_tcp_close(s, side, way->closed);
}

/* Update the session by the kernel's entry, and return its counts. */
static struct sg_cache_counts take(const struct sg_core *core, struct sg_session *s, const struct seg_flow *flow)
{
	__u64 tick = core->now_ns >> SEG_FLOW_TICK;
	__u64 seen_ns = (tick - (__u64)(__s32)((__u32)tick - flow->last_seen)) << SEG_FLOW_TICK;
	struct sg_cache_counts counts;

	if (seen_ns > s->last_seen_ns)
		s->last_seen_ns = seen_ns;
	for (int side = 0; side < 2; side++) {
		counts.packets[side] = SEG_FLOW_PACKETS(flow->packets[SEG_WAY(dir_of(s, side))]);
		counts.bytes[side] = flow->bytes[SEG_WAY(dir_of(s, side))];
		take_side(s, side, flow);
	}
	return counts;
}

/* Count what the kernel has dropped of a denied flow since it was last counted. */
static void take_drops(struct sg_session *s, const struct sg_cache_counts *counts, const struct seg_flow *flow)
{
	__u64 packets = counts->packets[0] + counts->packets[1], bytes = counts->bytes[0] + counts->bytes[1];

	s->dropped_packets += packets - s->told_packets;
	s->dropped_bytes += bytes - s->told_bytes;
	s->told_packets = packets;
	s->told_bytes = bytes;
	s->several |= flow->ways[SEG_WAY(s->initiator)].payload;
}

/* Add an entry's counts, which is gone, to the session's. */
static void add(struct sg_session *s, const struct sg_cache_counts *counts, const struct seg_flow *last)
{
	if (s->denied) {
		take_drops(s, counts, last);
		return;
	}
	for (int side = 0; side < 2; side++) {
		s->packets[side] += counts->packets[side];
		s->bytes[side] += counts->bytes[side];
		s->kernel_packets += counts->packets[side];
		s->kernel_bytes += counts->bytes[side];
	}
}

void sg_cache_drop(struct sg_core *core, struct sg_session *s)
{
	struct sg_cache_counts counts;
	struct seg_flow last;
	union seg_flow_key key;

	if (!s->cached)
		return;
	sg_cache_forget(core, s);
	make_key(s, &key);
	memset(&last, 0, sizeof(last));
	if (!core->io.flow_delete(core->io.ctx, s->key.family, &key, &last)) {
		counts = take(core, s, &last);
		add(s, &counts, &last);
	}
	s->told_packets = s->told_bytes = 0;
}

void sg_cache_forget(struct sg_core *core, struct sg_session *s)
{
	if (!s->cached)
		return;
	s->cached = 0;
	stats_of(core, s)->entries--;
	core->cache.entries--;
}

static void count_put(const struct sg_context *c, struct sg_session *s, __u8 dirs)
{
	struct sg_cache_stats *stats = stats_of(c->core, s);

	s->cached = dirs;
	s->put_ns = c->now_ns;
	s->put_generation = s->generation;
	stats->entries++;
	stats->put++;
	c->core->cache.entries++;
	c->core->cache.put++;
}

void sg_cache_adopt(const struct sg_context *c, struct sg_session *s)
{
	count_put(c, s, (1 << SEG_DIR_EGRESS) | (1 << SEG_DIR_INGRESS));
}

void sg_cache_evict(struct sg_core *core, struct sg_session *s)
{
	if (!s->cached)
		return;
	stats_of(core, s)->evicted++;
	core->cache.evicted++;
	sg_cache_drop(core, s);
}

static int get(struct sg_core *core, const struct sg_session *s, struct seg_flow *flow)
{
	union seg_flow_key key;

	make_key(s, &key);
	return core->io.flow_get(core->io.ctx, s->key.family, &key, flow);
}

struct sg_cache_counts sg_cache_peek(struct sg_core *core, struct sg_session *s)
{
	struct seg_flow flow;

	struct sg_cache_counts counts;

	if (!s->cached || get(core, s, &flow))
		return (struct sg_cache_counts){ 0 };
	counts = take(core, s, &flow);
	if (s->service)
		take_drops(s, &counts, &flow);
	return counts;
}

/* The kernel carries a connection from its SYN on, unless the maps are half full: a flood of SYNs must leave room for
 * answered connections, in its family's map too. After both sides have closed, only the last ACK is to come. */
static __u8 wanted_of_connection(const struct sg_core *core, const struct sg_session *s, __u8 both)
{
	__u32 room = core->cache_limit < SEG_FLOWS_MAX ? core->cache_limit : SEG_FLOWS_MAX;

	if (sg_tcp_is_opening(s))
		return core->cache.entries < room / 2 ? both : s->cached;
	if (s->tcp_state == SG_TCP_LAST_ACK)
		return s->cached;
	return sg_tcp_is_open(s) ? both : 0;
}

/* Whether a threat that the port looks for may be in any packet of the flow. */
static int is_watched(const struct sg_session *s, __u64 threats)
{
	if (s->key.proto == SG_PROTO_UDP)
		return threats & SG_THREATS_OF_LOOKUPS && (s->key.lport == SG_DNS_PORT || s->key.rport == SG_DNS_PORT);
	return (s->key.proto == SG_PROTO_ICMP || s->key.proto == SG_PROTO_ICMPV6) &&
	       sg_threat_is_on(threats, SG_THREAT_ICMP_FLOOD);
}

/* Whether sensors look at all that the flow's ends send. */
int sg_cache_is_scanned(const struct sg_core *core, const struct sg_session *s)
{
	const struct sg_ruleset *rules = core->ports[s->key.port_id]->rules;
	__u64 on = rules ? rules->policy.sensors.on : 0;

	if (!on || !core->sensors || s->denied)
		return 0;
	return s->key.proto == SG_PROTO_TCP ||
	       (s->key.proto == SG_PROTO_UDP && on & core->sensors->of_part[SG_PART_PACKET]);
}

/* Whether another worker may learn a name by which the flow is allowed, and could not take the entry back. */
static int may_be_named(const struct sg_core *core, const struct sg_session *s, const struct sg_ruleset *rules)
{
	return core->config.workers > 1 && s->denied && s->initiator == SEG_DIR_EGRESS && sg_policy_uses_names(rules);
}

/* The directions in which the kernel may decide, as bits 1 << dir. */
static __u8 wanted(const struct sg_core *core, const struct sg_session *s)
{
	const struct sg_ruleset *rules = core->ports[s->key.port_id]->rules;
	__u8 both = (1 << SEG_DIR_EGRESS) | (1 << SEG_DIR_INGRESS);

	if (!core->config.flow_cache || !s->generation || s->vlan ||
	    rules->policy.flags & SG_POLICY_NO_CACHE || sg_session_is_looked_at(s) ||
	    (s->dns && !s->denied && sg_policy_uses_names(rules)) || may_be_named(core, s, rules))
		return 0;
	if (!s->denied && (is_watched(s, rules->policy.threats.on) || sg_cache_is_scanned(core, s)))
		return 0;
	switch (s->key.proto) {
	case SG_PROTO_TCP:
		if (s->service)
			break;
		/* A program takes a denial with port 0 for a service's. */
		if (s->denied)
			return s->resets >= SG_RESETS_MAX && s->key.lport && s->key.rport ? both : 0;
		return wanted_of_connection(core, s, both);
	case SG_PROTO_ICMP:
	case SG_PROTO_ICMPV6:
		if ((s->key.rport & 0xff) != ECHO_REQUEST && (s->key.rport & 0xff) != ECHO6_REQUEST)
			return 0;
		break;
	default:
		if (SEG_PROTO_IS_EXTENSION(s->key.proto))
			return 0;
		break;
	}
	if (!s->denied)
		return both;
	return s->rejects && !s->unanswered && s->resets < SG_RESETS_MAX ? 0 : (__u8)(1 << s->initiator);
}

/* An opening connection has no packet after its SYN yet. For any other flow, packets from before the verdict may wait
 * after p, also in the other direction if it has packets. Copies need no order. */
static __u8 phase_of(const struct sg_context *c, const struct sg_session *s, __u8 dir)
{
	int tcp = s->key.proto == SG_PROTO_TCP;

	if (s->denied || sg_policy_records_only(c->port->rules))
		return SEG_FLOW_STEADY;
	if (tcp && sg_tcp_is_opening(s))
		return dir == s->initiator ? SEG_FLOW_OPENING : SEG_FLOW_STEADY;
	return dir == c->p->dir || tcp || s->packets[dir != s->initiator] ? SEG_FLOW_SETTLING : SEG_FLOW_STEADY;
}

static void put(const struct sg_context *c, struct sg_session *s, __u8 dirs)
{
	struct seg_flow flow = {
		.session = sg_session_handle(s), .last_seen = (__u32)(c->now_ns >> SEG_FLOW_TICK),
	};
	struct sg_core *core = c->core;
	union seg_flow_key key;

	for (__u8 dir = SEG_DIR_EGRESS; dir <= SEG_DIR_INGRESS; dir++) {
		struct seg_flow_way *way = &flow.ways[SEG_WAY(dir)];

		if (!(dirs & (1 << dir)))
			continue;
		way->verdict = s->denied ? SEG_VERDICT_DENY : SEG_VERDICT_ALLOW;
		way->phase = phase_of(c, s, dir) & 3;
		if (way->phase != SEG_FLOW_SETTLING)
			continue;
		flow.settle[SEG_WAY(dir)] = (__u8)(c->now_ns >> SEG_SETTLE_TICK);
		if (s->key.proto == SG_PROTO_TCP)
			flow.packets[SEG_WAY(dir)] = (__u64)(SEG_SETTLE_PACKETS - SEG_SETTLE_TCP) << SEG_FLOW_SETTLED;
	}
	if (s->service) {
		flow.settle[0] = (__u8)htons(s->from_port);
		flow.settle[1] = (__u8)(htons(s->from_port) >> 8);
	}
	make_key(s, &key);
	if (core->cache.entries < core->cache_limit &&
	    !core->io.flow_put(core->io.ctx, s->key.family, &key, &flow, s->generation)) {
		count_put(c, s, dirs);
		return;
	}
	stats_of(core, s)->refused++;
	core->cache.refused++;
	s->retry_ns = c->now_ns + RETRY_NS;
}

static int is_settling(struct sg_core *core, const struct sg_session *s, __u8 dir)
{
	struct seg_flow flow;

	return !get(core, s, &flow) && flow.ways[SEG_WAY(dir)].phase == SEG_FLOW_SETTLING;
}

/* Whether the kernel should have carried p, so that the entry is missing. Checked once a second. */
static int should_have_hit(const struct sg_context *c, struct sg_session *s)
{
	const struct sg_packet *p = c->p;

	if (c->now_ns - s->put_ns <= HEAL_NS || p->extended || p->frames != 1 || !(s->cached & (1 << p->dir)))
		return 0;
	if (!s->service && (p->opens || p->tcp_flags & (SG_SYN | SG_FIN | SG_RST)))
		return 0;
	if (!is_settling(c->core, s, p->dir))
		return 1;
	s->put_ns = c->now_ns;
	return 0;
}

/* Packets that a policy change sent here do not count: their entry is no longer valid. */
static void count_offload_miss(struct sg_core *core, const struct sg_session *s, const struct sg_packet *p)
{
	struct sg_cache_stats *stats = stats_of(core, s);

	if (s->denied || !(s->cached & (1 << p->dir)) || s->put_generation != s->generation)
		return;
	stats->offload_misses += p->frames;
	stats->offload_missed_bytes += p->bytes;
	core->cache.offload_misses += p->frames;
	core->cache.offload_missed_bytes += p->bytes;
}

void sg_cache_sync(const struct sg_context *c, struct sg_session *s)
{
	__u8 dirs = wanted(c->core, s);

	count_offload_miss(c->core, s, c->p);
	if (s->cached && (s->cached != dirs || s->put_generation != s->generation || should_have_hit(c, s)))
		sg_cache_evict(c->core, s);
	if (dirs && !s->cached && c->now_ns >= s->retry_ns)
		put(c, s, dirs);
}
