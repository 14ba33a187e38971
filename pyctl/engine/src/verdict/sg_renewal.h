/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A DHCP client renews its lease with the server alone (RFC 2131 §4.4.5), which no rule may know: who answered its
 * question to all is asked again without one. Few and small messages, so that nobody talks by them. DHCPv6 clients ask
 * all. */
#ifndef SG_RENEWAL_H
#define SG_RENEWAL_H

#include "flow/sg_state.h"

enum sg_renewal_limit {
	SG_RENEWAL_BYTES = 1514,	/* of a frame, in one piece */
	SG_RENEWALS = 4,		/* at once; and answers to one */
};
#define SG_RENEWAL_GAP (15 * SG_SECOND)	/* at a steady pace */

/* p answers a question to all. */
void sg_renewal_learn(struct sg_port *port, const struct sg_packet *p);
/* Whether the packet, which belongs to no flow that is open, is a renewal or its answer, and no rule says otherwise. It
 * counts as such then. */
int sg_renewal_passes(const struct sg_context *c);

#endif
