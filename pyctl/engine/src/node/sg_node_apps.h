/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What a rule for applications says of a flow's application. Pure. */
#ifndef SG_NODE_APPS_H
#define SG_NODE_APPS_H

#include "api/sg_core.h"

/* Return whether the rule's applications are ones that there are, and `unknown` is a verdict, and absent without them. */
int sg_node_apps_valid(const struct sg_node_rule *rule);
/* Return whether the rule can match a flow of this application; until it is known, it can. */
int sg_node_takes(const struct sg_node_rule *rule, __u8 app);
/* Return the verdict, enum seg_verdict, of a rule that was found for a flow of this application. */
__u8 sg_node_verdict(const struct sg_node_rule *rule, __u8 app);

#endif
