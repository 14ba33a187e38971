/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Emits a session's end, and what the kernel has dropped of it. */
#ifndef SG_FLOW_EVENT_H
#define SG_FLOW_EVENT_H

#include "flow/sg_state.h"

/* Fill in the event's fields that name the flow, from its initiator's side. */
void sg_flow_event(const struct sg_session *s, struct sg_event *event);
/* Return what the responder sent, enum sg_answered. Datagrams have no handshake: any packet back is an answer. */
__u8 sg_flow_answered(const struct sg_session *s, __u64 back_packets);
/* Return whether the session's end was emitted, or has room to be. */
int sg_flow_may_end(const struct sg_core *core, const struct sg_session *s);
/* Emit the session's end once, with the time of its last packet. */
void sg_flow_emit_end(struct sg_core *core, struct sg_session *s);
/* Emit a drop of all that the kernel has dropped of the session since the last. */
void sg_flow_emit_drops(struct sg_core *core, struct sg_session *s);

/* Forget what the session showed of whom it is for. */
void sg_flow_forget_shown(struct sg_core *core, const struct sg_session *s);

#endif
