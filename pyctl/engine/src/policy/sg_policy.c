/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Compiles sg_rule into four lists (direction x family) and answers policy queries.
 * In: sg_core.h's structs. Out: sg_answer. No I/O. A rule for both directions or families is
 * copied into each list, so the scan tests only what differs from rule to rule. */
#include "policy/sg_policy.h"

#include <errno.h>
#include <stdlib.h>

#include "base/sg_bytes.h"
#include "node/sg_node_apps.h"
#include "packet/sg_packet.h"
#include "policy/sg_dhcp.h"

static void words(const __u8 *address, __u64 out[2])
{
	for (int i = 0; i < 2; i++)
		out[i] = ((__u64)sg_get32(address + 8 * i) << 32) | sg_get32(address + 8 * i + 4);
}

static int rule_is_valid(const struct sg_rule *r)
{
	int longest = r->family == SEG_FAMILY_IPV4 ? 32 : r->family == SEG_FAMILY_IPV6 ? 128 : 0;

	return r->dir <= SEG_DIR_INGRESS &&
	       (!r->family || r->family == SEG_FAMILY_IPV4 || r->family == SEG_FAMILY_IPV6) &&
	       (r->action == SEG_VERDICT_ALLOW || r->action == SEG_VERDICT_DENY) &&
	       r->prefix_len <= longest && r->port_lo <= r->port_hi;
}

static int threats_are_valid(const struct sg_threat_settings *t)
{
	return !(t->drop & ~t->on) && !(t->reset & ~t->drop) && !(t->on & 1) && !(t->on >> SG_THREAT_LAST >> 1);
}

static int sensors_are_valid(const struct sg_sensor_settings *s)
{
	return !(s->drop & ~s->on) && !(s->reset & ~s->drop);
}

static int policy_is_valid(const struct sg_policy *p)
{
	const __u32 flags = SG_POLICY_DENY_RST | SG_POLICY_NO_CACHE | SG_POLICY_NODE | SG_POLICY_SERVES_DHCP;

	return p->port_id && p->generation && !(p->flags & ~flags) && threats_are_valid(&p->threats) &&
	       sensors_are_valid(&p->sensors) &&
	       p->rule_count <= SG_RULES_MAX &&
	       p->mode >= SEG_MODE_DISCOVER && p->mode <= SEG_MODE_QUARANTINE &&
	       (p->default_verdict == SEG_VERDICT_ALLOW || p->default_verdict == SEG_VERDICT_DENY);
}

static int concerns(const struct sg_rule *r, int dir, int family)
{
	return (!r->dir || r->dir == dir) && (!r->family || r->family == family);
}

static void compile_rule(const struct sg_rule *r, struct sg_rule_match *m)
{
	__u8 mask[16] = { 0 };

	for (int bit = 0; bit < r->prefix_len; bit++)
		mask[bit / 8] = (__u8)(mask[bit / 8] | (0x80 >> (bit % 8)));
	words(mask, m->mask);
	words(r->peer, m->net);
	m->net[0] &= m->mask[0];
	m->net[1] &= m->mask[1];
	m->id = r->id;
	m->port_lo = r->port_lo;
	m->port_hi = r->port_hi;
	m->proto = r->proto;
	m->action = r->action;
}

int sg_policy_compile(const struct sg_policy *policy, const struct sg_rule *rules,
		      struct sg_node *const *node, struct sg_ruleset **out)
{
	static const __u8 families[2] = { SEG_FAMILY_IPV4, SEG_FAMILY_IPV6 };
	struct sg_ruleset *set;
	struct sg_rule_match *next;
	size_t total = 0;

	if (!policy_is_valid(policy) || (policy->rule_count && !rules))
		return -EINVAL;
	for (__u32 i = 0; i < policy->rule_count; i++) {
		if (!rule_is_valid(&rules[i]))
			return -EINVAL;
		total += (size_t)(rules[i].dir ? 1 : 2) * (rules[i].family ? 1 : 2);
	}
	set = calloc(1, sizeof(*set) + total * sizeof(set->matches[0]));
	if (!set)
		return -ENOMEM;
	set->policy = *policy;
	set->node = node;
	next = set->matches;
	for (int dir = 0; dir < 2; dir++)
		for (int family = 0; family < 2; family++) {
			set->lists[dir][family] = next;
			for (__u32 i = 0; i < policy->rule_count; i++)
				if (concerns(&rules[i], SEG_DIR_EGRESS + dir, families[family]))
					compile_rule(&rules[i], next++);
			set->counts[dir][family] = (__u32)(next - set->lists[dir][family]);
		}
	*out = set;
	return 0;
}

/* Ports belong to TCP, UDP and SCTP. A rule for another protocol has none to look at; a rule for any
 * protocol that names ports means the first two. */
static int ports_match(const struct sg_rule_match *m, const struct sg_policy_query *q)
{
	if (q->proto == SG_PROTO_TCP || q->proto == SG_PROTO_UDP || m->proto == SG_PROTO_SCTP)
		return q->port >= m->port_lo && q->port <= m->port_hi;
	return m->proto || (m->port_lo == 0 && m->port_hi == SG_ANY_PORT_HI);
}

static const struct sg_rule_match *first_match(const struct sg_ruleset *set, const struct sg_policy_query *q)
{
	int dir = q->dir - SEG_DIR_EGRESS, family = q->family == SEG_FAMILY_IPV6;
	const struct sg_rule_match *m = set->lists[dir][family];
	const struct sg_rule_match *end = m + set->counts[dir][family];
	__u64 peer[2];

	words(q->peer, peer);
	for (; m < end; m++)
		if ((peer[0] & m->mask[0]) == m->net[0] && (peer[1] & m->mask[1]) == m->net[1] &&
		    (!m->proto || m->proto == q->proto) && ports_match(m, q))
			return m;
	return NULL;
}

struct decision {
	struct sg_rule_keys keys;
	__u64 held;
	__u32 id;
	__u32 staged_id;
	__u8 action;
	__u8 staged_action;
	__u8 reject;
	__u8 needs_app;
	__u8 names_only;
	__u8 by_facts;
};

/* Find the decision: returns 1 if a rule decides, 0 if the default does, or -ENOMEM. */
static int decide(const struct sg_ruleset *set, const struct sg_policy_query *q, struct decision *out)
{
	struct sg_found found = { 0 };
	const struct sg_rule_match *m;
	int error = 0;

	*out = (struct decision){ .action = set->policy.default_verdict };
	if (!(set->policy.flags & SG_POLICY_NODE)) {
		m = first_match(set, q);
		if (m)
			*out = (struct decision){ .id = m->id, .action = m->action };
		return m ? 1 : 0;
	}
	out->keys.rule = SG_HIT_DEFAULT;
	if (*set->node)
		error = sg_node_ask(*set->node, set->policy.port_id, q, &found);
	out->needs_app = found.needs_app;
	out->names_only = found.names_only;
	out->by_facts = found.by_facts;
	out->held = found.held;
	if (found.rule) {
		out->keys.rule = found.rule->key;
		out->id = found.rule->id;
		out->action = sg_node_verdict(found.rule, q->app);
		out->reject = !!(found.rule->flags & SG_RULE_REJECT);
	}
	if (found.staged) {
		out->keys.staged = found.staged->key;
		out->staged_id = found.staged->id;
		out->staged_action = sg_node_verdict(found.staged, q->app);
	}
	return error ? error : !!found.rule;
}

/* Add the staged rule's verdict where it differs: on an allowed flow a staged denial becomes the reason; on a denied flow a
 * staged permission is noted beside it. */
static void stage(struct sg_answer *answer, const struct decision *d)
{
	answer->staged_id = d->staged_id;
	if (!d->staged_id)
		return;
	if (d->staged_action == SEG_VERDICT_ALLOW && answer->reason)
		answer->staged_reason = SEG_R_STAGED_ALLOW;
	if (d->staged_action == SEG_VERDICT_DENY && !answer->reason) {
		answer->reason = SEG_R_STAGED_DENY;
		answer->rule_id = d->staged_id;
	}
}

__u32 sg_policy_peer_class(const struct sg_ruleset *set, __u8 family, const __u8 *address)
{
	int by_class = set->policy.flags & SG_POLICY_NODE && *set->node;

	return by_class ? sg_node_peer_class(*set->node, family, address, NULL) : 0;
}

int sg_policy_uses_names(const struct sg_ruleset *set)
{
	return set->policy.flags & SG_POLICY_NODE && *set->node && sg_node_uses_names(*set->node, set->policy.port_id);
}

/* The answer while the rule that decides waits for the application. A mode that only records waits for nothing. */
static struct sg_answer undecided(const struct sg_ruleset *set, const struct decision *d)
{
	return (struct sg_answer){
		.rule_id = d->id, .pass = 1, .by_facts = d->by_facts, .names_only = d->names_only,
		.needs_app = sg_policy_records_only(set) ? SG_NEED_LOOK : SG_NEED_HOLD,
	};
}

/* Whether a threat that the port looks for is in the flow's first bytes. */
static int is_looked_at(const struct sg_ruleset *set, const struct sg_policy_query *q)
{
	__u64 on = set->policy.threats.on;

	return q->app == SG_APP_NONE && q->proto == SG_PROTO_TCP &&
	       (on & SG_THREATS_OF_PAYLOAD || (on & SG_THREATS_OF_LOOKUPS && q->port == SG_DNS_PORT));
}

/* Whether the flow would be allowed if it showed a right name. */
static int is_by_name(const struct sg_ruleset *set, const struct sg_policy_query *q, const struct decision *d)
{
	struct sg_policy_query named = *q;
	struct decision other;
	struct sg_facts facts;

	if (!d->by_facts || !q->facts || q->facts->any_name)
		return 0;
	facts = *q->facts;
	facts.any_name = 1;
	named.facts = &facts;
	return decide(set, &named, &other) > 0 && other.action == SEG_VERDICT_ALLOW;
}

/* The decision in each mode:
 *   protect   denied is dropped;
 *   monitor   passes; what protect would deny, by a rule or by the default, is a violation;
 *   discover  passes; only an explicit deny is a violation, the rest is being learned. */
struct sg_answer sg_policy_ask(const struct sg_ruleset *set, const struct sg_policy_query *q)
{
	enum sg_dhcp dhcp = SG_DHCP_NOT;
	struct decision d;
	int matched = decide(set, q, &d);
	struct sg_answer answer = {
		.rule_id = d.id, .reason = SEG_R_NONE, .pass = 1, .by_facts = d.by_facts, .held = d.held,
	};

	if (set->policy.flags & SG_POLICY_NODE)
		dhcp = sg_dhcp_of(q, set->policy.flags & SG_POLICY_SERVES_DHCP);
	if (matched < 0)
		return (struct sg_answer){ .reason = SEG_R_SESSION_MEMORY, .unknown = 1 };
	if (dhcp == SG_DHCP_NOT_SERVED)
		answer.reason = SEG_R_NOT_SERVED;
	else if (d.needs_app == SG_NEED_HOLD)
		return undecided(set, &d);
	else if (dhcp == SG_DHCP_FREE && !matched)
		answer.reason = SEG_R_NONE;
	else if (d.action == SEG_VERDICT_DENY && matched)
		answer.reason = SEG_R_POLICY_DENY;
	else if (d.action == SEG_VERDICT_DENY && set->policy.mode != SEG_MODE_DISCOVER)
		answer.reason = SEG_R_DEFAULT_DENY;
	if ((answer.reason == SEG_R_POLICY_DENY || answer.reason == SEG_R_DEFAULT_DENY) && is_by_name(set, q, &d))
		answer.reason = SEG_R_NAME_MISMATCH;
	answer.pass = !answer.reason || sg_policy_records_only(set);
	answer.reject = !answer.pass && d.reject;
	answer.keys = d.keys;
	/* A denied flow shows no application. */
	if (answer.pass)
		answer.needs_app = !d.needs_app && is_looked_at(set, q) ? SG_NEED_LOOK : d.needs_app;
	stage(&answer, &d);
	return answer;
}
