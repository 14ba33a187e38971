/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Matches answers to group queries; see the header. In: packets. Out: the query's session.
 * I/O: the flow map, which knows when the kernel last carried the query. */
#include "verdict/sg_group_query.h"

#include "flow/sg_ask.h"
#include "flow/sg_cache.h"

enum { SSDP = 1900, WS_DISCOVERY = 3702, DHCP_SERVER = 67 };

static struct sg_group_query_ring *ring_of(struct sg_port *port, __u8 initiator)
{
	return initiator == SEG_DIR_EGRESS ? &port->queries.asked : &port->queries.heard;
}

void sg_group_query_note(struct sg_port *port, const struct sg_session *s, const struct sg_packet *p)
{
	struct sg_group_query_ring *known = ring_of(port, s->initiator);
	__u64 handle = sg_session_handle(s);

	if (!p->to_group || p->dir != s->initiator ||
	    (p->kind != SG_KIND_UDP && p->kind != SG_KIND_ICMP_QUERY))
		return;
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
		    !sg_flow_ask(c->port, &s->key, s->initiator).pass)
			continue;
		if (s->cached)
			sg_cache_peek(c->core, s);
		if (c->now_ns > s->last_seen_ns + SG_TIMEOUT_GROUP_QUERY)
			continue;
		s->packets[1] += p->frames;
		s->bytes[1] += p->bytes;
		return s;
	}
	return NULL;
}
