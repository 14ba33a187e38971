/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The answer to what a rule rejects: RST, or an ICMP error, to whoever sent it.
 *
 * It is in the name of whom the packet was for, as the engine has no address of its own; so it works
 * both ways: the other end of a flow that was open is told too, as both ends of a connection are reset.
 * (nftables answers only what matches the rule, which what comes back does not.) Never answered: what ICMP
 * errors must not be sent for (RFC 1122 3.2.2, RFC 4443 2.4), and copies, whose packets have gone on. */
#ifndef SG_REJECT_H
#define SG_REJECT_H

#include "packet/sg_decode.h"

enum { SG_REJECT_BYTES = SG_ETH_LEN + 1280 };

int sg_may_be_rejected(const struct sg_packet *p);
/* Write the ICMP error, or the RST: gives the frame's length; 0: there is none. */
__u32 sg_reject(const struct sg_packet *p, __u8 *bytes);

#endif
