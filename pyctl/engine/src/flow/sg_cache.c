/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Flow-map entries of sessions; see the header. I/O: sg_io's flow_* only.
 * An allowed flow has one entry for each direction, a blocked connection too; a denied service or datagram flow has only the
 * initiator's, because packets the other way are a flow of their own. */
#include "flow/sg_cache.h"

#include <arpa/inet.h>

#include "segctl_seal.h"
#include "session/sg_tcp.h"

enum { SWEPT_AT_ONCE = 64 };	/* each may cost two system calls */
#define RETRY_NS (10 * SG_SECOND)	/* after the flow map refused */
#define HEAL_NS SG_SECOND		/* an entry that packets miss so long after its write is gone */

enum { ECHO_REQUEST = 8, ECHO_REPLY = 0, ECHO6_REQUEST = 128, ECHO6_REPLY = 129 };

static int is_icmp(const struct sg_session *s)
{
	return s->key.proto == SG_PROTO_ICMP || s->key.proto == SG_PROTO_ICMPV6;
}

/* Make the flow-map key of the session's packets in that direction. */
static void make_key(const struct sg_session *s, __u8 dir, union seg_flow_key *key)
{
	int out = dir == SEG_DIR_EGRESS, v6 = s->key.family == SEG_FAMILY_IPV6;
	const __u8 *from = out ? s->key.laddr : s->key.raddr;
	const __u8 *to = out ? s->key.raddr : s->key.laddr;
	__u16 sport = htons(out ? s->key.lport : s->key.rport);
	__u16 dport = htons(out ? s->key.rport : s->key.lport);

	if (is_icmp(s)) {
		int type = v6 ? (dir == s->initiator ? ECHO6_REQUEST : ECHO6_REPLY) :
				(dir == s->initiator ? ECHO_REQUEST : ECHO_REPLY);

		sport = htons((__u16)(type << 8));
		dport = htons(s->key.lport);
	}
	memset(key, 0, sizeof(*key));
	if (v6) {
		key->v6.port_id = s->key.port_id;
		key->v6.dir = dir;
		key->v6.proto = s->key.proto;
		memcpy(key->v6.saddr, from, 16);
		memcpy(key->v6.daddr, to, 16);
		key->v6.sport = sport;
		key->v6.dport = dport;
	} else {
		key->v4.port_id = s->key.port_id;
		key->v4.dir = dir;
		key->v4.proto = s->key.proto;
		memcpy(&key->v4.saddr, from, 4);
		memcpy(&key->v4.daddr, to, 4);
		key->v4.sport = sport;
		key->v4.dport = dport;
	}
}

static struct sg_cache_stats *stats_of(struct sg_core *core, const struct sg_session *s)
{
	return &core->ports[s->key.port_id]->cache;
}

/* Count what the kernel has dropped of a denied service since it was last counted. */
static void take_drops(struct sg_session *s, const struct seg_flow *flow)
{
	s->dropped_packets += flow->packets - s->told_packets;
	s->dropped_bytes += flow->bytes - s->told_bytes;
	s->told_packets = flow->packets;
	s->told_bytes = flow->bytes;
	s->several |= flow->payload;
}

/* Update the session by the kernel's entry. */
static void take_counts(struct sg_session *s, int side, const struct seg_flow *flow)
{
	__u64 said = flow->packets;

	if (flow->last_seen_ns > s->last_seen_ns)
		s->last_seen_ns = flow->last_seen_ns;
	if (s->denied || !flow->packets)
		return;
	if (s->key.proto != SG_PROTO_TCP) {
		s->seen_sides = (__u8)(s->seen_sides | (1 << side));
		return;
	}
	if (flow->payload)
		s->data_seen = 1;
	/* The SYN that a program opened with, and a single RST, do not count as an answer. */
	said -= !side && flow->session & SEG_OPENED_BY_KERNEL;
	if (said > 1 || (said && !(flow->closed & SEG_CLOSE_RST)))
		sg_tcp_mark_direction_seen(s, side);
	if (flow->closed)
		sg_tcp_close(s, side, flow->closed);
}

static void drop_one(struct sg_core *core, struct sg_session *s, __u8 dir)
{
	int side = dir != s->initiator;
	struct seg_flow last;
	union seg_flow_key key;

	if (!(s->cached & (1 << dir)))
		return;
	s->cached = (__u8)(s->cached & ~(1 << dir));
	stats_of(core, s)->entries--;
	core->cache.entries--;
	make_key(s, dir, &key);
	memset(&last, 0, sizeof(last));
	if (core->io.flow_delete(core->io.ctx, s->key.family, &key, &last)) {
		s->told_packets = s->told_bytes = 0;
		return;
	}
	if (s->denied) {
		take_drops(s, &last);
		s->told_packets = s->told_bytes = 0;
	} else {
		s->packets[side] += last.packets;
		s->bytes[side] += last.bytes;
		s->kernel_packets += last.packets;
		s->kernel_bytes += last.bytes;
	}
	take_counts(s, side, &last);
}

void sg_cache_drop(struct sg_core *core, struct sg_session *s)
{
	drop_one(core, s, SEG_DIR_EGRESS);
	drop_one(core, s, SEG_DIR_INGRESS);
}

void sg_cache_forget(struct sg_core *core, struct sg_session *s)
{
	__u32 entries = (__u32)__builtin_popcount(s->cached);

	s->cached = 0;
	stats_of(core, s)->entries -= entries;
	core->cache.entries -= entries;
}

void sg_cache_adopt(const struct sg_context *c, struct sg_session *s)
{
	struct sg_cache_stats *stats = stats_of(c->core, s);

	s->cached = (1 << SEG_DIR_EGRESS) | (1 << SEG_DIR_INGRESS);
	s->put_ns = c->now_ns;
	s->put_generation = s->generation;
	stats->entries += 2;
	stats->put += 2;
	c->core->cache.entries += 2;
	c->core->cache.put += 2;
}

void sg_cache_evict(struct sg_core *core, struct sg_session *s)
{
	__u32 entries = (__u32)__builtin_popcount(s->cached);

	stats_of(core, s)->evicted += entries;
	core->cache.evicted += entries;
	sg_cache_drop(core, s);
}

int sg_cache_sweep(struct sg_core *core)
{
	for (int seen = 0; core->sweep && seen < SWEPT_AT_ONCE; seen++) {
		const struct sg_ruleset *rules;
		struct sg_session *s;

		if (core->sweep > core->table.used) {
			core->sweep = 0;
			break;
		}
		s = sg_table_slot(&core->table, core->sweep++);
		if (!s->in_use || !s->cached)
			continue;
		rules = core->ports[s->key.port_id]->rules;
		if (rules && rules->policy.flags & SG_POLICY_NO_CACHE)
			sg_cache_evict(core, s);
	}
	return core->sweep != 0;
}

struct sg_cache_counts sg_cache_peek(struct sg_core *core, struct sg_session *s)
{
	struct sg_cache_counts counts = { 0 };

	for (__u8 dir = SEG_DIR_EGRESS; dir <= SEG_DIR_INGRESS; dir++) {
		int side = dir != s->initiator;
		struct seg_flow flow;
		union seg_flow_key key;

		if (!(s->cached & (1 << dir)))
			continue;
		make_key(s, dir, &key);
		if (core->io.flow_get(core->io.ctx, s->key.family, &key, &flow))
			continue;
		counts.packets[side] = flow.packets;
		counts.bytes[side] = flow.bytes;
		if (s->service)
			take_drops(s, &flow);
		take_counts(s, side, &flow);
	}
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

/* The directions in which the kernel may decide, as bits 1 << dir. */
static __u8 wanted(const struct sg_core *core, const struct sg_session *s)
{
	const struct sg_ruleset *rules = core->ports[s->key.port_id]->rules;
	__u8 both = (1 << SEG_DIR_EGRESS) | (1 << SEG_DIR_INGRESS);

	if (!core->config.flow_cache || !s->generation || s->vlan ||
	    rules->policy.flags & SG_POLICY_NO_CACHE)
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

/* At least as long as the engine's own timeout in any later state of the flow. */
static __u64 kernel_timeout(const struct sg_session *s)
{
	if (s->denied || is_icmp(s))
		return s->timeout_ns;
	switch (s->key.proto) {
	case SG_PROTO_TCP:
		return SG_TIMEOUT_TCP_ACTIVE;
	case SG_PROTO_UDP:
		return SG_TIMEOUT_UDP_ANSWERED;
	case SG_PROTO_SCTP:
		return SG_TIMEOUT_SCTP_ANSWERED;
	default:
		return SG_TIMEOUT_OTHER_ANSWERED;
	}
}

static int put_one(struct sg_core *core, struct sg_session *s, __u8 dir, const struct seg_flow *flow)
{
	struct sg_cache_stats *stats = stats_of(core, s);
	union seg_flow_key key;

	make_key(s, dir, &key);
	if (core->cache.entries >= core->cache_limit ||
	    core->io.flow_put(core->io.ctx, s->key.family, &key, flow)) {
		stats->refused++;
		core->cache.refused++;
		return 0;
	}
	s->cached = (__u8)(s->cached | (1 << dir));
	stats->entries++;
	stats->put++;
	core->cache.entries++;
	core->cache.put++;
	return 1;
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
		.generation = s->generation,
		.last_seen_ns = c->now_ns,
		.timeout_s = (__u16)(kernel_timeout(s) / SG_SECOND),
		.session = sg_session_handle(s),
		.verdict = s->denied ? SEG_VERDICT_DENY : SEG_VERDICT_ALLOW,
	};

	for (__u8 dir = SEG_DIR_EGRESS; dir <= SEG_DIR_INGRESS; dir++) {
		if (!(dirs & (1 << dir)))
			continue;
		flow.phase = phase_of(c, s, dir);
		flow.progress = s->service ? htons(s->from_port) :
				flow.phase == SEG_FLOW_SETTLING && s->key.proto == SG_PROTO_TCP ?
					     SEG_SETTLE_PACKETS - SEG_SETTLE_TCP : 0;
		if (!put_one(c->core, s, dir, &flow)) {
			sg_cache_drop(c->core, s);
			s->retry_ns = c->now_ns + RETRY_NS;
			return;
		}
	}
	s->put_ns = c->now_ns;
	s->put_generation = flow.generation;
}

static int is_settling(struct sg_core *core, const struct sg_session *s, __u8 dir)
{
	struct seg_flow flow;
	union seg_flow_key key;

	make_key(s, dir, &key);
	return !core->io.flow_get(core->io.ctx, s->key.family, &key, &flow) &&
	       flow.phase == SEG_FLOW_SETTLING;
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
