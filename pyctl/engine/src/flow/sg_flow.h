/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Opens, revalidates, denies and ends sessions, and emits their events. */
#ifndef SG_FLOW_H
#define SG_FLOW_H

#include "flow/sg_flow_event.h"

/* Count the rules' hit and record the verdict of a staged rule, after an answer decided on the packet's flow. `kept`: a
 * session will hold the answer; else a violation is recorded here too. */
void sg_flow_decided(const struct sg_context *c, __u8 initiator, const struct sg_answer *answer, int kept);

/* Open a session that passes; NULL: the table is full. */
struct sg_session *sg_flow_open(const struct sg_context *c, __u8 initiator, const struct sg_answer *answer);
/* Open a session that only holds a denial; NULL: there are too many of them. */
struct sg_session *sg_flow_deny(const struct sg_context *c, __u8 initiator, const struct sg_answer *answer);
/* Return the session of the service that the packet is denied, whatever its source port; NULL: as sg_flow_deny(). */
struct sg_session *sg_flow_deny_service(const struct sg_context *c, const struct sg_answer *answer);
/* Judge the session by the policy in force, and set s->denied. Returns 1 if it was allowed and is now denied; -ENOMEM:
 * unknown, drop the packet; else 0. */
int sg_flow_revalidate(const struct sg_context *c, struct sg_session *s);
/* Judge the session by this answer of the policy in force; else as sg_flow_revalidate(). */
int sg_flow_judge_anew(const struct sg_context *c, struct sg_session *s, const struct sg_answer *answer);
/* Deny a session that was open for this reason, whatever the rules say. */
void sg_flow_block(const struct sg_context *c, struct sg_session *s, __u16 reason);
/* Free what the session's look has, and drop the frames that still wait. */
void sg_flow_drop_look(struct sg_core *core, struct sg_session *s);
/* Count frames of a side that were sent on. */
void sg_flow_count(struct sg_session *s, int side, __u32 frames, __u32 bytes);
/* Restart the timeout: the packet came, and is counted when it is sent on. */
void sg_flow_seen(const struct sg_context *c, struct sg_session *s);
/* Count the packet for s, and restart the timeout. */
void sg_flow_touch(const struct sg_context *c, struct sg_session *s);
/* Update the flow map and emit the end of a session that is over; call it after the packet was judged and answered. */
void sg_flow_settle(const struct sg_context *c, struct sg_session *s);
/* Handle a side's FIN or RST that the kernel let pass (enum seg_close). */
void sg_flow_close(struct sg_core *core, struct sg_session *s, int side, __u8 close, __u64 now_ns);
/* Reopen a session whose end was emitted: the receiver ignored the RST. */
void sg_flow_reopen(struct sg_session *s, __u64 now_ns);
/* Return the session of this key, or NULL. A session of a former port of this id ends here. */
struct sg_session *sg_flow_find(struct sg_core *core, struct sg_port *port, const struct sg_key *key);
void sg_flow_end(struct sg_core *core, struct sg_session *s);
/* Resume a session of a former engine: add what the kernel has carried since. */
void sg_flow_resume(struct sg_core *core, struct sg_session *s);
/* Go through all sessions, from the next tick on: an entry of a port without a flow map goes, and a flow whose close event
 * was lost is seen to be closed. */
void sg_flow_sweep_all(struct sg_core *core);
/* Look at some of them. Returns 1 if there are more. */
int sg_flow_sweep(struct sg_core *core);
/* Handle the session's timer: end it, unless the kernel has carried packets since. */
void sg_flow_due(struct sg_core *core, struct sg_session *s, __u64 now_ns);

void sg_flow_info(struct sg_core *core, struct sg_session *s, struct sg_session_info *info);

#endif
