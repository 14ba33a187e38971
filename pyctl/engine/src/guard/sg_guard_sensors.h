/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Shows sensors what flows send, where a port's settings ask for it: tells hits, and ends flows where the settings drop. In tap,
 * discover and monitor it only tells. */
#ifndef SG_GUARD_SENSORS_H
#define SG_GUARD_SENSORS_H

#include "flow/sg_state.h"

/* Show a packet of a TCP connection that would pass. Returns 1: *r is the verdict. */
int sg_guard_segment(const struct sg_context *c, struct sg_session *s, struct sg_verdict *r);
/* Show a datagram of a flow that would pass. Returns 1: *r is the verdict. */
int sg_guard_datagram(const struct sg_context *c, struct sg_session *s, struct sg_verdict *r);

#endif
