/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Judges one packet or whole datagram: by its session, then by the policy. It sends nothing and writes no flow map: core/
 * carries out struct sg_verdict. */
#ifndef SG_JUDGE_H
#define SG_JUDGE_H

#include "flow/sg_state.h"

/* The packet is decoded and no fragment; the port has a policy other than quarantine. */
struct sg_verdict sg_judge(struct sg_context *c);

#endif
