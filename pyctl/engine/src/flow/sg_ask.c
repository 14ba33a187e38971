/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Flows and their initiators; see the header. In: packets, keys. Out: keys, answers of the policy. No I/O. */
#include "flow/sg_ask.h"

void sg_flow_key(const struct sg_packet *p, struct sg_key *key)
{
	int out = p->dir == SEG_DIR_EGRESS;
	__u8 initiator = p->dir;

	memset(key, 0, sizeof(*key));
	key->port_id = p->port_id;
	key->family = p->family;
	key->proto = p->proto;
	memcpy(key->laddr, out ? p->saddr : p->daddr, sizeof(key->laddr));
	memcpy(key->raddr, out ? p->daddr : p->saddr, sizeof(key->raddr));
	switch (p->kind) {
	case SG_KIND_TCP:
	case SG_KIND_UDP:
	case SG_KIND_SCTP:
		key->lport = out ? p->sport : p->dport;
		key->rport = out ? p->dport : p->sport;
		break;
	case SG_KIND_ICMP_QUERY:
	case SG_KIND_ICMP_REPLY:
		/* Two pings with one identifier, one each way, are two flows. */
		if (p->kind == SG_KIND_ICMP_REPLY)
			initiator = sg_other_dir(p->dir);
		key->lport = p->icmp_id;
		key->rport = (__u16)(initiator << 8 | p->icmp_query);
		break;
	default:
		break;
	}
}

int sg_flow_is_icmp(const struct sg_key *key)
{
	return key->proto == SG_PROTO_ICMP || key->proto == SG_PROTO_ICMPV6;
}

void sg_flow_service_key(struct sg_key *key, __u8 initiator)
{
	if (sg_flow_is_icmp(key) || initiator == SEG_DIR_EGRESS)
		key->lport = 0;
	else
		key->rport = 0;
}

/* The port, or the ICMP type, that rules match. */
static __u16 port_of(const struct sg_key *key, __u8 initiator)
{
	if (sg_flow_is_icmp(key))
		return key->rport & 0xff;
	return initiator == SEG_DIR_EGRESS ? key->rport : key->lport;
}

struct sg_answer sg_flow_ask_facts(const struct sg_port *port, const struct sg_key *key, __u8 initiator, __u8 app,
				   const struct sg_facts *facts)
{
	struct sg_policy_query q = {
		.local = key->laddr,
		.peer = key->raddr,
		.port = port_of(key, initiator),
		.from_port = initiator == SEG_DIR_EGRESS ? key->lport : key->rport,
		.dir = initiator,
		.family = key->family,
		.proto = key->proto,
		.app = app,
		.segment = port->rules->policy.segment,
		.facts = facts,
	};
	struct sg_answer answer = sg_policy_ask(port->rules, &q);

	answer.app = app;
	return answer;
}

struct sg_answer sg_flow_ask_app(const struct sg_port *port, const struct sg_key *key, __u8 initiator, __u8 app)
{
	return sg_flow_ask_facts(port, key, initiator, app, NULL);
}

struct sg_answer sg_flow_ask(const struct sg_port *port, const struct sg_key *key, __u8 initiator)
{
	struct sg_answer answer = sg_flow_ask_app(port, key, initiator, SG_APP_NONE);

	return answer.needs_app ? sg_flow_ask_app(port, key, initiator, SG_APP_UNKNOWN) : answer;
}

struct sg_answer sg_flow_ask_again(const struct sg_core *core, const struct sg_port *port, const struct sg_session *s)
{
	struct sg_payload *look = sg_look_of(&core->looks, s);
	struct sg_facts facts = { 0 };
	struct sg_answer answer;

	if (s->look == SG_LOOK_PENDING)
		return sg_flow_ask_app(port, &s->key, s->initiator, SG_APP_NONE);
	if (s->look == SG_LOOK_REQUESTS && s->key.proto == SG_PROTO_TCP) {
		/* Its next request tells the rest. */
		facts.open = SG_FIELDS_HTTP;
		answer = sg_flow_ask_facts(port, &s->key, s->initiator, s->app, &facts);
		answer.proof = s->proof;
		return answer;
	}
	if (!s->app)
		return sg_flow_ask(port, &s->key, s->initiator);
	if (look)
		sg_look_facts(look, s->app, &facts);
	else
		facts.as_of_ns = s->created_ns;
	facts.any_name |= !sg_facts_shows_name(s->app);
	if (!look)
		sg_shown_facts(&core->shown, s, &facts);
	sg_facts_close(&facts);
	facts.held = s->held;
	if (s->unread)
		facts.broken |= SG_FIELDS_HTTP;
	answer = sg_flow_ask_facts(port, &s->key, s->initiator, s->app, &facts);
	answer.proof = s->proof;
	return answer;
}

struct sg_answer sg_flow_ask_either(const struct sg_port *port, const struct sg_key *key, __u8 *initiator)
{
	struct sg_answer answer = sg_flow_ask(port, key, *initiator), other;

	if (answer.unknown || (answer.pass && !answer.reason))
		return answer;
	other = sg_flow_ask(port, key, sg_other_dir(*initiator));
	if (!other.unknown && (!other.pass || other.reason))
		return answer;
	*initiator = sg_other_dir(*initiator);
	return other;
}

static __u64 initiator_tag(const struct sg_core *core, const struct sg_key *key)
{
	return sg_hash(&core->table.hash_key, key, sizeof(*key)) & ~1ULL;
}

void sg_flow_remember_initiator(struct sg_core *core, const struct sg_session *s)
{
	__u64 tag = initiator_tag(core, &s->key);

	core->initiator_cache[(tag >> 8) % SG_INITIATORS] = tag | (s->initiator == SEG_DIR_INGRESS);
}

/* In this order: the initiator cache; the ports that the workload listens on; the smaller port is the server's, and for
 * equal ports the workload is the client. A listener may be closed while its connections continue, so only an open
 * listening port proves something, and only if it is the smaller one, because a client may be bound to such a port too.
 * A wrong guess opens nothing: a new connection starts with a SYN, which is judged by its sender. */
__u8 sg_flow_guess_initiator(const struct sg_core *core, const struct sg_port *port,
			  const struct sg_key *key, int *sure)
{
	__u64 tag = initiator_tag(core, key), known = core->initiator_cache[(tag >> 8) % SG_INITIATORS];
	int smaller = key->lport < key->rport, listens;

	*sure = known && (known & ~1ULL) == tag;
	if (*sure)
		return known & 1 ? SEG_DIR_INGRESS : SEG_DIR_EGRESS;
	if (!port->listeners)
		return smaller ? SEG_DIR_INGRESS : SEG_DIR_EGRESS;
	listens = port->listeners[key->lport / 8] & (1 << (key->lport % 8));
	*sure = listens && smaller;
	return listens ? SEG_DIR_INGRESS : SEG_DIR_EGRESS;
}
