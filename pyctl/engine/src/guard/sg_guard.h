/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Looks for threats where a port's settings ask for it, tells them, and drops what the settings drop. In tap, discover and
 * monitor it only tells. */
#ifndef SG_GUARD_H
#define SG_GUARD_H

#include "flow/sg_state.h"

/* Look for threats in a packet that is about to be judged. Returns 1: *r is the verdict, and it drops the packet. */
int sg_guard_packet(struct sg_context *c, struct sg_verdict *r);
/* Look for threats in a flow that a program opened; the packet is made from its record. */
void sg_guard_opened(const struct sg_context *c);
/* Count the packet as a refused attempt, if it was one by its verdict or refuses one. */
void sg_guard_judged(const struct sg_context *c, const struct sg_verdict *r);
/* The same of a connection of which the kernel let a RST pass. */
void sg_guard_closed(struct sg_core *core, const struct sg_session *s);
/* Look for threats in what a connection has sent so far, after the look took the packet in. Returns 1: *r is the verdict, and it
 * ends the connection. */
int sg_guard_payload(const struct sg_context *c, struct sg_session *s, struct sg_payload *look, struct sg_verdict *r);
/* Return whether later bytes of the connection may be threats that the port looks for. */
int sg_guard_wants_more(const struct sg_port *port, const struct sg_payload *look);
/* Tell of a threat that another part found in the packet. */
void sg_guard_found(const struct sg_context *c, enum sg_threat threat);

#endif
