/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Matches answers to group queries; see the header. In: packets. Out: the query's session.
 * I/O: the flow map, which knows when the kernel last carried the query; what other workers have asked. */
#include "verdict/sg_group_query.h"

#include "flow/sg_ask.h"
#include "flow/sg_cache.h"

enum { SSDP = 1900, WS_DISCOVERY = 3702, DHCP_SERVER = 67 };

static struct sg_group_query_ring *ring_of(struct sg_port *port, __u8 initiator)
{
	return initiator == SEG_DIR_EGRESS ? &port->queries.asked : &port->queries.heard;
}

/* Tell the other workers, whose an answer may be. */
static void tell(const struct sg_context *c, const struct sg_session *s)
{
	const struct sg_packet *p = c->p;
	int icmp = p->kind == SG_KIND_ICMP_QUERY;
	struct seg_query_key key = {
		.port_id = p->port_id, .dir = p->dir, .proto = p->proto, .family = p->family,
		.asker_port = icmp ? p->icmp_id : p->sport, .asked_port = icmp ? p->icmp_query : p->dport,
	};
	struct seg_query query = { .last_ns = c->now_ns, .rule_id = s->rule_id };

	if (p->family != SEG_FAMILY_IPV4 || p->dport != DHCP_SERVER)
		memcpy(key.asker, p->saddr, sizeof(key.asker));
	memcpy(query.asked, p->daddr, sizeof(query.asked));
	c->core->io.query_put(c->core->io.ctx, &key, &query);
}

void sg_group_query_note(const struct sg_context *c, const struct sg_session *s)
{
	struct sg_group_query_ring *known = ring_of(c->port, s->initiator);
	__u64 handle = sg_session_handle(s);
	const struct sg_packet *p = c->p;

	if (!p->to_group || p->dir != s->initiator ||
	    (p->kind != SG_KIND_UDP && p->kind != SG_KIND_ICMP_QUERY))
		return;
	if (c->core->config.workers > 1)
		tell(c, s);
	for (int i = 0; i < SG_GROUP_QUERIES; i++)
		if (known->sessions[i] == handle)
			return;
	known->sessions[known->next] = handle;
	known->next = (known->next + 1) % SG_GROUP_QUERIES;
}

/* An answer comes from the queried port; SSDP and WS-Discovery are answered from any port. */
static int ports_match(const struct sg_session *s, const struct sg_packet *p)
{
	int out = s->initiator == SEG_DIR_EGRESS;
	__u16 asker = out ? s->key.lport : s->key.rport, asked = out ? s->key.rport : s->key.lport;

	return asker == p->dport && (asked == p->sport || asked == SSDP || asked == WS_DISCOVERY);
}

/* An answer goes to the address that queried. A client without one gets it at its future address, or by broadcast. */
static int address_matches(const struct sg_session *s, const struct sg_packet *p)
{
	static const __u8 unspecified[16], everybody[16] = { 255, 255, 255, 255 };
	const struct sg_key *key = &s->key;

	if (s->initiator == SEG_DIR_INGRESS)
		return !memcmp(key->raddr, p->daddr, 16);
	return !memcmp(key->laddr, p->daddr, 16) || !memcmp(key->laddr, unspecified, 16) ||
	       (p->family == SEG_FAMILY_IPV4 && p->sport == DHCP_SERVER &&
		!memcmp(p->daddr, everybody, 16));
}

static int answers(const struct sg_session *s, const struct sg_packet *p)
{
	if (s->denied || s->key.family != p->family || s->key.proto != p->proto ||
	    !address_matches(s, p))
		return 0;
	if (p->kind == SG_KIND_ICMP_REPLY)
		return s->key.lport == p->icmp_id && (s->key.rport & 0xff) == p->icmp_query;
	return p->kind == SG_KIND_UDP && ports_match(s, p);
}

/* Whether the query was not long ago, and the policy of now allows it; *s is made like its session. */
static int holds(const struct sg_context *c, const struct seg_query_key *key, const struct seg_query *query,
		 struct sg_session *s)
{
	int out = key->dir == SEG_DIR_EGRESS, icmp = c->p->kind == SG_KIND_ICMP_REPLY;

	*s = (struct sg_session){
		.key = { .port_id = key->port_id, .family = key->family, .proto = key->proto },
		.initiator = key->dir, .rule_id = query->rule_id, .last_seen_ns = query->last_ns,
		.cached = (__u8)(1 << key->dir),
	};
	memcpy(out ? s->key.laddr : s->key.raddr, key->asker, sizeof(key->asker));
	memcpy(out ? s->key.raddr : s->key.laddr, query->asked, sizeof(query->asked));
	s->key.lport = out || icmp ? key->asker_port : key->asked_port;
	s->key.rport = out && !icmp ? key->asked_port : key->asker_port;
	if (icmp)
		s->key.rport = (__u16)(key->dir << 8 | key->asked_port);
	if (!sg_flow_ask(c->port, &s->key, key->dir).pass)
		return 0;
	if (c->now_ns > s->last_seen_ns + SG_TIMEOUT_GROUP_QUERY)
		sg_cache_peek(c->core, s);
	return c->now_ns <= s->last_seen_ns + SG_TIMEOUT_GROUP_QUERY;
}

/* Look for the query among those of all workers; the same conditions as answers(). */
static const struct sg_session *told_by_others(const struct sg_context *c)
{
	static const __u16 any_port[] = { 0, SSDP, WS_DISCOVERY };
	const struct sg_packet *p = c->p;
	int icmp = p->kind == SG_KIND_ICMP_REPLY;
	struct seg_query_key key = {
		.port_id = p->port_id, .dir = sg_other_dir(p->dir), .proto = p->proto, .family = p->family,
		.asker_port = icmp ? p->icmp_id : p->dport,
	};
	struct seg_query query;

	if (!icmp && p->kind != SG_KIND_UDP)
		return NULL;
	for (int nameless = 0; nameless < (key.dir == SEG_DIR_EGRESS ? 2 : 1); nameless++) {
		memset(key.asker, 0, sizeof(key.asker));
		if (!nameless)
			memcpy(key.asker, p->daddr, sizeof(key.asker));
		for (int i = 0; i < (icmp ? 1 : 3); i++) {
			key.asked_port = icmp ? p->icmp_query : i ? any_port[i] : p->sport;
			if (!c->core->io.query_get(c->core->io.ctx, &key, &query) &&
			    holds(c, &key, &query, &c->core->others_query))
				return &c->core->others_query;
		}
	}
	return NULL;
}

const struct sg_session *sg_group_query_answered(const struct sg_context *c)
{
	const struct sg_packet *p = c->p;
	const struct sg_group_query_ring *known = ring_of(c->port, sg_other_dir(p->dir));

	for (int i = 0; i < SG_GROUP_QUERIES; i++) {
		__u64 handle = known->sessions[i];
		struct sg_session *s = handle ? sg_table_by_handle(&c->core->table, handle) : NULL;

		if (!s || s->key.port_id != p->port_id || !answers(s, p))
			continue;
		/* The current policy may deny the query. */
		if (s->generation != c->port->rules->policy.generation &&
		    !sg_flow_ask_again(c->core, c->port, s).pass)
			continue;
		if (s->cached)
			sg_cache_peek(c->core, s);
		if (c->now_ns > s->last_seen_ns + SG_TIMEOUT_GROUP_QUERY)
			continue;
		s->packets[1] += p->frames;
		s->bytes[1] += p->bytes;
		return s;
	}
	return c->core->config.workers > 1 ? told_by_others(c) : NULL;
}
