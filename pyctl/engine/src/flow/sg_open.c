/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Flows that the programs open; see the header. In: sessions, records of the kernel. Out: services, sessions.
 * I/O: sg_io's service_put. */
#include "flow/sg_open.h"

#include <arpa/inet.h>

#include "flow/sg_cache.h"
#include "flow/sg_credit.h"
#include "flow/sg_flow.h"
#include "policy/sg_dhcp.h"
#include "session/sg_tcp.h"

enum { ECHO = 8, ECHO6 = 128, MDNS = 5353, LLMNR = 5355, SSDP = 1900, WS_DISCOVERY = 3702 };

/* Answers to what was asked of a group come to these ports: the engine knows the question. */
static int is_discovery(__u16 port)
{
	return port == MDNS || port == LLMNR || port == SSDP || port == WS_DISCOVERY;
}

/* Whether the packet opens a flow, and says no more than its addresses and the service; not where a threat is in its options. */
static int is_plain_opening(const struct sg_packet *p, __u64 threats)
{
	if (p->extended || p->frames != 1 || p->to_group || sg_frame_is_tagged(p->frame))
		return 0;
	switch (p->kind) {
	case SG_KIND_TCP:
		return sg_tcp_opens(p) && !p->payload_len && !sg_threat_is_on(threats, SG_THREAT_SMALL_MSS);
	case SG_KIND_UDP:
		return !sg_dhcp_is_port(p->dport) && !is_discovery(p->dport);
	case SG_KIND_SCTP:
		return p->opens;
	case SG_KIND_ICMP_QUERY:
		return p->icmp_type == ECHO || p->icmp_type == ECHO6;
	default:
		return 0;
	}
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
	int first = p->kind == SG_KIND_TCP || s->packets[0] == 1;
	struct seg_service_key key = {
		.port_id = p->port_id, .dir = p->dir, .proto = p->proto, .family = p->family,
		.service_port = htons(p->kind == SG_KIND_ICMP_QUERY ? p->icmp_type : p->dport),
	};
	struct seg_service service = {
		.generation = s->generation, .rule_key = s->keys.rule, .learned_ns = c->now_ns, .rule_id = s->rule_id,
		.verdict = SEG_VERDICT_ALLOW,
	};

	if (!first || p->dir != s->initiator || !s->cached || s->denied || s->look || s->violation || s->keys.staged ||
	    !is_plain_opening(p, c->port->rules->policy.threats.on) || !name_ends(c, s, &key))
		return;
	c->core->io.service_put(c->core->io.ctx, &key, &service);
	sg_credit_give(c->core, p->port_id);
}

void sg_open_packet(const struct seg_flow_key6 *key, __u8 family, __u8 dir, struct sg_packet *p)
{
	static const struct sg_frame none;
	int out = dir == SEG_DIR_EGRESS;

	*p = (struct sg_packet){
		.frame = &none, .kind = SG_KIND_TCP, .port_id = key->port_id, .dir = dir,
		.family = family, .proto = key->proto,
		.sport = ntohs(out ? key->local_port : key->remote_port),
		.dport = ntohs(out ? key->remote_port : key->local_port),
	};
	memcpy(p->saddr, out ? key->local : key->remote, sizeof(p->saddr));
	memcpy(p->daddr, out ? key->remote : key->local, sizeof(p->daddr));
	switch (p->proto) {
	case SG_PROTO_UDP:
		p->kind = SG_KIND_UDP;
		break;
	case SG_PROTO_SCTP:
		p->kind = SG_KIND_SCTP;
		p->opens = 1;
		break;
	case SG_PROTO_ICMP:
	case SG_PROTO_ICMPV6:
		p->kind = SG_KIND_ICMP_QUERY;
		p->icmp_id = ntohs(key->local_port);
		p->icmp_query = p->icmp_type = (__u8)ntohs(key->remote_port);
		p->sport = (__u16)(p->icmp_type << 8);
		p->dport = p->icmp_id;
		break;
	default:
		p->tcp_flags = SG_SYN;
	}
}

/* Whether the session of the flow's key is the flow's. A datagram whose entries were missing may have been an answer: the
 * session knows who began, if the same policy has judged both. */
static int goes_on(const struct sg_session *s, const struct seg_open_event *event)
{
	if (s->denied)
		return 0;
	if (s->key.proto != SG_PROTO_TCP)
		return s->generation == event->generation;
	return s->initiator == event->dir && (sg_tcp_is_open(s) || sg_tcp_is_opening(s));
}

/* There is no room for its session: take its entry away, and tell what it has counted. */
static void tell_without_session(const struct sg_context *c, const struct seg_open_event *event)
{
	struct sg_session s = {
		.key = c->key, .initiator = event->dir, .rule_id = event->rule_id, .created_ns = c->now_ns,
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
	if (!former || !goes_on(former, event)) {
		if (former)
			sg_flow_end(c->core, former);
		sg_flow_decided(c, event->dir, &answer, 1);
		s = sg_flow_open(c, event->dir, &answer);
	}
	if (!s) {
		tell_without_session(c, event);
		return NULL;
	}
	/* By the policy of now, no rule asks for its application. */
	if (sg_session_is_looked_at(s)) {
		sg_flow_drop_look(c->core, s);
		if (s->look == SG_LOOK_PENDING)
			s->app = s->proof = 0;
		sg_session_look_no_more(s);
	}
	s->opened = event->session;
	s->generation = event->generation;
	sg_cache_adopt(c, s);
	sg_credit_give(c->core, s->key.port_id);
	return s;
}
