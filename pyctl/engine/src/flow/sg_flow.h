/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The life of a session: opened, judged again, denied, ended; and what is told of it. */
#ifndef SG_FLOW_H
#define SG_FLOW_H

#include "flow/sg_core_internal.h"

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

/* The ruling on a packet of which the policy cannot be asked: no more than that. */
static inline struct sg_ruling sg_flow_unknown(__u8 opener)
{
	return (struct sg_ruling){ .reason = SEG_R_SESSION_MEMORY, .opener = opener };
}

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
/* Judge by the policy in force. Afterwards s->denied tells. 1 when it just turned from allowed to denied; -ENOMEM: it
 * cannot be told, and p goes nowhere; else 0. */
int sg_flow_judge_again(struct sg_core *core, struct sg_port *port, struct sg_session *s,
			const struct sg_packet *p, __u64 now_ns);
/* p belongs to s: count it, and push its end away. */
void sg_flow_touch(struct sg_core *core, struct sg_session *s, const struct sg_packet *p,
		   __u64 now_ns);
/* The kernel let that side's FIN or RST pass (enum seg_close). */
void sg_flow_close(struct sg_core *core, struct sg_session *s, int side, __u8 close, __u64 now_ns);
/* Its end was told, and it goes on: its receiver did not believe the RST. */
void sg_flow_goes_on(struct sg_session *s, __u64 now_ns);
/* The session of this key; NULL where there is none, or only one of a port that had this number before: it ends. */
struct sg_session *sg_flow_find(struct sg_core *core, struct sg_port *port, const struct sg_key *key);
/* Its end was told, or there is room among the events to tell it. */
int sg_flow_may_end(const struct sg_core *core, const struct sg_session *s);
/* Tell its end, once: when it was seen last. */
void sg_flow_tell_end(struct sg_core *core, struct sg_session *s);
void sg_flow_end(struct sg_core *core, struct sg_session *s);
/* One that a former engine left, filed again: what the kernel has carried since is counted. */
void sg_flow_resume(struct sg_core *core, struct sg_session *s);
/* Its timer came: end it, unless the kernel has carried packets since. */
void sg_flow_due(struct sg_core *core, struct sg_session *s, __u64 now_ns);
/* Who opened a TCP connection of which only the middle is seen; *sure: it is known. */
__u8 sg_flow_guess_opener(const struct sg_core *core, const struct sg_port *port,
			  const struct sg_key *key, int *sure);
/* Likewise sg_flow_ask() of a flow whose opener is a guess: where the rules do not allow it that way round,
 * and do the other, *opener turns. */
struct sg_answer sg_flow_ask_either(const struct sg_port *port, const struct sg_key *key, __u8 *opener);

void sg_flow_info(struct sg_core *core, struct sg_session *s, struct sg_session_info *info);

#endif
