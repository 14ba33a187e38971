/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Answers a rejected packet's sender with a RST or an ICMP error.
 *
 * The answer comes from the packet's destination, because the engine has no address of its own. So both ends of a flow
 * that was open can be answered, as both ends of a connection are reset (nftables answers only packets that match the
 * rule). There is no answer where ICMP errors are forbidden (RFC 1122 3.2.2, RFC 4443 2.4), nor to copies, whose
 * packets were sent on. */
#ifndef SG_REJECT_H
#define SG_REJECT_H

#include "packet/sg_packet.h"

enum { SG_REJECT_BYTES = SG_ETH_LEN + 1280 };

int sg_may_be_rejected(const struct sg_packet *p);
/* Write the ICMP error or the RST. Returns the frame's length; 0: no answer. */
__u32 sg_reject(const struct sg_packet *p, __u8 *bytes);

#endif
