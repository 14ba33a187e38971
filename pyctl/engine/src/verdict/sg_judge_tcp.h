/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Judges a TCP segment. */
#ifndef SG_JUDGE_TCP_H
#define SG_JUDGE_TCP_H

#include "flow/sg_state.h"

/* c->key is made. */
struct sg_verdict sg_judge_tcp(const struct sg_context *c);

#endif
