/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Questions to groups (DHCP, SSDP, mDNS, an echo request to all), whose answers come from addresses that no
 * flow names, at the end that asked and at those that heard it. Each port remembers its last ones, asked and
 * heard; an answer counts as its question's, and opens nothing. */
#ifndef SG_QUESTION_H
#define SG_QUESTION_H

#include "session/sg_session.h"

struct sg_core;
struct sg_packet;
struct sg_port;

enum sg_question_limit { SG_QUESTIONS = 32 };
#define SG_TIMEOUT_QUESTION (10 * SG_SECOND)	/* since it was asked last */

struct sg_question_ring {
	__u64 sessions[SG_QUESTIONS];	/* names; 0: none */
	__u32 next;			/* the place of the oldest */
};

struct sg_questions {
	struct sg_question_ring asked, heard;
};

/* p has passed, and belongs to s: it may be a question. */
void sg_question_note(struct sg_port *port, const struct sg_session *s, const struct sg_packet *p);
/* The session of the question that p answers, with p counted; NULL: it answers none. */
const struct sg_session *sg_question_answered(struct sg_core *core, struct sg_port *port,
					      const struct sg_packet *p, __u64 now_ns);

#endif
