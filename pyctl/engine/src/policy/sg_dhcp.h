/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* DHCP, which a workload without an address speaks before any rule can know it, and which only a server may
 * answer. Pure. */
#ifndef SG_DHCP_H
#define SG_DHCP_H

#include "node/sg_node.h"

enum sg_dhcp {
	SG_DHCP_NOT = 0,
	SG_DHCP_FREE,		/* passes where no rule says otherwise */
	SG_DHCP_NOT_SERVED,	/* a server's message, of a workload that serves none */
};

/* What the flow is; `serves`: the local workload answers DHCP clients. */
enum sg_dhcp sg_dhcp_of(const struct sg_policy_query *q, int serves);

#endif
