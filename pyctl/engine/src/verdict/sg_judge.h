/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The verdict on one packet (or one whole datagram): sessions first, then the policy. It sends nothing,
 * and writes no flow map: struct sg_verdict says what core/ is to do. */
#ifndef SG_JUDGE_H
#define SG_JUDGE_H

#include "flow/sg_state.h"

/* The packet is decoded and no fragment; the port has a policy other than quarantine. */
struct sg_verdict sg_judge(struct sg_context *c);
/* sg_judge_tcp.c; c->key is made. */
struct sg_verdict sg_judge_tcp(const struct sg_context *c);

/* The verdict on a packet of which the policy cannot be asked: no more than that. */
static inline struct sg_verdict sg_judge_unknown(__u8 initiator)
{
	return (struct sg_verdict){ .reason = SEG_R_SESSION_MEMORY, .initiator = initiator };
}

#endif
