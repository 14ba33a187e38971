/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Lets a DHCP client renew its lease by unicast (RFC 2131 §4.4.5) without a rule, with the server that answered its
 * broadcast. Messages are few and small, so that they are no covert channel. DHCPv6 clients use multicast. */
#ifndef SG_RENEWAL_H
#define SG_RENEWAL_H

#include "flow/sg_state.h"

enum sg_renewal_limit {
	SG_RENEWAL_BYTES = 1514,	/* of a frame, in one piece */
	SG_RENEWALS = 4,		/* at once; and answers to one */
};
#define SG_RENEWAL_GAP (15 * SG_SECOND)	/* at a steady pace */

/* Note the server of the packet, which answers a group query; renewals may be another worker's. */
void sg_renewal_learn(const struct sg_context *c);
/* Forget what workers told each other of a port that goes: its id will be another's. */
void sg_renewal_forget(const struct sg_core *core, __u16 port_id);
/* Return whether the packet, which belongs to no open flow, is a renewal or its answer that no rule denies, and count it
 * as one. */
int sg_renewal_passes(const struct sg_context *c);

#endif
