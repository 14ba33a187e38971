/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Rules for applications; see the header. In: a rule, an application. Out: whether they go together, the verdict. No I/O. */
#include "node/sg_node_apps.h"

int sg_node_apps_valid(const struct sg_node_rule *rule)
{
	const __u64 known = (1ULL << (SG_APP_LAST + 1)) - (1ULL << (SG_APP_NONE + 1));

	return rule->apps ? !(rule->apps & ~known) && rule->unknown <= SEG_VERDICT_DENY : !rule->unknown;
}

int sg_node_takes(const struct sg_node_rule *rule, __u8 app)
{
	if (!rule->apps || app == SG_APP_NONE)
		return 1;
	return app < SG_APP_UNKNOWN ? rule->apps >> app & 1 : rule->unknown;
}

__u8 sg_node_verdict(const struct sg_node_rule *rule, __u8 app)
{
	return rule->apps && app >= SG_APP_UNKNOWN ? rule->unknown : rule->action;
}
