/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The life of a session: opened, judged again, denied, ended; and what is told of it. */
#ifndef SG_FLOW_H
#define SG_FLOW_H

#include "sg_core_internal.h"

/* The key under which p's session is filed; *opener is who must have opened it for ICMP queries
 * and replies, else p's own direction. */
void sg_flow_key(const struct sg_packet *p, struct sg_key *key, __u8 *opener);
/* What the port's policy says of a flow that `opener` opens. The port has a policy. */
struct sg_answer sg_flow_ask(const struct sg_port *port, const struct sg_key *key, __u8 opener);

/* The answer decides on p's flow, whose session, if any, is of another decision: it is the rule's hit, and
 * what a staged rule would have said is told. `kept`: a session will remember it. */
void sg_flow_decided(struct sg_core *core, struct sg_port *port, const struct sg_packet *p,
		     const struct sg_key *key, __u8 opener, const struct sg_answer *answer, int kept,
		     __u64 now_ns);

/* A new session that passes; NULL where the table is full. */
struct sg_session *sg_flow_open(struct sg_core *core, struct sg_port *port,
				const struct sg_key *key, const struct sg_packet *p,
				const struct sg_ruling *ruling, const struct sg_answer *answer,
				__u64 now_ns);
/* A session that only remembers a denial; NULL where there are enough of them. */
struct sg_session *sg_flow_deny(struct sg_core *core, struct sg_port *port,
				const struct sg_key *key, const struct sg_packet *p,
				const struct sg_ruling *ruling, const struct sg_answer *answer,
				__u64 now_ns);
/* Judge by the policy in force. Afterwards s->denied tells. 1 when it just turned from allowed to
 * denied, else 0. */
int sg_flow_judge_again(struct sg_core *core, struct sg_port *port, struct sg_session *s,
			const struct sg_packet *p, __u64 now_ns);
/* p belongs to s: count it, and push its end away. */
void sg_flow_touch(struct sg_core *core, struct sg_session *s, const struct sg_packet *p,
		   __u64 now_ns);
/* The kernel let that side's FIN or RST pass (enum seg_close). */
void sg_flow_close(struct sg_core *core, struct sg_session *s, int side, __u8 close, __u64 now_ns);
/* Its end was told, and it goes on: its receiver did not believe the RST. */
void sg_flow_goes_on(struct sg_session *s, __u64 now_ns);
/* Tell its end, once. */
void sg_flow_tell_end(struct sg_core *core, struct sg_session *s, __u64 now_ns);
void sg_flow_end(struct sg_core *core, struct sg_session *s, __u64 now_ns);
/* One that a former engine left, filed again: what the kernel has carried since is counted. */
void sg_flow_resume(struct sg_core *core, struct sg_session *s);
/* Its timer came: end it, unless the kernel has carried packets since. */
void sg_flow_due(struct sg_core *core, struct sg_session *s, __u64 now_ns);
/* Who opened a TCP connection of which only the middle is seen. */
__u8 sg_flow_guess_opener(const struct sg_core *core, const struct sg_port *port,
			  const struct sg_key *key);

void sg_flow_info(struct sg_core *core, struct sg_session *s, struct sg_session_info *info);

#endif
