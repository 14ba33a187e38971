/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Lets DHCP pass, which a workload needs before it has an address that a rule can name, and which only a server may
 * answer. Pure. */
#ifndef SG_DHCP_H
#define SG_DHCP_H

#include "node/sg_node.h"

enum sg_dhcp {
	SG_DHCP_NOT = 0,
	SG_DHCP_FREE,		/* passes unless a rule denies it */
	SG_DHCP_NOT_SERVED,	/* a server's message from a workload that does not serve */
};

/* Classify a flow; `serves`: the local workload answers DHCP clients. */
enum sg_dhcp sg_dhcp_of(const struct sg_policy_query *q, int serves);
/* Return whether the UDP port is DHCP's, so that a verdict on a flow to it is by its source port, too. */
int sg_dhcp_is_port(__u16 port);

#endif
