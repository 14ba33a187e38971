/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Judges flows for whose application a rule asks. */
#ifndef SG_JUDGE_APP_H
#define SG_JUDGE_APP_H

#include "flow/sg_state.h"

/* Judge a packet of a connection that is looked at; its state is the one after the packet. */
struct sg_verdict sg_judge_app(const struct sg_context *c, struct sg_session *s);
/* Judge a connection of which a frame has waited for too long. The packet is that frame's. */
struct sg_verdict sg_judge_app_overdue(const struct sg_context *c, struct sg_session *s);
/* Ask about the flow that the packet opens; of a datagram flow, the datagram tells its application. */
struct sg_answer sg_judge_app_opening(const struct sg_context *c);

#endif
