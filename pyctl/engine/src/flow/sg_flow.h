/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The life of a session: opened, judged again, denied, ended; and what is told of it. */
#ifndef SG_FLOW_H
#define SG_FLOW_H

#include "flow/sg_state.h"

/* The answer decides on the packet's flow, whose session, if any, is of another decision: it is the rule's hit, and
 * what a staged rule would have said is told. `kept`: a session will remember it; else what only passes is told, too. */
void sg_flow_decided(const struct sg_context *c, __u8 initiator, const struct sg_answer *answer, int kept);

/* A new session that passes; NULL where the table is full. */
struct sg_session *sg_flow_open(const struct sg_context *c, __u8 initiator, const struct sg_answer *answer);
/* A session that only remembers a denial; NULL where there are enough of them. */
struct sg_session *sg_flow_deny(const struct sg_context *c, __u8 initiator, const struct sg_answer *answer);
/* Judge by the policy in force. Afterwards s->denied tells. 1 when it just turned from allowed to denied; -ENOMEM: it
 * cannot be told, and the packet goes nowhere; else 0. */
int sg_flow_revalidate(const struct sg_context *c, struct sg_session *s);
/* The packet belongs to s: count it, and push its end away. */
void sg_flow_touch(const struct sg_context *c, struct sg_session *s);
/* The packet was judged, and answered: the flow map follows its state, and what is over is told. */
void sg_flow_settle(const struct sg_context *c, struct sg_session *s);
/* The kernel let that side's FIN or RST pass (enum seg_close). */
void sg_flow_close(struct sg_core *core, struct sg_session *s, int side, __u8 close, __u64 now_ns);
/* Its end was told, and it goes on: its receiver did not believe the RST. */
void sg_flow_reopen(struct sg_session *s, __u64 now_ns);
/* The session of this key; NULL where there is none, or only one of a port that had this number before: it ends. */
struct sg_session *sg_flow_find(struct sg_core *core, struct sg_port *port, const struct sg_key *key);
/* Its end was told, or there is room among the events to tell it. */
int sg_flow_may_end(const struct sg_core *core, const struct sg_session *s);
/* Tell its end, once: when it was seen last. */
void sg_flow_emit_end(struct sg_core *core, struct sg_session *s);
void sg_flow_end(struct sg_core *core, struct sg_session *s);
/* One that a former engine left, filed again: what the kernel has carried since is counted. */
void sg_flow_resume(struct sg_core *core, struct sg_session *s);
/* Its timer came: end it, unless the kernel has carried packets since. */
void sg_flow_due(struct sg_core *core, struct sg_session *s, __u64 now_ns);

void sg_flow_info(struct sg_core *core, struct sg_session *s, struct sg_session_info *info);

#endif
