/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Sends on, or drops, frames that waited for their application, as a verdict says. */
#ifndef SG_WAITING_H
#define SG_WAITING_H

#include "flow/sg_state.h"

/* Make *frame the one that has waited longest, and *p its packet. Returns 0 if none waits. */
int sg_waiting_packet(struct sg_core *core, const struct sg_session *s, struct sg_frame *frame, struct sg_packet *p);
/* Let the packet's sequence number be the one that its receiver expects, so that it accepts a reset: nothing that waits has
 * reached it. */
void sg_waiting_expected(const struct sg_core *core, const struct sg_session *s, struct sg_packet *p);
/* Send on what waits (enum sg_action). */
void sg_waiting_send(const struct sg_context *c, struct sg_session *s, __u8 actions);
/* Drop what waits. It is counted with the packet, which is dropped too. */
void sg_waiting_drop(const struct sg_context *c, struct sg_session *s, struct sg_packet *p);

#endif
