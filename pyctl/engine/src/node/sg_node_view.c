/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A node policy's block of bytes, checked. In: bytes. Out: pointers into them. No I/O. */
#include "packet/sg_packet.h"
#include "node/sg_node.h"
#include "node/sg_node_apps.h"
#include "node/sg_trait.h"

#include <errno.h>
#include <string.h>

static int is_spec_valid(const struct sg_node_spec *spec)
{
	switch (spec->proto) {
	case 0:
		return !spec->port_lo && spec->port_hi == SG_ANY_PORT_HI;
	case SG_PROTO_TCP:
	case SG_PROTO_UDP:
	case SG_PROTO_SCTP:
	case SG_PROTO_ICMP:
	case SG_PROTO_ICMPV6:
		return spec->port_lo <= spec->port_hi;
	default:
		return 0;
	}
}

static int is_rule_valid(const struct sg_node_rule *rule, const struct sg_node_head *head)
{
	return rule->source < head->groups && rule->target < head->groups &&
	       rule->first_spec <= head->specs && rule->specs <= head->specs - rule->first_spec &&
	       (rule->action == SEG_VERDICT_DENY ||
		(rule->action == SEG_VERDICT_ALLOW && !(rule->flags & SG_RULE_REJECT))) &&
	       !(rule->flags & ~(SG_RULE_STAGED | SG_RULE_REJECT | SG_RULE_VERIFIES)) &&
	       (!rule->dir || rule->dir == SEG_DIR_EGRESS || rule->dir == SEG_DIR_INGRESS) &&
	       rule->condition <= head->conditions && sg_node_apps_valid(rule) &&
	       (rule->flags & SG_RULE_VERIFIES ? !!rule->condition : rule->apps || !rule->condition);
}

/* Names are compared as bytes, so there is one way to write each. */
static int is_fqdn_valid(const struct sg_node_fqdn *fqdn, const struct sg_node_head *head)
{
	if (fqdn->group >= head->groups || !fqdn->length || fqdn->subdomains > 1 ||
	    fqdn->name[0] == '.' || fqdn->name[fqdn->length - 1] == '.')
		return 0;
	for (__u32 i = 0; i < SG_NAME_ROOM; i++) {
		__u8 c = (__u8)fqdn->name[i];

		if (i >= fqdn->length ? c != 0 : c <= ' ' || c >= 0x7f || c == '?' || (c >= 'A' && c <= 'Z'))
			return 0;
	}
	return 1;
}

static int is_member_valid(const struct sg_member *member, const struct sg_node_head *head)
{
	return member->holder <= SG_HOLDER_ALSO &&
	       (!member->holder || (member->family && member->groups)) &&
	       (member->family ? member->family == SEG_FAMILY_IPV4 || member->family == SEG_FAMILY_IPV6 :
				 member->port_id > 0) &&
	       member->first_group <= head->member_groups &&
	       member->groups <= head->member_groups - member->first_group;
}

static int is_same_address(const struct sg_member *one, const struct sg_member *other)
{
	return one->family == other->family &&
	       !memcmp(one->address, other->address, sizeof(one->address));
}

static int is_valid(const struct sg_node_view *view)
{
	const struct sg_node_head *head = view->head;

	for (__u32 i = 0; i < head->specs; i++)
		if (!is_spec_valid(&view->specs[i]))
			return 0;
	for (__u32 i = 0; i < head->conditions; i++)
		if (!sg_condition_valid(&view->conditions[i], view->texts, head->texts) ||
		    (i && view->conditions[i].key <= view->conditions[i - 1].key))
			return 0;
	for (__u32 i = 0; i < head->rules; i++)
		if (!is_rule_valid(&view->rules[i], head))
			return 0;
	for (__u32 i = 0; i < head->cidrs; i++)
		if (view->cidrs[i].group >= head->groups)
			return 0;
	for (__u32 i = 0; i < head->fqdns; i++)
		if (!is_fqdn_valid(&view->fqdns[i], head))
			return 0;
	for (__u32 i = 0; i < head->members; i++)
		if (!is_member_valid(&view->members[i], head) ||
		    (view->members[i].holder == SG_HOLDER_ALSO &&
		     (!i || !view->members[i - 1].holder ||
		      !is_same_address(&view->members[i - 1], &view->members[i]))))
			return 0;
	for (__u32 i = 0; i < head->member_groups; i++)
		if (view->groups[i] >= head->groups)
			return 0;
	return 1;
}

int sg_node_view(const void *bytes, __u32 length, struct sg_node_view *view)
{
	const struct sg_node_head *head = bytes;

	if (length < sizeof(*head))
		return -EINVAL;
	__u64 wanted = sizeof(*head) + head->policies * (__u64)sizeof(struct sg_policy) +
		       head->rules * (__u64)sizeof(struct sg_node_rule) +
		       head->conditions * (__u64)sizeof(struct sg_node_condition) +
		       head->specs * (__u64)sizeof(struct sg_node_spec) +
		       head->cidrs * (__u64)sizeof(struct sg_node_cidr) +
		       head->fqdns * (__u64)sizeof(struct sg_node_fqdn) +
		       head->members * (__u64)sizeof(struct sg_member) +
		       head->member_groups * (__u64)sizeof(__u32) + head->sensors + (__u64)head->texts;

	if (wanted != length || !head->groups || head->groups > SG_NODE_GROUPS_MAX ||
	    head->rules > SG_NODE_RULES_MAX || head->conditions > SG_CONDITIONS_MAX || head->fqdns > SG_NODE_FQDNS_MAX)
		return -EINVAL;
	view->head = head;
	view->policies = (const void *)(head + 1);
	view->rules = (const void *)(view->policies + head->policies);
	view->conditions = (const void *)(view->rules + head->rules);
	view->specs = (const void *)(view->conditions + head->conditions);
	view->cidrs = (const void *)(view->specs + head->specs);
	view->fqdns = (const void *)(view->cidrs + head->cidrs);
	view->members = (const void *)(view->fqdns + head->fqdns);
	view->groups = (const void *)(view->members + head->members);
	view->sensors = (const void *)(view->groups + head->member_groups);
	view->texts = view->sensors + head->sensors;
	for (__u32 i = 0; i < head->policies; i++)
		if (!(view->policies[i].flags & SG_POLICY_NODE) || view->policies[i].rule_count)
			return -EINVAL;
	return is_valid(view) ? 0 : -EINVAL;
}

int sg_node_view_asks(const struct sg_node_view *view, __u32 fields)
{
	for (__u32 i = 0; i < view->head->conditions; i++)
		if (sg_condition_fields(&view->conditions[i], view->texts) & fields)
			return 1;
	return 0;
}
