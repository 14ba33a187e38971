/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The answer to what a rule rejects: RST, or an ICMP error, to whoever sent it.
 *
 * It is in the name of whom the packet was for, as the engine has no address of its own; so it works
 * both ways: the other end of a flow that was open is told too, as both ends of a connection are reset.
 * (nftables answers only what matches the rule, which what comes back does not.) Never answered: what ICMP
 * errors must not be sent for (RFC 1122 3.2.2, RFC 4443 2.4), and copies, whose packets have gone on. Each
 * port answers at a bounded pace. */
#ifndef SG_REJECT_H
#define SG_REJECT_H

#include "flow/sg_core_internal.h"

enum sg_reject_limit {
	SG_REJECTS_PER_SECOND = 500,	/* of one port */
	SG_REJECTS_BURST = 100,
};

void sg_reject(struct sg_core *core, struct sg_port *port, const struct sg_packet *p, __u64 now_ns);

#endif
